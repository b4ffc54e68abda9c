/*
 * Files in memory mappings: what may be mapped, and that mappings and files say the same.
 * Side: enclave. Called by memory_file.c, and by whatever reads and changes content. docs/adr/0170 is why it is like that.
 * Never shares a page: an enclave page has one address. A shared mapping is a copy; writes to the file go into it at
 * once, what the program stores in it is taken back when the file is read, at msync, and when the mapping goes.
 *
 * A page of a shared mapping is the file's, but for what the program has stored in it since: who finds them different
 * takes that for a store. So content and mappings change together, by one thread at a time: a node's `alike` is held by who
 * reads or changes the content of a file that is mapped, fills a page of it, or makes or takes away a mapping. Of the
 * program's memory nothing is touched with it but pages that are there (linux_memory_get, _put): a page fault takes it.
 * Transfers go by a buffer of the kernel's. Files that nobody maps pay two additions: who is about to map one waits for
 * the transfers that know of no mapping (`plain`).
 */
#include "linux/fs_tree.h"

#define CHUNK 65536u

/* memory_file.c, which knows what the program has mapped meanwhile. */
__attribute__((weak)) bool linux_memory_get(void *to, struct cella_open *open, uint64_t offset,
                                            uint64_t at, uint64_t size)
{
    (void)open, (void)offset;
    return linux_user_read(to, at, size);
}

__attribute__((weak)) void linux_memory_put(struct cella_open *open, uint64_t offset, uint64_t at,
                                            const void *from, uint64_t size)
{
    (void)open, (void)offset;
    (void)linux_user_write(at, from, size);
}

__attribute__((weak)) void linux_memory_drop(struct cella_open *open, uint64_t offset, uint64_t at,
                                             uint64_t size)
{
    (void)open, (void)offset, (void)at, (void)size;
}

/* ------------------------------------------------------------------ one thread at a time */

bool fs_plain_begin(struct fs_node *node)
{
    atomic_fetch_add(&node->plain, 1);
    if (atomic_load(&node->mapped) == 0) {
        return true;
    }
    fs_plain_end(node);
    return false;
}

void fs_plain_end(struct fs_node *node)
{
    if (atomic_fetch_sub(&node->plain, 1) == 1 && atomic_load(&node->mapped) != 0) {
        cella_futex_wake((uint64_t)&node->plain, INT32_MAX);
    }
}

void fs_content_take(struct fs_node *node)
{
    uint32_t left;
    atomic_fetch_add(&node->mapped, 1);
    while ((left = atomic_load(&node->plain)) != 0) {
        cella_futex_wait_uninterrupted((uint64_t)&node->plain, left, NULL);
    }
    linux_mutex_take(&node->alike);
}

void fs_content_give(struct fs_node *node)
{
    linux_mutex_give(&node->alike);
    atomic_fetch_sub(&node->mapped, 1);
}

/* ------------------------------------------------------------------ mappings and content */

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is left of [from, to) of the file in the map; false: nothing. */
static bool cut_to(const struct fs_shared_map *map, uint64_t *from, uint64_t *to)
{
    *from = *from > map->offset ? *from : map->offset;
    *to = min(*to, map->offset + map->size);
    return *from < *to;
}

static uint64_t address_of(const struct fs_shared_map *map, uint64_t offset)
{
    return map->address + (offset - map->offset);
}

/* Held. Bytes [offset, offset + size) of the file, which are new, into every mapping. */
static void put_all(struct fs_node *node, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    for (const struct fs_shared_map *map = node->maps; map; map = map->next) {
        uint64_t at = offset, to = offset + size;
        if (!cut_to(map, &at, &to)) {
            continue;
        }
        while (at < to) {
            const uint64_t part = min(to - at, SGX_PAGE_SIZE - at % SGX_PAGE_SIZE);
            linux_memory_put(map->open, at, address_of(map, at), bytes + (at - offset), part);
            at += part;
        }
    }
}

/* Held. Bytes [at, at + size) of one page as a mapping has them; false: never touched, or no longer this mapping's. */
static bool page_get(const struct fs_shared_map *map, uint64_t at, uint64_t size, uint8_t *to)
{
    uint64_t from = at, end = at + size;
    return cut_to(map, &from, &end) &&
           linux_memory_get(to, map->open, at, address_of(map, at), size);
}

