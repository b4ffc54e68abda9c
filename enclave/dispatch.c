/*
 * Entries that are not worth assembly: ecalls behind the fast path, INIT, threads, the end.
 * Side: enclave. Called by entry.S with whatever the host put into registers.
 * Never uses a host value that was not checked, nor a table place that was not clamped.
 */
#include "enclave/kernel.h"

_Atomic uint32_t cella_kernel_state;
struct cella_kernel cella_kernel;

/* Where the sections of modules start even when there is none. */
static const struct cella_module *const module_none __attribute__((section("cella_modules"), used));

static const struct cella_system_ecall *const system_ecall_none
    __attribute__((section("cella_system_ecalls"), used));

#define SMALL_SIZE 256u
#define BUFFER_ALIGN(size) (((size) + 15) & ~(uint64_t)15)
#define CALL_MAX (1ull << 40)

static struct cella_pair pair_of(cella_result result, uint64_t size)
{
    return (struct cella_pair){.first = result.code, .second = size};
}

/*
 * The body of an ecall: `buffer` holds the input, then the output. The output is cleared first: what the function
 * does not write is zeros, not what an earlier call left there.
 */
static struct cella_pair ecall_run(const struct cella_ecall *ecall, uint8_t *buffer, uint64_t in,
                                   uint64_t in_size, uint64_t out, uint64_t out_capacity)
{
    void *output = NULL;
    if (in_size > 0) {
        cella_result copied = cella_copy_in(buffer, cella_host_pointer(in), in_size);
        if (!cella_is_ok(copied)) {
            return pair_of(copied, 0);
        }
    }
    if (out_capacity > 0) {
        output = buffer + BUFFER_ALIGN(in_size);
        cella_zero(output, out_capacity);
    }
    size_t size = 0;
    cella_result result =
        ecall->function(in_size > 0 ? buffer : NULL, in_size, output, out_capacity, &size);
    if (!cella_is_ok(result)) {
        return pair_of(result, 0);
    }
    if (size > out_capacity) {
        return pair_of(CELLA_RESULT(INTERNAL), 0);
    }
    if (size > 0) {
        result = cella_copy_out(cella_host_pointer_out(out), output, size);
    }
    return pair_of(result, cella_is_ok(result) ? size : 0);
}

