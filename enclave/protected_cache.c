/*
 * Nodes of a protected file in memory: found by level and index, clean ones by age, dirty ones by level.
 * Side: enclave, with a libc. Called by the other parts of protected files.
 * Never frees a dirty or pinned node by itself, never leaves plaintext behind.
 */
#include "enclave/protected.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_FIRST 64u
/* Index nodes are worth more: data nodes leave first while they are more than this part of the cache. */
#define DATA_SHARE 8u

void protected_cache_init(struct protected_cache *cache, size_t capacity)
{
    *cache = (struct protected_cache){.capacity = capacity};
}

static void list_add(struct protected_list *list, struct protected_node *node)
{
    node->previous = NULL;
    node->next = list->first;
    if (list->first) {
        list->first->previous = node;
    } else {
        list->last = node;
    }
    list->first = node;
    list->count++;
}

static void list_remove(struct protected_list *list, struct protected_node *node)
{
    *(node->previous ? &node->previous->next : &list->first) = node->next;
    *(node->next ? &node->next->previous : &list->last) = node->previous;
    list->count--;
}

static struct protected_list *list_of(struct protected_cache *cache,
                                      const struct protected_node *node)
{
    if (node->dirty) {
        return &cache->dirty[node->level];
    }
    return node->level == 0 ? &cache->clean_data : &cache->clean_index;
}

static size_t slot_of(const struct protected_cache *cache, uint32_t level, uint64_t index)
{
    const uint64_t mixed = (index ^ (uint64_t)level << 56) * 0x9E3779B97F4A7C15ull;
    return (size_t)(mixed >> 32) & (cache->table_size - 1);
}

struct protected_node *protected_cache_find(struct protected_cache *cache, uint32_t level,
                                            uint64_t index)
{
    struct protected_node *node;
    if (cache->table_size == 0 ||
        (level == 0 && cache->clean_data.count + cache->dirty[0].count == 0)) {
        return NULL;
    }
    node = cache->table[slot_of(cache, level, index)];
    while (node && (node->index != index || node->level != level)) {
        node = node->chain;
    }
    return node;
}

/* Both arrays are made for the next power of two; NULL: the old ones stay. */
static bool table_grow(struct protected_cache *cache)
{
    const size_t size = cache->table_size ? cache->table_size * 2 : TABLE_FIRST;
    struct protected_node **table = calloc(size, sizeof(*table));
    struct protected_node **order = realloc(cache->order, size * sizeof(*order));
    struct protected_cache grown = *cache;
    if (order) {
        cache->order = order;
    }
    if (!table || !order) {
        free(table);
        return false;
    }
    grown.table_size = size;
    for (size_t i = 0; i < cache->table_size; i++) {
        struct protected_node *node = cache->table[i];
        while (node) {
            struct protected_node *next = node->chain;
            const size_t slot = slot_of(&grown, node->level, node->index);
            node->chain = table[slot];
            table[slot] = node;
            node = next;
        }
    }
    free(cache->table);
    cache->table = table;
    cache->table_size = size;
    return true;
}

static void take_out(struct protected_cache *cache, struct protected_node *node)
{
    struct protected_node **at = &cache->table[slot_of(cache, node->level, node->index)];
    while (*at != node) {
        at = &(*at)->chain;
    }
    *at = node->chain;
    list_remove(list_of(cache, node), node);
    if (node->parent) {
        node->parent->pins--;
    }
}

static struct protected_node *oldest_free(const struct protected_list *list)
{
    struct protected_node *node = list->last;
    while (node && node->pins != 0) {
        node = node->previous;
    }
    return node;
}

static struct protected_node *victim(struct protected_cache *cache)
{
    struct protected_node *data = oldest_free(&cache->clean_data);
    if (data && cache->clean_data.count > cache->capacity / DATA_SHARE) {
        return data;
    }
    struct protected_node *index = oldest_free(&cache->clean_index);
    return index ? index : data;
}

struct protected_node *protected_cache_new(struct protected_cache *cache)
{
    if (cache->count < cache->capacity && (cache->count < cache->table_size || table_grow(cache))) {
        struct protected_node *node = aligned_alloc(64, (sizeof(*node) + 63) & ~(size_t)63);
        if (node) {
            cache->count++;
            return node;
        }
    }
    struct protected_node *node = victim(cache);
    if (node) {
        take_out(cache, node);
    }
    return node;
}

void protected_cache_insert(struct protected_cache *cache, struct protected_node *node,
                            struct protected_node *parent, uint32_t level, uint64_t index)
{
    const size_t slot = slot_of(cache, level, index);
    node->parent = parent;
    node->level = level;
    node->index = index;
    node->pins = 0;
    node->dirty = false;
    node->chain = cache->table[slot];
    cache->table[slot] = node;
    list_add(list_of(cache, node), node);
    if (parent) {
        parent->pins++;
    }
}

void protected_cache_touch(struct protected_cache *cache, struct protected_node *node)
{
    struct protected_list *list = list_of(cache, node);
    if (list->first != node) {
        list_remove(list, node);
        list_add(list, node);
    }
}

void protected_cache_dirty(struct protected_cache *cache, struct protected_node *node)
{
    list_remove(list_of(cache, node), node);
    node->dirty = true;
    list_add(list_of(cache, node), node);
}

void protected_cache_clean(struct protected_cache *cache, struct protected_node *node)
{
    list_remove(list_of(cache, node), node);
    node->dirty = false;
    list_add(list_of(cache, node), node);
}

void protected_cache_free(struct protected_cache *cache, struct protected_node *node)
{
    OPENSSL_cleanse(node->data, sizeof(node->data));
    free(node);
    cache->count--;
}

void protected_cache_drop(struct protected_cache *cache, struct protected_node *node)
{
    take_out(cache, node);
    protected_cache_free(cache, node);
}

static void list_done(struct protected_cache *cache, struct protected_list *list)
{
    while (list->first) {
        struct protected_node *node = list->first;
        list_remove(list, node);
        protected_cache_free(cache, node);
    }
}

void protected_cache_done(struct protected_cache *cache)
{
    const size_t capacity = cache->capacity;
    list_done(cache, &cache->clean_data);
    list_done(cache, &cache->clean_index);
    for (uint32_t level = 0; level <= PROTECTED_HEIGHT_MAX; level++) {
        list_done(cache, &cache->dirty[level]);
    }
    free(cache->table);
    free(cache->order);
    protected_cache_init(cache, capacity);
}

static int by_index(const void *a, const void *b)
{
    const struct protected_node *first = *(struct protected_node *const *)a;
    const struct protected_node *second = *(struct protected_node *const *)b;
    return (first->index > second->index) - (first->index < second->index);
}

size_t protected_cache_sort(struct protected_cache *cache, uint32_t level)
{
    const struct protected_list *list = &cache->dirty[level];
    size_t count = 0;
    bool sorted = true;
    /* Nodes that were written one after the other lie in the list from the newest to the oldest. */
    for (struct protected_node *node = list->last; node; node = node->previous) {
        sorted = sorted && (count == 0 || cache->order[count - 1]->index < node->index);
        cache->order[count++] = node;
    }
    if (!sorted) {
        qsort(cache->order, count, sizeof(cache->order[0]), by_index);
    }
    return count;
}
