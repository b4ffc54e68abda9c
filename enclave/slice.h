/*
 * What generated bridges have of the kernel: buffers for one call in, host memory for one call out.
 * Side: enclave. Included by slice.c and bridge.c, and by tests that bring a kernel of their own.
 * Never a host pointer that could be dereferenced: places in host memory are offsets into a slice.
 */
#ifndef CELLA_ENCLAVE_SLICE_H
#define CELLA_ENCLAVE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

/*
 * `size` bytes (not 0) of enclave memory, aligned to 4096, contents anything; NULL when there is none. The thread keeps
 * its last one for the next call. Give back what was taken, with its *ret_capacity.
 */
void *cella_call_buffer_take(uint64_t size, uint64_t *ret_capacity);
void cella_call_buffer_give(void *at, uint64_t capacity);

/* The ocall that this thread is waiting for, plus 1; 0: none, the running ecall came from outside. */
uint32_t cella_outstanding_ocall(void);

/* Host memory for the message and the output of one ocall. */
struct cella_slice {
    uint64_t at; /* 16-byte aligned; never read back from the host */
    uint64_t in_size, out_capacity;
    uint64_t arena_before;
    uint64_t borrowed; /* bytes from the host's allocator; 0: in the arena */
};

/* Both sizes must be multiples of 16. Give back whatever was taken, latest first. */
CELLA_MUST_USE cella_result cella_slice_take(struct cella_slice *slice, uint64_t in_size,
                                             uint64_t out_capacity);
void cella_slice_give(struct cella_slice *slice);

/*
 * Writes `size` bytes at `offset`, counted from the message's start through the output; up to the next multiple of 8
 * comes zeros. OUT_OF_RANGE beyond the end.
 */
CELLA_MUST_USE cella_result cella_slice_put(const struct cella_slice *slice, uint64_t offset,
                                            const void *from, uint64_t size);
/* Reads from the output: `offset` counts from its start. */
CELLA_MUST_USE cella_result cella_slice_get(const struct cella_slice *slice, uint64_t offset,
                                            void *to, uint64_t size);
/* Makes the call; HOST_VALUE when the host says it wrote anything but out_capacity bytes. */
CELLA_MUST_USE cella_result cella_slice_call(const struct cella_slice *slice, uint32_t number);
/* Over the ring of ocalls, or the same when nobody serves it. */
CELLA_MUST_USE cella_result cella_slice_call_switchless(const struct cella_slice *slice,
                                                        uint32_t number);

/* slice.c: cella_slice_call; `way` as in cella_ocall_by. */
CELLA_MUST_USE cella_result cella_slice_call_by(uint32_t way, const struct cella_slice *slice,
                                                uint32_t number);

/* Memory of the host's allocator, which generated host code frees. */
CELLA_MUST_USE cella_result cella_host_memory_take(uint64_t size, uint64_t *ret_address);
void cella_host_memory_give(uint64_t address, uint64_t size);

#endif
