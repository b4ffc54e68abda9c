/*
 * Files in enclave memory: content in pages, sparse, copied from a measured file's bytes when they are first written.
 * Side: enclave. Called by linux/fs_*.c.
 * Never gives out a byte of a page that another file had: pages come zeroed, and what is cut off is zeroed.
 */
#include "linux/fs_tree.h"

#define WAYS 512u
#define WAYS_BITS 9u
#define HEIGHT_MAX 6u
#define ALONE 0x80000000u
#define SPINS 1000u
#define SEEK_DATA 3u
#define FALLOC_KEEP_SIZE 1u
#define FALLOC_PUNCH_HOLE 2u
#define FALLOC_ZERO_RANGE 16u

static const uint8_t zeros[SGX_PAGE_SIZE];

static void pause_longer(uint32_t *spins)
{
    if (++*spins < SPINS) {
        __builtin_ia32_pause();
    } else {
        cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
    }
}

void fs_guard_share(struct fs_node *node)
{
    uint32_t spins = 0;
    for (;;) {
        uint32_t seen = atomic_load(&node->guard);
        if ((seen & ALONE) == 0 && atomic_compare_exchange_strong(&node->guard, &seen, seen + 1)) {
            return;
        }
        pause_longer(&spins);
    }
}

void fs_guard_unshare(struct fs_node *node)
{
    atomic_fetch_sub(&node->guard, 1);
}

void fs_guard_take(struct fs_node *node)
{
    uint32_t spins = 0;
    for (uint32_t none = 0; !atomic_compare_exchange_strong(&node->guard, &none, ALONE); none = 0) {
        pause_longer(&spins);
    }
}

void fs_guard_give(struct fs_node *node)
{
    atomic_store(&node->guard, 0);
}

static uint64_t ways_below(uint32_t height)
{
    return height == 0 ? 1 : 1ull << (WAYS_BITS * height);
}

/* Under `lists`: the slot of a page, made when `makes`; NULL: not there, or no memory. */
static void **slot_of(struct fs_node *node, uint64_t index, bool makes)
{
    struct fs_data *data = &node->data;
    while (index >= ways_below(data->height)) {
        void **level = makes && data->height < HEIGHT_MAX ? fs_page_new() : NULL;
        if (!level) {
            return NULL;
        }
        level[0] = data->root;
        data->root = level;
        data->height++;
    }
    void **slot = &data->root;
    for (uint32_t height = data->height; height > 0; height--) {
        if (!*slot) {
            *slot = makes ? fs_page_new() : NULL;
            if (!*slot) {
                return NULL;
            }
        }
        slot = (void **)*slot + (index >> (WAYS_BITS * (height - 1)) & (WAYS - 1));
    }
    return slot;
}

/* With the guard shared: what page `index` holds, for reading. */
static const uint8_t *page_look(struct fs_node *node, uint64_t index, uint32_t at, uint64_t *size)
{
    cella_lock_take(&node->lists);
    void **slot = slot_of(node, index, false);
    const uint8_t *page = slot ? *slot : NULL;
    cella_lock_give(&node->lists);
    if (page) {
        return page + at;
    }
    const uint64_t offset = index * SGX_PAGE_SIZE + at;
    if (offset >= node->data.base_size) {
        return zeros + at;
    }
    const uint64_t left = node->data.base_size - offset;
    *size = *size < left ? *size : left;
    return node->data.base + offset;
}

/* With the guard shared: a page for writing, with what was there before; NULL: no memory. */
static uint8_t *page_make(struct fs_node *node, uint64_t index)
{
    cella_lock_take(&node->lists);
    void **slot = slot_of(node, index, true);
    if (slot && !*slot) {
        const uint64_t offset = index * SGX_PAGE_SIZE;
        uint8_t *page = fs_page_new();
        if (page && offset < node->data.base_size) {
            const uint64_t left = node->data.base_size - offset;
            __builtin_memcpy(page, node->data.base + offset,
                             left < SGX_PAGE_SIZE ? left : SGX_PAGE_SIZE);
        }
        *slot = page;
        atomic_fetch_add(&node->data.pages, page != NULL);
    }
    uint8_t *page = slot ? *slot : NULL;
    cella_lock_give(&node->lists);
    return page;
}

