/*
 * Connections between sockets of the program: connect, listen, accept, shutdown.
 * Side: enclave. Called by unix.c.
 * Never makes a connection wait for the one who accepts it: it is there, with its queue, when connect comes back.
 */
#include "linux/unix.h"

#define BACKLOG_MAX 4096u /* net.core.somaxconn */

/* Connect of a socket that is, or becomes, the host's. */
static long host_connect(struct cella_open *open, const struct unix_host_address *address)
{
    const long result = unix_host_make(open);
    if (result != 0) {
        return result;
    }
    const struct cella_call_request request = {.operation = CELLA_SOCKET_CONNECT,
                                               .handle = open->handle,
                                               .a = (open->flags & LINUX_O_NONBLOCK) != 0};
    const struct cella_gather bytes = CELLA_GATHER_ONE(address->bytes, address->size);
    return cella_ask(CELLA_OCALL_SOCKET, &request, &bytes, 0);
}

/* Under the lock: 0: joined; -EAGAIN: the listener's queue is full. `server` is the other end, if it is used. */
static long join(struct unix_socket *client, struct unix_socket *listener,
                 struct unix_socket *server)
{
    if (listener->state != UNIX_LISTENS || listener->is_dead ||
        (listener->shut & UNIX_SHUT_RECEIVE) != 0) {
        return -ECONNREFUSED;
    }
    if (client->state != UNIX_CLOSED || client->is_dead) {
        return client->state == UNIX_LISTENS ? -EINVAL : -EISCONN;
    }
    if (listener->count > listener->backlog) {
        return -EAGAIN;
    }
    server->name = unix_name_get(listener->name);
    server->peer = client;
    client->peer = server;
    unix_get(client);
    unix_get(server); /* the queue's is the one it was made with */
    server->state = client->state = UNIX_CONNECTED;
    server->peer_credentials = unix_credentials_own();
    client->peer_credentials = listener->credentials;
    server->passes_credentials = listener->passes_credentials;
    *(listener->accept_last ? &listener->accept_last->accept_next : &listener->accept_first) =
        server;
    listener->accept_last = server;
    listener->count++;
    return 0;
}

static long connect_try(struct unix_socket *client, struct unix_socket *listener)
{
    struct unix_socket *server = unix_new(client->type);
    if (!server) {
        return -ENOMEM;
    }
    unix_take();
    const long result = join(client, listener, server);
    unix_give();
    if (result != 0) {
        unix_put(server);
        return result;
    }
    unix_changed(listener);
    return 0;
}

static long connect_stream(struct cella_open *open, uint64_t at, uint64_t size)
{
    struct unix_socket *client = open->data;
    const int64_t deadline = unix_deadline(client->send_limit);
    if (client->passes_credentials && !client->name) {
        const long result = unix_autobind(client);
        if (result != 0) {
            return result;
        }
    }
    for (;;) {
        CELLA_CLEANUP(unix_put_at) struct unix_socket *listener = NULL;
        struct unix_host_address address;
        long result = unix_find(client, at, size, &listener, &address);
        if (result != 0) {
            return result;
        }
        if (listener && unix_is_hosts(open)) {
            return -ECONNREFUSED;
        }
        if (!listener) {
            return client->state == UNIX_CLOSED ? host_connect(open, &address) : -EISCONN;
        }
        const uint32_t seen = atomic_load(&listener->rooms);
        result = connect_try(client, listener);
        if (result != -EAGAIN || (open->flags & LINUX_O_NONBLOCK) != 0) {
            return result;
        }
        result = unix_wait(&listener->rooms, seen, deadline);
        if (result != 0) {
            return result;
        }
    }
}

/* Datagrams: whom they go to from now on; nobody with AF_UNSPEC. */
static long connect_datagram(struct cella_open *open, uint64_t at, uint64_t size)
{
    struct unix_socket *socket = open->data;
    struct unix_socket *other = NULL;
    struct unix_message *dropped = NULL;
    uint16_t family = 0;
    if (size < sizeof(family)) {
        return -EINVAL;
    }
    if (!linux_user_read(&family, at, sizeof(family))) {
        return -EFAULT;
    }
    if (family != 0) {
        struct unix_host_address address;
        const long result = unix_find(socket, at, size, &other, &address);
        if (result != 0) {
            return result;
        }
        if (other && unix_is_hosts(open)) {
            unix_put(other);
            return -ECONNREFUSED;
        }
        if (!other) {
            return host_connect(open, &address);
        }
    }
    linux_mutex_take(&socket->reading); /* of what is taken out of the queue */
    unix_take();
    const bool may = !other || !other->peer || other->peer == socket;
    struct unix_socket *before = socket->peer;
    if (may) {
        dropped = before && before != other ? unix_queue_take(socket) : NULL;
        socket->peer = other;
        socket->state = other ? UNIX_CONNECTED : UNIX_CLOSED;
        socket->peer_credentials = other ? other->credentials : socket->peer_credentials;
    }
    unix_give();
    linux_mutex_give(&socket->reading);
    unix_messages_free(dropped);
    if (!may) {
        unix_put(other);
        return -EPERM;
    }
    if (before) {
        unix_put(before);
    }
    return 0;
}

