/*
 * Opening by path; the current directory; what is in a directory; files without a name.
 * Side: enclave. Called by fs_calls.c.
 * Never lets go of the names while a file is made: who comes second with O_EXCL finds it there.
 */
#include "linux/fs_tree.h"

#define O_EXCL_FLAG 0200u
#define O_TRUNC_FLAG 01000u
#define O_NOFOLLOW_FLAG 0400000u
#define O_TMPFILE_FLAGS 020200000u
#define PATH_FLAGS (LINUX_O_PATH | LINUX_O_DIRECTORY | O_NOFOLLOW_FLAG | LINUX_O_CLOEXEC)
/* What an open for reading may have beside. */
#define READ_FLAGS (LINUX_O_CLOEXEC | LINUX_O_NONBLOCK | O_NOFOLLOW_FLAG | O_LARGEFILE_FLAG)
#define O_LARGEFILE_FLAG 0100000u
#define LISTING_SIZE 32768u
#define RECORD_HEAD 19u
#define MFD_ALL 0x1Fu
#define MFD_CLOEXEC 1u
#define MFD_NAME_MAX 249u

_Atomic uint32_t fs_umask = 022;

struct fs_listing {
    uint8_t *at;
    uint32_t size, used;
    uint64_t next;
    bool is_full;
};

static bool writes(uint32_t flags)
{
    const uint32_t access = flags & LINUX_O_ACCMODE;
    return access == LINUX_O_WRONLY || access == LINUX_O_RDWR || access == LINUX_O_ACCMODE ||
           (flags & O_TRUNC_FLAG) != 0;
}

static bool reads(uint32_t flags)
{
    return (flags & LINUX_O_ACCMODE) != LINUX_O_WRONLY;
}

long fs_may_change(struct fs_entry *directory)
{
    if (directory->node->tree->is_read_only) {
        return -EROFS;
    }
    if (directory->is_deleted) {
        return -ENOENT;
    }
    return fs_permits(directory->node, FS_WRITE | FS_EXEC);
}

/* What is there can be opened so: 0, or an errno. */
static long open_check(const struct fs_entry *entry, uint32_t flags)
{
    const struct fs_node *node = entry->node;
    const uint32_t type = fs_type(node);
    if ((flags & LINUX_O_CREAT) != 0 && type == MODE_DIRECTORY) {
        return -EISDIR;
    }
    if ((flags & LINUX_O_DIRECTORY) != 0 && type != MODE_DIRECTORY) {
        return -ENOTDIR;
    }
    if ((flags & LINUX_O_PATH) != 0) {
        return 0;
    }
    if (type == MODE_LINK) {
        return -ELOOP;
    }
    if (type == MODE_DIRECTORY && writes(flags)) {
        return -EISDIR;
    }
    if (type == MODE_SOCKET || (node->tree->root->node->ops->opens_to_make &&
                                type != MODE_REGULAR && type != MODE_DIRECTORY)) {
        return -ENXIO; /* the host's devices and pipes are not for a program that is to be protected */
    }
    if (writes(flags) && node->tree->is_read_only && type == MODE_REGULAR) {
        return -EROFS;
    }
    return fs_permits(node, (writes(flags) ? FS_WRITE : 0) | (reads(flags) ? FS_READ : 0));
}

/* A new regular file: its entry, with what the class has made of it so far. */
static long file_make(struct fs_place *place, uint32_t mode, struct fs_entry **ret_entry)
{
    const struct fs_make make = {.mode = MODE_REGULAR | mode};
    struct fs_entry *parent = place->parent;
    const long result = fs_may_change(parent);
    if (result != 0) {
        return result;
    }
    return parent->node->ops->make
               ? parent->node->ops->make(parent, fs_place_name(place), &make, ret_entry)
               : -EACCES;
}