/* What a mapping has, and the file had not, into what the file gets. */
static void merge(uint8_t *merged, const uint8_t *before, const uint8_t *theirs, uint64_t size)
{
    if (cella_equal(theirs, before, size)) {
        return;
    }
    for (uint64_t i = 0; i < size; i++) {
        merged[i] = theirs[i] != before[i] ? theirs[i] : merged[i];
    }
}

/* Held. One mapping's piece of a page gets what was merged from others, byte by byte: it may be stored into meanwhile. */
static void spread(const struct fs_shared_map *map, uint64_t at, const uint8_t *merged,
                   const uint8_t *before, const uint8_t *theirs, uint64_t size)
{
    for (uint64_t i = 0, end = 0; i < size; i = end + 1) {
        end = i;
        while (end < size && merged[end] != before[end] && theirs[end] == before[end]) {
            end++;
        }
        if (end > i) {
            linux_memory_put(map->open, at + i, address_of(map, at + i), merged + i, end - i);
        }
    }
}

/* Held. Takes back what the program has stored in [at, at + size), within one page. `pages`: three of them. */
static long page_pull(struct fs_node *node, struct fs_file *file, uint64_t at, uint64_t size,
                      uint8_t *pages)
{
    uint8_t *before = pages, *merged = pages + SGX_PAGE_SIZE, *theirs = pages + 2 * SGX_PAGE_SIZE;
    uint64_t known = 0; /* bytes of it that the file has */
    for (const struct fs_shared_map *map = node->maps; map; map = map->next) {
        if (!map->writable || !page_get(map, at, size, theirs)) {
            continue;
        }
        if (known == 0) {
            const long count = node->ops->fill(file, before, size, at);
            if (count <= 0) {
                return count;
            }
            known = (uint64_t)count;
            __builtin_memcpy(merged, before, known);
        }
        merge(merged, before, theirs, known);
    }
    if (cella_equal(merged, before, known) || !node->ops->store) {
        return 0;
    }
    const long stored = node->ops->store(file, merged, known, at);
    fs_touch(node, FS_TOUCH_CONTENT);
    if (stored != (long)known) {
        return stored < 0 ? stored : -EIO;
    }
    for (const struct fs_shared_map *map = node->maps; map && node->maps->next; map = map->next) {
        if (page_get(map, at, size, theirs)) {
            spread(map, at, merged, before, theirs, known);
        }
    }
    return 0;
}

/* Held. What the program has stored in mappings of [from, to) comes into the file, which never becomes longer. */
static long pull(struct fs_node *node, uint64_t from, uint64_t to)
{
    const struct fs_shared_map *map = node->maps;
    while (map && !map->writable) {
        map = map->next;
    }
    struct fs_file *file = map ? fs_file_of(map->open) : NULL;
    if (!file) {
        return 0;
    }
    uint8_t *pages = fs_new(3 * SGX_PAGE_SIZE);
    long result = pages ? 0 : -ENOMEM;
    uint64_t end = 0; /* behind it there is no mapping */
    for (map = node->maps; map; map = map->next) {
        const uint64_t map_end = map->offset + map->size;
        end = map_end > end ? map_end : end;
    }
    to = min(to, end);
    for (uint64_t at = from; pages && at < to;) {
        const uint64_t part = min(to - at, SGX_PAGE_SIZE - at % SGX_PAGE_SIZE);
        const long pulled = page_pull(node, file, at, part, pages);
        result = result == 0 ? pulled : result;
        at += part;
    }
    fs_free(pages, 3 * SGX_PAGE_SIZE);
    return result;
}

static long fill_held(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    (void)pull(node, offset, offset + size < offset ? UINT64_MAX : offset + size);
    return node->ops->fill(file, to, size, offset);
}

long fs_content_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    long count;
    if (fs_plain_begin(node)) {
        count = node->ops->fill(file, to, size, offset);
        fs_plain_end(node);
    } else {
        linux_mutex_take(&node->alike);
        count = fill_held(file, to, size, offset);
        linux_mutex_give(&node->alike);
    }
    return count;
}

long fs_content_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    long count;
    if (!node->ops->store) {
        return -EINVAL;
    }
    if (fs_plain_begin(node)) {
        count = node->ops->store(file, from, size, offset);
        fs_plain_end(node);
    } else {
        linux_mutex_take(&node->alike);
        count = node->ops->store(file, from, size, offset);
        if (count > 0) {
            put_all(node, offset, from, (uint64_t)count);
        }
        linux_mutex_give(&node->alike);
    }
    return count;
}

