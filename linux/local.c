/*
 * Sockets of the family AF_UNIX inside the enclave: their life, and the calls that are no messages.
 * Side: enclave. Called for the program's system calls, and through the class.
 * Never waits with the lock.
 */
#include "linux/local.h"

#define TYPE_MASK 0xFu
#define FLAG_NONBLOCK LINUX_O_NONBLOCK
#define FLAG_CLOEXEC LINUX_O_CLOEXEC
#define SOL_SOCKET_LEVEL 1u
#define SO_TYPE_NAME 3u
#define SO_ERROR_NAME 4u
#define SO_SNDBUF_NAME 7u
#define SO_RCVBUF_NAME 8u
#define SO_PASSCRED_NAME 16u
#define SO_PEERCRED_NAME 17u
#define SO_RCVTIMEO_NAME 20u
#define SO_SNDTIMEO_NAME 21u
#define SO_ACCEPTCONN_NAME 30u
#define SO_PROTOCOL_NAME 38u
#define SO_DOMAIN_NAME 39u
#define BACKLOG_MAX 4096u
#define FUTEX_WAIT_PRIVATE 128u

static struct cella_lock lock;

void local_take(void)
{
    cella_lock_take(&lock);
}

void local_give(void)
{
    cella_lock_give(&lock);
}

struct local *local_new(uint32_t type)
{
    struct local *local = fs_new(sizeof(*local));
    if (local) {
        local->references = 1;
        local->type = type;
    }
    return local;
}

void local_put(struct local *local)
{
    while (local) {
        local_take();
        const bool last = --local->references == 0;
        local_give();
        if (!last) {
            return;
        }
        struct local *peer = local->peer;
        local_packets_free(local->first);
        if (local->node) {
            fs_node_put(local->node);
        }
        fs_free(local, sizeof(*local));
        local = peer;
    }
}

void local_wake(struct local *local)
{
    atomic_fetch_add(&local->changes, 1);
    cella_futex_wake((uint64_t)&local->changes, INT32_MAX);
}

void local_changed(struct local *local)
{
    local_wake(local);
    local_take();
    struct cella_open *open = local->open;
    const uint64_t serial = local->serial;
    local_give();
    if (open && cella_open_take(open, serial)) {
        cella_poll_notify(open);
        cella_open_put(open);
    }
}

long local_wait(struct local *local, const int64_t limit[2], uint32_t seen)
{
    const struct libc_timespec time = {.seconds = limit[0], .nanoseconds = limit[1]};
    const bool has_limit = limit[0] != 0 || limit[1] != 0;
    struct cella_regs regs = {.rdi = (uint64_t)&local->changes,
                              .rsi = FUTEX_WAIT_PRIVATE,
                              .rdx = seen,
                              .r10 = has_limit ? (uint64_t)&time : 0};
    const long result = cella_futex(&regs);
    return result == -EINTR ? -EINTR : result == -ETIMEDOUT ? -EAGAIN : 0;
}

static long class_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct local_received received;
    if (transfer->writing) {
        return local_send(open, &transfer->bytes, NULL, 0, NULL, 0);
    }
    const long result = local_receive(open, &transfer->bytes, 0, &received);
    for (uint32_t i = 0; result >= 0 && i < received.right_count; i++) {
        cella_open_put(received.rights[i]); /* nobody asked for them */
    }
    return result;
}

static uint32_t class_ready(struct cella_open *open)
{
    struct local *local = open->data;
    uint32_t ready = 0;
    local_take();
    const struct local *peer = local->peer;
    const bool is_stream = local->type != LOCAL_DATAGRAM;
    const bool is_over = is_stream && peer && (peer->is_closed || peer->is_shut_for_writing);
    if (local->first || local->pending || is_over || local->is_shut_for_reading) {
        ready |= LINUX_POLLIN;
    }
    if (is_over || local->is_shut_for_reading) {
        ready |= LOCAL_RDHUP;
    }
    if (is_stream && !local->is_listening && (!peer || peer->is_closed)) {
        ready |= LINUX_POLLHUP | LINUX_POLLOUT;
    }
    if (!local->is_listening && (peer ? peer->queued < LOCAL_QUEUE_MAX : !is_stream)) {
        ready |= LINUX_POLLOUT;
    }
    local_give();
    return ready;
}

static long class_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    struct local *local = open->data;
    if (request != LINUX_FIONREAD) {
        return -ENOTTY;
    }
    local_take();
    const uint64_t left = local->type == LOCAL_STREAM ? local->queued
                          : local->first              ? local->first->size
                                                      : 0;
    local_give();
    const int32_t shown = (int32_t)left;
    return linux_user_write(argument, &shown, sizeof(shown)) ? 0 : -EFAULT;
}