/* Frees what lies in [from, to) (page numbers) below a slot that starts at `first`. At most HEIGHT_MAX deep. */
static void slot_cut(struct fs_node *node, void **slot, uint32_t height, uint64_t first,
                     uint64_t from, uint64_t to)
{
    const uint64_t span = ways_below(height);
    if (!*slot || first >= to || first + span <= from) {
        return;
    }
    if (height > 0) {
        for (uint32_t i = 0; i < WAYS; i++) {
            slot_cut(node, (void **)*slot + i, height - 1, first + i * ways_below(height - 1), from,
                     to);
        }
        if (first < from || first + span > to) {
            return; /* part of it stays */
        }
    } else {
        atomic_fetch_sub(&node->data.pages, 1);
    }
    fs_page_free(*slot);
    *slot = NULL;
}

void fs_data_free(struct fs_node *node)
{
    slot_cut(node, &node->data.root, node->data.height, 0, 0, UINT64_MAX);
    node->data.height = 0;
}

/* With the guard: bytes [from, to) of one page become zeros, where there is such a page. */
static bool page_clear(struct fs_node *node, uint64_t from, uint64_t to)
{
    const uint64_t index = from / SGX_PAGE_SIZE;
    void **slot = slot_of(node, index, false);
    uint8_t *page = slot ? *slot : NULL;
    if (!page && from < node->data.base_size) {
        page = page_make(node, index);
        if (!page) {
            return false;
        }
    }
    if (page) {
        cella_zero(page + from % SGX_PAGE_SIZE, to - from);
    }
    return true;
}

/* With the guard: [from, to) becomes a hole. Whole pages of the base have to become pages of zeros. */
static bool range_clear(struct fs_node *node, uint64_t from, uint64_t to)
{
    const uint64_t first = (from + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    const uint64_t last = to / SGX_PAGE_SIZE;
    bool done = true;
    if (first > last) {
        return page_clear(node, from, to);
    }
    if (from % SGX_PAGE_SIZE != 0) {
        done = page_clear(node, from, first * SGX_PAGE_SIZE);
    }
    if (to % SGX_PAGE_SIZE != 0) {
        done = page_clear(node, last * SGX_PAGE_SIZE, to) && done;
    }
    slot_cut(node, &node->data.root, node->data.height, 0, first, last);
    for (uint64_t i = first; i < last && i * SGX_PAGE_SIZE < node->data.base_size && done; i++) {
        done = page_clear(node, i * SGX_PAGE_SIZE, (i + 1) * SGX_PAGE_SIZE);
    }
    return done;
}

long fs_data_resize(struct fs_node *node, uint64_t size)
{
    long result = 0;
    if (size > FS_SIZE_MAX) {
        return -EFBIG;
    }
    fs_guard_take(node);
    const uint64_t before = atomic_load(&node->size);
    if (size < before) {
        node->data.base_size = node->data.base_size < size ? node->data.base_size : size;
        slot_cut(node, &node->data.root, node->data.height, 0,
                 (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE, UINT64_MAX);
        if (size % SGX_PAGE_SIZE != 0) {
            (void)page_clear(node, size, size - size % SGX_PAGE_SIZE + SGX_PAGE_SIZE);
        }
    }
    atomic_store(&node->size, size);
    fs_guard_give(node);
    return result;
}

static void size_raise(struct fs_node *node, uint64_t size)
{
    uint64_t seen = atomic_load(&node->size);
    while (seen < size && !atomic_compare_exchange_weak(&node->size, &seen, size)) {
    }
}

static long memory_read(struct fs_file *file, const struct cella_transfer *transfer,
                        uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    bool failed = false;
    fs_pieces_start(&pieces, &transfer->bytes);
    fs_guard_share(node);
    const uint64_t size = atomic_load(&node->size);
    const uint64_t left = offset < size ? size - offset : 0;
    while (!failed && done < left) {
        const uint64_t at = offset + done;
        uint64_t max = SGX_PAGE_SIZE - at % SGX_PAGE_SIZE;
        max = max < left - done ? max : left - done;
        const uint8_t *from = page_look(node, at / SGX_PAGE_SIZE, at % SGX_PAGE_SIZE, &max);
        if (!fs_pieces_next(&pieces, max, &part)) {
            failed = pieces.failed;
            break;
        }
        failed = !linux_user_write(part.at, from, part.size);
        done += failed ? 0 : part.size;
    }
    fs_guard_unshare(node);
    return failed && done == 0 ? -EFAULT : (long)done;
}

static long memory_write(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    long error = 0;
    if (offset >= FS_SIZE_MAX) {
        return -EFBIG;
    }
    fs_pieces_start(&pieces, &transfer->bytes);
    fs_guard_share(node);
    while (error == 0) {
        const uint64_t at = offset + done;
        const uint64_t max = SGX_PAGE_SIZE - at % SGX_PAGE_SIZE;
        if (!fs_pieces_next(&pieces, max, &part)) {
            error = pieces.failed ? -EFAULT : 0;
            break;
        }
        uint8_t *page = at < FS_SIZE_MAX ? page_make(node, at / SGX_PAGE_SIZE) : NULL;
        if (!page) {
            error = at < FS_SIZE_MAX ? -ENOSPC : -EFBIG;
        } else if (!linux_user_read(page + at % SGX_PAGE_SIZE, part.at, part.size)) {
            error = -EFAULT;
        } else {
            done += part.size;
            size_raise(node, offset + done);
        }
    }
    fs_guard_unshare(node);
    return done > 0 ? (long)done : error;
}

static long memory_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(to, size),
                                            .offset = (int64_t)offset};
    return memory_read(file, &transfer, offset);
}

