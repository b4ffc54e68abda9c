/*
 * Moving pages for ADD_PAGES: from the caller's memory into the enclave's file.
 * Side: soft (untrusted; it plays the kernel driver). Included by driver_mover.c and
 * driver_ioctl_add.c.
 */
#ifndef CELLA_SOFT_MOVER_H
#define CELLA_SOFT_MOVER_H

#include "soft/encls.h"

#define MOVER_BATCH 16u /* pages moved at a time */
#define MOVER_SLOTS (DRIVER_BATCH_PAGES / MOVER_BATCH)

/*
 * A helper thread that lives for one ioctl: it reads the source and writes the file while the
 * caller hashes, because allocating file pages takes a third of the time that hashing them takes.
 * Slots of the scratch buffer go round: filled by the helper, hashed by the caller, filled again.
 */
struct mover {
    struct driver_enclave *e;
    uint64_t source;
    uint64_t first;          /* page of ELRANGE */
    uint64_t count;          /* pages */
    uint8_t *scratch;        /* the enclave's; the helper's stack is at its end */
    _Atomic uint32_t filled; /* batches read */
    _Atomic uint32_t hashed; /* batches that the caller has done with */
    _Atomic uint32_t stop;
    _Atomic uint32_t failed; /* the file could not be written */
    _Atomic uint32_t thread; /* cleared by the kernel when the helper is gone */
    uint64_t
        read; /* pages read when the helper ended: fewer than count when a source page is missing */
    uint64_t got[MOVER_SLOTS];
};

/* Reads as many of `count` pages at `source` as there are. */
uint64_t mover_read(uint8_t *scratch, uint64_t source, uint64_t count);
/* Writes pages to the file, zero pages excepted. */
bool mover_write(struct driver_enclave *e, const uint8_t *data, uint64_t first, uint64_t count);
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
bool mover_start(struct mover *mover);
/* The next batch, or NULL when there is none. *ret_count pages, fewer than MOVER_BATCH at the end.
 */
uint8_t *mover_take(struct mover *mover, uint32_t batch, uint64_t *ret_count);
void mover_release(struct mover *mover, uint32_t batch);
/* Ends the helper and waits until it is gone. False when the file could not be written. */
bool mover_finish(struct mover *mover);

#endif
