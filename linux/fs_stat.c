/*
 * Looking at files by path, and changing what is known of them: stat, access, readlink, chmod, chown, times, truncate.
 * Side: enclave. Called by fs_calls.c.
 * Never writes to the program's memory before all is known.
 */
#include "linux/fs_tree.h"

#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_EACCESS 0x200u
#define AT_STATX_SYNC 0x6000u
#define AT_NO_AUTOMOUNT 0x800u
#define UTIME_NOW 0x3FFFFFFF
#define UTIME_OMIT 0x3FFFFFFE
#define SET_USER_ID 04000u
#define SET_GROUP_ID 02000u
#define NR_FACCESSAT2 439u
#define NR_FCHMODAT2 452u
#define STAT_SIZE 144u
#define STATX_SIZE 256u
#define MAGIC_MEMORY 0x01021994
#define MAGIC_PROC 0x9FA0
#define MAGIC_SYS 0x62656572

static uint32_t how_of(uint64_t flags)
{
    return ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : FS_FOLLOW) |
           ((flags & LINUX_AT_EMPTY_PATH) != 0 ? FS_EMPTY : 0);
}

/* Whether an *at call means the descriptor itself, whatever that is. */
static bool is_descriptor(uint64_t fd, uint64_t path, uint64_t flags)
{
    char first = 1;
    return (flags & LINUX_AT_EMPTY_PATH) != 0 && (int32_t)fd != LINUX_AT_FDCWD &&
           (path == 0 || (linux_user_read(&first, path, 1) && first == 0));
}

static long stat_out(const struct cella_call_stat *stat, uint64_t to, bool extended)
{
    uint64_t words[STATX_SIZE / 8];
    const long result = extended ? cella_statx_write(stat, (uint64_t)words)
                                 : cella_stat_write(stat, (uint64_t)words);
    if (result != 0) {
        return result;
    }
    return linux_user_write(to, words, extended ? STATX_SIZE : STAT_SIZE) ? 0 : -EFAULT;
}

static long call_stat(uint64_t directory, uint64_t path, uint64_t flags, uint64_t to, bool extended)
{
    struct cella_call_stat stat;
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH | AT_NO_AUTOMOUNT |
                             (extended ? AT_STATX_SYNC : 0))) != 0) {
        return -EINVAL;
    }
    if (is_descriptor(directory, path, flags)) {
        CELLA_OPEN_GET(open, (uint32_t)directory);
        const long result = open ? cella_open_stat(open, &stat) : -EBADF;
        return result == 0 ? stat_out(&stat, to, extended) : result;
    }
    long result = fs_target_take(directory, path, how_of(flags), &place);
    if (result == 0) {
        result =
            place.open ? cella_open_stat(place.open, &stat) : fs_stat(place.target, NULL, &stat);
    }
    return result == 0 ? stat_out(&stat, to, extended) : result;
}

static long call_access(uint64_t directory, uint64_t path, uint64_t mode, uint64_t flags)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    if (mode > 7 ||
        (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EACCESS | LINUX_AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    const long result = fs_target_take(directory, path, how_of(flags), &place);
    if (result != 0 || place.open || mode == 0) {
        return result;
    }
    const struct fs_node *node = place.target->node;
    const long permitted = fs_permits(node, (uint32_t)mode);
    if (permitted != 0) {
        return permitted;
    }
    const uint32_t type = fs_type(node);
    return (mode & FS_WRITE) != 0 && node->tree->is_read_only &&
                   (type == MODE_REGULAR || type == MODE_DIRECTORY || type == MODE_LINK)
               ? -EROFS
               : 0;
}

static long call_readlink(uint64_t directory, uint64_t path, uint64_t to, int64_t capacity)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    if (capacity <= 0) {
        return -EINVAL;
    }
    char first = 1;
    const bool is_empty = linux_user_read(&first, path, 1) && first == 0;
    long result = fs_target_take(directory, path, FS_EMPTY, &place);
    if (result != 0) {
        return result;
    }
    if (!place.target || fs_type(place.target->node) != MODE_LINK) {
        return is_empty ? -ENOENT : -EINVAL;
    }
    char *text = fs_new(FS_PATH_SIZE);
    if (!text) {
        return -ENOMEM;
    }
    const struct fs_ops *ops = place.target->node->ops;
    result = ops->text ? ops->text(place.target, text, FS_PATH_SIZE) : -EINVAL;
    if (result > capacity) {
        result = capacity;
    }
    if (result > 0 && !linux_user_write(to, text, (uint64_t)result)) {
        result = -EFAULT;
    }
    fs_free(text, FS_PATH_SIZE);
    return result;
}

