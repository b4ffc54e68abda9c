/*
 * Moving pages for ADD_PAGES: from the caller's memory into the enclave's file.
 * Side: soft (untrusted; it plays the kernel driver). Included by driver_*.c.
 */
#ifndef CELLA_SOFT_MOVER_H
#define CELLA_SOFT_MOVER_H

#include "soft/encls.h"

#define MOVER_BATCH 16u /* pages moved at a time */
#define MOVER_SLOTS 8u

/*
 * A helper thread that reads the source and writes the file while the caller hashes, because
 * allocating file pages takes a third of the time that hashing them takes. Batches are claimed in
 * order, by the helper or, when the helper is late, by the caller itself, who then does the batch
 * alone: a busy machine is never slower with the helper than without. The helper sees `stop` after
 * its last batch and goes.
 */
struct mover {
    struct driver_enclave *e;
    uint64_t source;
    uint64_t first;          /* page of ELRANGE */
    uint64_t count;          /* pages */
    _Atomic uint32_t next;   /* first batch that nobody has claimed */
    _Atomic uint32_t hashed; /* batches that the caller has done with */
    _Atomic uint32_t stop;
    _Atomic uint32_t failed;             /* the file could not be written */
    _Atomic uint32_t thread;             /* cleared by the kernel when the helper is gone */
    _Atomic uint32_t ready[MOVER_SLOTS]; /* batch + 1 that is in the slot, read and written */
    uint64_t got[MOVER_SLOTS];           /* pages of it that could be read */
    _Atomic uint64_t written;            /* end of what the helper wrote, in pages */
};

/* What ADD_PAGES works with: allocated at the first, given back at INIT. */
struct driver_scratch {
    uint8_t slots[MOVER_SLOTS][MOVER_BATCH * SGX_PAGE_SIZE]; /* the helper's */
    uint8_t own[2 * MOVER_BATCH * SGX_PAGE_SIZE];            /* the caller's */
    uint8_t stack[16384];                                    /* the helper's */
    struct mover mover;
};
#define SCRATCH_OWN_PAGES (2 * MOVER_BATCH)

/* Reads as many of `count` pages at `source` as there are. */
uint64_t mover_read(uint8_t *pages, uint64_t source, uint64_t count);
/* Writes pages to the file, zero pages excepted. */
bool mover_write(struct driver_enclave *e, const uint8_t *pages, uint64_t first, uint64_t count);
/* Forgets what was written to pages that did not become the enclave's. */
void mover_discard(struct driver_enclave *e, uint64_t first, uint64_t count);

/*
 * driver_source.c: 0 when the page at `source` may be added, -EACCES on a noexec mount, -EFAULT
 * without a mapping. e->source_end says how far the answer reaches (0: this page only).
 */
int driver_source_check(struct driver_enclave *e, uint64_t source);

/* Worth it: enough pages, more than one processor. */
bool mover_is_useful(uint64_t count);
/* False: no thread could be had; nothing has happened. */
bool mover_start(struct driver_enclave *e, uint64_t source, uint64_t first, uint64_t count);
/*
 * Batch number `batch`: the helper's slot with *ret_written true, or NULL when it is the caller's
 * to do. *ret_count pages could be read. Batches are asked for in order.
 */
uint8_t *mover_take(struct mover *mover, uint32_t batch, uint64_t *ret_count);
void mover_release(struct mover *mover, uint32_t batch);
/* No batch is wanted any more. Waits for the helper only when some were not taken. */
void mover_finish(struct mover *mover);
/* Waits until no helper is about; before the scratch goes away or is used again. */
void mover_join(struct driver_enclave *e);
/* In the child of a fork: there is no helper. */
void mover_forget(struct driver_enclave *e);

#endif
