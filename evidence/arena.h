/*
 * Memory of the caller, handed out from the front and never back.
 * Side: both; freestanding. Called inside evidence/. Never asks anyone for more.
 */
#ifndef CELLA_EVIDENCE_ARENA_H
#define CELLA_EVIDENCE_ARENA_H

#include <string.h>

#include "common/bytes.h"

struct ev_arena {
    uint8_t *data;
    size_t size, used;
};

/* 16-byte aligned, cleared; NULL when there is not enough. */
static inline void *ev_arena_take(struct ev_arena *arena, size_t size)
{
    size_t start = (arena->used + 15) & ~(size_t)15;
    if (start > arena->size || size > arena->size - start) {
        return NULL;
    }
    memset(arena->data + start, 0, size);
    arena->used = start + size;
    return arena->data + start;
}

#endif
