/*
 * libc's file and memory functions, seen by the software processor first.
 * Side: soft. Called by the application instead of libc's; each goes on to the next definition when no enclave
 * is meant. Never changes errno or the result of a call that is not the processor's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "soft/driver.h"
#include "soft/processor.h"
#include "soft/transition.h"

static bool g_nodes;

void soft_intercept_nodes(void)
{
    g_nodes = true;
}

static int finish(long result)
{
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return (int)result;
}

static bool is_node(const char *path)
{
    return g_nodes && path && soft_is_node(path);
}

static int open_node(const char *path, int flags)
{
    soft_before_open();
    return finish(soft_open_node(path, flags));
}

/* The mode argument is there only with O_CREAT or O_TMPFILE. */
#define OPEN_MODE(flags, last)                                                                     \
    ({                                                                                             \
        mode_t mode_ = 0;                                                                          \
        if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) {                               \
            va_list list_;                                                                         \
            va_start(list_, last);                                                                 \
            mode_ = va_arg(list_, mode_t);                                                         \
            va_end(list_);                                                                         \
        }                                                                                          \
        mode_;                                                                                     \
    })

#define NEXT(pointer, name)                                                                        \
    static __typeof__(pointer) next;                                                               \
    if (!next) {                                                                                   \
        next = (__typeof__(pointer))soft_next(name);                                               \
    }

typedef int (*open_fn)(const char *, int, ...);
typedef int (*openat_fn)(int, const char *, int, ...);

#define DEFINE_OPEN(name)                                                                          \
    SOFT_EXPORT int name(const char *path, int flags, ...)                                         \
    {                                                                                              \
        mode_t mode = OPEN_MODE(flags, flags);                                                     \
        if (is_node(path)) {                                                                       \
            return open_node(path, flags);                                                         \
        }                                                                                          \
        NEXT((open_fn)0, #name)                                                                    \
        return next(path, flags, mode);                                                            \
    }
#define DEFINE_OPENAT(name)                                                                        \
    SOFT_EXPORT int name(int directory, const char *path, int flags, ...)                          \
    {                                                                                              \
        mode_t mode = OPEN_MODE(flags, flags);                                                     \
        if (is_node(path)) {                                                                       \
            return open_node(path, flags);                                                         \
        }                                                                                          \
        NEXT((openat_fn)0, #name)                                                                  \
        return next(directory, path, flags, mode);                                                 \
    }
#undef open64
#undef openat64
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
SOFT_EXPORT int __open_2(const char *path, int flags)
{
    return open(path, flags);
}
SOFT_EXPORT int __open64_2(const char *path, int flags)
{
    return open64(path, flags);
}

SOFT_EXPORT int close(int fd)
{
    if (soft_any_enclave()) {
        if (soft_owns_fd(fd)) {
            errno = EBADF;
            return -1;
        }
        soft_close_fd(fd);
    }
    NEXT((int (*)(int))0, "close")
    return next(fd);
}

SOFT_EXPORT int dup(int fd)
{
    NEXT((int (*)(int))0, "dup")
    int result = next(fd);
    if (result >= 0 && soft_any_enclave()) {
        soft_dup_fd(fd);
    }
    return result;
}

/* The descriptor that is replaced is closed by the kernel; the processor's own must not be. */
static bool replaces_own(int fd, int target)
{
    if (!soft_any_enclave() || fd == target) {
        return false;
    }
    if (soft_owns_fd(target)) {
        errno = EBUSY;
        return true;
    }
    soft_close_fd(target);
    return false;
}

SOFT_EXPORT int dup2(int fd, int target)
{
    NEXT((int (*)(int, int))0, "dup2")
    if (replaces_own(fd, target)) {
        return -1;
    }
    int result = next(fd, target);
    if (result >= 0 && soft_any_enclave() && fd != target) {
        soft_dup_fd(fd);
    }
    return result;
}

SOFT_EXPORT int dup3(int fd, int target, int flags)
{
    NEXT((int (*)(int, int, int))0, "dup3")
    if (replaces_own(fd, target)) {
        return -1;
    }
    int result = next(fd, target, flags);
    if (result >= 0 && soft_any_enclave()) {
        soft_dup_fd(fd);
    }
    return result;
}

SOFT_EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    bool ours = (request >> 8 & 0xFF) == SGX_LINUX_IOC_MAGIC;
    if (ours && (soft_is_enclave_fd(fd) || (g_nodes && soft_probe_fd(fd)))) {
        soft_activate();
        return finish(soft_ioctl(fd, request, argument));
    }
    NEXT((int (*)(int, unsigned long, void *))0, "ioctl")
    return next(fd, request, argument);
}

typedef void *(*mmap_fn)(void *, size_t, int, int, int, off_t);

static void *map(mmap_fn next, void *address, size_t length, int prot, int flags, int fd,
                 off_t offset)
{
    if (fd >= 0 && !(flags & MAP_ANONYMOUS) && (soft_any_enclave() || g_nodes) &&
        (soft_is_enclave_fd(fd) || (g_nodes && soft_probe_fd(fd)))) {
        long result = soft_mmap(address, length, prot, flags, fd, offset);
        if (result < 0 && result > -4096) {
            errno = (int)-result;
            return MAP_FAILED;
        }
        return (void *)result;
    }
    void *result = next ? next(address, length, prot, flags, fd, offset)
                        : (void *)soft_syscall(SYS_mmap, address, length, prot, flags, fd, offset);
    if (result != MAP_FAILED && (flags & MAP_FIXED) && soft_any_enclave()) {
        soft_overlay(result, length);
    }
    return result;
}

SOFT_EXPORT void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
    NEXT((mmap_fn)0, "mmap")
    return map(next, address, length, prot, flags, fd, offset);
}