static long content_move(struct fs_file *file, bool writing, void *bytes, uint64_t size,
                         uint64_t offset)
{
    return writing ? fs_content_store(file, bytes, size, offset)
                   : fs_content_fill(file, bytes, size, offset);
}

long fs_content_transfer(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset)
{
    return fs_pieces_by_buffer(file, transfer, offset, CHUNK, content_move);
}

void fs_content_cut(struct fs_node *node, uint64_t before, uint64_t now)
{
    static const uint8_t zeros[SGX_PAGE_SIZE];
    const uint64_t from = min(before, now);
    if (from % SGX_PAGE_SIZE != 0) {
        put_all(node, from, zeros, SGX_PAGE_SIZE - from % SGX_PAGE_SIZE);
    }
    for (const struct fs_shared_map *map = node->maps; map && now < before; map = map->next) {
        uint64_t at = (now + SGX_PAGE_SIZE - 1) & ~((uint64_t)SGX_PAGE_SIZE - 1);
        uint64_t to = UINT64_MAX;
        if (cut_to(map, &at, &to)) {
            linux_memory_drop(map->open, at, address_of(map, at), to - at);
        }
    }
}

void fs_content_changed(struct fs_file *file, uint64_t offset, uint64_t size)
{
    struct fs_node *node = file->entry->node;
    uint8_t *page = fs_new(SGX_PAGE_SIZE);
    uint64_t end = 0;
    for (const struct fs_shared_map *map = node->maps; map; map = map->next) {
        uint64_t from = offset, to = offset + size;
        end = cut_to(map, &from, &to) && to > end ? to : end;
    }
    for (uint64_t at = offset; page && at < end;) {
        const uint64_t part = min(end - at, SGX_PAGE_SIZE - at % SGX_PAGE_SIZE);
        const long count = node->ops->fill(file, page, part, at);
        if (count <= 0) {
            break;
        }
        put_all(node, at, page, (uint64_t)count);
        at += (uint64_t)count;
    }
    fs_free(page, SGX_PAGE_SIZE);
}

/* ------------------------------------------------------------------ making mappings, and taking them away */

