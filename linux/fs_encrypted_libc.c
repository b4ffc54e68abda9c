/*
 * Files of encrypted mounts: the calls into protected files.
 * Side: enclave, ordinary code of the kernel's libc. Run by fs_encrypted.c through cella_linux_libc, one at a time.
 * Never keeps plaintext but in a protected file's cache, which is wiped when the last descriptor is closed.
 */
#include "linux/fs_encrypted.h"

#include <errno.h>
#include <string.h>

#include "enclave/protected.h"

static struct fs_encrypted_file *open_files;

static cella_protected_file *file_of(const struct fs_encrypted_call *call)
{
    return call->file->file;
}

static long errno_of(cella_result result)
{
    return cella_is_ok(result) ? 0 : -(long)cella_protected_errno(result);
}

/*
 * Opened for writing where the mount allows it and the host does: a reader now may be a writer soon, and one file is not
 * opened twice. Flushes reach the disk by fsync only, as those of any file.
 */
static long file_open(const struct fs_encrypted_call *call, bool creates)
{
    const struct cella_protected_options options = {
        .key = {.kind = call->by_signer ? CELLA_PROTECTED_AUTO_MRSIGNER
                                        : CELLA_PROTECTED_AUTO_MRENCLAVE},
        .flags = CELLA_PROTECTED_NO_SYNC,
    };
    cella_protected_file *opened = NULL;
    struct fs_encrypted_file *file = call->file;
    if (file->opens > 0) {
        if (call->is_writing && !file->is_writable) {
            return -EACCES;
        }
        file->opens++;
        return 0;
    }
    const char *mode = creates ? "w+xb" : call->is_read_only ? "rb" : "r+b";
    file->is_writable = !call->is_read_only;
    cella_result result = cella_protected_open(call->path, mode, &options, &opened);
    if (!call->is_read_only && result.code == CELLA_CODE_ACCESS_DENIED && !creates &&
        !call->is_writing) {
        file->is_writable = false;
        result = cella_protected_open(call->path, "rb", &options, &opened);
    }
    if (cella_is_ok(result) && creates) {
        result = cella_protected_flush(opened); /* an empty file of the host is none of ours */
        if (!cella_is_ok(result)) {
            cella_ignore(cella_protected_close(opened));
        }
    }
    if (!cella_is_ok(result)) {
        return errno_of(result);
    }
    file->file = opened;
    file->opens = 1;
    file->next = open_files;
    open_files = file;
    return 0;
}

static long file_close(const struct fs_encrypted_call *call)
{
    struct fs_encrypted_file *file = call->file;
    if (--file->opens > 0) {
        return 0;
    }
    struct fs_encrypted_file **at = &open_files;
    while (*at != file) {
        at = &(*at)->next;
    }
    *at = file->next;
    cella_protected_file *opened = file->file;
    file->file = NULL;
    return errno_of(cella_protected_close(opened));
}

static long file_transfer(const struct fs_encrypted_call *call, bool writing)
{
    size_t done = 0;
    const cella_result result =
        writing
            ? cella_protected_write_at(file_of(call), call->offset, call->buffer, call->size, &done)
            : cella_protected_read_at(file_of(call), call->offset, call->buffer, call->size, &done);
    return cella_is_ok(result) || done > 0 ? (long)done : errno_of(result);
}

static long file_size(const struct fs_encrypted_call *call)
{
    uint64_t size = 0;
    const cella_result result = cella_protected_size(file_of(call), &size);
    return cella_is_ok(result) ? (long)size : errno_of(result);
}

/* The state is flushed, and then on the disk. */
static long file_sync(const struct fs_encrypted_call *call)
{
    cella_protected_file *file = file_of(call);
    cella_result result = cella_protected_flush(file);
    if (cella_is_ok(result)) {
        result = file->store->sync(file->handle);
    }
    return errno_of(result);
}

/* The program ends. What cannot be written any more is lost, as at a close that nobody looks at. */
static long files_end(void)
{
    for (struct fs_encrypted_file *file = open_files; file; file = file->next) {
        if (file->is_writable) {
            cella_ignore(cella_protected_flush(file->file));
        }
    }
    return 0;
}

/* A name that is bound to a file's content goes with it when it is renamed. */
static long file_name(const struct fs_encrypted_call *call)
{
    cella_protected_file *file = file_of(call);
    const size_t size = strlen(call->name);
    if (size == 0 || size > CELLA_PROTECTED_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    if (!call->file->is_writable) {
        return -EACCES;
    }
    pthread_mutex_lock(&file->lock);
    memset(file->root.name, 0, sizeof(file->root.name));
    memcpy(file->root.name, call->name, size);
    file->root.name_size = (uint16_t)size;
    file->changed = true;
    pthread_mutex_unlock(&file->lock);
    return errno_of(cella_protected_flush(file));
}

static long file_version(const struct fs_encrypted_call *call)
{
    struct cella_protected_version version;
    struct fs_encrypted_version *out = call->buffer;
    const cella_result result = cella_protected_version(file_of(call), &version);
    if (cella_is_ok(result)) {
        out->generation = version.generation;
        memcpy(out->digest, version.digest, sizeof(out->digest));
    }
    return errno_of(result);
}

long fs_encrypted_run(void *argument)
{
    const struct fs_encrypted_call *call = argument;
    switch (call->operation) {
    case FS_ENCRYPTED_OPEN:
    case FS_ENCRYPTED_CREATE:
        return file_open(call, call->operation == FS_ENCRYPTED_CREATE);
    case FS_ENCRYPTED_CLOSE:
        return file_close(call);
    case FS_ENCRYPTED_READ:
    case FS_ENCRYPTED_WRITE:
        return file_transfer(call, call->operation == FS_ENCRYPTED_WRITE);
    case FS_ENCRYPTED_SIZE:
        return file_size(call);
    case FS_ENCRYPTED_RESIZE:
        return errno_of(cella_protected_truncate(file_of(call), call->size));
    case FS_ENCRYPTED_SYNC:
        return file_sync(call);
    case FS_ENCRYPTED_FLUSH:
        return errno_of(cella_protected_flush(file_of(call)));
    case FS_ENCRYPTED_END:
        return files_end();
    case FS_ENCRYPTED_VERSION:
        return file_version(call);
    default:
        return file_name(call);
    }
}
