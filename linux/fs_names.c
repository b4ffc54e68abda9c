/*
 * What changes names: mkdir, rmdir, unlink, rename, link, symlink, mknod.
 * Side: enclave. Called by fs_calls.c.
 * Never changes two things at once: all of it is done with the names' lock, from the walk to the change.
 */
#include "linux/fs_tree.h"

#define AT_REMOVEDIR 0x200u
#define AT_SYMLINK_FOLLOW 0x400u
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u
#define STICKY 01000u

/* The parent's name can be given away: nobody has it, and the directory may be changed. */
static long may_make(const struct fs_place *place, bool is_directory)
{
    if (place->kind != FS_PLACE_NAME || place->target) {
        return -EEXIST;
    }
    if (place->has_slash && !is_directory) {
        return -ENOENT;
    }
    return fs_may_change(place->parent);
}

static long may_remove(const struct fs_place *place)
{
    const struct fs_node *directory = place->parent->node;
    const long result = fs_may_change(place->parent);
    if (result != 0) {
        return result;
    }
    if ((directory->mode & STICKY) != 0 && !fs_is_owner(directory) &&
        !fs_is_owner(place->target->node)) {
        return -EPERM;
    }
    return 0;
}

/* A path whose last name is to change. */
static long names_take(uint64_t directory, uint64_t path, struct fs_place *ret_place)
{
    const long result = fs_place_take(directory, path, FS_NAMES, ret_place);
    return result == 0 && ret_place->is_long ? -ENAMETOOLONG : result;
}

static long make_at(struct fs_place *place, const struct fs_make *make)
{
    struct fs_entry *entry = NULL;
    const long result = may_make(place, (make->mode & MODE_TYPE) == MODE_DIRECTORY);
    if (result != 0) {
        return result;
    }
    const struct fs_ops *ops = place->parent->node->ops;
    if (!ops->make) {
        return -EPERM;
    }
    const long made = ops->make(place->parent, fs_place_name(place), make, &entry);
    if (made != 0) {
        return made;
    }
    if (entry->node->ops->opens_to_make && fs_type(entry->node) == MODE_REGULAR) {
        long error = 0;
        struct cella_open *open =
            fs_open_entry(entry, LINUX_O_CREAT | LINUX_O_WRONLY | 0200u, make->mode, &error);
        if (open) {
            cella_open_put(open);
        }
        fs_entry_put(entry);
        return error;
    }
    fs_entry_put(entry);
    return 0;
}

static long call_make(uint64_t directory, uint64_t path, const struct fs_make *make)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    fs_names_take();
    long result = names_take(directory, path, &place);
    if (result == 0) {
        result = make_at(&place, make);
    }
    fs_names_give();
    return result;
}

static long call_mkdir(uint64_t directory, uint64_t path, uint64_t mode)
{
    const struct fs_make make = {.mode = MODE_DIRECTORY | ((uint32_t)mode & 01777 & ~fs_umask)};
    return call_make(directory, path, &make);
}

static long call_mknod(uint64_t directory, uint64_t path, uint64_t mode)
{
    const uint32_t type = (uint32_t)mode & MODE_TYPE;
    const struct fs_make make = {.mode = (type == 0 ? MODE_REGULAR : type) |
                                         ((uint32_t)mode & MODE_BITS & ~fs_umask)};
    if (type != 0 && type != MODE_REGULAR && type != MODE_FIFO && type != MODE_SOCKET) {
        return type == MODE_DIRECTORY || type == MODE_CHARACTER || type == 0060000 ? -EPERM
                                                                                   : -EINVAL;
    }
    return call_make(directory, path, &make);
}

static long call_symlink(uint64_t text, uint64_t directory, uint64_t path)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path link = {0};
    const long result = fs_path_take(text, &link);
    if (result != 0) {
        return result;
    }
    const struct fs_make make = {
        .mode = MODE_LINK | 0777, .text = link.text, .text_size = link.size};
    return link.size == 0 ? -ENOENT : call_make(directory, path, &make);
}

