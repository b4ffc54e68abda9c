/*
 * Calls out of the enclave, over a slice of the thread's arena in host memory.
 * Side: enclave. Called by applications (cella_ocall), generated bridges and the kernel's own services.
 * Never trusts what comes back: result, size and bytes are checked and copied once.
 */
#include "enclave/kernel.h"

void cella_arena_attach(struct cella_td *td)
{
    const uint64_t arena =
        cella_kernel.arenas + td->slot * cella_kernel.arena_stride; /* checked whole at INIT */
    td->arena = arena + sizeof(struct cella_call_arena);
    td->arena_size = cella_kernel.arena_stride - sizeof(struct cella_call_arena);
    td->arena_used = 0;
}

/* Results that the table of results knows; a host has no others to give. */
cella_result cella_result_from_host(uint64_t code)
{
    switch (code) {
#define X(number, name, category, text) case number:
#include "common/result.def"
#undef X
        return (cella_result){.code = (uint32_t)code};
    default:
        return CELLA_RESULT(HOST_VALUE);
    }
}

struct ocall {
    uint32_t number;
    uint32_t way; /* beside CELLA_EXIT_OCALL */
    bool preserve;
    const void *in;
    size_t in_size;
    void *out;
    size_t out_capacity;
    size_t *ret_size;
};

/* The slice is ours up to the next multiple of 8: the last word goes out whole, padded with zeros. */
cella_result cella_slice_fill(uint64_t slice, const void *from, size_t size)
{
    const uint8_t *in = from;
    const size_t whole = size & ~(size_t)7;
    CELLA_TRY(cella_copy_out(cella_host_pointer_out(slice), in, whole));
    if (whole < size) {
        uint64_t last = 0;
        for (size_t i = whole; i < size; i++) {
            last |= (uint64_t)in[i] << (8 * (i - whole));
        }
        CELLA_TRY(cella_copy_out(cella_host_pointer_out(slice + whole), &last, sizeof(last)));
    }
    return CELLA_OK;
}

/* The call itself, over a slice that is big enough and known to be host memory. */
static cella_result ocall_over(struct cella_td *td, const struct ocall *call, uint64_t slice)
{
    if (call->in_size > 0) {
        CELLA_TRY(cella_slice_fill(slice, call->in, call->in_size));
    }
    struct cella_pair (*leave)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) =
        call->preserve ? cella_kernel_leave_preserving : cella_kernel_leave;
    /*
     * An ecall on top of a system call would run in the middle of whatever the libc was about to finish, its recursive
     * locks taken by this very thread. Only the application's own ocalls may be answered by an ecall.
     */
    const uint32_t state = td->state;
    td->state = (call->number & CELLA_OCALL_SYSTEM) != 0 ? TD_AWAY : state;
    struct cella_pair answer;
    if (__builtin_expect(!cella_kernel.ring_call, 1) ||
        !cella_kernel.ring_call(call->number, call->in, call->in_size, slice, call->in_size,
                                call->out_capacity, &answer)) {
        answer = leave(CELLA_EXIT_OCALL | call->way | (uint64_t)call->number << 32, slice,
                       call->in_size, call->out_capacity, td->depth + 1);
    }
    td->state = state;
    cella_result result = cella_result_from_host(answer.first);
    if (!cella_is_ok(result)) {
        return result;
    }
    CELLA_ENSURE(answer.second <= call->out_capacity, HOST_VALUE);
    if (answer.second > 0) {
        CELLA_TRY(cella_copy_in(call->out,
                                cella_host_pointer(slice + CELLA_CALL_OUTPUT_AT(call->in_size)),
                                answer.second));
    }
    if (call->ret_size) {
        *call->ret_size = answer.second;
    }
    return CELLA_OK;
}

static cella_result ocall_run(const struct ocall *call);

static cella_result host_allocate(uint64_t size, bool preserve, uint64_t *ret_address)
{
    uint64_t address = 0;
    size_t got = 0;
    const struct ocall call = {.number = CELLA_OCALL_ALLOC,
                               .preserve = preserve,
                               .in = &size,
                               .in_size = sizeof(size),
                               .out = &address,
                               .out_capacity = sizeof(address),
                               .ret_size = &got};
    CELLA_TRY(ocall_run(&call));
    CELLA_ENSURE(got == sizeof(address) && address != 0 && address % 8 == 0, HOST_VALUE);
    CELLA_TRY(cella_span_check(address, size));
    *ret_address = address;
    return CELLA_OK;
}

