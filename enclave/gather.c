/*
 * Calls of the kernel's modules whose bytes go straight between the libc's memory and the slice, in pieces.
 * Side: enclave. Called by descriptors_io.c and the modules; not linked without one.
 * Never writes to the caller's memory before the answer's head is checked.
 */
#include "enclave/kernel.h"
#include "enclave/slice.h"

/*
 * Copies the bytes of `gather` to (or from) host memory. Each part is looked at once: another thread of the enclave may
 * be changing the vector, which must never lead a copy out of the enclave.
 */
static cella_result gather_copy(const struct cella_gather *gather, uint64_t host, uint64_t size,
                                bool out)
{
    const volatile struct cella_part *parts = gather->parts;
    uint64_t skip = gather->skip;
    for (uint32_t i = 0; i < gather->count && size > 0; i++) {
        const struct cella_part part = {.at = parts[i].at, .size = parts[i].size};
        if (skip >= part.size) {
            skip -= part.size;
            continue;
        }
        const uint64_t left = part.size - skip;
        const uint64_t now = left < size ? left : size;
        CELLA_ENSURE(cella_inside(part.at, part.size), OUT_OF_RANGE);
        if (out) {
            CELLA_TRY(
                cella_copy_out(cella_host_pointer_out(host), (const void *)(part.at + skip), now));
        } else {
            CELLA_TRY(cella_copy_in((void *)(part.at + skip), cella_host_pointer(host), now));
        }
        host += now;
        size -= now;
        skip = 0;
    }
    return size == 0 ? CELLA_OK : CELLA_RESULT(OUT_OF_RANGE);
}

struct parts_call {
    uint32_t number;
    const void *in;
    size_t in_size;
    const struct cella_gather *gather;
    void *out;
    size_t out_size;
    const struct cella_gather *scatter;
    uint64_t whole_in, whole_out;
};

/*
 * The head of an answer, and what follows it: as many bytes as its first word says, no more than were asked for. A
 * failure (a word below 0) may end after the word.
 */
static cella_result answer_take(const struct parts_call *call, uint64_t answer, uint64_t size)
{
    const uint64_t head = size < call->out_size ? size : call->out_size;
    CELLA_ENSURE(size >= sizeof(int64_t) && size <= call->whole_out, HOST_VALUE);
    CELLA_TRY(cella_copy_in(call->out, cella_host_pointer(answer), head));
    const int64_t count = *(const int64_t *)call->out;
    const uint64_t rest = size - head;
    if (count < 0) {
        return CELLA_OK;
    }
    CELLA_ENSURE(head == call->out_size, HOST_VALUE);
    if (!call->scatter || call->scatter->size == 0) {
        return CELLA_OK;
    }
    CELLA_ENSURE((uint64_t)count == rest, HOST_VALUE);
    return gather_copy(call->scatter, answer + head, rest, false);
}

static cella_result call_over(const struct parts_call *call, uint64_t slice)
{
    struct cella_td *td = cella_td_self();
    CELLA_TRY(cella_copy_out(cella_host_pointer_out(slice), call->in, call->in_size));
    if (call->gather) {
        CELLA_TRY(gather_copy(call->gather, slice + call->in_size, call->gather->size, true));
    }
    const uint32_t state = td->state;
    td->state = TD_AWAY; /* as for every call of the kernel's own: ocall.c */
    struct cella_pair answer;
    if (!cella_kernel.ring_call ||
        !cella_kernel.ring_call(call->number, call->in, call->in_size, slice, call->whole_in,
                                call->whole_out, &answer)) {
        answer =
            cella_kernel_leave_preserving(CELLA_EXIT_OCALL | (uint64_t)call->number << 32, slice,
                                          call->whole_in, call->whole_out, td->depth + 1);
    }
    td->state = state;
    CELLA_TRY(cella_result_from_host(answer.first));
    return answer_take(call, slice + CELLA_CALL_OUTPUT_AT(call->whole_in), answer.second);
}

cella_result cella_system_ocall_parts(uint32_t number, const void *in, size_t in_size,
                                      const struct cella_gather *gather, void *out, size_t out_size,
                                      const struct cella_gather *scatter)
{
    struct cella_slice slice;
    const struct parts_call call = {.number = number,
                                    .in = in,
                                    .in_size = in_size,
                                    .gather = gather,
                                    .out = out,
                                    .out_size = out_size,
                                    .scatter = scatter,
                                    .whole_in = in_size + (gather ? gather->size : 0),
                                    .whole_out = out_size + (scatter ? scatter->size : 0)};
    CELLA_ENSURE(call.whole_in >= in_size && call.whole_out >= out_size, OUT_OF_RANGE);
    CELLA_TRY(
        cella_slice_take(&slice, (call.whole_in + 15) & ~15ull, (call.whole_out + 15) & ~15ull));
    const cella_result result = call_over(&call, slice.at);
    cella_slice_give(&slice);
    return result;
}