static long memory_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {
        .bytes = CELLA_GATHER_ONE(from, size), .offset = (int64_t)offset, .writing = true};
    return memory_write(file, &transfer, offset);
}

/* The next page with (or without) content, from `index` on, below `end`. */
static uint64_t page_find(struct fs_node *node, uint64_t index, uint64_t end, bool with)
{
    for (; index < end; index++) {
        cella_lock_take(&node->lists);
        void **slot = slot_of(node, index, false);
        const bool has = (slot && *slot) || index * SGX_PAGE_SIZE < node->data.base_size;
        cella_lock_give(&node->lists);
        if (has == with) {
            break;
        }
        if (!slot && !with) {
            break;
        }
    }
    return index;
}

static long memory_seek(struct fs_file *file, int64_t offset, uint64_t whence)
{
    struct fs_node *node = file->entry->node;
    const uint64_t size = atomic_load(&node->size);
    if (offset < 0 || (uint64_t)offset >= size) {
        return -ENXIO;
    }
    const uint64_t end = (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    const uint64_t first = (uint64_t)offset / SGX_PAGE_SIZE;
    fs_guard_share(node);
    const uint64_t found = page_find(node, first, end, whence == SEEK_DATA);
    fs_guard_unshare(node);
    if (found >= end) {
        return whence == SEEK_DATA ? -ENXIO : (long)size;
    }
    const uint64_t at = found * SGX_PAGE_SIZE;
    return at > (uint64_t)offset ? (long)(at < size ? at : size) : (long)offset;
}

static long memory_reserve(struct fs_file *file, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct fs_node *node = file->entry->node;
    const uint64_t end = offset + size;
    bool done = true;
    if ((mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) != 0 ||
        ((mode & FALLOC_PUNCH_HOLE) != 0 && (mode & FALLOC_KEEP_SIZE) == 0) ||
        ((mode & FALLOC_PUNCH_HOLE) != 0 && (mode & FALLOC_ZERO_RANGE) != 0)) {
        return -EOPNOTSUPP;
    }
    if ((mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) != 0) {
        fs_guard_take(node);
        const uint64_t known = atomic_load(&node->size);
        const uint64_t to = end < known ? end : known;
        done = offset >= to || range_clear(node, offset, to);
        fs_guard_give(node);
    } else {
        fs_guard_share(node);
        for (uint64_t i = offset / SGX_PAGE_SIZE; i * SGX_PAGE_SIZE < end && done; i++) {
            done = page_make(node, i) != NULL;
        }
        fs_guard_unshare(node);
    }
    if (done && (mode & FALLOC_KEEP_SIZE) == 0) {
        size_raise(node, end);
    }
    return done ? 0 : -ENOSPC;
}

static long memory_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    const struct fs_node *node = entry->node;
    const uint32_t size = node->text_size < capacity ? node->text_size : capacity;
    __builtin_memcpy(to, node->text, size);
    return (long)size;
}

static long memory_make(struct fs_entry *directory, struct fs_name name, const struct fs_make *make,
                        struct fs_entry **ret_entry)
{
    struct fs_node *node = fs_node_new(directory->node->tree, &fs_memory_ops, make->mode);
    if (!node) {
        return -ENOSPC;
    }
    node->special = make->special;
    if ((directory->node->mode & 02000) != 0) { /* set-group-id directories give their group */
        node->group = directory->node->group;
        node->mode |= fs_type(node) == MODE_DIRECTORY ? 02000 : 0;
    }
    if (make->text) {
        node->text = fs_text_copy(make->text, make->text_size);
        node->text_size = make->text_size;
        atomic_store(&node->size, make->text_size);
        if (!node->text) {
            node->text_size = 0;
            fs_node_put(node);
            return -ENOSPC;
        }
    }
    struct fs_entry *entry = fs_entry_new(directory, name, node);
    if (!entry) {
        return -ENOSPC;
    }
    fs_entry_hash(entry, true);
    fs_touch(directory->node, FS_TOUCH_CONTENT);
    *ret_entry = entry;
    return 0;
}