/* The place's entry, made where it is asked for; NULL and an errno. */
static struct fs_entry *entry_of(struct fs_place *place, uint32_t flags, uint32_t mode,
                                 bool *ret_is_new, long *ret_error)
{
    struct fs_entry *entry = NULL;
    *ret_is_new = false;
    if (place->target) {
        *ret_error = (flags & LINUX_O_CREAT) != 0 && (flags & O_EXCL_FLAG) != 0
                         ? -EEXIST
                         : open_check(place->target, flags);
        entry = *ret_error == 0 ? fs_entry_get(place->target) : NULL;
    } else if ((flags & LINUX_O_CREAT) == 0) {
        *ret_error = -ENOENT;
    } else {
        *ret_is_new = true;
        *ret_error = file_make(place, mode, &entry);
    }
    return entry;
}

/* A file that no directory has; it may be linked somewhere later. */
static struct fs_entry *nameless(struct fs_entry *directory, struct fs_name name, uint32_t mode)
{
    struct fs_node *node = fs_node_new(directory->node->tree, &fs_memory_ops, MODE_REGULAR | mode);
    struct fs_entry *entry = node ? fs_entry_new(directory, name, node) : NULL;
    if (entry) {
        entry->is_deleted = true;
        node->links = 0;
    }
    return entry;
}

static struct fs_entry *temporary_of(struct fs_place *place, uint32_t flags, uint32_t mode,
                                     long *ret_error)
{
    static const struct fs_name name = {.text = "#temporary", .size = 10};
    struct fs_entry *directory = place->target;
    *ret_error = !directory                                         ? -ENOENT
                 : !fs_is_directory(directory)                      ? -ENOTDIR
                 : (flags & LINUX_O_ACCMODE) == 0                   ? -EINVAL
                 : directory->node->ops->make != fs_memory_ops.make ? -EOPNOTSUPP
                                                                    : fs_may_change(directory);
    if (*ret_error != 0) {
        return NULL;
    }
    struct fs_entry *entry = nameless(directory, name, mode);
    *ret_error = entry ? 0 : -ENOSPC;
    return entry;
}

static struct cella_open *open_at(struct fs_entry *entry, uint32_t flags, uint32_t mode,
                                  long *ret_error)
{
    if (fs_type(entry->node) == MODE_FIFO && (flags & LINUX_O_PATH) == 0) {
        struct cella_open *open = NULL;
        *ret_error = fs_fifo_open(entry->node, flags, &open);
        return open;
    }
    return fs_open_entry(entry, flags, mode, ret_error);
}

/* With the names' lock when O_CREAT asks for a file. */
static struct fs_entry *walk_open(uint64_t directory, uint64_t path, uint32_t flags, uint32_t mode,
                                  struct fs_place *place, bool *ret_is_new, long *ret_error)
{
    const bool is_temporary = (flags & O_TMPFILE_FLAGS) == O_TMPFILE_FLAGS;
    const bool creates = (flags & LINUX_O_CREAT) != 0;
    const bool follows = (flags & O_NOFOLLOW_FLAG) == 0 && !(creates && (flags & O_EXCL_FLAG) != 0);
    const bool only_reads = (flags & ~READ_FLAGS) == 0;
    const uint32_t how =
        (follows ? FS_FOLLOW : 0) | (creates ? FS_NAMES | FS_FILE : 0) | (only_reads ? FS_OPEN : 0);
    *ret_is_new = false;
    *ret_error = fs_place_take(directory, path, how, place);
    if (*ret_error == 0 && place->is_long) {
        *ret_error = -ENAMETOOLONG;
    }
    if (*ret_error == 0 && place->open && place->kind == FS_PLACE_NAME) {
        atomic_store(&place->open->flags, flags & ~LINUX_O_CLOEXEC);
    }
    if (*ret_error != 0 || place->open) {
        return NULL;
    }
    return is_temporary ? temporary_of(place, flags, mode, ret_error)
                        : entry_of(place, flags, mode, ret_is_new, ret_error);
}

