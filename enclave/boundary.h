/*
 * The memory boundary: the only way the kernel and generated bridges touch host memory.
 * Side: enclave. Called by all of enclave/ and by modules that ask the host for something.
 * Never lets a host address be dereferenced anywhere else: clang's pass (make check-boundary) proves it.
 */
#ifndef CELLA_ENCLAVE_BOUNDARY_H
#define CELLA_ENCLAVE_BOUNDARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/* A pointer into host memory. Under the syntax-only pass nothing can dereference it; in real builds it is plain. */
#ifdef CELLA_CHECK_BOUNDARY
#define CELLA_HOST __attribute__((noderef, address_space(1)))
#else
#define CELLA_HOST
#endif

/* Turns an address that the host gave into a pointer type that cannot be dereferenced. No check is made. */
const void CELLA_HOST *cella_host_pointer(uint64_t address);
void CELLA_HOST *cella_host_pointer_out(uint64_t address);

/*
 * HOST_POINTER unless all of [address, address + size) is host memory: in user space, outside ELRANGE, no wrap. An
 * empty range is always right. The sum is never formed, so nothing can overflow.
 */
CELLA_MUST_USE cella_result cella_span_check(uint64_t address, uint64_t size);

/*
 * Copies `size` bytes between the sides; the span is checked first. Host memory is read and written in aligned
 * 8-byte units (stale-data leaks, INTEL-SA-00615 and SA-00657), each read once. What is copied in is the enclave's.
 */
CELLA_MUST_USE cella_result cella_copy_in(void *to, const void CELLA_HOST *from, size_t size);
CELLA_MUST_USE cella_result cella_copy_out(void CELLA_HOST *to, const void *from, size_t size);

/* One aligned word, fetched or stored once; `address` is checked. */
CELLA_MUST_USE cella_result cella_fetch_u32(uint32_t *ret_value, const void CELLA_HOST *from);
CELLA_MUST_USE cella_result cella_fetch_u64(uint64_t *ret_value, const void CELLA_HOST *from);
CELLA_MUST_USE cella_result cella_store_u32(void CELLA_HOST *to, uint32_t value);

/* On an aligned host word: if it equals `expected` it becomes `wanted`. false, too, for a bad address. */
bool cella_host_exchange_u32(void CELLA_HOST *at, uint32_t expected, uint32_t wanted);
bool cella_host_add_u32(void CELLA_HOST *at, uint32_t value, uint32_t *ret_old);

/* `index` when it is below `count`, else 0, without a branch that could be mispredicted. count > 0. */
static inline uint64_t cella_index_clamp(uint64_t index, uint64_t count)
{
    uint64_t mask;
    __asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "r"(count) : "cc");
    return index & mask;
}

#endif
