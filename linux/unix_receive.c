/*
 * Receiving between sockets of the program.
 * Side: enclave. Called by unix.c and unix_messages.c.
 * Never takes a message away before its bytes are with the program; one thread reads a socket at a time.
 */
#include "linux/unix.h"

#define RECEIVE_FLAGS                                                                              \
    (LINUX_MSG_PEEK | LINUX_MSG_TRUNC | LINUX_MSG_DONTWAIT | LINUX_MSG_WAITALL |                   \
     LINUX_MSG_CMSG_CLOEXEC | LINUX_MSG_NOSIGNAL | 0x20u | 0x2000u)

void unix_incoming_done(struct unix_incoming *incoming)
{
    unix_name_put(incoming->name);
    incoming->name = NULL;
    if (incoming->rights) {
        unix_rights_put(CELLA_TAKE(incoming->rights));
    }
}

/* Not under the lock: there is room in the queue again. */
static void room_made(struct unix_socket *socket)
{
    atomic_fetch_add(&socket->rooms, 1);
    cella_futex_wake((uint64_t)&socket->rooms, INT32_MAX);
    for (;;) {
        struct unix_socket *told = NULL;
        unix_take();
        if (!socket->delays_senders) {
            unix_give();
            return;
        }
        for (struct unix_socket *at = unix_all(); at && !told; at = at->next) {
            if (at->peer == socket && at->wants_room && !at->is_dead) {
                told = at;
                told->wants_room = false;
                unix_get(told);
            }
        }
        socket->delays_senders = told != NULL;
        unix_give();
        if (!told) {
            return;
        }
        unix_changed(told);
        unix_put(told);
    }
}

/* Under the lock: what is to be said when nothing is there. 0: the end. */
static long nothing_there(struct unix_socket *socket)
{
    const uint32_t error = socket->error;
    if (error != 0) {
        socket->error = 0;
        return -(long)error;
    }
    return (socket->shut & UNIX_SHUT_RECEIVE) != 0 ? 0 : -EAGAIN;
}

/*
 * The message at the head, with the reading mutex, which keeps it there. NULL: *ret_result is -EAGAIN when there may
 * be one later, 0 at the end, or an errno.
 */
static struct unix_message *head_try(struct unix_socket *socket, long *ret_result)
{
    unix_take();
    struct unix_message *message = socket->first;
    if (!message) {
        *ret_result = nothing_there(socket);
    }
    unix_give();
    return message;
}

/* The same, waiting; the mutex is given while it waits. */
static struct unix_message *head_wait(struct unix_socket *socket, bool waits, int64_t deadline,
                                      long *ret_result)
{
    for (;;) {
        const uint32_t seen = atomic_load(&socket->changes);
        struct unix_message *message = head_try(socket, ret_result);
        if (message || *ret_result != -EAGAIN || !waits) {
            return message;
        }
        linux_mutex_give(&socket->reading);
        const long waited = unix_wait(&socket->changes, seen, deadline);
        linux_mutex_take(&socket->reading);
        if (waited != 0) {
            *ret_result = waited;
            return NULL;
        }
    }
}

/*
 * What came with a message; taken out of it, or for a look copied. With the reading mutex: nobody else takes it. Without
 * memory a look does not see what else came.
 */
static void attributes_take(struct unix_message *message, bool peeks,
                            struct unix_incoming *incoming)
{
    const bool has_rights = message->rights && !incoming->rights;
    struct unix_rights *copy = has_rights && peeks ? unix_rights_new(message->rights->count) : NULL;
    unix_take();
    if (!incoming->name) {
        incoming->name = unix_name_get(message->sender->name);
    }
    if (!incoming->has_credentials) {
        incoming->credentials = message->credentials;
        incoming->has_credentials = true;
    }
    if (copy) {
        unix_rights_copy(copy, message->rights);
        incoming->rights = copy;
    } else if (has_rights && !peeks) {
        incoming->rights = CELLA_TAKE(message->rights);
        unix_rights_land(incoming->rights);
    }
    unix_give();
}

static void head_remove(struct unix_socket *socket, struct unix_message *message)
{
    unix_take();
    /* A socket that was closed or disconnected meanwhile has no queue any more; then the message is another's. */
    const bool is_there = socket->first == message;
    if (is_there) {
        socket->first = message->next;
        socket->last = socket->first ? socket->last : NULL;
        socket->count--;
        socket->used -= message->size - message->taken;
    }
    unix_give();
    if (is_there) {
        unix_message_free(message);
        room_made(socket);
    }
}

static bool bytes_taken(struct unix_socket *socket, struct unix_message *message, uint32_t size)
{
    unix_take();
    message->taken += size;
    socket->used -= size;
    const bool is_empty = message->taken == message->size;
    unix_give();
    return is_empty;
}