#undef mmap64
SOFT_EXPORT void *mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
    NEXT((mmap_fn)0, "mmap64")
    return map(next, address, length, prot, flags, fd, offset);
}

SOFT_EXPORT int munmap(void *address, size_t length)
{
    int result;
    if (soft_any_enclave() && soft_munmap(address, length, &result)) {
        return finish(result);
    }
    NEXT((int (*)(void *, size_t))0, "munmap")
    return next(address, length);
}

SOFT_EXPORT int mprotect(void *address, size_t length, int prot)
{
    int result;
    if (soft_any_enclave() && soft_mprotect(address, length, prot, &result)) {
        return finish(result);
    }
    NEXT((int (*)(void *, size_t, int))0, "mprotect")
    return next(address, length, prot);
}

/* ------------------------------------------------------------------------- the nodes seem to be there */

static void describe_node(struct stat *status)
{
    memset(status, 0, sizeof(*status));
    status->st_mode = S_IFCHR | 0666;
    status->st_nlink = 1;
    status->st_rdev = makedev(10, 125);
    status->st_blksize = SGX_PAGE_SIZE;
}

#define DEFINE_STAT(name)                                                                          \
    SOFT_EXPORT int name(const char *path, struct stat *status)                                    \
    {                                                                                              \
        if (is_node(path)) {                                                                       \
            describe_node(status);                                                                 \
            return 0;                                                                              \
        }                                                                                          \
        NEXT((int (*)(const char *, struct stat *))0, #name)                                       \
        return next(path, status);                                                                 \
    }
DEFINE_STAT(stat)
DEFINE_STAT(lstat)

#define DEFINE_STAT64(name)                                                                        \
    SOFT_EXPORT int name(const char *path, struct stat64 *status)                                  \
    {                                                                                              \
        if (is_node(path)) {                                                                       \
            describe_node((struct stat *)status);                                                  \
            return 0;                                                                              \
        }                                                                                          \
        NEXT((int (*)(const char *, struct stat64 *))0, #name)                                     \
        return next(path, status);                                                                 \
    }
#undef stat64
#undef lstat64
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout on x86-64");
DEFINE_STAT64(stat64)
DEFINE_STAT64(lstat64)

SOFT_EXPORT int access(const char *path, int mode)
{
    if (is_node(path)) {
        if (mode & X_OK) {
            errno = EACCES;
            return -1;
        }
        return 0;
    }
    NEXT((int (*)(const char *, int))0, "access")
    return next(path, mode);
}
