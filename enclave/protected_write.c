/*
 * Writing nodes of a protected file: each to a new place, its parent's entry telling where; then the root.
 * Side: enclave, with a libc. Called by the other parts of protected files.
 * Never writes over a block that the last flushed state has, never gives the host plaintext.
 */
#include "enclave/protected.h"

#include <stdlib.h>
#include <string.h>

/* The node is at another place now; the old one is free. Its parent changes with it. */
static void entry_set(cella_protected_file *file, struct protected_entry *entry, uint32_t level,
                      uint64_t index, const struct protected_entry *value)
{
    protected_space_free(file, entry);
    *entry = *value;
    if (level == 0 && index == 0) {
        file->root.inlined = 0;
    }
}

/* Encrypts and writes up to `count` nodes whose plaintext `plain` gives; tells where they went. */
struct run {
    const uint8_t *contiguous;           /* plaintext of nodes in a row, or NULL: */
    struct protected_node *const *nodes; /* nodes of the cache */
    struct protected_entry entries[PROTECTED_BATCH];
    uint64_t count;
};

static cella_result run_encrypt(cella_protected_file *file, struct run *run, uint64_t first)
{
    for (uint64_t i = 0; i < run->count; i++) {
        const uint8_t *plain =
            run->contiguous ? run->contiguous + i * PROTECTED_BLOCK : run->nodes[i]->data;
        run->entries[i].block = first + i;
        CELLA_TRY(protected_encrypt(file, plain, file->block, &run->entries[i]));
        CELLA_TRY(file->store->put(file->handle, (size_t)i * PROTECTED_BLOCK, file->block,
                                   PROTECTED_BLOCK));
    }
    return file->store->send(file->handle, first * PROTECTED_BLOCK,
                             (size_t)run->count * PROTECTED_BLOCK);
}

/* At most run->count nodes; run->count says how many. */
static cella_result run_write(cella_protected_file *file, struct run *run)
{
    uint64_t first;
    run->count = protected_batch(file, run->count);
    CELLA_TRY(protected_space_reserve(&file->space, (size_t)run->count));
    CELLA_TRY(protected_space_take(&file->space, run->count, &first, &run->count));
    cella_result result = run_encrypt(file, run, first);
    if (!cella_is_ok(result)) {
        protected_space_untake(&file->space, first, run->count);
        return result;
    }
    const uint64_t end = (first + run->count) * PROTECTED_BLOCK;
    file->file_size = file->file_size > end ? file->file_size : end;
    return CELLA_OK;
}

cella_result protected_spill(cella_protected_file *file, uint32_t level)
{
    const size_t count = protected_cache_sort(&file->cache, level);
    for (size_t at = 0; at < count;) {
        struct run run = {.nodes = file->cache.order + at, .count = count - at};
        run.count = run.count < PROTECTED_BATCH ? run.count : PROTECTED_BATCH;
        CELLA_TRY(run_write(file, &run));
        for (uint64_t i = 0; i < run.count; i++) {
            struct protected_node *node = run.nodes[i];
            entry_set(file, protected_entry_of(file, node), level, node->index, &run.entries[i]);
            protected_cache_clean(&file->cache, node);
        }
        at += run.count;
    }
    return CELLA_OK;
}

cella_result protected_write_nodes(cella_protected_file *file, uint64_t index, uint64_t count,
                                   const uint8_t *from, uint64_t *ret_done)
{
    struct protected_node *leaf;
    const uint64_t left = PROTECTED_FANOUT - index % PROTECTED_FANOUT;
    struct run run = {.contiguous = from, .count = count < left ? count : left};
    run.count = run.count < PROTECTED_BATCH ? run.count : PROTECTED_BATCH;
    /* A height of 1 gives even a single node a parent to keep its entry. */
    CELLA_TRY(protected_tree_grow(file, index > 0 ? index : 1));
    CELLA_TRY(protected_node_get(file, 1, index / PROTECTED_FANOUT, false, &leaf));
    cella_result result = run_write(file, &run);
    if (cella_is_ok(result)) {
        protected_node_dirty(file, leaf);
        for (uint64_t i = 0; i < run.count; i++) {
            struct protected_node *old = protected_cache_find(&file->cache, 0, index + i);
            if (old) {
                protected_cache_drop(&file->cache, old);
            }
            entry_set(file, &leaf->content.entries[(index + i) % PROTECTED_FANOUT], 0, index + i,
                      &run.entries[i]);
        }
        *ret_done = run.count;
    }
    protected_node_put(leaf);
    return result;
}

/* A small file has no nodes on the disk: it lies in its root. */
static cella_result flush_inline(cella_protected_file *file)
{
    struct protected_node *node;
    uint8_t data[PROTECTED_INLINE_MAX];
    CELLA_TRY(protected_node_get(file, 0, 0, false, &node));
    memcpy(data, node->data, sizeof(data));
    protected_node_put(node);
    CELLA_TRY(protected_tree_cut(file, 0));
    memcpy(file->root.data, data, sizeof(data));
    file->root.inlined = 1;
    return CELLA_OK;
}

/* It has grown out of the root: its first node, which may be nowhere else, goes to the disk. */
static cella_result flush_outgrown(cella_protected_file *file)
{
    struct protected_node *node;
    CELLA_TRY(protected_node_get(file, 0, 0, false, &node));
    protected_node_dirty(file, node);
    protected_node_put(node);
    return CELLA_OK;
}

cella_result protected_flush(cella_protected_file *file)
{
    if (!file->changed) {
        return file->store->settle(file->handle);
    }
    CELLA_TRY(protected_space_prepare(file));
    if (file->root.size <= PROTECTED_INLINE_MAX) {
        CELLA_TRY(flush_inline(file));
    } else if (file->root.inlined) {
        CELLA_TRY(flush_outgrown(file));
    }
    for (uint32_t level = 0; level <= file->root.height; level++) {
        CELLA_TRY(protected_spill(file, level));
    }
    if (!file->root.inlined) {
        memset(file->root.data, 0, sizeof(file->root.data));
    }
    CELLA_TRY(protected_root_commit(file));
    file->changed = false;
    return CELLA_OK;
}
