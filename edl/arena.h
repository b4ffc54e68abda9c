/*
 * Memory of one compilation: given out in pieces, freed all at once.
 * Side: tools. Called inside edl/. Never returns NULL: when memory or a limit is at its end it leaves by the escape.
 */
#ifndef CELLA_EDL_ARENA_H
#define CELLA_EDL_ARENA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct cella_edl_block;

/* Zero-initialise, then setjmp(escape) before the first allocation. */
struct cella_edl_arena {
    struct cella_edl_block *blocks;
    size_t used; /* of the newest block */
    size_t total;
    jmp_buf escape;
};

/* Zeroed, aligned for anything. */
void *cella_edl_alloc(struct cella_edl_arena *arena, size_t size);
void *cella_edl_alloc_array(struct cella_edl_arena *arena, size_t count, size_t size);
char *cella_edl_copy(struct cella_edl_arena *arena, const char *text, size_t size);
char *cella_edl_format(struct cella_edl_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cella_edl_arena_done(struct cella_edl_arena *arena);

/* A growing array in the arena: what it outgrows stays behind. */
struct cella_edl_list {
    void *items;
    size_t count;
    size_t capacity;
};

/* The place of a new item of `size` bytes, zeroed. The pointer is good until the next push. */
void *cella_edl_push(struct cella_edl_arena *arena, struct cella_edl_list *list, size_t size);

/* From names to things. Zero-initialise. Keys are borrowed. */
struct cella_edl_map {
    struct cella_edl_map_entry *entries;
    size_t count;
    size_t capacity;
};

void *cella_edl_map_get(const struct cella_edl_map *map, const char *key);
void cella_edl_map_put(struct cella_edl_arena *arena, struct cella_edl_map *map, const char *key,
                       void *value);

#endif