static long remove_file(const struct fs_place *place)
{
    if (place->kind != FS_PLACE_NAME) {
        return -EISDIR;
    }
    if (!place->target) {
        return -ENOENT;
    }
    if (place->has_slash) {
        return fs_is_directory(place->target) ? -EISDIR : -ENOTDIR;
    }
    const long result = may_remove(place);
    if (result != 0) {
        return result;
    }
    if (fs_is_directory(place->target)) {
        return -EISDIR;
    }
    const struct fs_ops *ops = place->parent->node->ops;
    return place->is_mount ? -EBUSY : ops->remove ? ops->remove(place->target) : -EPERM;
}

static long remove_directory(const struct fs_place *place)
{
    if (place->kind != FS_PLACE_NAME) {
        return place->name_size == 2 ? -ENOTEMPTY : place->name_size == 1 ? -EINVAL : -EBUSY;
    }
    if (!place->target) {
        return -ENOENT;
    }
    const long result = may_remove(place);
    if (result != 0) {
        return result;
    }
    if (!fs_is_directory(place->target)) {
        return -ENOTDIR;
    }
    const struct fs_ops *ops = place->parent->node->ops;
    return place->is_mount ? -EBUSY : ops->remove ? ops->remove(place->target) : -EPERM;
}

static long call_remove(uint64_t directory, uint64_t path, bool is_directory)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    fs_names_take();
    long result = names_take(directory, path, &place);
    if (result == 0) {
        result = is_directory ? remove_directory(&place) : remove_file(&place);
    }
    fs_names_give();
    return result;
}

static long link_at(const struct fs_place *from, const struct fs_place *to)
{
    const long result = may_make(to, false);
    if (result != 0) {
        return result;
    }
    const struct fs_node *node = from->target->node;
    if (node->tree != to->parent->node->tree) {
        return -EXDEV;
    }
    if (fs_type(node) == MODE_DIRECTORY) {
        return -EPERM;
    }
    const struct fs_ops *ops = to->parent->node->ops;
    return ops->link ? ops->link(from->target, to->parent, fs_place_name(to)) : -EPERM;
}