static void class_release(struct cella_open *open)
{
    struct local *local = open->data;
    open->data = NULL;
    if (!local) {
        return;
    }
    local_take();
    local->is_closed = true;
    local->open = NULL;
    for (struct local **at = &local_list; local->is_listed && *at; at = &(*at)->next) {
        if (*at == local) {
            *at = local->next;
            local->is_listed = false;
            break;
        }
    }
    struct local *peer = local->peer;
    if (peer) {
        peer->references++;
    }
    struct local *pending = CELLA_TAKE(local->pending);
    local_give();
    if (peer) {
        local_changed(peer);
        local_put(peer);
    }
    while (pending) { /* nobody will accept them */
        struct local *next = pending->pending_next;
        pending->is_closed = true;
        if (pending->peer) {
            local_changed(pending->peer);
        }
        local_take();
        struct local *client = CELLA_TAKE(pending->peer);
        local_give();
        local_put(client);
        local_put(pending);
        pending = next;
    }
    local_changed(local);
    local_take();
    peer = CELLA_TAKE(local->peer); /* two ends hold each other: one has to let go */
    local_give();
    local_put(peer);
    local_put(local);
}

const struct cella_open_class local_class = {
    .transfer = class_transfer,
    .control = class_control,
    .ready = class_ready,
    .release = class_release,
};

long local_insert(struct local *local, uint32_t flags)
{
    long error;
    struct cella_open *open = cella_open_new(
        &local_class, CELLA_NO_HANDLE,
        LINUX_O_RDWR | ((flags & FLAG_NONBLOCK) != 0 ? LINUX_O_NONBLOCK : 0), &error);
    if (!open) {
        local_put(local);
        return error;
    }
    open->mode = MODE_SOCKET;
    open->data = local;
    open->words[SOCKET_DOMAIN] = LINUX_AF_UNIX;
    open->words[SOCKET_TYPE] = local->type;
    local_take();
    local->open = open;
    local->serial = open->serial;
    local_give();
    return cella_descriptor_add(open, (flags & FLAG_CLOEXEC) != 0, 0);
}

