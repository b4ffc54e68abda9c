/*
 * Buffers of generated calls: enclave memory for a call in, a slice of the thread's arena for a call out.
 * Side: enclave. Called by bridge.c. Host memory only through boundary.h.
 * Never believes a size or an address that comes back.
 */
#include "enclave/slice.h"

#include "enclave/kernel.h"

#define KEPT_MAX (1u << 20) /* bytes; a bigger buffer goes back to the heap at once */

void *cella_call_buffer_take(uint64_t size, uint64_t *ret_capacity)
{
    struct cella_td *td = cella_td_self();
    void *at = td->call_buffer;
    const uint64_t capacity = td->call_buffer_size;
    if (at && size <= capacity) {
        td->call_buffer = NULL;
        *ret_capacity = capacity;
        return at;
    }
    const uint64_t pages = size / SGX_PAGE_SIZE + (size % SGX_PAGE_SIZE != 0);
    *ret_capacity = pages * SGX_PAGE_SIZE;
    return (void *)cella_pages_map(pages, true);
}

void cella_call_buffer_give(void *at, uint64_t capacity)
{
    struct cella_td *td = cella_td_self();
    if (td->call_buffer && td->call_buffer_size < capacity && capacity <= KEPT_MAX) {
        cella_pages_unmap((uint64_t)td->call_buffer, td->call_buffer_size / SGX_PAGE_SIZE);
        td->call_buffer = NULL;
    }
    if (!td->call_buffer && capacity <= KEPT_MAX) {
        td->call_buffer = at;
        td->call_buffer_size = capacity;
    } else {
        cella_pages_unmap((uint64_t)at, capacity / SGX_PAGE_SIZE);
    }
}

uint32_t cella_outstanding_ocall(void)
{
    return cella_td_self()->outstanding;
}

cella_result cella_host_memory_take(uint64_t size, uint64_t *ret_address)
{
    uint64_t address = 0;
    size_t got = 0;
    CELLA_TRY(cella_system_ocall(CELLA_OCALL_ALLOC, &size, sizeof(size), &address, sizeof(address),
                                 &got));
    CELLA_ENSURE(got == sizeof(address) && address != 0 && address % 16 == 0, HOST_VALUE);
    CELLA_TRY(cella_span_check(address, size));
    *ret_address = address;
    return CELLA_OK;
}

void cella_host_memory_give(uint64_t address, uint64_t size)
{
    const uint64_t in[2] = {address, size};
    cella_ignore(cella_system_ocall(CELLA_OCALL_FREE, in, sizeof(in), NULL, 0, NULL));
}

cella_result cella_slice_take(struct cella_slice *slice, uint64_t in_size, uint64_t out_capacity)
{
    struct cella_td *td = cella_td_self();
    const uint64_t limit = 1ull << 40;
    CELLA_ENSURE(in_size < limit && out_capacity < limit, OUT_OF_RANGE);
    CELLA_ENSURE(!cella_in_exception(td), IN_EXCEPTION);
    CELLA_ENSURE(td->depth < CELLA_CALL_DEPTH_MAX, LIMIT_EXCEEDED);
    const uint64_t size = in_size + out_capacity;
    const uint64_t padding = -(td->arena + td->arena_used) & 15;
    const uint64_t left = td->arena_size - td->arena_used;
    *slice = (struct cella_slice){
        .in_size = in_size, .out_capacity = out_capacity, .arena_before = td->arena_used};
    if (size + padding > left) {
        CELLA_TRY(cella_host_memory_take(size, &slice->at));
        slice->borrowed = size;
        return CELLA_OK;
    }
    slice->at = td->arena + td->arena_used + padding;
    td->arena_used += padding + size;
    return CELLA_OK;
}

void cella_slice_give(struct cella_slice *slice)
{
    if (slice->borrowed != 0) {
        cella_host_memory_give(slice->at, slice->borrowed);
    } else {
        cella_td_self()->arena_used = slice->arena_before;
    }
}

cella_result cella_slice_put(const struct cella_slice *slice, uint64_t offset, const void *from,
                             uint64_t size)
{
    const uint64_t total = slice->in_size + slice->out_capacity;
    CELLA_ENSURE(offset <= total && size <= total - offset, OUT_OF_RANGE);
    if ((offset & 7) == 0 && ((size + 7) & ~7ull) <= total - offset) {
        return cella_slice_fill(slice->at + offset, from, size);
    }
    return cella_copy_out(cella_host_pointer_out(slice->at + offset), from, size);
}

cella_result cella_slice_get(const struct cella_slice *slice, uint64_t offset, void *to,
                             uint64_t size)
{
    CELLA_ENSURE(offset <= slice->out_capacity && size <= slice->out_capacity - offset,
                 OUT_OF_RANGE);
    return cella_copy_in(to, cella_host_pointer(slice->at + slice->in_size + offset), size);
}

cella_result cella_slice_call_by(uint32_t way, const struct cella_slice *slice, uint32_t number)
{
    struct cella_td *td = cella_td_self();
    CELLA_ENSURE((number & CELLA_OCALL_SYSTEM) == 0, OUT_OF_RANGE);
    const uint32_t outer = td->outstanding;
    td->outstanding = number + 1;
    struct cella_pair answer =
        cella_kernel_leave(CELLA_EXIT_OCALL | way | (uint64_t)number << 32, slice->at,
                           slice->in_size, slice->out_capacity, td->depth + 1);
    td->outstanding = outer;
    CELLA_TRY(cella_result_from_host(answer.first));
    CELLA_ENSURE(answer.second == slice->out_capacity, HOST_VALUE);
    return CELLA_OK;
}

cella_result cella_slice_call(const struct cella_slice *slice, uint32_t number)
{
    return cella_slice_call_by(0, slice, number);
}
