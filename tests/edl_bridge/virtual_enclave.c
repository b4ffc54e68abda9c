/*
 * A kernel for generated bridges without an enclave: slices and buffers in ordinary memory, for ASan and UBSan.
 * Side: tests. Linked with enclave/bridge*.c and a NAME_t.c into a shared library.
 * Never checks more than the real one: what it refuses as enclave memory is one page, and what is passed by value.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/bridge.h"
#include "enclave/boundary.h"
#include "enclave/slice.h"
#include "tests/edl_bridge/virtual.h"

static const struct virtual_host *g_host;
static _Thread_local uint32_t t_outstanding;

const struct virtual_enclave *virtual_enclave_start(const struct virtual_host *host);
const struct virtual_enclave *virtual_enclave_start(const struct virtual_host *host)
{
    static struct virtual_enclave self;
    g_host = host;
    self.table = cella_ecall_table;
    self.count = cella_ecall_count;
    return &self;
}

const void *cella_host_pointer(uint64_t address)
{
    return (const void *)address;
}

void *cella_host_pointer_out(uint64_t address)
{
    return (void *)address;
}

cella_result cella_span_check(uint64_t address, uint64_t size)
{
    const uint64_t base = VIRTUAL_BASE, end = VIRTUAL_BASE + VIRTUAL_SIZE, limit = 1ull << 47;
    CELLA_ENSURE(size == 0 || (address < limit && size <= limit - address), HOST_POINTER);
    CELLA_ENSURE(size == 0 || address >= end || (address < base && size <= base - address),
                 HOST_POINTER);
    return CELLA_OK;
}

cella_result cella_copy_in(void *to, const void *from, size_t size)
{
    CELLA_TRY(cella_span_check((uint64_t)from, size));
    if (size > 0) {
        memcpy(to, from, size);
    }
    return CELLA_OK;
}

cella_result cella_copy_out(void *to, const void *from, size_t size)
{
    CELLA_TRY(cella_span_check((uint64_t)to, size));
    if (size > 0) {
        memcpy(to, from, size);
    }
    return CELLA_OK;
}

int cella_enclave_inside(const void *at, size_t size)
{
    return (uint64_t)at + size >= size && at != NULL;
}

/* Exactly as big as asked, so that ASan sees the first byte too far. */
void *cella_call_buffer_take(uint64_t size, uint64_t *ret_capacity)
{
    *ret_capacity = size;
    return aligned_alloc(16, (size + 15) & ~15ull);
}

void cella_call_buffer_give(void *at, uint64_t capacity)
{
    memset(at, 0xDD, capacity);
    free(at);
}

uint32_t cella_outstanding_ocall(void)
{
    return t_outstanding;
}

cella_result cella_host_memory_take(uint64_t size, uint64_t *ret_address)
{
    *ret_address = (uint64_t)aligned_alloc(64, (size + 63) & ~63ull);
    return *ret_address ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
}

void cella_host_memory_give(uint64_t address, uint64_t size)
{
    if (cella_is_ok(cella_span_check(address, size))) {
        free((void *)address);
    }
}

cella_result cella_slice_take(struct cella_slice *slice, uint64_t in_size, uint64_t out_capacity)
{
    memset(slice, 0, sizeof(*slice));
    if (in_size % 16 != 0 || out_capacity % 16 != 0) {
        abort();
    }
    slice->in_size = in_size;
    slice->out_capacity = out_capacity;
    slice->at = (uint64_t)aligned_alloc(16, in_size + out_capacity + 16);
    return slice->at ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
}

void cella_slice_give(struct cella_slice *slice)
{
    free((void *)slice->at);
}

cella_result cella_slice_put(const struct cella_slice *slice, uint64_t offset, const void *from,
                             uint64_t size)
{
    const uint64_t total = slice->in_size + slice->out_capacity;
    CELLA_ENSURE(offset <= total && size <= total - offset, OUT_OF_RANGE);
    return cella_copy_out((void *)(slice->at + offset), from, size);
}

cella_result cella_slice_get(const struct cella_slice *slice, uint64_t offset, void *to,
                             uint64_t size)
{
    CELLA_ENSURE(offset <= slice->out_capacity && size <= slice->out_capacity - offset,
                 OUT_OF_RANGE);
    return cella_copy_in(to, (const void *)(slice->at + slice->in_size + offset), size);
}

cella_result cella_slice_call(const struct cella_slice *slice, uint32_t number)
{
    size_t size = 0;
    const uint32_t outer = t_outstanding;
    t_outstanding = number + 1;
    cella_result result =
        g_host->ocall(number, (const void *)slice->at, slice->in_size,
                      (void *)(slice->at + slice->in_size), slice->out_capacity, &size);
    t_outstanding = outer;
    CELLA_TRY(result);
    CELLA_ENSURE(size == slice->out_capacity, HOST_VALUE);
    return CELLA_OK;
}

cella_result cella_slice_call_switchless(const struct cella_slice *slice, uint32_t number)
{
    return cella_slice_call(slice, number);
}
