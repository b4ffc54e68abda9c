/*
 * Files in memory mappings: what may be mapped, and that mappings and files say the same.
 * Side: enclave. Called by memory.c, and by whatever reads and writes. docs/adr/0170 is why it is like that.
 * Never shares a page: an enclave page has one address. A shared mapping is a copy; writes to the file go into it at
 * once, what the program stores in it is taken back when the file is read, at msync, and when the mapping goes.
 */
#include "linux/fs_tree.h"

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

long fs_map_add(struct cella_open *open, uint64_t address, uint64_t size, uint64_t offset,
                bool writable)
{
    struct fs_file *file = fs_file_of(open);
    struct fs_shared_map *map = file ? fs_new(sizeof(*map)) : NULL;
    if (!map) {
        return file ? -ENOMEM : -ENODEV;
    }
    *map = (struct fs_shared_map){
        .open = open, .address = address, .size = size, .offset = offset, .writable = writable};
    struct fs_node *node = file->entry->node;
    cella_lock_take(&node->lists);
    map->next = node->maps;
    node->maps = map;
    cella_lock_give(&node->lists);
    return 0;
}

/*
 * The map at `index`, copied: the program's memory is not touched with the lock. With a reference of its open file, which
 * another thread may be closing: as long as a map is in the list, its mapping has one.
 */
static bool map_at(struct fs_node *node, uint32_t index, struct fs_shared_map *ret_map)
{
    cella_lock_take(&node->lists);
    const struct fs_shared_map *at = node->maps;
    while (at && index-- > 0) {
        at = at->next;
    }
    if (at) {
        *ret_map = *at;
        atomic_fetch_add(&at->open->references, 1);
    }
    cella_lock_give(&node->lists);
    return at != NULL;
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes [from, to) of the file, as they are in the map, into the file where they differ. Never makes it longer. */
static long pull(struct fs_file *file, const struct fs_shared_map *map, uint64_t from, uint64_t to)
{
    struct fs_node *node = file->entry->node;
    uint8_t *pages = fs_new(2 * SGX_PAGE_SIZE);
    long result = pages ? 0 : -ENOMEM;
    for (uint64_t at = from; pages && at < to;) {
        const uint64_t part = min(to - at, SGX_PAGE_SIZE - at % SGX_PAGE_SIZE);
        uint8_t *theirs = pages, *ours = pages + SGX_PAGE_SIZE;
        if (!linux_memory_get(theirs, map->open, at, map->address + (at - map->offset), part)) {
            at +=
                part; /* never touched, or no longer this mapping's: what it held was taken before */
            continue;
        }
        const long count = node->ops->fill(file, ours, part, at);
        if (count <= 0) {
            result = count < 0 ? count : result;
            break;
        }
        if (!cella_equal(theirs, ours, (uint64_t)count) && node->ops->store) {
            const long stored = node->ops->store(file, theirs, (uint64_t)count, at);
            result = stored == count ? result : stored < 0 ? stored : -EIO;
            fs_touch(node, FS_TOUCH_CONTENT);
        }
        at += (uint64_t)count;
    }
    fs_free(pages, 2 * SGX_PAGE_SIZE);
    return result;
}

/* An open file that can read and write the node: the map's own. */
static bool map_file(const struct fs_shared_map *map, struct fs_file **ret_file)
{
    *ret_file = fs_file_of(map->open);
    return *ret_file != NULL;
}

void fs_maps_pull(struct fs_node *node, uint64_t offset, uint64_t size)
{
    struct fs_shared_map map;
    struct fs_file *file;
    if (__atomic_load_n(&node->maps, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    for (uint32_t i = 0; map_at(node, i, &map); i++) {
        const uint64_t from = offset > map.offset ? offset : map.offset;
        const uint64_t to =
            min(offset + size < offset ? UINT64_MAX : offset + size, map.offset + map.size);
        if (map.writable && from < to && map_file(&map, &file)) {
            (void)pull(file, &map, from, to);
        }
        cella_open_put(map.open);
    }
}

void fs_maps_written(struct fs_node *node, uint64_t offset, uint64_t size)
{
    struct fs_shared_map map;
    struct fs_file *file;
    if (__atomic_load_n(&node->maps, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    uint8_t *page = fs_new(SGX_PAGE_SIZE);
    for (uint32_t i = 0; page && map_at(node, i, &map); i++) {
        uint64_t at = offset > map.offset ? offset : map.offset;
        const uint64_t to = min(offset + size, map.offset + map.size);
        while (at < to && map_file(&map, &file)) {
            const long count =
                node->ops->fill(file, page, min(to - at, SGX_PAGE_SIZE - at % SGX_PAGE_SIZE), at);
            if (count <= 0) {
                break;
            }
            linux_memory_put(map.open, at, map.address + (at - map.offset), page, (uint64_t)count);
            at += (uint64_t)count;
        }
        cella_open_put(map.open);
    }
    fs_free(page, SGX_PAGE_SIZE);
}

long fs_map_sync(struct cella_open *open, uint64_t address, uint64_t size)
{
    struct fs_file *file = fs_file_of(open);
    struct fs_shared_map map;
    long result = 0;
    if (!file) {
        return 0;
    }
    for (uint32_t i = 0; map_at(file->entry->node, i, &map); i++) {
        const uint64_t from = address > map.address ? address : map.address;
        const uint64_t to = min(address + size, map.address + map.size);
        if (map.writable && from < to) {
            const long pulled =
                pull(file, &map, from - map.address + map.offset, to - map.address + map.offset);
            result = result == 0 ? pulled : result;
        }
        cella_open_put(map.open);
    }
    return result;
}

/*
 * Under the lock: takes [from, to) out of a map; what is left behind it becomes `rest`. true: nothing is left. Without
 * memory for `rest` what lies behind is no longer kept alike with the file: it was when this began.
 */
static bool map_cut(struct fs_shared_map *map, uint64_t from, uint64_t to,
                    struct fs_shared_map **rest)
{
    const uint64_t end = map->address + map->size;
    if (to < end && from > map->address && *rest) {
        struct fs_shared_map *behind = CELLA_TAKE(*rest);
        *behind = *map;
        behind->offset += to - map->address;
        behind->size = end - to;
        behind->address = to;
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
    cella_lock_take(&node->lists);
    for (struct fs_shared_map **at = &node->maps; *at;) {
        struct fs_shared_map *map = *at;
        const uint64_t end = map->address + map->size;
        if (map->open != open || map->address >= address + size || end <= address ||
            !map_cut(map, address, address + size, &rest)) {
            at = &map->next;
            continue;
        }
        *at = map->next;
        map->next = dead;
        dead = map;
    }
    cella_lock_give(&node->lists);
    while (dead) {
        struct fs_shared_map *next = dead->next;
        fs_free(dead, sizeof(*dead));
        dead = next;
    }
    fs_free(rest, sizeof(*rest));
}

/* Private mappings, and the first fill of shared ones. */
long cella_linux_file_read(struct cella_open *open, uint64_t offset, uint64_t size, void *to)
{
    struct fs_file *file = fs_file_of(open);
    if (!file || !file->entry->node->ops->fill) {
        return -ENODEV;
    }
    fs_maps_pull(file->entry->node, offset, size);
    return file->entry->node->ops->fill(file, to, size, offset);
}