long fs_map_check(struct cella_open *open, uint32_t rights, bool shared)
{
    const struct fs_file *file = fs_file_of(open);
    if (!file) {
        return -ENODEV;
    }
    const uint32_t access = open->flags & LINUX_O_ACCMODE;
    if ((open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    const struct fs_node *node = file->entry->node;
    if (access == LINUX_O_WRONLY || access == LINUX_O_ACCMODE ||
        (shared && (rights & LINUX_PROT_WRITE) != 0 && access != LINUX_O_RDWR)) {
        return -EACCES;
    }
    if (fs_type(node) != MODE_REGULAR || !node->ops->fill || node->ops == &fs_text_ops) {
        return -ENODEV;
    }
    if ((open->flags & LINUX_O_APPEND) != 0 && shared && (rights & LINUX_PROT_WRITE) != 0 &&
        !node->ops->store) {
        return -EACCES;
    }
    return 0;
}

long fs_map_begin(struct cella_open *open)
{
    const struct fs_file *file = fs_file_of(open);
    if (!file) {
        return -ENODEV;
    }
    fs_content_take(file->entry->node);
    return 0;
}

void fs_map_end(struct cella_open *open)
{
    fs_content_give(fs_file_of(open)->entry->node);
}

long fs_map_add(struct cella_open *open, uint64_t address, uint64_t size, uint64_t offset,
                bool writable)
{
    struct fs_shared_map *map = fs_new(sizeof(*map));
    if (!map) {
        return -ENOMEM;
    }
    struct fs_node *node = fs_file_of(open)->entry->node;
    atomic_fetch_add(&open->references, 1);
    atomic_fetch_add(&node->mapped, 1);
    *map = (struct fs_shared_map){.next = node->maps,
                                  .open = open,
                                  .address = address,
                                  .size = size,
                                  .offset = offset,
                                  .writable = writable};
    node->maps = map;
    return 0;
}

void fs_map_take(struct cella_open *open)
{
    linux_mutex_take(&fs_file_of(open)->entry->node->alike);
}

void fs_map_give(struct cella_open *open)
{
    linux_mutex_give(&fs_file_of(open)->entry->node->alike);
}

long fs_map_fill(struct cella_open *open, uint64_t offset, uint64_t size, void *to)
{
    return fill_held(fs_file_of(open), to, size, offset);
}

void fs_map_stored(struct cella_open *open, uint64_t address, uint64_t size)
{
    for (struct fs_shared_map *map = fs_file_of(open)->entry->node->maps; map; map = map->next) {
        map->writable = map->writable || (map->open == open && map->address < address + size &&
                                          address < map->address + map->size);
    }
}

bool fs_map_has(struct cella_open *open, uint64_t address)
{
    const struct fs_shared_map *map = fs_file_of(open)->entry->node->maps;
    while (map &&
           (map->open != open || address < map->address || address - map->address >= map->size)) {
        map = map->next;
    }
    return map != NULL;
}

void fs_map_write(struct cella_open *open, uint64_t address, uint64_t size)
{
    if (fs_file_of(open)) {
        fs_map_take(open);
        fs_map_stored(open, address, size);
        fs_map_give(open);
    }
}

long fs_map_sync(struct cella_open *open, uint64_t address, uint64_t size)
{
    struct fs_file *file = fs_file_of(open);
    long result = 0;
    if (!file) {
        return 0;
    }
    struct fs_node *node = file->entry->node;
    linux_mutex_take(&node->alike);
    for (const struct fs_shared_map *map = node->maps; map; map = map->next) {
        const uint64_t from = address > map->address ? address : map->address;
        const uint64_t to = min(address + size, map->address + map->size);
        if (map->writable && from < to) {
            const long pulled =
                pull(node, from - map->address + map->offset, to - map->address + map->offset);
            result = result == 0 ? pulled : result;
        }
    }
    linux_mutex_give(&node->alike);
    return result;
}

/*
 * Held: takes [from, to) out of a map; what is left behind it becomes `rest`. true: nothing is left. Without memory for
 * `rest` what lies behind is no longer kept alike with the file: it was when this began.
 */
static bool map_cut(struct fs_node *node, struct fs_shared_map *map, uint64_t from, uint64_t to,
                    struct fs_shared_map **rest)
{
    const uint64_t end = map->address + map->size;
    if (to < end && from > map->address && *rest) {
        struct fs_shared_map *behind = CELLA_TAKE(*rest);
        *behind = *map;
        behind->offset += to - map->address;
        behind->size = end - to;
        behind->address = to;
        atomic_fetch_add(&map->open->references, 1);
        atomic_fetch_add(&node->mapped, 1);
        map->next = behind;
        map->size = from - map->address;
        return false;
    }
    if (to >= end && from <= map->address) {
        return true;
    }
    if (from > map->address) {
        map->size = from - map->address;
    } else {
        map->offset += to - map->address;
        map->size = end - to;
        map->address = to;
    }
    return false;
}

void fs_map_remove(struct cella_open *open, uint64_t address, uint64_t size)
{
    struct fs_file *file = fs_file_of(open);
    struct fs_shared_map *dead = NULL;
    if (!file) {
        return;
    }
    struct fs_node *node = file->entry->node;
    struct fs_shared_map *rest = fs_new(sizeof(*rest));
    (void)fs_map_sync(open, rest ? address : 0, rest ? size : UINT64_MAX);
    linux_mutex_take(&node->alike);
    for (struct fs_shared_map **at = &node->maps; *at;) {
        struct fs_shared_map *map = *at;
        const uint64_t end = map->address + map->size;
        if (map->open != open || map->address >= address + size || end <= address ||
            !map_cut(node, map, address, address + size, &rest)) {
            at = &map->next;
            continue;
        }
        *at = map->next;
        map->next = dead;
        dead = map;
    }
    linux_mutex_give(&node->alike);
    while (dead) {
        struct fs_shared_map *next = dead->next;
        atomic_fetch_sub(&node->mapped, 1);
        cella_open_put(dead->open); /* not the last: its mapping has one */
        fs_free(dead, sizeof(*dead));
        dead = next;
    }
    fs_free(rest, sizeof(*rest));
}

/* Private mappings, and what else the kernel reads. */
long cella_linux_file_read(struct cella_open *open, uint64_t offset, uint64_t size, void *to)
{
    struct fs_file *file = fs_file_of(open);
    return file && file->entry->node->ops->fill ? fs_content_fill(file, to, size, offset) : -ENODEV;
}