/* ------------------------------------------------------------------- changes */

/* What a change acts on: a file of the tree; `file` when it was named by its number. */
struct subject {
    struct fs_place place;
    struct cella_open *open;
};

static void subject_done(struct subject *subject)
{
    fs_place_done(&subject->place);
    if (subject->open) {
        cella_open_put(subject->open);
    }
}

static long subject_of_fd(uint64_t fd, bool path_will_do, struct subject *ret_subject)
{
    ret_subject->open = cella_descriptor_get((uint32_t)fd);
    const struct fs_file *file = fs_file_of(ret_subject->open);
    if (!ret_subject->open || (!path_will_do && (ret_subject->open->flags & LINUX_O_PATH) != 0)) {
        return -EBADF;
    }
    if (!file) {
        return 0; /* a pipe, a socket: accepted, and forgotten */
    }
    ret_subject->place.target = fs_entry_get(file->entry);
    return 0;
}

static long subject_take(uint64_t directory, uint64_t path, uint64_t flags,
                         struct subject *ret_subject)
{
    return is_descriptor(directory, path, flags)
               ? subject_of_fd(directory, true, ret_subject)
               : fs_target_take(directory, path, how_of(flags), &ret_subject->place);
}

static struct fs_file *subject_file(const struct subject *subject)
{
    return subject->open && (subject->open->flags & LINUX_O_PATH) == 0 ? fs_file_of(subject->open)
                                                                       : NULL;
}

static long mode_change(const struct subject *subject, uint64_t mode)
{
    struct fs_entry *entry = subject->place.target;
    const struct fs_change change = {.what = FS_CHANGE_MODE, .mode = (uint32_t)mode & MODE_BITS};
    if (!entry) {
        return 0;
    }
    if (entry->node->tree->is_read_only) {
        return -EROFS;
    }
    if (!fs_is_owner(entry->node)) {
        return -EPERM;
    }
    return fs_type(entry->node) == MODE_LINK ? -EOPNOTSUPP
                                             : fs_change(entry, subject_file(subject), &change);
}

static long call_chmod(uint64_t directory, uint64_t path, uint64_t mode, uint64_t flags)
{
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    const long result = subject_take(directory, path, flags, &subject);
    return result == 0 ? mode_change(&subject, mode) : result;
}

static long call_fchmod(uint64_t fd, uint64_t mode)
{
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    const long result = subject_of_fd(fd, false, &subject);
    return result == 0 ? mode_change(&subject, mode) : result;
}

/* The superuser gives files away; an owner may name what is true already, or a group of the process. */
static long owner_change(const struct subject *subject, uint32_t user, uint32_t group)
{
    struct fs_entry *entry = subject->place.target;
    struct fs_change change = {.user = user, .group = group};
    struct fs_ids ids;
    if (!entry) {
        return 0;
    }
    const struct fs_node *node = entry->node;
    if (node->tree->is_read_only) {
        return -EROFS;
    }
    fs_system_ids(&ids);
    if (ids.user_effective != 0 &&
        (ids.user_effective != node->user || (user != UINT32_MAX && user != node->user) ||
         (group != UINT32_MAX && group != node->group && group != ids.group_effective))) {
        return -EPERM;
    }
    change.what =
        (user != UINT32_MAX ? FS_CHANGE_USER : 0) | (group != UINT32_MAX ? FS_CHANGE_GROUP : 0);
    if (fs_type(node) == MODE_REGULAR && (node->mode & (SET_USER_ID | SET_GROUP_ID)) != 0) {
        const uint32_t lost = SET_USER_ID | ((node->mode & 010) != 0 ? SET_GROUP_ID : 0);
        change.what |= FS_CHANGE_MODE;
        change.mode = node->mode & ~lost & MODE_BITS;
    }
    return fs_change(entry, subject_file(subject), &change);
}

static long call_chown(uint64_t directory, uint64_t path, uint64_t user, uint64_t group,
                       uint64_t flags)
{
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    const long result = subject_take(directory, path, flags, &subject);
    return result == 0 ? owner_change(&subject, (uint32_t)user, (uint32_t)group) : result;
}

static long call_fchown(uint64_t fd, uint64_t user, uint64_t group)
{
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    const long result = subject_of_fd(fd, false, &subject);
    return result == 0 ? owner_change(&subject, (uint32_t)user, (uint32_t)group) : result;
}

