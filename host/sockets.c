/*
 * Sockets for the enclave's sockets module.
 * Side: host. Called by services.c. Needs CELLA_ENCLAVE_NETWORK, but for socketpair.
 * Never blocks without an end; the paths of AF_UNIX are below the enclave's directory, as files are.
 */
#include "host/services.h"

#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ll

union any_address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

/* An address of the enclave as the host uses it. `parent`: a directory that it goes through, to be closed. */
struct address {
    union any_address to;
    socklen_t size;
    int64_t parent;
};

static void address_done(struct address *address)
{
    if (address->parent >= 0) {
        close((int)address->parent);
    }
}

/* A path below the root becomes /proc/self/fd/DIRECTORY/NAME: short, and nothing of it can lead elsewhere. */
static int64_t address_confine(const struct cella_service_call *call, struct address *address)
{
    char path[sizeof(address->to.local.sun_path) + 2] = "/";
    const char *name;
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    const size_t used = address->size - head;
    const char *given = address->to.local.sun_path;
    const size_t skip = given[0] == '/' ? 0 : 1;
    memcpy(path + skip, given, strnlen(given, used));
    if (call->enclave->file_root < 0) {
        return -EACCES;
    }
    address->parent = cella_path_parent(call->enclave, path, &name);
    if (address->parent < 0) {
        return address->parent;
    }
    const int size = snprintf(address->to.local.sun_path, sizeof(address->to.local.sun_path),
                              "/proc/self/fd/%d/%s", (int)address->parent, name);
    if (size >= (int)sizeof(address->to.local.sun_path)) {
        return -ENAMETOOLONG;
    }
    address->size = (socklen_t)(head + (size_t)size + 1);
    return 0;
}

static int64_t address_take(const struct cella_service_call *call, size_t size,
                            struct address *address)
{
    memset(address, 0, sizeof(*address));
    address->parent = -1;
    if (size > CELLA_CALL_ADDRESS_MAX || size > call->size || size > sizeof(address->to)) {
        return -EINVAL;
    }
    memcpy(&address->to, call->bytes, size);
    address->size = (socklen_t)size;
    const bool has_path = address->to.any.sa_family == AF_UNIX &&
                          size > offsetof(struct sockaddr_un, sun_path) &&
                          address->to.local.sun_path[0] != 0;
    return has_path ? address_confine(call, address) : 0;
}

/* Our own names for paths are not the enclave's: what it sees of them is the last part. */
static void address_show(struct cella_call_address *out, const union any_address *from,
                         socklen_t size)
{
    static const char own[] = "/proc/self/fd/";
    union any_address shown = *from;
    if (size >= sizeof(sa_family_t) && from->any.sa_family == AF_UNIX &&
        size > offsetof(struct sockaddr_un, sun_path) + sizeof(own) &&
        strncmp(from->local.sun_path, own, sizeof(own) - 1) == 0) {
        const char *slash = strchr(from->local.sun_path + sizeof(own) - 1, '/');
        snprintf(shown.local.sun_path, sizeof(shown.local.sun_path), "%s", slash ? slash : "");
        size =
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(shown.local.sun_path) + 1);
    }
    out->size = size < sizeof(out->address) ? size : (uint32_t)sizeof(out->address);
    memcpy(out->address, &shown, out->size);
}

/* The answer's head begins with the value, which services.c writes: it lies 8 bytes before `out`. */
static struct cella_call_address *answer_of(struct cella_service_call *call)
{
    const size_t rest = sizeof(struct cella_call_address) - sizeof(int64_t);
    if (call->capacity < rest) {
        return NULL;
    }
    memset(call->out, 0, rest);
    call->extra = rest;
    return (struct cella_call_address *)(call->out - sizeof(int64_t));
}

/* SO_RCVTIMEO or SO_SNDTIMEO of the socket, which the kernel keeps for us. */
static int64_t limit_of(int32_t handle, int name)
{
    struct timeval limit = {0};
    socklen_t size = sizeof(limit);
    if (getsockopt(handle, SOL_SOCKET, name, &limit, &size) < 0 ||
        (limit.tv_sec == 0 && limit.tv_usec == 0)) {
        return CELLA_WAIT_FOR_EVER;
    }
    return limit.tv_sec * NANOSECONDS + limit.tv_usec * 1000;
}

