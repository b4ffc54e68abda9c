/*
 * File operations by path, below one directory; and those that take a path or a handle.
 * Side: host. Called by files.c, and by sockets.c for the sockets that have a path.
 * Never follows a path out of that directory: openat2 with RESOLVE_IN_ROOT, and no magic links.
 */
#include "host/services.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_MAX_SIZE 4096u
#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW | O_SYNC |       \
     O_DSYNC | O_PATH | O_NOATIME | O_DIRECT | O_TMPFILE | O_NONBLOCK)

static void fd_done(int64_t *fd)
{
    if (*fd >= 0) {
        syscall(SYS_close, (int)*fd); /* nobody's close but the kernel's has to see it */
    }
}

static int64_t open_below(const cella_enclave *enclave, const char *path, int flags, mode_t mode)
{
    const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)((flags & OPEN_FLAGS) | O_CLOEXEC | O_NOCTTY),
        .mode = makes ? mode & 07777 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    if ((flags & O_PATH) != 0) {
        how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    }
    return cella_errno_or(syscall(SYS_openat2, enclave->file_root, path, &how, sizeof(how)));
}

/* The zero-terminated path at `offset` of the request. */
static const char *path_at(const struct cella_service_call *call, size_t offset)
{
    if (offset >= call->size || !memchr(call->bytes + offset, 0, call->size - offset)) {
        return NULL;
    }
    return (const char *)call->bytes + offset;
}

/* "/a/b/" names b: slashes at the end are left out. Empty: the root itself. */
int64_t cella_path_parent(const cella_enclave *enclave, const char *path, const char **ret_name)
{
    static __thread char t_directory[PATH_MAX_SIZE];
    static __thread char t_name[NAME_MAX + 1];
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    if (end - start > NAME_MAX || start + 2 > sizeof(t_directory)) {
        return -ENAMETOOLONG;
    }
    memcpy(t_name, path + start, end - start);
    t_name[end - start] = 0;
    if (end == start || strcmp(t_name, ".") == 0 || strcmp(t_name, "..") == 0) {
        return -EINVAL;
    }
    memcpy(t_directory, path, start);
    memcpy(t_directory + start, start > 0 ? "" : "/", start > 0 ? 1 : 2);
    *ret_name = t_name;
    return open_below(enclave, t_directory, O_PATH | O_DIRECTORY, 0);
}

static struct cella_call_stat stat_of(const struct stat *status)
{
    return (struct cella_call_stat){
        .device = status->st_dev,
        .inode = status->st_ino,
        .links = status->st_nlink,
        .size = (uint64_t)status->st_size,
        .blocks = (uint64_t)status->st_blocks,
        .special = status->st_rdev,
        .mode = status->st_mode,
        .block_size = (uint32_t)status->st_blksize,
        .user = status->st_uid,
        .group = status->st_gid,
        .accessed = {status->st_atim.tv_sec, status->st_atim.tv_nsec},
        .modified = {status->st_mtim.tv_sec, status->st_mtim.tv_nsec},
        .changed = {status->st_ctim.tv_sec, status->st_ctim.tv_nsec},
    };
}

static int64_t change_two(struct cella_service_call *call, const char *path)
{
    char name[NAME_MAX + 1];
    const char *parsed;
    const char *target = path_at(call, strlen(path) + 1);
    if (!target) {
        return -EINVAL;
    }
    CELLA_CLEANUP(fd_done) int64_t from = cella_path_parent(call->enclave, path, &parsed);
    if (from < 0) {
        return from;
    }
    snprintf(name, sizeof(name), "%s", parsed);
    CELLA_CLEANUP(fd_done) int64_t to = cella_path_parent(call->enclave, target, &parsed);
    if (to < 0) {
        return to;
    }
    return call->head.operation == CELLA_FILE_LINK
               ? cella_errno_or(linkat((int)from, name, (int)to, parsed, 0))
               : cella_errno_or(syscall(SYS_renameat2, (int)from, name, (int)to, parsed,
                                        (unsigned)call->head.a));
}