long unix_connect(struct cella_open *open, uint64_t at, uint64_t size)
{
    const struct unix_socket *socket = open->data;
    return unix_is_connecting(socket) ? connect_stream(open, at, size)
                                      : connect_datagram(open, at, size);
}

long unix_listen(struct cella_open *open, int32_t backlog)
{
    struct unix_socket *socket = open->data;
    long result = 0;
    if (!unix_is_connecting(socket)) {
        return -EOPNOTSUPP;
    }
    unix_take();
    if (!socket->name || socket->state == UNIX_CONNECTED) {
        result = -EINVAL;
    } else {
        socket->backlog = (uint32_t)backlog < BACKLOG_MAX ? (uint32_t)backlog : BACKLOG_MAX;
        socket->state = UNIX_LISTENS;
        socket->credentials = unix_credentials_own();
    }
    unix_give();
    if (result == 0) {
        atomic_fetch_add(&socket->rooms, 1);
        cella_futex_wake((uint64_t)&socket->rooms, INT32_MAX);
    }
    return result;
}

/* The next connection, with the queue's reference; NULL and an errno. */
static struct unix_socket *accept_try(struct unix_socket *listener, long *ret_error)
{
    unix_take();
    struct unix_socket *server = listener->accept_first;
    if (listener->state != UNIX_LISTENS) {
        *ret_error = -EINVAL;
        server = NULL;
    } else if (server) {
        listener->accept_first = CELLA_TAKE(server->accept_next);
        listener->accept_last = listener->accept_first ? listener->accept_last : NULL;
        listener->count--;
    } else {
        *ret_error = (listener->shut & UNIX_SHUT_RECEIVE) != 0 ? -EINVAL : -EAGAIN;
    }
    unix_give();
    if (server) {
        atomic_fetch_add(&listener->rooms, 1);
        cella_futex_wake((uint64_t)&listener->rooms, INT32_MAX);
    }
    return server;
}

static struct unix_socket *accept_next(struct cella_open *open, long *ret_error)
{
    struct unix_socket *listener = open->data;
    const int64_t deadline = unix_deadline(listener->receive_limit);
    for (;;) {
        const uint32_t seen = atomic_load(&listener->changes);
        struct unix_socket *server = accept_try(listener, ret_error);
        if (server || *ret_error != -EAGAIN || (open->flags & LINUX_O_NONBLOCK) != 0) {
            return server;
        }
        *ret_error = unix_wait(&listener->changes, seen, deadline);
        if (*ret_error != 0) {
            return NULL;
        }
    }
}

long unix_accept(struct cella_open *open, uint64_t to, uint64_t size_at, uint32_t flags)
{
    CELLA_CLEANUP(unix_name_done) struct unix_name *name = NULL;
    long error = 0;
    if ((flags & ~UNIX_FLAGS) != 0) {
        return -EINVAL;
    }
    if (!unix_is_connecting(open->data)) {
        return -EOPNOTSUPP;
    }
    struct unix_socket *server = accept_next(open, &error);
    if (!server) {
        return error;
    }
    unix_take();
    name = server->peer ? unix_name_get(server->peer->name) : NULL;
    unix_give();
    struct cella_open *made = unix_open(server, flags, &error);
    if (!made) {
        return error;
    }
    if (to != 0) {
        error = unix_name_write(name, to, size_at);
        if (error != 0) {
            cella_open_put(made);
            return error;
        }
    }
    return cella_descriptor_add(made, (flags & UNIX_CLOEXEC) != 0, 0);
}

long unix_shutdown(struct cella_open *open, uint32_t how)
{
    struct unix_socket *socket = open->data;
    if (how > 2) {
        return -EINVAL;
    }
    const uint32_t own = how + 1;
    const uint32_t others = (own & UNIX_SHUT_RECEIVE) << 1 | (own & UNIX_SHUT_SEND) >> 1;
    unix_take();
    struct unix_socket *peer = socket->peer && unix_is_connecting(socket) ? socket->peer : NULL;
    socket->shut |= own;
    if (peer) {
        peer->shut |= others;
        unix_get(peer);
    }
    unix_give();
    unix_changed(socket);
    if (peer) {
        unix_changed(peer);
        unix_put(peer);
    }
    return 0;
}
