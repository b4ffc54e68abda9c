/*
 * Reading nodes of a protected file, many at a time where they lie in a row.
 * Side: enclave, with a libc. Called by protected_file.c.
 * Never hands on a byte that was not authenticated.
 */
#include "enclave/protected.h"

#include <openssl/crypto.h>
#include <string.h>

static const struct protected_entry g_hole;

/* The entry of a data node; its leaf must be in memory. */
static const struct protected_entry *entry_at(const cella_protected_file *file,
                                              const struct protected_node *leaf, uint64_t index)
{
    if (!leaf) {
        return index == 0 ? &file->root.top : &g_hole;
    }
    return &leaf->content.entries[index % PROTECTED_FANOUT];
}

static bool block_possible(const struct protected_entry *entry)
{
    return entry->block >= PROTECTED_FIRST && entry->block < PROTECTED_SIZE_MAX / PROTECTED_BLOCK;
}

/* How many of `limit` nodes from `index` on lie in a row in the host's file, none of them in memory. */
static uint64_t row_length(cella_protected_file *file, const struct protected_node *leaf,
                           uint64_t index, uint64_t limit)
{
    const uint64_t first = entry_at(file, leaf, index)->block;
    const bool has_data = file->cache.clean_data.count + file->cache.dirty[0].count > 0;
    uint64_t count = 1;
    while (count < limit && entry_at(file, leaf, index + count)->block == first + count &&
           !(has_data && protected_cache_find(&file->cache, 0, index + count))) {
        count++;
    }
    return count;
}

/* Nodes that lie in a row, on their way from the host. */
static cella_result row_bring(cella_protected_file *file, const struct protected_node *leaf,
                              uint64_t index, uint64_t count)
{
    const struct protected_entry *entry = entry_at(file, leaf, index);
    CELLA_ENSURE(block_possible(entry), AUTH_FAILED);
    return file->store->bring(file->handle, entry->block * PROTECTED_BLOCK,
                              (size_t)count * PROTECTED_BLOCK);
}

/* Node number `i` of the row from `index` on. On failure what is there is zero, or the caller's to wipe. */
static cella_result row_take(cella_protected_file *file, const struct protected_node *leaf,
                             uint64_t index, uint64_t i, uint8_t *to)
{
    CELLA_TRY(
        file->store->take(file->handle, (size_t)i * PROTECTED_BLOCK, file->block, PROTECTED_BLOCK));
    return protected_decrypt(file, file->block, to, entry_at(file, leaf, index + i));
}

static cella_result row_read(cella_protected_file *file, const struct protected_node *leaf,
                             uint64_t index, uint64_t count, uint8_t *to)
{
    CELLA_TRY(row_bring(file, leaf, index, count));
    for (uint64_t i = 0; i < count; i++) {
        CELLA_TRY(row_take(file, leaf, index, i, to + i * PROTECTED_BLOCK));
    }
    return CELLA_OK;
}

/* The leaf over a data node, pinned; NULL with OK: there is none, the node is the top. */
static cella_result leaf_get(cella_protected_file *file, uint64_t index,
                             struct protected_node **ret_leaf)
{
    *ret_leaf = NULL;
    if (file->root.height == 0) {
        return CELLA_OK;
    }
    return protected_node_get(file, 1, index / PROTECTED_FANOUT, false, ret_leaf);
}

static void leaf_put(struct protected_node *leaf)
{
    if (leaf) {
        protected_node_put(leaf);
    }
}

static cella_result some_read(cella_protected_file *file, const struct protected_node *leaf,
                              uint64_t index, uint64_t count, uint8_t *to, uint64_t *ret_done)
{
    struct protected_node *cached = protected_cache_find(&file->cache, 0, index);
    const struct protected_entry *entry = entry_at(file, leaf, index);
    *ret_done = 1;
    if (cached) {
        memcpy(to, cached->data, PROTECTED_BLOCK);
        return CELLA_OK;
    }
    if (entry->block == 0) {
        memset(to, 0, PROTECTED_BLOCK);
        if (index == 0 && file->root.inlined) {
            memcpy(to, file->root.data, sizeof(file->root.data));
        }
        return CELLA_OK;
    }
    const uint64_t left = leaf ? PROTECTED_FANOUT - index % PROTECTED_FANOUT : 1;
    *ret_done = row_length(file, leaf, index, protected_batch(file, count < left ? count : left));
    return row_read(file, leaf, index, *ret_done, to);
}

cella_result protected_read_nodes(cella_protected_file *file, uint64_t index, uint64_t count,
                                  uint8_t *to, uint64_t *ret_done)
{
    struct protected_node *leaf;
    uint64_t done = 0;
    CELLA_TRY(leaf_get(file, index, &leaf));
    cella_result result = some_read(file, leaf, index, count, to, &done);
    leaf_put(leaf);
    CELLA_TRY(result);
    file->last_read = index + done;
    *ret_done = done;
    return CELLA_OK;
}

/* Reads nodes that lie in a row into the cache, as long as there is room without writing. */
static cella_result row_keep(cella_protected_file *file, struct protected_node *leaf,
                             uint64_t index, uint64_t count)
{
    CELLA_TRY(row_bring(file, leaf, index, count));
    for (uint64_t i = 0; i < count; i++) {
        struct protected_node *node = protected_cache_new(&file->cache);
        if (!node) {
            return CELLA_OK;
        }
        cella_result result = row_take(file, leaf, index, i, node->data);
        if (!cella_is_ok(result)) {
            protected_cache_free(&file->cache, node);
            return result;
        }
        protected_cache_insert(&file->cache, node, leaf, 0, index + i);
    }
    return CELLA_OK;
}

cella_result protected_read_ahead(cella_protected_file *file, uint64_t index)
{
    struct protected_node *leaf;
    const uint64_t end = (file->root.size + PROTECTED_BLOCK - 1) / PROTECTED_BLOCK;
    const bool streaming = file->last_read == index && index > 0;
    if (protected_cache_find(&file->cache, 0, index)) {
        file->last_read = file->last_read == index ? index + 1 : file->last_read;
        return CELLA_OK;
    }
    file->last_read = index + 1;
    if (!streaming || file->root.height == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(leaf_get(file, index, &leaf));
    const uint64_t left = PROTECTED_FANOUT - index % PROTECTED_FANOUT;
    const uint64_t limit = protected_batch(file, end - index < left ? end - index : left);
    const struct protected_entry *entry = entry_at(file, leaf, index);
    cella_result result = CELLA_OK;
    if (block_possible(entry) && limit > 1) {
        result = row_keep(file, leaf, index, row_length(file, leaf, index, limit));
    }
    leaf_put(leaf);
    return result;
}
