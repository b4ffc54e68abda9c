/*
 * Memory of the file tree: small objects by size, and pages of file content.
 * Side: enclave. Called by linux/fs_*.c.
 * Never gives pages back to the heap: what was freed serves the next file. Objects come zeroed.
 */
#include "linux/fs_tree.h"

#define CLASS_SMALLEST 5u /* 32 bytes */
#define CLASS_LARGEST 13u /* 8192 bytes */
#define SLAB_SIZE 16384u
#define CHUNK_PAGES 64u
#define CHUNK_PAGES_SMALL 4u

struct free_object {
    struct free_object *next;
};

static struct free_object *classes[CLASS_LARGEST + 1];
static struct free_object *free_pages;
static _Atomic uint64_t pages_in_use;
static struct cella_lock pool_lock;

static uint32_t class_of(uint64_t size)
{
    uint32_t class = CLASS_SMALLEST;
    while ((1ull << class) < size) {
        class ++;
    }
    return class;
}

static void *object_take(struct free_object **list)
{
    cella_lock_take(&pool_lock);
    struct free_object *object = *list;
    if (object) {
        *list = object->next;
    }
    cella_lock_give(&pool_lock);
    return object;
}

static void object_give(struct free_object **list, void *at)
{
    struct free_object *object = at;
    cella_lock_take(&pool_lock);
    object->next = *list;
    *list = object;
    cella_lock_give(&pool_lock);
}

/* Cuts a slab into objects; the first is the caller's. */
static void *slab_cut(struct free_object **list, uint64_t slab_size, uint64_t size)
{
    uint8_t *slab = cella_pages_new(slab_size);
    for (uint64_t at = size; slab && at + size <= slab_size; at += size) {
        object_give(list, slab + at);
    }
    return slab;
}

void *fs_new(uint64_t size)
{
    if (size > 1u << CLASS_LARGEST) {
        return cella_pages_new(size);
    }
    const uint32_t class = class_of(size);
    void *object = object_take(&classes[class]);
    if (!object) {
        return slab_cut(&classes[class], SLAB_SIZE, 1ull << class);
    }
    cella_zero(object, 1ull << class);
    return object;
}

void fs_free(void *at, uint64_t size)
{
    if (!at) {
        return;
    }
    if (size > 1u << CLASS_LARGEST) {
        cella_pages_free(at, size);
    } else {
        object_give(&classes[class_of(size)], at);
    }
}

char *fs_text_copy(const char *text, uint32_t size)
{
    char *copy = fs_new((uint64_t)size + 1);
    if (copy) {
        __builtin_memcpy(copy, text, size);
    }
    return copy;
}

/* Files leave an eighth of the heap to the kernel. */
static bool is_full(void)
{
    uint64_t total, used;
    cella_pages_count(&total, &used);
    return pages_in_use >= total - total / 8;
}

/* Pages come from the heap in chunks, so that a large file is not as many searches for room. */
void *fs_page_new(void)
{
    if (is_full()) {
        return NULL;
    }
    void *page = object_take(&free_pages);
    if (!page) {
        page = slab_cut(&free_pages, CHUNK_PAGES * SGX_PAGE_SIZE, SGX_PAGE_SIZE);
    }
    if (!page) {
        page = slab_cut(&free_pages, CHUNK_PAGES_SMALL * SGX_PAGE_SIZE, SGX_PAGE_SIZE);
    }
    if (page) {
        cella_zero(page, SGX_PAGE_SIZE);
        atomic_fetch_add(&pages_in_use, 1);
    }
    return page;
}

void fs_page_free(void *page)
{
    if (page) {
        object_give(&free_pages, page);
        atomic_fetch_sub(&pages_in_use, 1);
    }
}

uint64_t fs_pages_in_use(void)
{
    return pages_in_use;
}
