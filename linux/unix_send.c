/*
 * Sending between sockets of the program.
 * Side: enclave. Called by unix.c and unix_messages.c.
 * Never copies with the lock: a message is made first, and put into the other's queue when it still can be.
 */
#include "linux/unix.h"

#define MESSAGE_HEAD ((uint32_t)sizeof(struct unix_message))
#define PIECE_MAX (8192u - MESSAGE_HEAD) /* of a stream: one object of the pool */
#define SEND_FLAGS                                                                                 \
    (LINUX_MSG_DONTWAIT | LINUX_MSG_NOSIGNAL | 0x4u | 0x80u | 0x200u | 0x800u | 0x8000u |          \
     0x20000000u | LINUX_MSG_WAITALL | LINUX_MSG_PEEK | LINUX_MSG_TRUNC | LINUX_MSG_CMSG_CLOEXEC)

/* A message with the program's bytes; NULL and an errno. */
static struct unix_message *message_new(struct unix_socket *socket,
                                        const struct cella_gather *bytes, uint64_t done,
                                        uint32_t size, long *ret_error)
{
    struct cella_gather rest = *bytes;
    struct unix_message *message = fs_new(MESSAGE_HEAD + size);
    rest.skip += done;
    rest.size -= done;
    if (!message) {
        *ret_error = -ENOBUFS;
        return NULL;
    }
    *message = (struct unix_message){.size = size, .capacity = MESSAGE_HEAD + size};
    const long taken = size > 0 ? fs_pieces_take(&rest, message->bytes, size) : 0;
    if (taken != (long)size) {
        fs_free(message, message->capacity);
        *ret_error = -EFAULT;
        return NULL;
    }
    unix_take();
    message->sender = socket;
    unix_get(socket);
    socket->charged += message->capacity;
    unix_give();
    return message;
}

void unix_message_free(struct unix_message *message)
{
    struct unix_socket *sender = message->sender;
    unix_take();
    sender->charged -= message->capacity;
    const bool tells = sender->wants_room && !sender->is_dead && unix_is_writable(sender);
    sender->wants_room = sender->wants_room && !tells;
    unix_give();
    if (message->rights) {
        unix_rights_put(message->rights);
    }
    fs_free(message, message->capacity);
    if (tells) {
        unix_changed(sender);
    }
    unix_put(sender);
}

struct unix_message *unix_queue_take(struct unix_socket *socket)
{
    struct unix_message *messages = socket->first;
    for (const struct unix_message *at = messages; at; at = at->next) {
        if (at->rights) {
            unix_rights_land(at->rights);
        }
    }
    socket->first = socket->last = NULL;
    socket->used = 0;
    socket->count = socket->state == UNIX_LISTENS ? socket->count : 0;
    return messages;
}

void unix_messages_free(struct unix_message *messages)
{
    while (messages) {
        struct unix_message *next = messages->next;
        unix_message_free(messages);
        messages = next;
    }
}

/* Under the lock: the sender's own state lets it send; -EAGAIN: there is no room. */
static long may_send(struct unix_socket *socket)
{
    const uint32_t error = socket->error;
    if ((socket->shut & UNIX_SHUT_SEND) != 0) {
        return -EPIPE;
    }
    if (error != 0) {
        socket->error = 0;
        return -(long)error;
    }
    if (socket->charged >= socket->send_size) {
        socket->wants_room = true;
        return -EAGAIN;
    }
    return 0;
}

/* Under the lock. */
static void queue_put(struct unix_socket *socket, struct unix_socket *other,
                      struct unix_message *message, const struct unix_outgoing *outgoing)
{
    if (outgoing->has_credentials) {
        message->credentials = outgoing->credentials;
    } else if (socket->passes_credentials || other->passes_credentials || !other->open) {
        message->credentials = unix_credentials_own();
    } else {
        message->credentials = (struct unix_credentials){.user = 65534, .group = 65534};
    }
    if (message->rights) {
        unix_rights_fly(message->rights);
    }
    if (other->last) {
        other->last->next = message;
    } else {
        other->first = message;
    }
    other->last = message;
    other->used += message->size;
    other->count++;
}