/* After EAGAIN of a call that may wait: 1, try again; else what the call gives. */
static int64_t wait_for(const struct cella_service_call *call, short events)
{
    const int64_t limit = limit_of(call->head.handle, events == POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO);
    const int64_t ready = cella_handle_wait(call->enclave, call->head.handle, events, limit);
    return ready == 0 ? -EAGAIN : ready;
}

static bool try_again(const struct cella_service_call *call, int64_t *result, bool waits,
                      short events)
{
    if (*result == -EINTR) {
        return !cella_is_stopping(call->enclave);
    }
    if (*result != -EAGAIN || !waits) {
        return false;
    }
    *result = wait_for(call, events);
    return *result > 0;
}

static int64_t make(struct cella_service_call *call)
{
    return cella_handle_own(
        call->enclave,
        socket((int)call->head.a, (int)call->head.b | SOCK_CLOEXEC, call->head.handle));
}

static int64_t make_pair(struct cella_service_call *call)
{
    int fds[2];
    uint64_t second;
    if (call->capacity < sizeof(second)) {
        return -EINVAL;
    }
    if (socketpair((int)call->head.a, (int)call->head.b | SOCK_CLOEXEC, call->head.handle, fds) <
        0) {
        return -errno;
    }
    const int64_t first = cella_handle_own(call->enclave, fds[0]);
    const int64_t other = cella_handle_own(call->enclave, fds[1]);
    if (first < 0 || other < 0) {
        cella_handle_close(call->enclave, (int32_t)(first < 0 ? other : first));
        return -EMFILE;
    }
    second = (uint64_t)other;
    memcpy(call->out, &second, sizeof(second));
    call->extra = sizeof(second);
    return first;
}

static int64_t do_bind(struct cella_service_call *call)
{
    CELLA_CLEANUP(address_done) struct address address;
    const int64_t taken = address_take(call, call->size, &address);
    return taken < 0 ? taken
                     : cella_errno_or(bind(call->head.handle, &address.to.any, address.size));
}

static int64_t do_connect(struct cella_service_call *call)
{
    CELLA_CLEANUP(address_done) struct address address;
    int64_t result = address_take(call, call->size, &address);
    if (result < 0) {
        return result;
    }
    result = cella_errno_or(connect(call->head.handle, &address.to.any, address.size));
    if (call->head.a != 0 || (result != -EINPROGRESS && result != -EINTR && result != -EAGAIN)) {
        return result;
    }
    if (result == -EAGAIN) { /* AF_UNIX: the server's queue is full */
        while (try_again(call, &result, true, POLLOUT)) {
            result = cella_errno_or(connect(call->head.handle, &address.to.any, address.size));
        }
        return result;
    }
    const int64_t ready = wait_for(call, POLLOUT);
    if (ready < 0) {
        return ready == -EAGAIN ? -EINPROGRESS : ready;
    }
    /* Asked again the kernel says how it ended, and leaves the socket as a blocking call would. */
    result = cella_errno_or(connect(call->head.handle, &address.to.any, address.size));
    return result == -EISCONN ? 0 : result;
}

static int64_t do_accept(struct cella_service_call *call)
{
    union any_address from;
    socklen_t size;
    int64_t result;
    struct cella_call_address *answer = answer_of(call);
    if (!answer) {
        return -EINVAL;
    }
    do {
        size = sizeof(from);
        memset(&from, 0, sizeof(from));
        result = cella_errno_or(accept4(call->head.handle, &from.any, &size, SOCK_CLOEXEC));
    } while (result < 0 && try_again(call, &result, call->head.a == 0, POLLIN));
    if (result < 0) {
        return result;
    }
    address_show(answer, &from, size);
    return cella_handle_own(call->enclave, (int)result);
}

static int64_t do_send(struct cella_service_call *call)
{
    CELLA_CLEANUP(address_done) struct address address;
    const size_t head = ((size_t)call->head.b + 7) & ~(size_t)7;
    const int flags = (int)call->head.a | MSG_NOSIGNAL | MSG_DONTWAIT;
    const bool waits = (call->head.a & MSG_DONTWAIT) == 0;
    const int64_t taken = address_take(call, (size_t)call->head.b, &address);
    size_t done = 0;
    if (taken < 0 || head > call->size) {
        return taken < 0 ? taken : -EINVAL;
    }
    const size_t size = call->size - head;
    do {
        int64_t result =
            cella_errno_or(syscall(SYS_sendto, call->head.handle, call->bytes + head + done,
                                   size - done, flags, address.size > 0 ? &address.to.any : NULL,
                                   address.size)); /* not sendto(), as in files.c */
        if (result < 0 && try_again(call, &result, waits, POLLOUT)) {
            continue;
        }
        if (result <= 0) {
            return done > 0 ? (int64_t)done : result;
        }
        done += (size_t)result;
    } while (done < size && waits);
    return (int64_t)done;
}

