/*
 * Memory of one compilation, growing lists and the map of names.
 * Side: tools. Called inside edl/. Never frees a piece by itself.
 */
#include "edl/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE ((size_t)64 * 1024)
/* A compilation of the largest input stays far below this. */
#define ARENA_TOTAL_MAX ((size_t)1024 * 1024 * 1024)

struct cella_edl_block {
    struct cella_edl_block *next;
    size_t size;
    _Alignas(max_align_t) unsigned char data[];
};

struct cella_edl_map_entry {
    const char *key;
    void *value;
};

void *cella_edl_alloc(struct cella_edl_arena *arena, size_t size)
{
    if (size > ARENA_TOTAL_MAX - arena->total) {
        longjmp(arena->escape, 1);
    }
    size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (!arena->blocks || size > arena->blocks->size - arena->used) {
        size_t block_size = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;
        struct cella_edl_block *block = calloc(1, sizeof *block + block_size);
        if (!block) {
            longjmp(arena->escape, 1);
        }
        block->size = block_size;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
        arena->total += block_size;
    }
    void *piece = arena->blocks->data + arena->used;
    arena->used += size;
    return piece;
}

void *cella_edl_alloc_array(struct cella_edl_arena *arena, size_t count, size_t size)
{
    if (size && count > ARENA_TOTAL_MAX / size) {
        longjmp(arena->escape, 1);
    }
    return cella_edl_alloc(arena, count * size);
}

char *cella_edl_copy(struct cella_edl_arena *arena, const char *text, size_t size)
{
    char *copy = cella_edl_alloc(arena, size + 1);
    memcpy(copy, text, size);
    return copy;
}

char *cella_edl_format(struct cella_edl_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        va_end(again);
        longjmp(arena->escape, 1);
    }
    char *text = cella_edl_alloc(arena, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

void cella_edl_arena_done(struct cella_edl_arena *arena)
{
    while (arena->blocks) {
        struct cella_edl_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
    arena->total = 0;
}

void *cella_edl_push(struct cella_edl_arena *arena, struct cella_edl_list *list, size_t size)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        void *items = cella_edl_alloc_array(arena, capacity, size);
        if (list->count) {
            memcpy(items, list->items, list->count * size);
        }
        list->items = items;
        list->capacity = capacity;
    }
    void *item = (unsigned char *)list->items + size * list->count++;
    memset(item, 0, size); /* one that was popped may have stood there */
    return item;
}

static uint64_t hash_of(const char *key)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *key; key++) {
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    }
    return hash;
}

static struct cella_edl_map_entry *map_slot(struct cella_edl_map_entry *entries, size_t capacity,
                                            const char *key)
{
    size_t slot = (size_t)hash_of(key) & (capacity - 1);
    while (entries[slot].key && strcmp(entries[slot].key, key) != 0) {
        slot = (slot + 1) & (capacity - 1);
    }
    return &entries[slot];
}

void *cella_edl_map_get(const struct cella_edl_map *map, const char *key)
{
    return map->capacity ? map_slot(map->entries, map->capacity, key)->value : NULL;
}

void cella_edl_map_put(struct cella_edl_arena *arena, struct cella_edl_map *map, const char *key,
                       void *value)
{
    if (2 * (map->count + 1) > map->capacity) {
        size_t capacity = map->capacity ? map->capacity * 2 : 16;
        struct cella_edl_map_entry *entries =
            cella_edl_alloc_array(arena, capacity, sizeof *entries);
        for (size_t i = 0; i < map->capacity; i++) {
            if (map->entries[i].key) {
                *map_slot(entries, capacity, map->entries[i].key) = map->entries[i];
            }
        }
        map->entries = entries;
        map->capacity = capacity;
    }
    struct cella_edl_map_entry *entry = map_slot(map->entries, map->capacity, key);
    map->count += entry->key ? 0 : 1;
    entry->key = key;
    entry->value = value;
}
