/*
 * Files in blocks: what protected files ask of the host. Bulk data lies in spans of host memory that take turns, so that
 * the host can write some while the enclave fills the next.
 * Side: both. Read by enclave/protected_store.c and host/blocks.c.
 * Never has pointers; sizes and offsets asserted.
 */
#ifndef CELLA_ABI_BLOCKS_H
#define CELLA_ABI_BLOCKS_H

#include "abi/call.h"

/* in: struct cella_call_blocks, for OPEN and REMOVE a zero-terminated path; out: struct cella_call_blocks_answer */
#define CELLA_OCALL_BLOCKS (CELLA_OCALL_SYSTEM + 0x40)

enum cella_call_blocks_operation {
    CELLA_BLOCKS_OPEN = 1, /* offset: CELLA_BLOCKS_*; out: handle, size, spans */
    CELLA_BLOCKS_CLOSE,
    CELLA_BLOCKS_READ, /* into the span; then, after the answer, `ahead` bytes more may be read into the next one */
    CELLA_BLOCKS_WRITE, /* from the span; may go on after the answer, but then the next span is free */
    CELLA_BLOCKS_SETTLE, /* nothing goes on any more, and writes that failed were tried again */
    CELLA_BLOCKS_SYNC,   /* the same, and on the disk */
    CELLA_BLOCKS_RESIZE, /* offset: the new size */
    CELLA_BLOCKS_REMOVE, /* path */
};

#define CELLA_BLOCKS_WRITABLE 0x1u
#define CELLA_BLOCKS_CREATE 0x2u
#define CELLA_BLOCKS_EXCLUSIVE 0x4u
#define CELLA_BLOCKS_TRUNCATE 0x8u

#define CELLA_BLOCKS_SPANS 4u
#define CELLA_BLOCKS_SPAN_SIZE (256u << 10) /* of each span */

struct cella_call_blocks {
    uint32_t operation;
    int32_t handle;
    uint64_t offset;
    uint64_t size;
    uint32_t span;  /* below CELLA_BLOCKS_SPANS; behind the last one is the first */
    uint32_t ahead; /* READ: bytes behind these that will be wanted next; 0: none */
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_blocks) == 32);
CELLA_ABI_AT(cella_call_blocks, offset, 8);
CELLA_ABI_AT(cella_call_blocks, span, 24);
CELLA_ABI_AT(cella_call_blocks, ahead, 28);

struct cella_call_blocks_answer {
    int64_t value; /* a count, a handle, or an errno value, negative */
    uint64_t size; /* OPEN: of the file */
    uint64_t spans[CELLA_BLOCKS_SPANS];
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_blocks_answer) == 48);

#endif