static struct cella_open *open_path(uint64_t directory, uint64_t path, uint32_t flags,
                                    uint32_t mode, long *ret_error)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *entry = NULL;
    struct cella_open *open = NULL;
    const bool creates = (flags & LINUX_O_CREAT) != 0;
    bool is_new = false;
    if (creates) {
        fs_names_take();
    }
    entry = walk_open(directory, path, flags, mode, &place, &is_new, ret_error);
    if (entry && is_new && entry->node->ops->opens_to_make) {
        open = fs_open_entry(entry, flags | O_EXCL_FLAG, mode, ret_error);
    }
    if (creates) {
        fs_names_give();
    }
    if (!entry || open || *ret_error != 0) {
        if (place.open && *ret_error == 0) {
            open = CELLA_TAKE(place.open); /* what a link of /proc/self/fd names */
        }
        return open;
    }
    return open_at(entry, is_new ? flags & ~O_TRUNC_FLAG : flags & ~LINUX_O_CREAT, mode, ret_error);
}

static long call_open(uint64_t directory, uint64_t path, uint64_t wanted, uint64_t mode)
{
    uint32_t flags = (uint32_t)wanted;
    long error = 0;
    if ((flags & LINUX_O_PATH) != 0) {
        flags &= PATH_FLAGS;
    }
    if ((flags & LINUX_O_CREAT) != 0 && (flags & LINUX_O_DIRECTORY) != 0) {
        return -EINVAL;
    }
    if ((flags & O_TMPFILE_FLAGS) == O_TMPFILE_FLAGS && !writes(flags & LINUX_O_ACCMODE)) {
        return -EINVAL;
    }
    struct cella_open *open =
        open_path(directory, path, flags, (uint32_t)mode & MODE_BITS & ~fs_umask, &error);
    return open ? cella_descriptor_add(open, (flags & LINUX_O_CLOEXEC) != 0, 0) : error;
}

static long call_memory_file(uint64_t user, uint64_t flags)
{
    char name[sizeof("memfd:") + FS_NAME_MAX] = "memfd:";
    CELLA_CLEANUP(fs_path_done) struct fs_path path = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *entry = NULL;
    long error = fs_path_take(user, &path);
    if ((flags & ~(uint64_t)MFD_ALL) != 0 || (error == 0 && path.size > MFD_NAME_MAX) ||
        error == -ENAMETOOLONG) {
        return -EINVAL;
    }
    if (error != 0) {
        return error;
    }
    __builtin_memcpy(name + 6, path.text, path.size);
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *root = fs_root_get();
    entry = nameless(root, (struct fs_name){.text = name, .size = 6 + path.size}, 0777);
    if (!entry) {
        return -ENOMEM;
    }
    struct cella_open *open = fs_open_entry(entry, LINUX_O_RDWR, 0, &error);
    return open ? cella_descriptor_add(open, (flags & MFD_CLOEXEC) != 0, 0) : error;
}

/* ------------------------------------------------------------------- directories */

static long current_change(struct fs_entry *entry)
{
    if (!fs_is_directory(entry)) {
        return -ENOTDIR;
    }
    const long result = fs_permits(entry->node, FS_EXEC);
    if (result == 0) {
        fs_current_set(entry);
    }
    return result;
}

static long call_chdir(uint64_t path)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    const long result = fs_target_take((uint64_t)LINUX_AT_FDCWD, path, FS_FOLLOW, &place);
    if (result != 0) {
        return result;
    }
    return place.target ? current_change(place.target) : -ENOTDIR;
}

static long call_fchdir(uint64_t fd)
{
    CELLA_OPEN_GET(open, fd);
    const struct fs_file *file = fs_file_of(open);
    if (!file) {
        return open ? -ENOTDIR : -EBADF;
    }
    return current_change(file->entry);
}

static long call_getcwd(uint64_t to, uint64_t capacity)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *entry = fs_current_get();
    char *text = fs_new(FS_PATH_SIZE);
    if (!text) {
        return -ENOMEM;
    }
    long size = fs_entry_path(entry, text, FS_PATH_SIZE - 1, false);
    if (size >= 0) {
        text[size++] = 0;
        if ((uint64_t)size > capacity) {
            size = -ERANGE;
        } else if (!linux_user_write(to, text, (uint64_t)size)) {
            size = -EFAULT;
        }
    }
    fs_free(text, FS_PATH_SIZE);
    return size;
}

uint64_t fs_listing_left(const struct fs_listing *listing)
{
    return listing->size - listing->used;
}

