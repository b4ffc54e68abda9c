/*
 * The tree of a protected file: from the root's entry through index nodes to data nodes.
 * Side: enclave, with a libc. Called by the other parts of protected files.
 * Never uses a node before its tag, which its parent holds, was checked.
 */
#include "enclave/protected.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct protected_entry *protected_entry_of(cella_protected_file *file, struct protected_node *node)
{
    return node->parent ? &node->parent->content.entries[node->index % PROTECTED_FANOUT]
                        : &file->root.top;
}

/* Memory for a node: from the cache, or after writing what is dirty, from the lowest level up. */
static cella_result node_memory(cella_protected_file *file, struct protected_node **ret_node)
{
    *ret_node = protected_cache_new(&file->cache);
    for (uint32_t level = 0; !*ret_node && level <= file->root.height; level++) {
        if (file->cache.dirty[level].count == 0) {
            continue;
        }
        CELLA_TRY(protected_spill(file, level));
        *ret_node = protected_cache_new(&file->cache);
    }
    CELLA_ENSURE(*ret_node != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

static cella_result node_fill(cella_protected_file *file, const struct protected_entry *entry,
                              uint32_t level, uint64_t index, struct protected_node *node)
{
    if (entry->block == 0) {
        memset(node->data, 0, sizeof(node->data));
        if (file->root.inlined && level == 0 && index == 0) {
            memcpy(node->data, file->root.data, sizeof(file->root.data));
        }
        return CELLA_OK;
    }
    CELLA_ENSURE(entry->block >= PROTECTED_FIRST &&
                     entry->block < PROTECTED_SIZE_MAX / PROTECTED_BLOCK,
                 AUTH_FAILED);
    CELLA_TRY(file->store->read(file->handle, entry->block * PROTECTED_BLOCK, file->block,
                                PROTECTED_BLOCK));
    return protected_decrypt(file, file->block, node->data, entry);
}

/* Brings a child of `parent` (NULL: the top) into memory. */
static cella_result node_load(cella_protected_file *file, struct protected_node *parent,
                              uint32_t level, uint64_t index, bool fresh,
                              struct protected_node **ret_node)
{
    struct protected_node *node;
    if (parent) {
        parent->pins++; /* making room must not take it */
    }
    cella_result result = node_memory(file, &node);
    if (parent) {
        parent->pins--;
    }
    CELLA_TRY(result);
    const struct protected_entry *entry =
        parent ? &parent->content.entries[index % PROTECTED_FANOUT] : &file->root.top;
    if (!fresh) {
        result = node_fill(file, entry, level, index, node);
        if (!cella_is_ok(result)) {
            protected_cache_free(&file->cache, node);
            return result;
        }
    }
    protected_cache_insert(&file->cache, node, parent, level, index);
    *ret_node = node;
    return CELLA_OK;
}

/* The index that node `index` of `level` has `up` levels higher. */
static uint64_t index_above(uint64_t index, uint32_t up)
{
    while (up-- > 0) {
        index /= PROTECTED_FANOUT;
    }
    return index;
}

cella_result protected_node_get(cella_protected_file *file, uint32_t level, uint64_t index,
                                bool fresh, struct protected_node **ret_node)
{
    struct protected_node *node = protected_cache_find(&file->cache, level, index);
    struct protected_node *parent = NULL;
    CELLA_ENSURE(level <= file->root.height && index_above(index, file->root.height - level) == 0,
                 INTERNAL);
    if (!node) {
        uint32_t at = level; /* the lowest ancestor in memory */
        while (!node && at < file->root.height) {
            at++;
            node = protected_cache_find(&file->cache, at, index_above(index, at - level));
        }
        at += node ? 0 : 1;
        parent = node;
        while (at > level) {
            at--;
            CELLA_TRY(node_load(file, parent, at, index_above(index, at - level),
                                fresh && at == level, &node));
            parent = node;
        }
    } else {
        protected_cache_touch(&file->cache, node);
    }
    node->pins++;
    *ret_node = node;
    return CELLA_OK;
}

void protected_node_dirty(cella_protected_file *file, struct protected_node *node)
{
    file->changed = true;
    while (node && !node->dirty) {
        protected_cache_dirty(&file->cache, node);
        node = node->parent;
    }
}

/* A new top over the old one. */
static cella_result grow_once(cella_protected_file *file)
{
    struct protected_node *old = protected_cache_find(&file->cache, file->root.height, 0);
    struct protected_node *top;
    if (!old && file->root.top.block == 0) {
        file->root.height++;
        return CELLA_OK;
    }
    if (old) {
        old->pins++;
    }
    cella_result result = node_memory(file, &top);
    if (old) {
        old->pins--;
    }
    CELLA_TRY(result);
    memset(top->data, 0, sizeof(top->data));
    top->content.entries[0] = file->root.top;
    memset(&file->root.top, 0, sizeof(file->root.top));
    file->root.height++;
    protected_cache_insert(&file->cache, top, NULL, file->root.height, 0);
    if (old) {
        old->parent = top;
        top->pins++;
    }
    protected_node_dirty(file, top);
    return CELLA_OK;
}

cella_result protected_tree_grow(cella_protected_file *file, uint64_t index)
{
    while (index_above(index, file->root.height) != 0) {
        CELLA_ENSURE(file->root.height < PROTECTED_HEIGHT_MAX, OUT_OF_RANGE);
        CELLA_TRY(grow_once(file));
    }
    return CELLA_OK;
}

/* A child of `parent` (NULL: the top) goes: its block, and the node in memory, which has no children any more. */
static void child_remove(cella_protected_file *file, struct protected_entry *entry, uint32_t level,
                         uint64_t index)
{
    struct protected_node *node = protected_cache_find(&file->cache, level, index);
    if (node) {
        protected_cache_drop(&file->cache, node);
    }
    protected_space_free(file, entry);
    memset(entry, 0, sizeof(*entry));
}

/* Removes the children from index `cut` on of one node. */
static cella_result cut_node(cella_protected_file *file, uint32_t level, uint64_t index,
                             uint64_t cut)
{
    struct protected_node *node;
    const uint64_t first = index * PROTECTED_FANOUT;
    CELLA_TRY(protected_node_get(file, level, index, false, &node));
    cella_result result = protected_space_reserve(&file->space, PROTECTED_FANOUT);
    if (cella_is_ok(result)) {
        protected_node_dirty(file, node);
        for (uint64_t i = cut > first ? cut - first : 0; i < PROTECTED_FANOUT; i++) {
            child_remove(file, &node->content.entries[i], level - 1, first + i);
        }
    }
    protected_node_put(node);
    return result;
}

static uint64_t groups(uint64_t count)
{
    return count / PROTECTED_FANOUT + (count % PROTECTED_FANOUT != 0);
}

/*
 * Whether a node exists, in memory or in the file; if not, *ret_next is the next index of its level that may. Holes of
 * terabytes are passed in one step.
 */
static cella_result node_exists(cella_protected_file *file, uint32_t level, uint64_t index,
                                bool *ret_exists, uint64_t *ret_next)
{
    uint64_t stride = 1;
    *ret_exists = file->root.top.block != 0 ||
                  protected_cache_find(&file->cache, file->root.height, 0) != NULL;
    *ret_next = UINT64_MAX;
    for (uint32_t i = level; i < file->root.height; i++) {
        stride *= PROTECTED_FANOUT;
    }
    for (uint32_t at = file->root.height; *ret_exists && at > level; at--) {
        struct protected_node *node;
        CELLA_TRY(protected_node_get(file, at, index_above(index, at - level), false, &node));
        stride /= PROTECTED_FANOUT;
        const uint64_t child = index / stride;
        *ret_exists = node->content.entries[child % PROTECTED_FANOUT].block != 0 ||
                      protected_cache_find(&file->cache, at - 1, child) != NULL;
        *ret_next = (child + 1) * stride;
        protected_node_put(node);
    }
    return CELLA_OK;
}

static cella_result cut_levels(cella_protected_file *file, uint64_t count)
{
    uint64_t cut = count;
    uint64_t end = (file->root.size + PROTECTED_BLOCK - 1) / PROTECTED_BLOCK;
    CELLA_TRY(protected_space_reserve(&file->space, 1));
    for (uint32_t level = 1; level <= file->root.height; level++) {
        uint64_t next;
        for (uint64_t index = cut / PROTECTED_FANOUT; index < groups(end); index = next) {
            bool exists;
            CELLA_TRY(node_exists(file, level, index, &exists, &next));
            if (exists) {
                CELLA_TRY(cut_node(file, level, index, cut));
                next = index + 1;
            }
        }
        cut = groups(cut);
        end = groups(end);
    }
    return CELLA_OK;
}

cella_result protected_tree_cut(cella_protected_file *file, uint64_t count)
{
    cella_result result = cut_levels(file, count);
    if (!cella_is_ok(result)) {
        /* Half of it is gone from the tree in memory, for good; what was flushed is whole. */
        file->status = CELLA_PROTECTED_STATUS_CORRUPTED;
        return result;
    }
    if (count == 0) {
        child_remove(file, &file->root.top, file->root.height, 0);
        file->root.height = 0;
        file->root.inlined = 0;
        file->changed = true;
    }
    return CELLA_OK;
}