static long call_link(uint64_t from_directory, uint64_t from, uint64_t to_directory, uint64_t to,
                      uint64_t flags)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place first = {0};
    CELLA_CLEANUP(fs_place_done) struct fs_place second = {0};
    const uint32_t how = ((flags & AT_SYMLINK_FOLLOW) != 0 ? FS_FOLLOW : 0) |
                         ((flags & LINUX_AT_EMPTY_PATH) != 0 ? FS_EMPTY : 0);
    if ((flags & ~(uint64_t)(AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    fs_names_take();
    long result = fs_target_take(from_directory, from, how, &first);
    if (result == 0) {
        result = first.target ? names_take(to_directory, to, &second) : -EXDEV;
    }
    if (result == 0) {
        result = link_at(&first, &second);
    }
    fs_names_give();
    return result;
}

/* The places of a rename: what can be said before anything is looked at in them. */
static long rename_check(const struct fs_place *from, const struct fs_place *to, uint32_t flags)
{
    if (from->kind != FS_PLACE_NAME) {
        return -EBUSY;
    }
    if (to->kind != FS_PLACE_NAME) {
        return (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    }
    if (from->parent->node->tree != to->parent->node->tree) {
        return -EXDEV;
    }
    if (from->parent->node->tree->is_read_only) {
        return -EROFS;
    }
    if (from->is_long || (from->target && to->is_long)) {
        return -ENAMETOOLONG;
    }
    if (!from->target) {
        return -ENOENT;
    }
    if ((flags & RENAME_NOREPLACE) != 0 && to->target) {
        return -EEXIST;
    }
    if ((flags & RENAME_EXCHANGE) != 0) {
        if (!to->target) {
            return -ENOENT;
        }
        if (!fs_is_directory(to->target) && to->has_slash) {
            return -ENOTDIR;
        }
    }
    if (!fs_is_directory(from->target) &&
        (from->has_slash || ((flags & RENAME_EXCHANGE) == 0 && to->has_slash))) {
        return -ENOTDIR;
    }
    if (fs_entry_is_below(to->parent, from->target)) {
        return -EINVAL;
    }
    if (to->target && fs_entry_is_below(from->parent, to->target)) {
        return (flags & RENAME_EXCHANGE) != 0 ? -EINVAL : -ENOTEMPTY;
    }
    return 0;
}

static long rename_at(const struct fs_place *from, const struct fs_place *to, uint32_t flags)
{
    long result = rename_check(from, to, flags);
    if (result != 0) {
        return result;
    }
    const bool exchanges = (flags & RENAME_EXCHANGE) != 0;
    const bool is_directory = fs_is_directory(from->target);
    if (to->target && fs_is_same(to->target->node, from->target->node)) {
        return 0;
    }
    result = may_remove(from);
    if (result == 0) {
        result = to->target ? may_remove(to) : fs_may_change(to->parent);
    }
    if (result == 0 && to->target && !exchanges && fs_is_directory(to->target) != is_directory) {
        result = is_directory ? -ENOTDIR : -EISDIR;
    }
    if (result == 0 && is_directory && from->parent != to->parent) {
        result = fs_permits(from->target->node, FS_WRITE);
    }
    if (result != 0) {
        return result;
    }
    if (from->is_mount || to->is_mount) {
        return -EBUSY;
    }
    const struct fs_ops *ops = from->parent->node->ops;
    return ops->rename ? ops->rename(from->target, to->parent, fs_place_name(to), to->target, flags)
                       : -EPERM;
}

static long call_rename(uint64_t from_directory, uint64_t from, uint64_t to_directory, uint64_t to,
                        uint64_t flags)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place first = {0};
    CELLA_CLEANUP(fs_place_done) struct fs_place second = {0};
    if ((flags & ~(uint64_t)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        return -EINVAL;
    }
    fs_names_take();
    long result = fs_place_take(from_directory, from, FS_NAMES, &first);
    if (result == 0) {
        result = fs_place_take(to_directory, to, FS_NAMES, &second);
    }
    if (result == 0) {
        result = rename_at(&first, &second, (uint32_t)flags);
    }
    fs_names_give();
    return result;
}

static bool make_calls(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_mkdir:
        *ret_result = call_mkdir(here, ARG0(regs), ARG1(regs));
        return true;
    case __NR_mkdirat:
        *ret_result = call_mkdir(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_mknod:
        *ret_result = call_mknod(here, ARG0(regs), ARG1(regs));
        return true;
    case __NR_mknodat:
        *ret_result = call_mknod(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_symlink:
        *ret_result = call_symlink(ARG0(regs), here, ARG1(regs));
        return true;
    case __NR_symlinkat:
        *ret_result = call_symlink(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_link:
        *ret_result = call_link(here, ARG0(regs), here, ARG1(regs), 0);
        return true;
    case __NR_linkat:
        *ret_result =
            call_link(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), (uint32_t)ARG4(regs));
        return true;
    default:
        return false;
    }
}

bool fs_name_calls(struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_unlink:
    case __NR_rmdir:
        *ret_result = call_remove(here, ARG0(regs), regs->rax == __NR_rmdir);
        return true;
    case __NR_unlinkat:
        *ret_result = ((uint32_t)ARG2(regs) & ~AT_REMOVEDIR) != 0
                          ? -EINVAL
                          : call_remove(ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs) != 0);
        return true;
    case __NR_rename:
        *ret_result = call_rename(here, ARG0(regs), here, ARG1(regs), 0);
        return true;
    case __NR_renameat:
        *ret_result = call_rename(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), 0);
        return true;
    case __NR_renameat2:
        *ret_result =
            call_rename(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), (uint32_t)ARG4(regs));
        return true;
    default:
        return make_calls(regs, ret_result);
    }
}