static void host_release(uint64_t address, uint64_t size, bool preserve)
{
    const uint64_t in[2] = {address, size};
    const struct ocall call = {
        .number = CELLA_OCALL_FREE, .preserve = preserve, .in = in, .in_size = sizeof(in)};
    cella_ignore(ocall_run(&call));
}

/* A call too big for what is left of the arena borrows host memory for its slice. */
static __attribute__((noinline)) cella_result ocall_large(struct cella_td *td,
                                                          const struct ocall *call, uint64_t size)
{
    uint64_t slice = 0;
    CELLA_TRY(host_allocate(size, call->preserve, &slice));
    cella_result result = ocall_over(td, call, slice);
    host_release(slice, size, call->preserve);
    return result;
}

/* Handlers of exceptions may change pages and wait for locks, and nothing else: nobody knows what was interrupted. */
static bool exception_allows(uint32_t number)
{
    switch (number) {
    case CELLA_OCALL_WAIT:
    case CELLA_OCALL_WAKE:
    case CELLA_OCALL_RESTRICT:
    case CELLA_OCALL_TRIM:
    case CELLA_OCALL_REMOVE:
    case CELLA_OCALL_PROTECT:
        return true;
    default:
        return false;
    }
}

static cella_result ocall_run(const struct ocall *call)
{
    struct cella_td *td = cella_td_self();
    const uint64_t limit = 1ull << 40;
    CELLA_ENSURE(call->in_size < limit && call->out_capacity < limit, OUT_OF_RANGE);
    CELLA_ENSURE(!cella_in_exception(td) || exception_allows(call->number), IN_EXCEPTION);
    CELLA_ENSURE(td->depth < CELLA_CALL_DEPTH_MAX, LIMIT_EXCEEDED);
    const uint64_t size =
        CELLA_CALL_OUTPUT_AT(call->in_size) + CELLA_CALL_OUTPUT_AT(call->out_capacity);
    if (size > td->arena_size - td->arena_used) {
        return ocall_large(td, call, size);
    }
    const uint64_t slice = td->arena + td->arena_used;
    td->arena_used += size;
    cella_result result = ocall_over(td, call, slice);
    td->arena_used -= size;
    return result;
}

cella_result cella_ocall_by(uint32_t way, uint32_t number, const void *in, size_t in_size,
                            void *out, size_t out_capacity, size_t *ret_size)
{
    CELLA_ENSURE((number & CELLA_OCALL_SYSTEM) == 0, OUT_OF_RANGE);
    const struct ocall call = {.number = number,
                               .way = way,
                               .in = in,
                               .in_size = in_size,
                               .out = out,
                               .out_capacity = out_capacity,
                               .ret_size = ret_size};
    return ocall_run(&call);
}

cella_result cella_ocall(uint32_t number, const void *in, size_t in_size, void *out,
                         size_t out_capacity, size_t *ret_size)
{
    return cella_ocall_by(0, number, in, in_size, out, out_capacity, ret_size);
}

cella_result cella_system_ocall(uint32_t number, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    const struct ocall call = {.number = number,
                               .preserve = true,
                               .in = in,
                               .in_size = in_size,
                               .out = out,
                               .out_capacity = out_capacity,
                               .ret_size = ret_size};
    return ocall_run(&call);
}

void cella_trace(const char *text, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    char line[96];
    size_t used = 0;
    if (!cella_is_debug() || cella_in_exception(cella_td_self())) {
        return;
    }
    while (text[used] != 0 && used < sizeof(line) - 18) {
        line[used] = text[used];
        used++;
    }
    line[used++] = ' ';
    for (int shift = 60; shift >= 0; shift -= 4) {
        if (shift == 0 || (value >> shift) != 0) {
            line[used++] = digits[(value >> shift) & 15];
        }
    }
    cella_ignore(cella_system_ocall(CELLA_OCALL_TRACE, line, used, NULL, 0, NULL));
}

/* The first slot's arena has them for the whole enclave. */
static uint64_t signals_at(void)
{
    return cella_kernel.arenas + offsetof(struct cella_call_arena, signals);
}

bool cella_program_is_signaled(void)
{
    uint64_t signals = 0;
    return cella_is_ok(cella_fetch_u64(&signals, cella_host_pointer(signals_at()))) && signals != 0;
}

uint64_t cella_program_signals(void)
{
    uint64_t signals = 0;
    if (!cella_program_is_signaled() ||
        !cella_is_ok(cella_exchange_u64(&signals, cella_host_pointer_out(signals_at()), 0))) {
        return 0;
    }
    return signals;
}