static long type_check(uint64_t type, uint64_t protocol)
{
    const uint64_t kind = type & TYPE_MASK;
    if ((type & ~(uint64_t)(TYPE_MASK | FLAG_NONBLOCK | FLAG_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    if (kind != LOCAL_STREAM && kind != LOCAL_DATAGRAM && kind != LOCAL_PACKETS) {
        return -ESOCKTNOSUPPORT;
    }
    return protocol > 1 ? -EPROTONOSUPPORT : 0;
}

static long call_socket(uint64_t type, uint64_t protocol)
{
    const long result = type_check(type, protocol);
    struct local *local = result == 0 ? local_new((uint32_t)type & TYPE_MASK) : NULL;
    if (!local) {
        return result != 0 ? result : -ENOMEM;
    }
    return local_insert(local, (uint32_t)type);
}

static void join(struct local *a, struct local *b)
{
    local_take();
    a->peer = b;
    b->peer = a;
    a->references++;
    b->references++;
    local_give();
}

static long call_pair(uint64_t type, uint64_t protocol, uint64_t to)
{
    int32_t fds[2];
    long result = type_check(type, protocol);
    if (result != 0) {
        return result;
    }
    struct local *a = local_new((uint32_t)type & TYPE_MASK);
    struct local *b = local_new((uint32_t)type & TYPE_MASK);
    if (!a || !b) {
        local_put(a);
        local_put(b);
        return -ENOMEM;
    }
    join(a, b);
    const long first = local_insert(a, (uint32_t)type);
    const long second = local_insert(b, (uint32_t)type);
    fds[0] = (int32_t)first;
    fds[1] = (int32_t)second;
    result = first < 0 ? first : second < 0 ? second : 0;
    if (result == 0 && !linux_user_write(to, fds, sizeof(fds))) {
        result = -EFAULT;
    }
    for (uint32_t i = 0; i < 2 && result != 0; i++) {
        struct cella_open *open =
            fds[i] >= 0 ? cella_descriptor_swap((uint64_t)fds[i], NULL, false) : NULL;
        if (open) {
            cella_open_put(open);
        }
    }
    return result;
}

static long call_listen(struct local *local, uint64_t backlog)
{
    if (local->type == LOCAL_DATAGRAM) {
        return -EOPNOTSUPP;
    }
    local_take();
    const bool can = local->address.size > 0 && !local->peer;
    local->is_listening = local->is_listening || can;
    local->backlog = backlog < BACKLOG_MAX ? (uint32_t)backlog : BACKLOG_MAX;
    local_give();
    return can || local->is_listening ? 0 : -EINVAL;
}

/* A connection in the queue of who listens: made whole before accept sees it. */
static long queue_join(struct local *client, struct local *listener, struct local *server)
{
    long result = 0;
    local_take();
    if (listener->is_closed || !listener->is_listening) {
        result = -ECONNREFUSED;
    } else if (client->peer) {
        result = -EISCONN;
    } else if (listener->pending_count > listener->backlog) {
        result = -EAGAIN;
    } else {
        server->address = listener->address;
        server->peer = client;
        client->peer = server;
        client->references++;
        server->references += 2; /* the queue's, and the client's; the caller's is given back */
        struct local **last = &listener->pending;
        while (*last) {
            last = &(*last)->pending_next;
        }
        *last = server;
        listener->pending_count++;
    }
    local_give();
    return result;
}

static long stream_connect(struct cella_open *open, struct local *client, struct local *listener)
{
    struct local *server = local_new(client->type);
    long result = server ? -EAGAIN : -ENOMEM;
    if (listener->type != client->type) {
        result = -EPROTOTYPE;
    }
    while (result == -EAGAIN) {
        const uint32_t seen = atomic_load(&listener->changes);
        result = queue_join(client, listener, server);
        if (result != -EAGAIN || (open->flags & LINUX_O_NONBLOCK) != 0) {
            break;
        }
        const long waited = local_wait(listener, client->limits[1], seen);
        result = waited != 0 ? waited : -EAGAIN;
        if (waited != 0) {
            break;
        }
    }
    if (result == 0) {
        local_changed(listener);
    }
    local_put(server);
    return result;
}

static long call_connect(struct cella_open *open, const struct local_address *address)
{
    struct local *local = open->data;
    long error = 0;
    if (local->is_listening) {
        return -EINVAL;
    }
    struct local *other = local_find(open, address, &error);
    if (!other) {
        return error == 1 ? 0 : error;
    }
    if (local->type != LOCAL_DATAGRAM) {
        error = stream_connect(open, local, other);
        local_put(other);
        return error;
    }
    if (other->type != LOCAL_DATAGRAM) {
        local_put(other);
        return -EPROTOTYPE;
    }
    local_take();
    struct local *before = local->peer;
    local->peer = other; /* with the reference */
    local_give();
    local_put(before);
    return 0;
}

static long address_out(const struct local_address *address, uint64_t to, uint64_t size_at)
{
    struct cella_call_address out = {.size = address->size > 0 ? address->size : 2};
    __builtin_memcpy(out.address, address->bytes, address->size);
    out.address[0] = LINUX_AF_UNIX;
    return cella_address_write(&out, to, size_at);
}

static long call_accept(struct cella_open *open, uint64_t to, uint64_t size_at, uint64_t flags)
{
    struct local *local = open->data;
    struct local_address from = {0};
    struct local *server = NULL;
    if ((flags & ~(uint64_t)(FLAG_NONBLOCK | FLAG_CLOEXEC)) != 0 || !local->is_listening) {
        return -EINVAL;
    }
    while (!server) {
        const uint32_t seen = atomic_load(&local->changes);
        local_take();
        server = local->pending;
        if (server) {
            local->pending = CELLA_TAKE(server->pending_next);
            local->pending_count--;
            from = server->peer->address;
        }
        local_give();
        if (!server && (open->flags & LINUX_O_NONBLOCK) != 0) {
            return -EAGAIN;
        }
        const long waited = server ? 0 : local_wait(local, local->limits[0], seen);
        if (waited != 0) {
            return waited;
        }
    }
    local_changed(local);
    const long written = address_out(&from, to, size_at);
    const long fd = local_insert(server, (uint32_t)flags);
    if (fd >= 0 && written != 0) {
        cella_open_put(cella_descriptor_swap((uint64_t)fd, NULL, false));
        return written;
    }
    return fd;
}

static long call_name(struct local *local, uint64_t to, uint64_t size_at, bool of_peer)
{
    struct local_address address = {0};
    local_take();
    const bool has = !of_peer || local->peer;
    if (has) {
        address = of_peer ? local->peer->address : local->address;
    }
    local_give();
    return !has ? -ENOTCONN : to == 0 ? -EFAULT : address_out(&address, to, size_at);
}

static long call_shutdown(struct local *local, uint64_t how)
{
    if (how > 2) {
        return -EINVAL;
    }
    local_take();
    struct local *peer = local->peer;
    if (peer) {
        local->is_shut_for_reading = local->is_shut_for_reading || how != 1;
        local->is_shut_for_writing = local->is_shut_for_writing || how != 0;
        peer->references++;
    }
    local_give();
    if (!peer) {
        return -ENOTCONN;
    }
    local_changed(local);
    local_changed(peer);
    local_put(peer);
    return 0;
}

static long call_option(struct local *local, uint64_t level, uint64_t name, uint64_t at,
                        uint64_t size)
{
    int64_t time[2];
    if (level != SOL_SOCKET_LEVEL) {
        return -EOPNOTSUPP;
    }
    if (name != SO_RCVTIMEO_NAME && name != SO_SNDTIMEO_NAME) {
        return size < 4 ? -EINVAL : 0; /* sizes, and what addresses of a network need */
    }
    if (size < sizeof(time) || !linux_user_read(time, at, sizeof(time))) {
        return size < sizeof(time) ? -EINVAL : -EFAULT;
    }
    if (time[0] < 0 || time[1] < 0 || time[1] >= 1000000) {
        return -EDOM;
    }
    int64_t *limit = local->limits[name == SO_SNDTIMEO_NAME];
    limit[0] = time[0];
    limit[1] = time[1] * 1000;
    return 0;
}

static long call_option_get(const struct local *local, uint64_t level, uint64_t name, uint64_t to,
                            uint64_t size_at)
{
    struct fs_ids ids;
    uint32_t size, value[4] = {0}, count = 1;
    fs_system_ids(&ids);
    if (level != SOL_SOCKET_LEVEL) {
        return -EOPNOTSUPP;
    }
    if (!linux_user_read(&size, size_at, sizeof(size))) {
        return -EFAULT;
    }
    switch (name) {
    case SO_TYPE_NAME:
        value[0] = local->type;
        break;
    case SO_DOMAIN_NAME:
        value[0] = LINUX_AF_UNIX;
        break;
    case SO_ACCEPTCONN_NAME:
        value[0] = local->is_listening;
        break;
    case SO_SNDBUF_NAME:
    case SO_RCVBUF_NAME:
        value[0] = LOCAL_QUEUE_MAX;
        break;
    case SO_PEERCRED_NAME:
        value[0] = ids.process;
        value[1] = ids.user;
        value[2] = ids.group;
        count = 3;
        break;
    case SO_RCVTIMEO_NAME:
    case SO_SNDTIMEO_NAME: {
        const int64_t *limit = local->limits[name == SO_SNDTIMEO_NAME];
        const int64_t time[2] = {limit[0], limit[1] / 1000};
        __builtin_memcpy(value, time, sizeof(time));
        count = 4;
        break;
    }
    default:
        break; /* SO_ERROR, SO_PROTOCOL, SO_PASSCRED and switches: 0 */
    }
    size = size < count * 4 ? size : count * 4;
    return linux_user_write(to, value, size) && linux_user_write(size_at, &size, sizeof(size))
               ? 0
               : -EFAULT;
}

static long on_socket(const struct cella_regs *regs, struct cella_open *open, struct local *local)
{
    struct local_address address;
    long result;
    switch (regs->rax) {
    case __NR_bind:
    case __NR_connect:
        result = local_address_take(ARG1(regs), (uint32_t)ARG2(regs), &address);
        if (result != 0) {
            return result;
        }
        return regs->rax == __NR_bind ? local_bind(open, &address) : call_connect(open, &address);
    case __NR_listen:
        return call_listen(local, (uint32_t)ARG1(regs));
    case __NR_accept:
        return call_accept(open, ARG1(regs), ARG2(regs), 0);
    case __NR_accept4:
        return call_accept(open, ARG1(regs), ARG2(regs), (uint32_t)ARG3(regs));
    case __NR_getsockname:
    case __NR_getpeername:
        return call_name(local, ARG1(regs), ARG2(regs), regs->rax == __NR_getpeername);
    case __NR_shutdown:
        return call_shutdown(local, (uint32_t)ARG1(regs));
    case __NR_setsockopt:
        return call_option(local, (uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs),
                           (uint32_t)ARG4(regs));
    default:
        return call_option_get(local, (uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs),
                               ARG4(regs));
    }
}

bool local_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_socket:
    case __NR_socketpair:
        if ((uint32_t)ARG0(regs) != LINUX_AF_UNIX) {
            return false;
        }
        *ret_result = regs->rax == __NR_socket
                          ? call_socket((uint32_t)ARG1(regs), (uint32_t)ARG2(regs))
                          : call_pair((uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs));
        return true;
    case __NR_bind:
    case __NR_connect:
    case __NR_listen:
    case __NR_accept:
    case __NR_accept4:
    case __NR_getsockname:
    case __NR_getpeername:
    case __NR_shutdown:
    case __NR_setsockopt:
    case __NR_getsockopt: {
        CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
        struct local *local = local_of(open);
        if (local) {
            *ret_result = on_socket(regs, open, local);
        }
        return local != NULL;
    }
    default:
        return local_message_calls(regs, ret_result);
    }
}