/* Streams: one message more into the transfer; true: go on with the next one. */
static bool stream_take(struct unix_socket *socket, struct unix_message *message, bool peeks,
                        const struct cella_gather *bytes, uint64_t *done,
                        struct unix_incoming *incoming, long *ret_error)
{
    struct cella_gather rest = *bytes;
    rest.skip += *done;
    rest.size -= *done;
    const uint32_t left = message->size - message->taken;
    const uint32_t wanted = rest.size < left ? (uint32_t)rest.size : left;
    const long put = fs_pieces_put(&rest, message->bytes + message->taken, wanted);
    if (put != (long)wanted) {
        *ret_error = -EFAULT;
        return false;
    }
    *done += wanted;
    attributes_take(message, peeks, incoming);
    if (!peeks && bytes_taken(socket, message, wanted)) {
        head_remove(socket, message);
    }
    return !incoming->rights && *done < bytes->size;
}

/* With the mutex. Looks go on over the messages of the queue as they are. */
static long stream_peek(struct unix_socket *socket, const struct cella_gather *bytes,
                        struct unix_message *message, struct unix_incoming *incoming)
{
    uint64_t done = 0;
    long error = 0;
    while (message && stream_take(socket, message, true, bytes, &done, incoming, &error)) {
        unix_take();
        message = message->next;
        unix_give();
    }
    return done > 0 ? (long)done : error;
}

static long receive_stream(struct unix_socket *socket, const struct cella_gather *bytes,
                           uint32_t flags, bool waits, struct unix_incoming *incoming)
{
    const int64_t deadline = unix_deadline(socket->receive_limit);
    const bool peeks = (flags & LINUX_MSG_PEEK) != 0;
    const uint64_t least = (flags & LINUX_MSG_WAITALL) != 0 ? UINT64_MAX : socket->low_water;
    const uint64_t most = bytes->size > 0 ? bytes->size : 1; /* it waits for nothing, too */
    const uint64_t target = least < most ? least : most;
    uint64_t done = 0;
    long result = 0;
    if (socket->state != UNIX_CONNECTED) {
        return -EINVAL;
    }
    for (;;) {
        struct unix_message *message = head_wait(socket, waits && done < target, deadline, &result);
        if (!message) {
            return done > 0 ? (long)done : result;
        }
        result = 0;
        if (peeks) {
            return stream_peek(socket, bytes, message, incoming);
        }
        if (!stream_take(socket, message, false, bytes, &done, incoming, &result)) {
            return done > 0 ? (long)done : result;
        }
    }
}

static long receive_datagram(struct unix_socket *socket, const struct cella_gather *bytes,
                             uint32_t flags, bool waits, struct unix_incoming *incoming)
{
    const int64_t deadline = unix_deadline(socket->receive_limit);
    const bool peeks = (flags & LINUX_MSG_PEEK) != 0;
    long result = 0;
    if (socket->type == UNIX_SEQUENCED && socket->state != UNIX_CONNECTED) {
        return -ENOTCONN;
    }
    struct unix_message *message = head_wait(socket, waits, deadline, &result);
    if (!message) {
        /* Of datagrams Linux tells the end only to those that wait. */
        return result == 0 && !waits && socket->type == UNIX_DATAGRAM ? -EAGAIN : result;
    }
    const uint32_t wanted = bytes->size < message->size ? (uint32_t)bytes->size : message->size;
    const uint32_t whole = message->size;
    const long put = wanted > 0 ? fs_pieces_put(bytes, message->bytes, wanted) : 0;
    attributes_take(message, peeks, incoming);
    incoming->flags |= whole > wanted ? LINUX_MSG_TRUNC : 0;
    if (!peeks) {
        head_remove(socket, message);
    }
    if (put != (long)wanted) {
        return -EFAULT;
    }
    return (flags & LINUX_MSG_TRUNC) != 0 ? (long)whole : (long)wanted;
}

long unix_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                  struct unix_incoming *ret_incoming)
{
    struct unix_socket *socket = open->data;
    const bool waits = (flags & LINUX_MSG_DONTWAIT) == 0 && (open->flags & LINUX_O_NONBLOCK) == 0;
    if ((flags & MSG_OOB_FLAG) != 0 && socket->type == UNIX_STREAM) {
        return -EINVAL; /* there is none */
    }
    if ((flags & ~RECEIVE_FLAGS) != 0) {
        return -EOPNOTSUPP;
    }
    linux_mutex_take(&socket->reading);
    const long result = socket->type == UNIX_STREAM
                            ? receive_stream(socket, bytes, flags, waits, ret_incoming)
                            : receive_datagram(socket, bytes, flags, waits, ret_incoming);
    linux_mutex_give(&socket->reading);
    return result;
}
