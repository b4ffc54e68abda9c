/*
 * Memory that is given back as a whole.
 * Side: relying party, services (hosted). Called by policy/ only. Never frees a part.
 */
#include "policy/arena.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK 4000u

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    _Alignas(max_align_t) char bytes[];
};

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > ((size_t)1 << 40)) {
        return NULL;
    }
    size = (size + align - 1) / align * align;
    if (arena->limit && size > arena->limit - arena->used) {
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (!block || size > block->size - block->used) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        block = calloc(1, sizeof(*block) + room);
        if (!block) {
            return NULL;
        }
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    arena->used += size;
    return taken;
}

char *arena_text(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_take(arena, size + 1);
    if (copy && size) {
        memcpy(copy, text, size);
    }
    return copy;
}

void arena_done(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