/* DT_*: the type bits of a mode. */
bool fs_listing_put(struct fs_listing *listing, struct fs_name name, uint64_t inode, uint32_t mode,
                    uint64_t next)
{
    const uint32_t size = (RECORD_HEAD + name.size + 1 + 7) & ~7u;
    if (listing->is_full || size > listing->size - listing->used) {
        listing->is_full = true;
        return false;
    }
    uint8_t *record = listing->at + listing->used;
    const uint16_t size16 = (uint16_t)size;
    cella_zero(record, size);
    __builtin_memcpy(record, &inode, 8);
    __builtin_memcpy(record + 8, &next, 8);
    __builtin_memcpy(record + 16, &size16, 2);
    record[18] = (uint8_t)(mode >> 12 & 15);
    __builtin_memcpy(record + RECORD_HEAD, name.text, name.size);
    listing->used += size;
    listing->next = next;
    return true;
}

/* Positions 0 and 1 are "." and "..", the others the class's. */
static long directory_list(struct fs_file *file, struct fs_listing *listing)
{
    struct fs_entry *entry = file->entry;
    static const struct fs_name dots = {.text = "..", .size = 2};
    if (entry->node->ops->lists_dots) {
        return entry->node->ops->list(file, listing);
    }
    if (file->position == 0 && !fs_listing_put(listing, (struct fs_name){.text = ".", .size = 1},
                                               entry->node->inode, MODE_DIRECTORY, 1)) {
        return 0;
    }
    fs_take();
    const uint64_t up = entry->parent ? entry->parent->node->inode : entry->node->inode;
    fs_give();
    if (file->position <= 1) {
        if (!fs_listing_put(listing, dots, up, MODE_DIRECTORY, 2)) {
            return 0;
        }
        file->position = 2;
    }
    return entry->node->ops->list ? entry->node->ops->list(file, listing) : 0;
}

static long entries_take(struct fs_file *file, uint64_t to, uint64_t size)
{
    struct fs_listing listing = {.size = size < LISTING_SIZE ? (uint32_t)size : LISTING_SIZE};
    if (!fs_is_directory(file->entry)) {
        return -ENOTDIR;
    }
    if (file->entry->is_deleted) {
        return -ENOENT;
    }
    listing.at = fs_new(LISTING_SIZE);
    if (!listing.at) {
        return -ENOMEM;
    }
    linux_mutex_take(&file->mutex);
    const uint64_t before = file->position;
    long result = directory_list(file, &listing);
    if (result == 0) {
        result = listing.used == 0 && listing.is_full ? -EINVAL : (long)listing.used;
    }
    if (result > 0 && !linux_user_write(to, listing.at, listing.used)) {
        result = -EFAULT;
    }
    file->position = result > 0 ? listing.next : before;
    linux_mutex_give(&file->mutex);
    fs_free(listing.at, LISTING_SIZE);
    return result;
}

static long call_entries(uint64_t fd, uint64_t to, uint64_t size)
{
    CELLA_OPEN_GET(open, fd);
    if (!open || (open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    struct fs_file *file = fs_file_of(open);
    return file ? entries_take(file, to, size) : -ENOTDIR;
}

bool fs_open_calls(struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_open:
        *ret_result = call_open(here, ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_openat:
        *ret_result = call_open(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        return true;
    case __NR_creat:
        *ret_result = call_open(here, ARG0(regs), 01101, ARG1(regs));
        return true;
    case __NR_memfd_create:
        *ret_result = call_memory_file(ARG0(regs), (uint32_t)ARG1(regs));
        return true;
    case __NR_chdir:
        *ret_result = call_chdir(ARG0(regs));
        return true;
    case __NR_fchdir:
        *ret_result = call_fchdir((uint32_t)ARG0(regs));
        return true;
    case __NR_getcwd:
        *ret_result = call_getcwd(ARG0(regs), ARG1(regs));
        return true;
    case __NR_getdents64:
        *ret_result = call_entries((uint32_t)ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_umask:
        *ret_result = (long)atomic_exchange(&fs_umask, (uint32_t)ARG0(regs) & 0777);
        return true;
    default:
        return false;
    }
}