/* Seconds and nanoseconds of both times, with UTIME_NOW and UTIME_OMIT. */
static long times_change(const struct subject *subject, const int64_t times[4])
{
    struct fs_entry *entry = subject->place.target;
    struct fs_change change = {0};
    int64_t now[2];
    if (!entry) {
        return 0;
    }
    if (entry->node->tree->is_read_only) {
        return -EROFS;
    }
    const bool is_now = times[1] == UTIME_NOW && times[3] == UTIME_NOW;
    if (!fs_is_owner(entry->node) && (!is_now || fs_permits(entry->node, FS_WRITE) != 0)) {
        return is_now ? -EACCES : -EPERM;
    }
    fs_system_now(now);
    if (times[1] != UTIME_OMIT) {
        change.what |= FS_CHANGE_ACCESSED;
        __builtin_memcpy(change.accessed, times[1] == UTIME_NOW ? now : times, sizeof(now));
    }
    if (times[3] != UTIME_OMIT) {
        change.what |= FS_CHANGE_MODIFIED;
        __builtin_memcpy(change.modified, times[3] == UTIME_NOW ? now : times + 2, sizeof(now));
    }
    return fs_change(entry, subject_file(subject), &change);
}

static bool time_is_sane(int64_t nanoseconds)
{
    return nanoseconds == UTIME_NOW || nanoseconds == UTIME_OMIT ||
           (nanoseconds >= 0 && nanoseconds <= 999999999);
}

static long call_times(uint64_t directory, uint64_t path, uint64_t user, uint64_t flags)
{
    int64_t times[4] = {0, UTIME_NOW, 0, UTIME_NOW};
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    if (user != 0 && !linux_user_read(times, user, sizeof(times))) {
        return -EFAULT;
    }
    if (!time_is_sane(times[1]) || !time_is_sane(times[3]) ||
        (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    if (times[1] == UTIME_OMIT && times[3] == UTIME_OMIT) {
        return 0;
    }
    const long result = path == 0 && (int32_t)directory != LINUX_AT_FDCWD
                            ? subject_of_fd(directory, false, &subject)
                            : subject_take(directory, path, flags, &subject);
    return result == 0 ? times_change(&subject, times) : result;
}

/* utimes and futimesat: microseconds. utime: seconds. */
static long call_times_old(uint64_t directory, uint64_t path, uint64_t user, bool only_seconds)
{
    int64_t words[4] = {0}, times[4] = {0, UTIME_NOW, 0, UTIME_NOW};
    CELLA_CLEANUP(subject_done) struct subject subject = {0};
    if (user != 0) {
        if (!linux_user_read(words, user, only_seconds ? 16 : 32)) {
            return -EFAULT;
        }
        times[0] = words[0];
        times[1] = only_seconds ? 0 : words[1] * 1000;
        times[2] = only_seconds ? words[1] : words[2];
        times[3] = only_seconds ? 0 : words[3] * 1000;
        if (!only_seconds &&
            (words[1] < 0 || words[1] > 999999 || words[3] < 0 || words[3] > 999999)) {
            return -EINVAL;
        }
    }
    const long result = subject_take(directory, path, 0, &subject);
    return result == 0 ? times_change(&subject, times) : result;
}

static long call_truncate(uint64_t path, uint64_t size)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    const struct fs_change change = {.what = FS_CHANGE_SIZE, .size = size};
    if ((int64_t)size < 0) {
        return -EINVAL;
    }
    const long result = fs_target_take((uint64_t)LINUX_AT_FDCWD, path, FS_FOLLOW, &place);
    if (result != 0) {
        return result;
    }
    if (!place.target || fs_type(place.target->node) != MODE_REGULAR) {
        return place.target && fs_is_directory(place.target) ? -EISDIR : -EINVAL;
    }
    const long permitted = fs_permits(place.target->node, FS_WRITE);
    return permitted == 0 ? fs_change(place.target, NULL, &change) : permitted;
}

/* struct statfs of x86-64. */
struct linux_statfs {
    int64_t type, block_size;
    uint64_t blocks, free, available, files, files_free;
    int32_t id[2];
    int64_t name_max, fragment_size, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

static long space_out(const struct fs_tree *tree, uint64_t to)
{
    struct linux_statfs space = {.block_size = SGX_PAGE_SIZE,
                                 .name_max = FS_NAME_MAX,
                                 .fragment_size = SGX_PAGE_SIZE,
                                 .id = {(int32_t)tree->device, 0},
                                 .flags = 0x20 | (tree->is_read_only ? 1 : 0)};
    uint64_t total, used;
    switch (tree->kind) {
    case FS_PROC:
        space.type = MAGIC_PROC;
        break;
    case FS_SYS:
        space.type = MAGIC_SYS;
        break;
    case FS_HOST:
    case FS_ENCRYPTED: {
        const long result = fs_host_space(tree, (uint64_t *)&space);
        if (result != 0) {
            return result;
        }
        break;
    }
    default:
        cella_pages_count(&total, &used);
        space.type = MAGIC_MEMORY;
        space.blocks = total;
        space.free = space.available = total - used;
        space.files = total;
        space.files_free = total - used;
        break;
    }
    return linux_user_write(to, &space, sizeof(space)) ? 0 : -EFAULT;
}

static long call_space(uint64_t path, uint64_t to)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    const long result = fs_target_take((uint64_t)LINUX_AT_FDCWD, path, FS_FOLLOW, &place);
    if (result != 0) {
        return result;
    }
    return space_out(place.target ? place.target->node->tree : fs_root_tree, to);
}

static long call_space_of(uint64_t fd, uint64_t to)
{
    CELLA_OPEN_GET(open, fd);
    const struct fs_file *file = fs_file_of(open);
    return !open ? -EBADF : space_out(file ? file->entry->node->tree : fs_root_tree, to);
}

/* ------------------------------------------------------------------- which call it is */

static bool look_calls(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_stat:
        *ret_result = call_stat(here, ARG0(regs), 0, ARG1(regs), false);
        return true;
    case __NR_lstat:
        *ret_result = call_stat(here, ARG0(regs), AT_SYMLINK_NOFOLLOW, ARG1(regs), false);
        return true;
    case __NR_newfstatat:
        *ret_result = call_stat(ARG0(regs), ARG1(regs), (uint32_t)ARG3(regs), ARG2(regs), false);
        return true;
    case __NR_statx:
        *ret_result = call_stat(ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs), ARG4(regs), true);
        return true;
    case __NR_access:
        *ret_result = call_access(here, ARG0(regs), (uint32_t)ARG1(regs), 0);
        return true;
    case __NR_faccessat:
        *ret_result = call_access(ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs), 0);
        return true;
    case NR_FACCESSAT2:
        *ret_result =
            call_access(ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs), (uint32_t)ARG3(regs));
        return true;
    case __NR_readlink:
        *ret_result = call_readlink(here, ARG0(regs), ARG1(regs), (int32_t)ARG2(regs));
        return true;
    case __NR_readlinkat:
        *ret_result = call_readlink(ARG0(regs), ARG1(regs), ARG2(regs), (int32_t)ARG3(regs));
        return true;
    case __NR_statfs:
        *ret_result = call_space(ARG0(regs), ARG1(regs));
        return true;
    case __NR_fstatfs:
        *ret_result = call_space_of((uint32_t)ARG0(regs), ARG1(regs));
        return true;
    default:
        return false;
    }
}