static long memory_remove(struct fs_entry *entry)
{
    struct fs_node *node = entry->node;
    if (fs_is_directory(entry) && node->first) {
        return -ENOTEMPTY;
    }
    fs_touch(entry->parent->node, FS_TOUCH_CONTENT);
    fs_entry_unhash(entry);
    fs_touch(node, FS_TOUCH_CHANGE);
    fs_take();
    node->links -= fs_is_directory(entry) ? node->links : 1;
    fs_give();
    return 0;
}

static long memory_link(struct fs_entry *from, struct fs_entry *directory, struct fs_name name)
{
    struct fs_node *node = from->node;
    fs_take();
    node->references++;
    fs_give();
    struct fs_entry *entry = fs_entry_new(directory, name, node);
    if (!entry) {
        return -ENOSPC;
    }
    fs_take();
    node->links++;
    fs_give();
    fs_entry_hash(entry, true);
    fs_touch(node, FS_TOUCH_CHANGE);
    fs_touch(directory->node, FS_TOUCH_CONTENT);
    fs_entry_put(entry);
    return 0;
}

static long memory_rename(struct fs_entry *from, struct fs_entry *directory, struct fs_name name,
                          struct fs_entry *target, uint32_t flags)
{
    long result = 0;
    if ((flags & 2) != 0) { /* RENAME_EXCHANGE */
        fs_entry_exchange(from, target);
    } else {
        result = target ? memory_remove(target) : 0;
        if (result != 0) {
            return result;
        }
        fs_touch(from->parent->node, FS_TOUCH_CONTENT);
        result = fs_entry_move(from, directory, name);
    }
    fs_touch(directory->node, FS_TOUCH_CONTENT);
    fs_touch(from->node, FS_TOUCH_CHANGE);
    return result;
}

/* Positions are serials: a name that stays is told once, whatever comes and goes beside it. */
static long memory_list(struct fs_file *file, struct fs_listing *listing)
{
    struct fs_node *node = file->entry->node;
    bool goes_on = true;
    fs_take();
    for (const struct fs_entry *at = node->first; at && goes_on; at = at->next) {
        if (at->serial + 2 > file->position) {
            goes_on =
                fs_listing_put(listing, (struct fs_name){.text = at->name, .size = at->name_size},
                               at->node->inode, at->node->mode, at->serial + 2);
        }
    }
    fs_give();
    return 0;
}

static long memory_change(struct fs_entry *entry, struct fs_file *file,
                          const struct fs_change *change)
{
    struct fs_node *node = entry->node;
    (void)file;
    if ((change->what & FS_CHANGE_SIZE) != 0) {
        const long result = fs_data_resize(node, change->size);
        if (result != 0) {
            return result;
        }
        fs_touch(node, FS_TOUCH_CONTENT);
    }
    fs_take();
    if ((change->what & FS_CHANGE_MODE) != 0) {
        node->mode = (node->mode & MODE_TYPE) | (change->mode & MODE_BITS);
    }
    node->user = (change->what & FS_CHANGE_USER) != 0 ? change->user : node->user;
    node->group = (change->what & FS_CHANGE_GROUP) != 0 ? change->group : node->group;
    if ((change->what & FS_CHANGE_ACCESSED) != 0) {
        __builtin_memcpy(node->accessed, change->accessed, sizeof(node->accessed));
    }
    if ((change->what & FS_CHANGE_MODIFIED) != 0) {
        __builtin_memcpy(node->modified, change->modified, sizeof(node->modified));
    }
    fs_give();
    fs_touch(node, FS_TOUCH_CHANGE);
    return 0;
}

const struct fs_ops fs_memory_ops = {
    .make = memory_make,
    .remove = memory_remove,
    .link = memory_link,
    .rename = memory_rename,
    .list = memory_list,
    .text = memory_text,
    .change = memory_change,
    .read = memory_read,
    .write = memory_write,
    .fill = memory_fill,
    .store = memory_store,
    .reserve = memory_reserve,
    .seek = memory_seek,
};