static int64_t do_receive(struct cella_service_call *call)
{
    union any_address from;
    const size_t head = sizeof(struct cella_call_address) - sizeof(int64_t);
    const bool waits = (call->head.a & MSG_DONTWAIT) == 0;
    int64_t result;
    struct msghdr message;
    struct cella_call_address *answer = answer_of(call);
    if (!answer || (uint64_t)call->head.b > call->capacity - head) {
        return -EINVAL;
    }
    struct iovec vector = {.iov_base = call->out + head, .iov_len = (size_t)call->head.b};
    do {
        memset(&from, 0, sizeof(from));
        message = (struct msghdr){
            .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vector, .msg_iovlen = 1};
        result =
            cella_errno_or(recvmsg(call->head.handle, &message, (int)call->head.a | MSG_DONTWAIT));
    } while (result < 0 && try_again(call, &result, waits, POLLIN));
    if (result < 0) {
        return result;
    }
    answer->whole = (uint64_t)result;
    answer->flags = (uint32_t)message.msg_flags;
    address_show(answer, &from, message.msg_namelen);
    const uint64_t count = (uint64_t)result < vector.iov_len ? (uint64_t)result : vector.iov_len;
    call->extra += count;
    return (int64_t)count;
}

static int64_t option_get(struct cella_service_call *call)
{
    socklen_t size =
        call->capacity < CELLA_CALL_OPTION_MAX ? (socklen_t)call->capacity : CELLA_CALL_OPTION_MAX;
    const int64_t result = cella_errno_or(
        getsockopt(call->head.handle, (int)call->head.a, (int)call->head.b, call->out, &size));
    call->extra = result == 0 ? size : 0;
    return result == 0 ? (int64_t)size : result;
}

static int64_t name_get(struct cella_service_call *call)
{
    union any_address name;
    socklen_t size = sizeof(name);
    struct cella_call_address *answer = answer_of(call);
    if (!answer) {
        return -EINVAL;
    }
    memset(&name, 0, sizeof(name));
    const int64_t result =
        cella_errno_or(call->head.a != 0 ? getpeername(call->head.handle, &name.any, &size)
                                         : getsockname(call->head.handle, &name.any, &size));
    if (result == 0) {
        address_show(answer, &name, size);
    }
    return result;
}

static int64_t by_handle(struct cella_service_call *call)
{
    const struct cella_call_request *head = &call->head;
    switch (head->operation) {
    case CELLA_SOCKET_BIND:
        return do_bind(call);
    case CELLA_SOCKET_LISTEN:
        return cella_errno_or(listen(head->handle, (int)head->a));
    case CELLA_SOCKET_ACCEPT:
        return do_accept(call);
    case CELLA_SOCKET_CONNECT:
        return do_connect(call);
    case CELLA_SOCKET_SEND:
        return do_send(call);
    case CELLA_SOCKET_RECEIVE:
        return do_receive(call);
    case CELLA_SOCKET_SHUTDOWN:
        return cella_errno_or(shutdown(head->handle, (int)head->a));
    case CELLA_SOCKET_OPTION:
        return cella_errno_or(setsockopt(head->handle, (int)head->a, (int)head->b, call->bytes,
                                         (socklen_t)call->size));
    case CELLA_SOCKET_OPTION_GET:
        return option_get(call);
    case CELLA_SOCKET_NAME:
        return name_get(call);
    default:
        return -ENOSYS;
    }
}

int64_t cella_sockets_serve(struct cella_service_call *call)
{
    if (call->head.operation == CELLA_SOCKET_PAIR) {
        return make_pair(call);
    }
    if ((call->enclave->flags & CELLA_ENCLAVE_NETWORK) == 0 &&
        call->head.operation == CELLA_SOCKET_NEW) {
        return -EACCES;
    }
    if (call->head.operation == CELLA_SOCKET_NEW) {
        return make(call);
    }
    return cella_handle_is_open(call->enclave, call->head.handle) ? by_handle(call) : -EBADF;
}
