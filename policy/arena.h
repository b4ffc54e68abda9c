/*
 * Memory that is given back as a whole.
 * Side: relying party, services (hosted). Called by policy/ only. Never frees a part.
 */
#ifndef CELLA_POLICY_ARENA_H
#define CELLA_POLICY_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero-initialise. `limit` (bytes, 0: none) bounds what it may hand out in all. */
struct arena {
    struct arena_block *blocks;
    size_t used;
    size_t limit;
};

/* Zeroed, aligned for anything; NULL when memory ends or the limit is passed. */
void *arena_take(struct arena *arena, size_t size);
/* A copy with a zero byte behind it. */
char *arena_text(struct arena *arena, const char *text, size_t size);
void arena_done(struct arena *arena);

#endif
