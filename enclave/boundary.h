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

#include "abi/call.h"
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
/* Takes what is there and leaves `value`, in one step. */
CELLA_MUST_USE cella_result cella_exchange_u64(uint64_t *ret_value, void CELLA_HOST *at,
                                               uint64_t value);

/*
 * A ring whose whole span has been checked: its slots' words, without a check each time. Places are masked. Loads
 * acquire, stores of `turn` release.
 */
struct cella_ring {
    uint64_t address; /* 64-byte aligned */
};
CELLA_MUST_USE cella_result cella_ring_attach(struct cella_ring *ring, uint64_t address);
uint32_t cella_ring_turn(const struct cella_ring *ring, uint32_t ticket);
void cella_ring_turn_set(const struct cella_ring *ring, uint32_t ticket, uint32_t turn);
/* false: it was not `from`. */
bool cella_ring_turn_swap(const struct cella_ring *ring, uint32_t ticket, uint32_t from,
                          uint32_t to);
/* Wants the slot of `ticket` in this core's cache, for writing. */
void cella_ring_prefetch(const struct cella_ring *ring, uint32_t ticket);
/* All fields of a slot but `turn`, each read once. */
void cella_ring_slot_get(const struct cella_ring *ring, uint32_t ticket,
                         struct cella_call_slot *ret_slot);
/* A request (number, buffers), or an answer (result, out_size). */
void cella_ring_request_set(const struct cella_ring *ring, uint32_t ticket,
                            const struct cella_call_slot *slot);
void cella_ring_answer_set(const struct cella_ring *ring, uint32_t ticket, uint32_t result,
                           uint64_t out_size);
/* Records of a batch, whose whole span has been checked. `index` must be below its count. */
struct cella_batch {
    uint64_t address; /* 8-byte aligned */
    uint32_t count;
};
CELLA_MUST_USE cella_result cella_batch_attach(struct cella_batch *batch, uint64_t address,
                                               uint32_t count);
void cella_batch_get(const struct cella_batch *batch, uint32_t index,
                     struct cella_call_record *ret_record);
void cella_batch_answer(const struct cella_batch *batch, uint32_t index, uint32_t result,
                        uint64_t out_size);
/* What the host says of its workers: hints. */
uint32_t cella_ring_workers(const struct cella_ring *ring);
uint32_t cella_ring_sleepers(const struct cella_ring *ring);
uint32_t cella_ring_spins(const struct cella_ring *ring);

/* `index` when it is below `count`, else 0, without a branch that could be mispredicted. count > 0. */
static inline uint64_t cella_index_clamp(uint64_t index, uint64_t count)
{
    uint64_t mask;
    __asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "r"(count) : "cc");
    return index & mask;
}

#endif