/* Big calls take pages; the thread keeps its last buffer, for the next call and not for a nested one. */
static __attribute__((noinline)) struct cella_pair ecall_large(const struct cella_ecall *ecall,
                                                               uint64_t in, uint64_t in_size,
                                                               uint64_t out, uint64_t out_capacity)
{
    struct cella_td *td = cella_td_self();
    const uint64_t wanted = BUFFER_ALIGN(in_size) + out_capacity;
    const uint64_t pages = (wanted + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    uint8_t *buffer = td->buffer;
    uint64_t size = td->buffer_size;
    td->buffer = NULL;
    td->buffer_size = 0;
    if (size < wanted) {
        if (buffer) {
            cella_pages_unmap((uint64_t)buffer, size / SGX_PAGE_SIZE);
        }
        size = pages * SGX_PAGE_SIZE;
        buffer = (uint8_t *)cella_pages_map(pages, true);
        if (!buffer) {
            return pair_of(CELLA_RESULT(OUT_OF_MEMORY), 0);
        }
    }
    struct cella_pair result = ecall_run(ecall, buffer, in, in_size, out, out_capacity);
    if (td->buffer) {
        cella_pages_unmap((uint64_t)buffer, size / SGX_PAGE_SIZE);
    } else {
        td->buffer = buffer;
        td->buffer_size = size;
    }
    return result;
}

static __attribute__((noinline)) struct cella_pair ecall_small(const struct cella_ecall *ecall,
                                                               uint64_t in, uint64_t in_size,
                                                               uint64_t out, uint64_t out_capacity)
{
    _Alignas(16) uint8_t buffer[2 * SMALL_SIZE];
    return ecall_run(ecall, buffer, in, in_size, out, out_capacity);
}

/* An ecall of a skin. NULL: there is none of that number. */
static __attribute__((noinline)) const struct cella_ecall *system_ecall(uint64_t number)
{
    for (const struct cella_system_ecall *const *e = __start_cella_system_ecalls;
         e < __stop_cella_system_ecalls; e++) {
        if (*e && (*e)->number == number) {
            return &(*e)->ecall;
        }
    }
    return NULL;
}

struct cella_pair cella_kernel_ecall(uint64_t number, uint64_t in, uint64_t in_size, uint64_t out,
                                     uint64_t out_capacity)
{
    const struct cella_ecall *ecall;
    if (__builtin_expect(number < cella_ecall_count, 1)) {
        ecall = &cella_ecall_table[cella_index_clamp(number, cella_ecall_count)];
    } else if ((number & CELLA_ECALL_SYSTEM) == 0 || !(ecall = system_ecall(number))) {
        return pair_of(CELLA_RESULT(NOT_FOUND), 0);
    }
    if ((in_size | out_capacity) == 0) {
        size_t size = 0;
        return pair_of(ecall->function(NULL, 0, NULL, 0, &size), 0);
    }
    if (in_size > ecall->in_max || in_size > CALL_MAX) {
        return pair_of(CELLA_RESULT(OUT_OF_RANGE), 0);
    }
    cella_result span = cella_span_check(out, out_capacity);
    if (!cella_is_ok(span)) {
        return pair_of(span, 0);
    }
    if (out_capacity > ecall->out_max) {
        out_capacity = ecall->out_max;
    }
    if (in_size <= SMALL_SIZE && out_capacity <= SMALL_SIZE) {
        return ecall_small(ecall, in, in_size, out, out_capacity);
    }
    return ecall_large(ecall, in, in_size, out, out_capacity);
}

void cella_kernel_thread_ready(struct cella_td *td)
{
    td->state = TD_READY;
}

void cella_kernel_abort(uint64_t reason)
{
    atomic_store(&cella_kernel_state, KERNEL_DEAD);
    cella_kernel_exit(CELLA_EXIT_ABORTED, CELLA_CODE_ENCLAVE_ABORTED, reason);
}

__attribute__((noreturn)) void cella_abort(void)
{
    cella_kernel_abort(CELLA_ABORT_CALLED);
}

/* The compiler calls this when a canary was overwritten: nothing on this stack can be trusted. */
_Noreturn void cella_kernel_stack_check_failed(void) CELLA_KERNEL;
_Noreturn void cella_kernel_stack_check_failed(void)
{
    cella_kernel_abort(CELLA_ABORT_CANARY);
}

static struct cella_pair call_run(struct cella_td *td, const struct cella_pending_call *call)
{
    return call->worker ? cella_kernel_worker(td, call->in)
                        : cella_kernel_ecall(call->number, call->in, call->in_size, call->out,
                                             call->out_capacity);
}

void cella_kernel_park(uint64_t result)
{
    struct cella_td *td = cella_td_self();
    uint64_t size = 0;
    if (td->pending.valid) {
        const struct cella_pending_call call = td->pending;
        td->pending.valid = false;
        cella_kernel_thread_ready(td);
        struct cella_pair answer = call_run(td, &call);
        result = answer.first;
        size = answer.second;
    }
    td->floor = td->depth + 1;
    (void)cella_kernel_leave(CELLA_EXIT_DONE, result, size, 0, 0);
}

/*
 * An ecall, or a worker, on a TCS that has not served one yet: without its thread-local variables in place they would
 * lie in the pages below the TD.
 */
static struct cella_pair call_first(struct cella_td *td, const struct cella_pending_call *call)
{
    if (td->state != TD_BOOTED || td->slot >= cella_ecall_slots()) {
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    if (td->start_bound) {
        td->pending = *call;
        for (const struct cella_module *const *m = __start_cella_modules; m < __stop_cella_modules;
             m++) {
            if (*m && (*m)->start_thread) {
                (*m)->start_thread(td);
            }
        }
        td->pending.valid = false;
    }
    if (cella_kernel.has_libc) {
        return pair_of(CELLA_RESULT(OUT_OF_THREADS), 0); /* the libc has no thread for this TCS */
    }
    cella_result attached = cella_tls_attach(td);
    if (!cella_is_ok(attached)) {
        return pair_of(attached, 0);
    }
    cella_kernel_thread_ready(td);
    return call_run(td, call);
}

static struct cella_pair enter_call(struct cella_td *td, const struct cella_pending_call *call)
{
    return td->state == TD_READY ? call_run(td, call) : call_first(td, call);
}

static struct cella_pair enter_thread(struct cella_td *td)
{
    if (!td->start_bound || td->slot < cella_ecall_slots()) {
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    for (const struct cella_module *const *m = __start_cella_modules; m < __stop_cella_modules;
         m++) {
        if (*m && (*m)->start_thread) {
            (*m)->start_thread(td);
        }
    }
    return pair_of(CELLA_RESULT(WRONG_STATE), 0);
}

/* DESTROY: the main thread wakes from its park, returns from main and runs exit handlers. */
static struct cella_pair enter_destroy(struct cella_td *td)
{
    uint32_t ready = KERNEL_READY;
    if (td->floor != 0 && (td->slot != 0 || td->depth != td->floor)) {
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    if (cella_kernel.has_libc && td->floor == 0) {
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    if (!atomic_compare_exchange_strong(&cella_kernel_state, &ready, KERNEL_STOPPING)) {
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    if (td->floor == 0) {
        atomic_store(&cella_kernel_state, KERNEL_DEAD);
        return pair_of(CELLA_OK, 0);
    }
    td->floor = 0;
    cella_kernel_unpark(0);
}

static void td_first(struct cella_td *td)
{
    const uint64_t slot = (td->self - cella_kernel.base - cella_image_info.threads_offset) /
                          cella_image_info.thread_stride;
    td->slot = (uint32_t)slot;
    td->tid = td->slot + 1;
    cella_arena_attach(td);
}

/* What entry.S does at a first entry, for a thread that the enclave itself starts there. */
bool cella_td_boot(uint32_t slot)
{
    struct cella_td *td = cella_td_of_slot(slot);
    if (td->self == 0) {
        if (!cella_is_ok(cella_random(&td->canary, sizeof(td->canary)))) {
            return false;
        }
        td->canary &= ~0xFFull;
        td->self = (uint64_t)td;
        td->fs_base = (uint64_t)td;
        td->tcs = cella_slot_address(slot) + cella_image_info.slot_tcs;
        td->stack_top = td->tcs - SGX_PAGE_SIZE;
        td->state = TD_BOOTED;
    }
    if (td->tid == 0) {
        td_first(td);
    }
    return true;
}

struct cella_pair cella_kernel_enter_slow(uint64_t code, uint64_t rsi, uint64_t rdx, uint64_t r8,
                                          uint64_t r9)
{
    const uint32_t state = atomic_load(&cella_kernel_state);
    if (state == KERNEL_DEAD) {
        return pair_of(CELLA_RESULT(ENCLAVE_ABORTED), 0);
    }
    if (state == KERNEL_NEW) {
        if ((code & 0xFF) != CELLA_ENTER_INIT) {
            return pair_of(CELLA_RESULT(WRONG_STATE), 0);
        }
        return cella_kernel_init(rsi, rdx);
    }
    struct cella_td *td = cella_td_self();
    const bool is_thread = (code & 0xFF) == CELLA_ENTER_THREAD && td->start_bound;
    if (state != KERNEL_READY && !is_thread) { /* constructors may start threads, too */
        return pair_of(CELLA_RESULT(WRONG_STATE), 0);
    }
    if (td->tid == 0) {
        td_first(td);
    }
    if (is_thread) {
        return enter_thread(td);
    }
    switch (code & 0xFF) {
    case CELLA_ENTER_ECALL:
        return enter_call(td, &(struct cella_pending_call){.valid = true,
                                                           .number = code >> 32,
                                                           .in = rsi,
                                                           .in_size = rdx,
                                                           .out = r8,
                                                           .out_capacity = r9});
    case CELLA_ENTER_WORKER:
        return enter_call(td,
                          &(struct cella_pending_call){.valid = true, .worker = true, .in = rsi});
    case CELLA_ENTER_DESTROY:
        return enter_destroy(td);
    default:
        return pair_of(CELLA_RESULT(INVALID_ARGUMENT), 0);
    }
}
