/*
 * How this process has mapped the pages of an enclave: one state a page, one word for a chunk whose pages are alike.
 * Side: soft (untrusted; it plays the kernel driver). Included by driver_table.c, driver_map.c, driver_vma.c.
 * A range of 64 GiB costs what its chunks cost: nothing here touches a byte for each page of a uniform chunk.
 * Changed under g_process_lock; vma_at is read without it by signal handlers.
 */
#ifndef CELLA_SOFT_VMA_H
#define CELLA_SOFT_VMA_H

#include "soft/driver.h"

#define VMA_SPREAD 0x100u

static inline uint8_t vma_at(const struct driver_enclave *e, uint64_t page)
{
    const uint16_t chunk =
        __atomic_load_n(&e->vma_chunks[page / SOFT_CHUNK_PAGES], __ATOMIC_ACQUIRE);
    return chunk & VMA_SPREAD ? e->vma[page] : (uint8_t)chunk;
}

/* How many pages from `page` on, below `end`, are in this state without a look at each: at least 1. */
static inline uint64_t vma_alike(const struct driver_enclave *e, uint64_t page, uint64_t end)
{
    const uint64_t next = (page | (SOFT_CHUNK_PAGES - 1)) + 1;
    if (e->vma_chunks[page / SOFT_CHUNK_PAGES] & VMA_SPREAD) {
        return 1;
    }
    return (next < end ? next : end) - page;
}

/* Every state of [first, first + count) becomes (state & kept) | set. (driver_map.c) */
void vma_change(struct driver_enclave *e, uint64_t first, uint64_t count, uint8_t kept,
                uint8_t set);

#endif