static bool owner_calls(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_chmod:
        *ret_result = call_chmod(here, ARG0(regs), ARG1(regs), 0);
        return true;
    case __NR_fchmodat:
        *ret_result = call_chmod(ARG0(regs), ARG1(regs), ARG2(regs), 0);
        return true;
    case NR_FCHMODAT2:
        *ret_result = call_chmod(ARG0(regs), ARG1(regs), ARG2(regs), (uint32_t)ARG3(regs));
        return true;
    case __NR_fchmod:
        *ret_result = call_fchmod((uint32_t)ARG0(regs), ARG1(regs));
        return true;
    case __NR_chown:
    case __NR_lchown:
        *ret_result = call_chown(here, ARG0(regs), ARG1(regs), ARG2(regs),
                                 regs->rax == __NR_lchown ? AT_SYMLINK_NOFOLLOW : 0);
        return true;
    case __NR_fchownat:
        *ret_result =
            call_chown(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), (uint32_t)ARG4(regs));
        return true;
    case __NR_fchown:
        *ret_result = call_fchown((uint32_t)ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    default:
        return false;
    }
}

bool fs_stat_calls(struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    if (look_calls(regs, ret_result) || owner_calls(regs, ret_result)) {
        return true;
    }
    switch (regs->rax) {
    case __NR_utimensat:
        *ret_result = call_times(ARG0(regs), ARG1(regs), ARG2(regs), (uint32_t)ARG3(regs));
        return true;
    case __NR_utime:
    case __NR_utimes:
        *ret_result = call_times_old(here, ARG0(regs), ARG1(regs), regs->rax == __NR_utime);
        return true;
    case __NR_futimesat:
        *ret_result = call_times_old(ARG0(regs), ARG1(regs), ARG2(regs), false);
        return true;
    case __NR_truncate:
        *ret_result = call_truncate(ARG0(regs), ARG1(regs));
        return true;
    default:
        return false;
    }
}
