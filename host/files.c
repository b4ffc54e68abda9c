/*
 * File operations for the enclave's files module, below one directory.
 * Side: host. Called by service.c.
 * Never follows a path out of that directory: openat2 with RESOLVE_IN_ROOT, and no magic links.
 */
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW | O_SYNC |       \
     O_DSYNC | O_CLOEXEC)

struct request {
    struct cella_call_file head;
    const uint8_t *bytes;
    size_t size;
};

static int64_t errno_or(int64_t result)
{
    return result < 0 ? -errno : result;
}

static int64_t open_below(const cella_enclave *enclave, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (uint64_t)((flags & OPEN_FLAGS) | O_CLOEXEC),
        .mode = (flags & O_CREAT) ? mode & 0777 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    return errno_or(syscall(SYS_openat2, enclave->file_root, path, &how, sizeof(how)));
}

/* A path is a zero-terminated string that ends in the request. */
static const char *path_at(const struct request *request, size_t offset)
{
    if (offset >= request->size || !memchr(request->bytes + offset, 0, request->size - offset)) {
        return NULL;
    }
    return (const char *)request->bytes + offset;
}

/* The directory of a path, opened below the root, and its last component. */
static int64_t parent_open(const cella_enclave *enclave, const char *path, char *directory,
                           size_t capacity, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) : 0;
    *ret_name = slash ? slash + 1 : path;
    if (size + 2 > capacity) {
        return -ENAMETOOLONG;
    }
    memcpy(directory, path, size);
    memcpy(directory + size, size > 0 ? "" : "/", size > 0 ? 1 : 2);
    return open_below(enclave, directory, O_RDONLY | O_DIRECTORY, 0);
}

static int64_t change_entry(const cella_enclave *enclave, const struct request *request)
{
    char directory[4096];
    const char *name, *new_name;
    const char *path = path_at(request, 0);
    if (!path) {
        return -EINVAL;
    }
    const int64_t parent = parent_open(enclave, path, directory, sizeof(directory), &name);
    if (parent < 0) {
        return parent;
    }
    int64_t result = -EINVAL;
    switch (request->head.operation) {
    case CELLA_FILE_UNLINK:
        result = errno_or(unlinkat((int)parent, name, 0));
        break;
    case CELLA_FILE_RMDIR:
        result = errno_or(unlinkat((int)parent, name, AT_REMOVEDIR));
        break;
    case CELLA_FILE_MKDIR:
        result = errno_or(mkdirat((int)parent, name, (mode_t)request->head.b & 0777));
        break;
    case CELLA_FILE_RENAME: {
        const char *target = path_at(request, strlen(path) + 1);
        const int64_t to =
            target ? parent_open(enclave, target, directory, sizeof(directory), &new_name)
                   : -EINVAL;
        result = to < 0 ? to : errno_or(renameat((int)parent, name, (int)to, new_name));
        if (to >= 0) {
            close((int)to);
        }
        break;
    }
    default:
        break;
    }
    close((int)parent);
    return result;
}

static int64_t access_below(const cella_enclave *enclave, const char *path, int64_t mode)
{
    const int64_t fd = path ? open_below(enclave, path, O_RDONLY, 0) : -EINVAL;
    if (fd == -EACCES && mode == F_OK) {
        return 0;
    }
    if (fd >= 0) {
        close((int)fd);
        if ((mode & W_OK) != 0) {
            const int64_t writable = open_below(enclave, path, O_WRONLY, 0);
            if (writable < 0) {
                return writable;
            }
            close((int)writable);
        }
    }
    return fd < 0 ? fd : 0;
}

static int64_t stat_take(const cella_enclave *enclave, const struct request *request,
                         struct cella_call_stat *ret_stat)
{
    struct stat status;
    int64_t fd = request->head.handle;
    if (fd < 0) {
        const char *path = path_at(request, 0);
        fd = path ? open_below(enclave, path, O_RDONLY, 0) : -EINVAL;
        if (fd < 0) {
            return fd;
        }
    }
    const int64_t result = errno_or(fstat((int)fd, &status));
    if (request->head.handle < 0) {
        close((int)fd);
    }
    if (result == 0) {
        *ret_stat = (struct cella_call_stat){
            .device = status.st_dev,
            .inode = status.st_ino,
            .links = status.st_nlink,
            .size = (uint64_t)status.st_size,
            .blocks = (uint64_t)status.st_blocks,
            .mode = status.st_mode,
            .block_size = (uint32_t)status.st_blksize,
            .modified_seconds = status.st_mtim.tv_sec,
            .modified_nanoseconds = status.st_mtim.tv_nsec,
        };
    }
    return result;
}

static int64_t read_some(const struct request *request, uint8_t *out, size_t capacity)
{
    const size_t wanted = (uint64_t)request->head.b < capacity ? (size_t)request->head.b : capacity;
    if (request->head.a < 0) {
        return errno_or(read(request->head.handle, out, wanted));
    }
    return errno_or(pread(request->head.handle, out, wanted, request->head.a));
}

static int64_t write_some(const struct request *request)
{
    if (request->head.a < 0) {
        return errno_or(write(request->head.handle, request->bytes, request->size));
    }
    return errno_or(pwrite(request->head.handle, request->bytes, request->size, request->head.a));
}

static int64_t file_do(const cella_enclave *enclave, const struct request *request, uint8_t *out,
                       size_t capacity, size_t *ret_extra)
{
    const struct cella_call_file *head = &request->head;
    const char *path = path_at(request, 0);
    int64_t result;
    switch (head->operation) {
    case CELLA_FILE_OPEN:
        return path ? open_below(enclave, path, (int)head->a, (mode_t)head->b) : -EINVAL;
    case CELLA_FILE_CLOSE:
        return errno_or(close(head->handle));
    case CELLA_FILE_READ:
        result = read_some(request, out, capacity);
        *ret_extra = result > 0 ? (size_t)result : 0;
        return result;
    case CELLA_FILE_WRITE:
        return write_some(request);
    case CELLA_FILE_SEEK:
        return errno_or(lseek(head->handle, head->a, (int)head->b));
    case CELLA_FILE_STAT:
        if (capacity < sizeof(struct cella_call_stat)) {
            return -EINVAL;
        }
        result = stat_take(enclave, request, (struct cella_call_stat *)out);
        *ret_extra = result == 0 ? sizeof(struct cella_call_stat) : 0;
        return result;
    case CELLA_FILE_TRUNCATE:
        return errno_or(ftruncate(head->handle, head->a));
    case CELLA_FILE_SYNC:
        return errno_or(fsync(head->handle));
    case CELLA_FILE_ACCESS:
        return access_below(enclave, path, head->a);
    default:
        return change_entry(enclave, request);
    }
}

cella_result cella_host_file(cella_enclave *enclave, const void *in, size_t in_size, void *out,
                             size_t out_capacity, size_t *ret_size)
{
    struct request request;
    size_t extra = 0;
    CELLA_ENSURE(enclave->file_root >= 0, ACCESS_DENIED);
    CELLA_ENSURE(in_size >= sizeof(request.head) && out_capacity >= sizeof(int64_t), TRUNCATED);
    memcpy(&request.head, in, sizeof(request.head));
    request.bytes = (const uint8_t *)in + sizeof(request.head);
    request.size = in_size - sizeof(request.head);
    const int64_t value = file_do(enclave, &request, (uint8_t *)out + sizeof(int64_t),
                                  out_capacity - sizeof(int64_t), &extra);
    memcpy(out, &value, sizeof(value));
    *ret_size = sizeof(value) + extra;
    return CELLA_OK;
}