/* The text of a link is not looked at: following it is confined as any path. */
static int64_t make_symlink(const struct cella_service_call *call, const char *text)
{
    const char *name;
    const char *path = path_at(call, strlen(text) + 1);
    if (!path) {
        return -EINVAL;
    }
    CELLA_CLEANUP(fd_done) int64_t parent = cella_path_parent(call->enclave, path, &name);
    return parent < 0 ? parent : cella_errno_or(symlinkat(text, (int)parent, name));
}

static int64_t change_one(struct cella_service_call *call, const char *path)
{
    const char *name;
    const mode_t mode = (mode_t)call->head.b & 07777;
    CELLA_CLEANUP(fd_done) int64_t parent = cella_path_parent(call->enclave, path, &name);
    if (parent < 0) {
        return parent == -EINVAL && call->head.operation == CELLA_FILE_MKDIR ? -EEXIST : parent;
    }
    switch (call->head.operation) {
    case CELLA_FILE_UNLINK:
        return cella_errno_or(unlinkat((int)parent, name, 0));
    case CELLA_FILE_RMDIR:
        return cella_errno_or(unlinkat((int)parent, name, AT_REMOVEDIR));
    case CELLA_FILE_MKDIR:
        return cella_errno_or(mkdirat((int)parent, name, mode));
    case CELLA_FILE_READLINK: {
        const int64_t size =
            cella_errno_or(readlinkat((int)parent, name, (char *)call->out, call->capacity));
        call->extra = size > 0 ? (size_t)size : 0;
        return size;
    }
    default:
        return -EINVAL;
    }
}

/* /proc/self/fd/N: for calls that take a path only. */
struct magic {
    char path[40];
};
static struct magic magic_of(int64_t fd)
{
    struct magic magic;
    snprintf(magic.path, sizeof(magic.path), "/proc/self/fd/%d", (int)fd);
    return magic;
}

static int64_t stat_take(struct cella_service_call *call, int64_t fd)
{
    struct stat status;
    struct cella_call_stat *out = (struct cella_call_stat *)call->out;
    if (call->capacity < sizeof(*out)) {
        return -EINVAL;
    }
    if (fstat((int)fd, &status) < 0) {
        return -errno;
    }
    *out = stat_of(&status);
    call->extra = sizeof(*out);
    return 0;
}

/* The file's mode and, where there is room, all that stat says. */
static int64_t opened_take(struct cella_service_call *call, int64_t fd, mode_t *ret_mode)
{
    struct stat status;
    const uint64_t mode = fstat((int)fd, &status) == 0 ? status.st_mode : 0;
    if (call->capacity < sizeof(mode)) {
        return -EINVAL;
    }
    memcpy(call->out, &mode, sizeof(mode));
    call->extra = sizeof(mode);
    if (mode != 0 && call->capacity >= sizeof(mode) + sizeof(struct cella_call_stat)) {
        const struct cella_call_stat stat = stat_of(&status);
        memcpy(call->out + sizeof(mode), &stat, sizeof(stat));
        call->extra += sizeof(stat);
    }
    *ret_mode = (mode_t)mode;
    return 0;
}

static int64_t open_file(struct cella_service_call *call, const char *path)
{
    mode_t mode = 0;
    CELLA_CLEANUP(fd_done)
    int64_t fd = open_below(call->enclave, path, (int)call->head.a, (mode_t)call->head.b);
    const int64_t result = fd < 0 ? fd : opened_take(call, fd, &mode);
    if (result < 0) {
        return result;
    }
    const int own = (int)fd;
    fd = -1;
    return S_ISREG(mode) || S_ISDIR(mode) ? cella_handle_own_file(call->enclave, own)
                                          : cella_handle_own(call->enclave, own);
}

