/*
 * File operations for the enclave's files module, by handle; those by path are in files_paths.c.
 * Side: host. Called by services.c.
 * Never blocks without an end: what is not ready is waited for beside the enclave's end.
 */
#include "host/services.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PAUSE 5000000ll /* nanoseconds between two tries of a lock that somebody has */

static bool would_block(int64_t result)
{
    return result == -EAGAIN || result == -EWOULDBLOCK;
}

/* syscall(): read() is a cancellation point, which costs as much as the rest of the way here, and nobody cancels. */
static int64_t read_some(struct cella_service_call *call)
{
    const struct cella_call_request *head = &call->head;
    const size_t wanted = (uint64_t)head->b < call->capacity ? (size_t)head->b : call->capacity;
    for (;;) {
        const int64_t result =
            cella_errno_or(head->a >= 0 ? pread(head->handle, call->out, wanted, head->a)
                                        : syscall(SYS_read, head->handle, call->out, wanted));
        if (result == -EINTR && !cella_is_stopping(call->enclave)) {
            continue;
        }
        if (would_block(result) && head->a == CELLA_FILE_HERE) {
            const int64_t ready =
                cella_handle_wait(call->enclave, head->handle, POLLIN, CELLA_WAIT_FOR_EVER);
            if (ready < 0) {
                return ready;
            }
            continue;
        }
        call->extra = result > 0 ? (size_t)result : 0;
        return result;
    }
}

/* SIGPIPE would end the host: a pipe without a reader is EPIPE, and nothing else. */
static int64_t write_quietly(const struct cella_service_call *call, size_t done)
{
    const uint8_t *from = call->bytes + done;
    const size_t size = call->size - done;
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const int64_t result = cella_errno_or(write(call->head.handle, from, size));
    if (result == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        const struct timespec now = {0};
        sigtimedwait(&pipe, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int64_t write_once(const struct cella_service_call *call, size_t done)
{
    const struct cella_call_request *head = &call->head;
    if (head->a >= 0) {
        return cella_errno_or(
            pwrite(head->handle, call->bytes + done, call->size - done, head->a + (int64_t)done));
    }
    struct stat status;
    if (fstat(head->handle, &status) == 0 && S_ISREG(status.st_mode)) {
        return cella_errno_or(write(head->handle, call->bytes + done, call->size - done));
    }
    return write_quietly(call, done);
}

/* Where it may wait it writes all, as a blocking descriptor does. */
static int64_t write_some(const struct cella_service_call *call)
{
    size_t done = 0;
    const bool waits = call->head.a == CELLA_FILE_HERE;
    do {
        int64_t result = write_once(call, done);
        if (result == -EINTR && !cella_is_stopping(call->enclave)) {
            continue;
        }
        if (would_block(result) && waits) {
            result =
                cella_handle_wait(call->enclave, call->head.handle, POLLOUT, CELLA_WAIT_FOR_EVER);
            if (result > 0) {
                continue;
            }
        }
        if (result <= 0) {
            return done > 0 ? (int64_t)done : result;
        }
        done += (size_t)result;
    } while (done < call->size && waits);
    return (int64_t)done;
}

static int64_t entries(struct cella_service_call *call)
{
    const size_t wanted =
        (uint64_t)call->head.b < call->capacity ? (size_t)call->head.b : call->capacity;
    const int64_t result =
        cella_errno_or(syscall(SYS_getdents64, call->head.handle, call->out, wanted));
    call->extra = result > 0 ? (size_t)result : 0;
    return result;
}

/* Somebody has the lock: tried again after a while, until the enclave ends. */
static int64_t lock_pause(const struct cella_service_call *call)
{
    struct pollfd list[2];
    return cella_list_wait(call->enclave, list, 0, LOCK_PAUSE, -1, NULL);
}

static int64_t lock_file(const struct cella_service_call *call)
{
    const int operation = (int)call->head.a;
    for (;;) {
        const int64_t result = cella_errno_or(flock(call->head.handle, operation | LOCK_NB));
        if (!would_block(result) || (operation & LOCK_NB) != 0) {
            return result;
        }
        const int64_t paused = lock_pause(call);
        if (paused < 0) {
            return paused;
        }
    }
}

static int64_t lock_range(struct cella_service_call *call)
{
    struct flock lock;
    int command = (int)call->head.a;
    const bool waits = command == F_SETLKW || command == F_OFD_SETLKW;
    if (call->size != sizeof(lock) || call->capacity < sizeof(lock)) {
        return -EINVAL;
    }
    if (waits) {
        command = command == F_SETLKW ? F_SETLK : F_OFD_SETLK;
    }
    if (command != F_GETLK && command != F_SETLK && command != F_OFD_GETLK &&
        command != F_OFD_SETLK) {
        return -EINVAL;
    }
    for (;;) {
        memcpy(&lock, call->bytes, sizeof(lock));
        const int64_t result = cella_errno_or(fcntl(call->head.handle, command, &lock));
        if (waits && (would_block(result) || result == -EACCES)) {
            const int64_t paused = lock_pause(call);
            if (paused < 0) {
                return paused;
            }
            continue;
        }
        memcpy(call->out, &lock, sizeof(lock));
        call->extra = sizeof(lock);
        return result;
    }
}

static int64_t control(struct cella_service_call *call)
{
    uint64_t word = 0;
    if (call->capacity < sizeof(word) || (call->head.a != FIONREAD && call->head.a != TIOCGWINSZ)) {
        return -ENOTTY;
    }
    const int64_t result =
        cella_errno_or(ioctl(call->head.handle, (unsigned long)call->head.a, &word));
    memcpy(call->out, &word, sizeof(word));
    call->extra = sizeof(word);
    return result;
}

static int64_t by_handle(struct cella_service_call *call)
{
    const struct cella_call_request *head = &call->head;
    switch (head->operation) {
    case CELLA_FILE_READ:
        return read_some(call);
    case CELLA_FILE_WRITE:
        return write_some(call);
    case CELLA_FILE_SEEK:
        return cella_errno_or(lseek(head->handle, head->a, (int)head->b));
    case CELLA_FILE_SYNC:
        return cella_errno_or(head->a != 0 ? fdatasync(head->handle) : fsync(head->handle));
    case CELLA_FILE_ENTRIES:
        return entries(call);
    case CELLA_FILE_FLOCK:
        return lock_file(call);
    case CELLA_FILE_LOCK:
        return lock_range(call);
    case CELLA_FILE_FLAGS:
        return cella_errno_or(
            fcntl(head->handle, F_SETFL,
                  ((int)head->a & (O_APPEND | O_NOATIME | O_DIRECT)) | O_NONBLOCK));
    case CELLA_FILE_CONTROL:
        return control(call);
    case CELLA_FILE_RESERVE:
        return cella_errno_or(fallocate(head->handle, 0, head->a, head->b));
    default:
        return cella_files_paths(call);
    }
}

int64_t cella_files_serve(struct cella_service_call *call)
{
    const int32_t handle = call->head.handle;
    if (call->head.operation == CELLA_FILE_CLOSE) {
        return cella_handle_close(call->enclave, handle);
    }
    if (handle == -1) {
        return call->enclave->file_root >= 0 ? cella_files_paths(call) : -EACCES;
    }
    return cella_handle_is_open(call->enclave, handle) ? by_handle(call) : -EBADF;
}