/* Waits until may_send has room to tell of; 0, or an errno. */
static long wait_for_room(struct unix_socket *socket, bool waits, int64_t deadline)
{
    for (;;) {
        const uint32_t seen = atomic_load(&socket->changes);
        unix_take();
        long result = may_send(socket);
        unix_give();
        if (result != -EAGAIN || !waits) {
            return result;
        }
        result = unix_wait(&socket->changes, seen, deadline);
        if (result != 0) {
            return result;
        }
    }
}

/* One piece of a stream; the message is the queue's, or given back. */
static long piece_send(struct unix_socket *socket, struct unix_message *message,
                       const struct unix_outgoing *outgoing)
{
    unix_take();
    struct unix_socket *other = socket->peer;
    const bool good = other && !other->is_dead && (socket->shut & UNIX_SHUT_SEND) == 0 &&
                      (other->shut & UNIX_SHUT_RECEIVE) == 0;
    if (good) {
        queue_put(socket, other, message, outgoing);
        unix_get(other);
    }
    unix_give();
    if (!good) {
        unix_message_free(message);
        return -EPIPE;
    }
    unix_changed(other);
    unix_put(other);
    return 0;
}

static long send_stream(struct cella_open *open, const struct cella_gather *bytes, bool waits,
                        struct unix_outgoing *outgoing)
{
    struct unix_socket *socket = open->data;
    const int64_t deadline = unix_deadline(socket->send_limit);
    uint64_t done = 0;
    if (outgoing->address_size != 0) {
        return socket->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    }
    if (!socket->peer) {
        return -ENOTCONN;
    }
    if ((socket->shut & UNIX_SHUT_SEND) != 0) {
        return -EPIPE;
    }
    while (done < bytes->size) {
        const uint64_t left = bytes->size - done;
        const uint32_t size = left < PIECE_MAX ? (uint32_t)left : PIECE_MAX;
        long result = wait_for_room(socket, waits, deadline);
        struct unix_message *message =
            result == 0 ? message_new(socket, bytes, done, size, &result) : NULL;
        if (message) {
            message->rights = CELLA_TAKE(outgoing->rights);
            result = piece_send(socket, message, outgoing);
        }
        if (result != 0) {
            return done > 0 ? (long)done : result;
        }
        done += size;
    }
    return (long)done;
}

/* ------------------------------------------------------------------ datagrams */

/* Under the lock: 0: it is in the queue. -EAGAIN: there is no room in it. */
static long datagram_put(struct unix_socket *socket, struct unix_socket *other,
                         struct unix_message *message, const struct unix_outgoing *outgoing)
{
    if (other->is_dead) {
        return socket->type == UNIX_SEQUENCED ? -EPIPE : -ECONNREFUSED;
    }
    if (socket->type == UNIX_DATAGRAM && other->peer && other->peer != socket) {
        return -EPERM;
    }
    if ((other->shut & UNIX_SHUT_RECEIVE) != 0) {
        return -EPIPE;
    }
    if (other != socket && other->peer != socket && other->count > other->backlog) {
        other->delays_senders = true;
        socket->wants_room = true;
        return -EAGAIN;
    }
    queue_put(socket, other, message, outgoing);
    return 0;
}

/* Who was connected is gone: so is the connection, and what came over it. */
static void datagram_lost(struct unix_socket *socket, struct unix_socket *other)
{
    struct unix_message *dropped = NULL;
    linux_mutex_take(&socket->reading);
    unix_take();
    const bool was_peer = socket->type == UNIX_DATAGRAM && socket->peer == other;
    if (was_peer) {
        socket->peer = NULL;
        socket->state = UNIX_CLOSED;
        dropped = unix_queue_take(socket);
    }
    unix_give();
    linux_mutex_give(&socket->reading);
    unix_messages_free(dropped);
    if (was_peer) {
        unix_put(other);
    }
}

static long datagram_deliver(struct cella_open *open, struct unix_socket *other,
                             struct unix_message *message, bool waits, int64_t deadline,
                             const struct unix_outgoing *outgoing)
{
    struct unix_socket *socket = open->data;
    for (;;) {
        const uint32_t seen = atomic_load(&other->rooms);
        unix_take();
        long result = datagram_put(socket, other, message, outgoing);
        unix_give();
        if (result == 0) {
            unix_changed(other);
            return 0;
        }
        if (result == -ECONNREFUSED) {
            datagram_lost(socket, other);
        }
        if (result != -EAGAIN || !waits) {
            return result;
        }
        result = unix_wait(&other->rooms, seen, deadline);
        if (result != 0) {
            return result;
        }
    }
}