static int64_t space_take(struct cella_service_call *call, int64_t fd)
{
    struct statfs space;
    struct cella_call_space *out = (struct cella_call_space *)call->out;
    if (call->capacity < sizeof(*out)) {
        return -EINVAL;
    }
    if (fstatfs((int)fd, &space) < 0) {
        return -errno;
    }
    *out = (struct cella_call_space){
        .type = (uint64_t)space.f_type,
        .block_size = (uint64_t)space.f_bsize,
        .blocks = space.f_blocks,
        .free = space.f_bfree,
        .available = space.f_bavail,
        .files = space.f_files,
        .files_free = space.f_ffree,
        .name_max = (uint64_t)space.f_namelen,
    };
    call->extra = sizeof(*out);
    return 0;
}

static int64_t times_set(const struct cella_service_call *call, int64_t fd, bool by_path)
{
    struct timespec times[2];
    int64_t words[4];
    if (call->size < sizeof(words)) {
        return -EINVAL;
    }
    memcpy(words, call->bytes, sizeof(words));
    times[0] = (struct timespec){.tv_sec = words[0], .tv_nsec = words[1]};
    times[1] = (struct timespec){.tv_sec = words[2], .tv_nsec = words[3]};
    if (!by_path) {
        return cella_errno_or(futimens((int)fd, times));
    }
    return cella_errno_or(utimensat((int)fd, "", times, AT_EMPTY_PATH));
}

/* R, W and X by the process's effective rights, as the enclave's calls will be made with. */
static int64_t access_check(int64_t fd, int64_t mode)
{
    const struct magic magic = magic_of(fd);
    return cella_errno_or(faccessat(AT_FDCWD, magic.path, (int)mode, AT_EACCESS));
}

/* What works on a file that is open, by its handle or for the call. `fd` may be O_PATH when `by_path`. */
static int64_t on_file(struct cella_service_call *call, int64_t fd, bool by_path)
{
    switch (call->head.operation) {
    case CELLA_FILE_STAT:
        return stat_take(call, fd);
    case CELLA_FILE_SPACE:
        return space_take(call, fd);
    case CELLA_FILE_TIMES:
        return times_set(call, fd, by_path);
    case CELLA_FILE_ACCESS:
        return access_check(fd, call->head.a);
    case CELLA_FILE_CHMOD:
        return cella_errno_or(by_path ? chmod(magic_of(fd).path, (mode_t)call->head.b & 07777)
                                      : fchmod((int)fd, (mode_t)call->head.b & 07777));
    case CELLA_FILE_TRUNCATE:
        return cella_errno_or(by_path ? truncate(magic_of(fd).path, call->head.a)
                                      : ftruncate((int)fd, call->head.a));
    default:
        return -ENOSYS;
    }
}

static bool is_of_link(const struct cella_call_request *head)
{
    return (head->operation == CELLA_FILE_STAT || head->operation == CELLA_FILE_TIMES) &&
           head->a == 1;
}

int64_t cella_files_paths(struct cella_service_call *call)
{
    if (call->head.handle >= 0) {
        return on_file(call, call->head.handle, false);
    }
    const size_t offset = call->head.operation == CELLA_FILE_TIMES ? 4 * sizeof(int64_t) : 0;
    const char *path = path_at(call, offset);
    if (!path) {
        return -EINVAL;
    }
    switch (call->head.operation) {
    case CELLA_FILE_OPEN:
        return open_file(call, path);
    case CELLA_FILE_RENAME:
    case CELLA_FILE_LINK:
        return change_two(call, path);
    case CELLA_FILE_SYMLINK:
        return make_symlink(call, path);
    case CELLA_FILE_UNLINK:
    case CELLA_FILE_RMDIR:
    case CELLA_FILE_MKDIR:
    case CELLA_FILE_READLINK:
        return change_one(call, path);
    default:
        break;
    }
    CELLA_CLEANUP(fd_done)
    int64_t fd =
        open_below(call->enclave, path, O_PATH | (is_of_link(&call->head) ? O_NOFOLLOW : 0), 0);
    return fd < 0 ? fd : on_file(call, fd, true);
}
