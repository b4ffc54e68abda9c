/*
 * Which blocks of the host's file are free. A block is reused only when no state that a crash could bring back has it.
 * Side: enclave, with a libc. Called by the other parts of protected files.
 * Never written to the file: it is what the tree does not use, learnt by walking the tree before the first change.
 */
#include "enclave/protected.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

#define WORDS_FIRST 16u

void protected_space_done(struct protected_space *space)
{
    free(space->busy);
    free(space->pending);
    *space = (struct protected_space){.ready = false};
}

static bool is_busy(const struct protected_space *space, uint64_t block)
{
    return block / 64 < space->words && (space->busy[block / 64] >> (block % 64) & 1) != 0;
}

static void set_busy(struct protected_space *space, uint64_t block, bool busy)
{
    const uint64_t bit = 1ull << (block % 64);
    if (busy) {
        space->busy[block / 64] |= bit;
    } else {
        space->busy[block / 64] &= ~bit;
    }
}

static cella_result words_for(struct protected_space *space, uint64_t blocks)
{
    uint64_t words = space->words ? space->words : WORDS_FIRST;
    if (blocks <= space->words * 64) {
        return CELLA_OK;
    }
    while (words * 64 < blocks) {
        words *= 2;
    }
    uint64_t *busy = realloc(space->busy, words * sizeof(*busy));
    CELLA_ENSURE(busy != NULL, OUT_OF_MEMORY);
    memset(busy + space->words, 0, (words - space->words) * sizeof(*busy));
    space->busy = busy;
    space->words = words;
    return CELLA_OK;
}

/* Reads an index node without keeping it. */
static cella_result read_index(cella_protected_file *file, const struct protected_entry *entry,
                               struct protected_index *ret_index)
{
    CELLA_TRY(file->store->read(file->handle, entry->block * PROTECTED_BLOCK, file->block,
                                PROTECTED_BLOCK));
    return protected_decrypt(file, file->block, ret_index, entry);
}

static cella_result note_block(cella_protected_file *file, const struct protected_entry *entry)
{
    CELLA_ENSURE(entry->block >= PROTECTED_FIRST && entry->block < file->root.blocks, AUTH_FAILED);
    CELLA_ENSURE(!is_busy(&file->space, entry->block), AUTH_FAILED);
    set_busy(&file->space, entry->block, true);
    return CELLA_OK;
}

/* All nodes in depth-first order; levels[l] is the node of level l + 1 that the walk is in, places[l] how far. */
static cella_result walk(cella_protected_file *file, struct protected_index *levels)
{
    uint32_t places[PROTECTED_HEIGHT_MAX] = {0};
    uint32_t level = file->root.height;
    if (file->root.top.block == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(note_block(file, &file->root.top));
    if (level == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(read_index(file, &file->root.top, &levels[level - 1]));
    while (level <= file->root.height) {
        if (places[level - 1] == PROTECTED_FANOUT) {
            level++;
            continue;
        }
        const struct protected_entry *entry = &levels[level - 1].entries[places[level - 1]++];
        if (entry->block == 0) {
            continue;
        }
        CELLA_TRY(note_block(file, entry));
        if (level > 1) {
            level--;
            places[level - 1] = 0;
            CELLA_TRY(read_index(file, entry, &levels[level - 1]));
        }
    }
    return CELLA_OK;
}

cella_result protected_space_prepare(cella_protected_file *file)
{
    struct protected_space *space = &file->space;
    if (space->ready) {
        return CELLA_OK;
    }
    /* The root that was found may not be on the disk yet: what the one before needs must not be written over sooner. */
    if (!file->no_sync && file->slot.generation > 0) {
        CELLA_TRY(file->store->sync(file->handle));
    }
    CELLA_TRY(words_for(space, file->root.blocks));
    memset(space->busy, 0, space->words * sizeof(*space->busy));
    for (uint64_t block = 0; block < PROTECTED_FIRST; block++) {
        set_busy(space, block, true);
    }
    struct protected_index *levels = malloc((file->root.height + 1) * sizeof(*levels));
    CELLA_ENSURE(levels != NULL, OUT_OF_MEMORY);
    cella_result result = walk(file, levels);
    free(levels);
    CELLA_TRY(result);
    space->top = file->root.blocks;
    space->rover = PROTECTED_FIRST;
    space->ready = true;
    return CELLA_OK;
}

/* The first free block from `from` on; space->top when there is none below it. */
static uint64_t next_free(const struct protected_space *space, uint64_t from)
{
    while (from < space->top && is_busy(space, from)) {
        const bool whole = from % 64 == 0 && space->busy[from / 64] == UINT64_MAX;
        from += whole ? 64 : 1;
    }
    return from < space->top ? from : space->top;
}

cella_result protected_space_take(struct protected_space *space, uint64_t wanted,
                                  uint64_t *ret_first, uint64_t *ret_count)
{
    uint64_t first = next_free(space, space->rover);
    uint64_t count = 0;
    CELLA_TRY(words_for(space, space->top + wanted));
    while (count < wanted && !is_busy(space, first + count)) {
        set_busy(space, first + count, true);
        count++;
    }
    space->rover = first + count;
    space->top = space->top > space->rover ? space->top : space->rover;
    *ret_first = first;
    *ret_count = count;
    return CELLA_OK;
}

void protected_space_untake(struct protected_space *space, uint64_t first, uint64_t count)
{
    for (uint64_t block = first; block < first + count; block++) {
        set_busy(space, block, false);
    }
    space->rover = first;
}

cella_result protected_space_reserve(struct protected_space *space, size_t count)
{
    size_t capacity = space->pending_capacity ? space->pending_capacity : 64;
    if (count <= space->pending_capacity - space->pending_count) {
        return CELLA_OK;
    }
    while (capacity < space->pending_count + count) {
        capacity *= 2;
    }
    uint64_t *pending = realloc(space->pending, capacity * sizeof(*pending));
    CELLA_ENSURE(pending != NULL, OUT_OF_MEMORY);
    space->pending = pending;
    space->pending_capacity = capacity;
    return CELLA_OK;
}

void protected_space_free(cella_protected_file *file, const struct protected_entry *entry)
{
    struct protected_space *space = &file->space;
    if (entry->block == 0) {
        return;
    }
    if (protected_is_fresh(file, entry)) {
        set_busy(space, entry->block, false);
        space->rover = space->rover < entry->block ? space->rover : entry->block;
        return;
    }
    space->pending[space->pending_count++] = entry->block;
}

static void pending_set(struct protected_space *space, bool busy)
{
    for (size_t i = 0; i < space->pending_count; i++) {
        set_busy(space, space->pending[i], busy);
    }
}

uint64_t protected_space_end(struct protected_space *space)
{
    uint64_t end = space->top;
    pending_set(space, false);
    while (end > PROTECTED_FIRST && !is_busy(space, end - 1)) {
        const bool whole = end % 64 == 0 && space->busy[end / 64 - 1] == 0;
        end -= whole ? 64 : 1;
    }
    pending_set(space, true);
    return end > PROTECTED_FIRST ? end : PROTECTED_FIRST;
}

/* What was pending is free; the search starts at the front again, so that files do not wander. */
void protected_space_flushed(struct protected_space *space)
{
    pending_set(space, false);
    space->pending_count = 0;
    space->rover = PROTECTED_FIRST;
    while (space->top > PROTECTED_FIRST && !is_busy(space, space->top - 1)) {
        space->top--;
    }
}