/* The other end with a reference; NULL and an errno, or 0: it is the host's. */
static struct unix_socket *target_take(struct unix_socket *socket,
                                       const struct unix_outgoing *outgoing,
                                       struct unix_host_address *ret_host, long *ret_error)
{
    struct unix_socket *other = NULL;
    *ret_error = -ENOTCONN;
    if (outgoing->address_size != 0) {
        *ret_error = unix_find(socket, outgoing->address, outgoing->address_size, &other, ret_host);
        return other;
    }
    unix_take();
    other = socket->peer;
    if (other) {
        unix_get(other);
    }
    unix_give();
    return other;
}

static long host_send(struct cella_open *open, const struct cella_gather *bytes,
                      const struct unix_host_address *address, uint32_t flags)
{
    const long result = unix_host_make(open);
    return result != 0
               ? result
               : cella_socket_send(open, bytes, (uint64_t)address->bytes, address->size, flags);
}

static long send_datagram(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                          bool waits, struct unix_outgoing *outgoing)
{
    CELLA_CLEANUP(unix_put_at) struct unix_socket *other = NULL;
    struct unix_socket *socket = open->data;
    struct unix_host_address address = {0};
    const int64_t deadline = unix_deadline(socket->send_limit);
    long result = 0;
    if (socket->type == UNIX_SEQUENCED) {
        if (socket->state != UNIX_CONNECTED) {
            return -ENOTCONN;
        }
        outgoing->address_size = 0;
    }
    other = target_take(socket, outgoing, &address, &result);
    if (!other) {
        return result != 0 ? result : host_send(open, bytes, &address, flags);
    }
    if (socket->passes_credentials && !socket->name) {
        result = unix_autobind(socket);
        if (result != 0) {
            return result;
        }
    }
    if (bytes->size > socket->send_size - 32) {
        return -EMSGSIZE;
    }
    result = wait_for_room(socket, waits, deadline);
    struct unix_message *message =
        result == 0 ? message_new(socket, bytes, 0, (uint32_t)bytes->size, &result) : NULL;
    if (!message) {
        return result;
    }
    message->rights = CELLA_TAKE(outgoing->rights);
    result = datagram_deliver(open, other, message, waits, deadline, outgoing);
    if (result != 0) {
        unix_message_free(message);
        return result;
    }
    return (long)bytes->size;
}

/* From a socket of the host: to another of its, or to whom it is connected with. Nothing goes along. */
static long send_of_host(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                         const struct unix_outgoing *outgoing)
{
    struct unix_host_address address = {0};
    struct unix_socket *other = NULL;
    if (outgoing->rights || outgoing->has_credentials) {
        return -EOPNOTSUPP;
    }
    if (outgoing->address_size == 0) {
        return cella_socket_send(open, bytes, 0, 0, flags);
    }
    const long result =
        unix_find(open->data, outgoing->address, outgoing->address_size, &other, &address);
    if (other) {
        unix_put(other);
        return -ECONNREFUSED;
    }
    return result != 0 ? result : host_send(open, bytes, &address, flags);
}

long unix_send(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
               struct unix_outgoing *outgoing)
{
    const struct unix_socket *socket = open->data;
    const bool waits = (flags & LINUX_MSG_DONTWAIT) == 0 && (open->flags & LINUX_O_NONBLOCK) == 0;
    if (unix_is_hosts(open)) {
        return send_of_host(open, bytes, flags, outgoing);
    }
    if ((flags & ~SEND_FLAGS) != 0) {
        return -EOPNOTSUPP;
    }
    if (socket->type == UNIX_STREAM) {
        return send_stream(open, bytes, waits, outgoing);
    }
    const long result = send_datagram(open, bytes, flags, waits, outgoing);
    if (result == -EPIPE) {
        fs_system_quiet_pipe();
    }
    return result;
}
