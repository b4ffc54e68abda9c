/*
 * Sockets of the family AF_UNIX inside the enclave: sending and receiving, and the descriptors that go with messages.
 * Side: enclave. Called by local.c and for the program's system calls.
 * Never more than LOCAL_QUEUE_MAX bytes wait for one receiver; who sends more waits, too.
 */
#include "linux/local.h"

#define SOL_SOCKET_LEVEL 1u
#define SCM_RIGHTS_TYPE 1u
#define SCM_CREDENTIALS_TYPE 2u
#define CONTROL_HEAD 16u
#define CONTROL_MAX 4096u
#define MSG_CTRUNC_FLAG 8u
#define MSG_EOR_FLAG 0x80u
#define MESSAGES_MAX 1024u

/* struct cmsghdr */
struct control {
    uint64_t size;
    uint32_t level, type;
};
_Static_assert(sizeof(struct control) == CONTROL_HEAD, "struct cmsghdr");

static uint64_t packet_capacity(uint64_t size)
{
    return sizeof(struct local_packet) + size;
}

static void rights_put(struct cella_open *const *rights, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        cella_open_put(rights[i]);
    }
}

void local_packets_free(struct local_packet *packet)
{
    while (packet) {
        struct local_packet *next = packet->next;
        rights_put(packet->rights, packet->right_count);
        fs_free(packet, packet_capacity(packet->used + packet->size));
        packet = next;
    }
}

/* The bytes of the program in a packet of the kernel's; NULL and an errno. */
static struct local_packet *packet_make(const struct cella_gather *bytes, uint64_t size,
                                        const struct local *from, long *ret_error)
{
    struct local_packet *packet = fs_new(packet_capacity(size));
    *ret_error = -ENOMEM;
    if (!packet) {
        return NULL;
    }
    const long taken = size > 0 ? fs_pieces_take(bytes, packet->bytes, size) : 0;
    if (taken < 0 || (uint64_t)taken != size) {
        fs_free(packet, packet_capacity(size));
        *ret_error = -EFAULT;
        return NULL;
    }
    packet->size = size;
    packet->from = from->address;
    *ret_error = 0;
    return packet;
}

/* Puts a packet behind the others of `to`: 0, -EAGAIN where there is no room, or the error of a socket that is gone. */
static long packet_put(const struct local *from, struct local *to, struct local_packet *packet)
{
    const bool is_datagram = from->type == LOCAL_DATAGRAM;
    long result = 0;
    local_take();
    if (from->is_shut_for_writing || (!is_datagram && (to->is_closed || to->is_shut_for_reading))) {
        result = -EPIPE;
    } else if (is_datagram && to->is_closed) {
        result = -ECONNREFUSED;
    } else if (to->queued > 0 && to->queued + packet->size > LOCAL_QUEUE_MAX) {
        result = -EAGAIN;
    } else {
        if (to->last) {
            to->last->next = packet;
        } else {
            to->first = packet;
        }
        to->last = packet;
        to->queued += packet->size;
    }
    local_give();
    return result;
}

/* Waits for room, unless it must not. Takes over the packet when it goes well. */
static long packet_send(struct cella_open *open, struct local *to, struct local_packet *packet,
                        uint32_t flags)
{
    struct local *from = open->data;
    const bool waits = (open->flags & LINUX_O_NONBLOCK) == 0 && (flags & LINUX_MSG_DONTWAIT) == 0;
    for (;;) {
        const uint32_t seen = atomic_load(&to->changes);
        const long result = packet_put(from, to, packet);
        if (result == 0) {
            local_changed(to);
        }
        if (result != -EAGAIN || !waits) {
            return result;
        }
        const long waited =
            local_wait(to, from->limits[1], seen); /* who takes something out changes it */
        if (waited != 0) {
            return waited;
        }
    }
}

static long send_to(struct cella_open *open, struct local *to, const struct cella_gather *bytes,
                    uint32_t flags, struct cella_open *const *rights, uint32_t right_count)
{
    const struct local *from = open->data;
    const bool is_stream = from->type == LOCAL_STREAM;
    uint64_t done = 0;
    long error = 0;
    if (!is_stream && bytes->size > LOCAL_QUEUE_MAX) {
        return -EMSGSIZE;
    }
    do {
        struct cella_gather rest = *bytes;
        rest.skip += done;
        rest.size -= done;
        const uint64_t size =
            is_stream && rest.size > LOCAL_PIECE_MAX ? LOCAL_PIECE_MAX : rest.size;
        struct local_packet *packet = packet_make(&rest, size, from, &error);
        if (!packet) {
            break;
        }
        for (uint32_t i = 0; done == 0 && i < right_count; i++) {
            packet->rights[i] = rights[i];
            packet->right_count = i + 1;
        }
        error = packet_send(open, to, packet, flags);
        if (error != 0) {
            packet->right_count = 0; /* they stay the caller's */
            local_packets_free(packet);
            break;
        }
        done += size;
    } while (done < bytes->size);
    return done > 0 || error == 0 ? (long)done : error;
}

long local_send(struct cella_open *open, const struct cella_gather *bytes,
                const struct local_address *to, uint32_t flags, struct cella_open *const *rights,
                uint32_t right_count)
{
    struct local *local = open->data;
    struct local *target = NULL;
    long error = 0;
    if (local->type == LOCAL_STREAM && bytes->size == 0 && right_count == 0) {
        return 0;
    }
    if (to && local->type != LOCAL_DATAGRAM) {
        return local->peer ? -EISCONN : -EOPNOTSUPP;
    }
    if (to) {
        target = local_find(open, to, &error);
        if (!target) {
            return error == 1 ? -EISCONN
                              : error; /* it is the host's from now on: to be sent again */
        }
    } else {
        local_take();
        target = local->peer;
        if (target) {
            target->references++;
        }
        local_give();
    }
    if (!target) {
        return -ENOTCONN;
    }
    const long result = target->type != local->type
                            ? -EPROTOTYPE
                            : send_to(open, target, bytes, flags, rights, right_count);
    local_put(target);
    return result;
}

/* Under the lock: the first packet, out of the queue; of a stream the rest of a larger one stays, as `ret_left`. */
static struct local_packet *packet_first(struct local *local)
{
    struct local_packet *packet = local->first;
    if (packet) {
        local->first = CELLA_TAKE(packet->next);
        local->last = local->first ? local->last : NULL;
        local->queued -= packet->size;
    }
    return packet;
}

static void packet_back(struct local *local, struct local_packet *packet)
{
    local_take();
    packet->next = local->first;
    local->first = packet;
    local->last = local->last ? local->last : packet;
    local->queued += packet->size;
    local_give();
}

/* The next packet: 1, or 0 at the end, or an errno. */
static long packet_take(struct cella_open *open, uint32_t flags, bool waits,
                        struct local_packet **ret_packet)
{
    struct local *local = open->data;
    for (;;) {
        const uint32_t seen = atomic_load(&local->changes);
        local_take();
        const struct local *peer = local->peer;
        *ret_packet = packet_first(local);
        const bool is_stream = local->type != LOCAL_DATAGRAM;
        const bool is_over = local->is_shut_for_reading ||
                             (is_stream && peer && (peer->is_closed || peer->is_shut_for_writing));
        local_give();
        if (*ret_packet) {
            return 1;
        }
        if (is_over) {
            return 0;
        }
        if (is_stream && !peer) {
            return -EINVAL;
        }
        if (!waits || (open->flags & LINUX_O_NONBLOCK) != 0 || (flags & LINUX_MSG_DONTWAIT) != 0) {
            return -EAGAIN;
        }
        const long waited = local_wait(local, local->limits[0], seen);
        if (waited != 0) {
            return waited;
        }
    }
}

static void rights_take(struct local_packet *packet, bool peeks, struct local_received *received)
{
    for (uint32_t i = 0; i < packet->right_count; i++) {
        received->rights[i] = packet->rights[i];
        if (peeks) {
            atomic_fetch_add(&packet->rights[i]->references, 1);
        }
    }
    received->right_count = packet->right_count;
    packet->right_count = peeks ? packet->right_count : 0;
}

/* Bytes of one packet to the program; what is left of a stream's goes back to the front. */
static long packet_give(struct cella_open *open, struct local_packet *packet,
                        const struct cella_gather *bytes, uint32_t flags,
                        struct local_received *received)
{
    struct local *local = open->data;
    const bool peeks = (flags & LINUX_MSG_PEEK) != 0;
    const bool is_stream = local->type == LOCAL_STREAM;
    const uint64_t part = packet->size < bytes->size ? packet->size : bytes->size;
    const long put = part > 0 ? fs_pieces_put(bytes, packet->bytes + packet->used, part) : 0;
    if (put < 0 || (uint64_t)put != part) {
        packet_back(local, packet);
        return -EFAULT;
    }
    received->from = packet->from;
    received->whole = packet->size;
    received->flags = !is_stream && packet->size > part ? LINUX_MSG_TRUNC : 0;
    received->flags |= local->type == LOCAL_PACKETS ? MSG_EOR_FLAG : 0;
    rights_take(packet, peeks, received);
    if (peeks || (is_stream && part < packet->size)) {
        packet->used += peeks ? 0 : part;
        packet->size -= peeks ? 0 : part;
        packet_back(local, packet);
    } else {
        local_packets_free(packet);
    }
    return put;
}

/* There is room in this queue: for who sleeps, and for who looks at the other end in poll. */
static void room_tell(struct local *local)
{
    local_wake(local);
    local_take();
    struct local *peer = local->peer;
    if (peer) {
        peer->references++;
    }
    local_give();
    if (peer) {
        local_changed(peer);
        local_put(peer);
    }
}

long local_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                   struct local_received *ret_received)
{
    struct local *local = open->data;
    const bool is_stream = local->type == LOCAL_STREAM;
    const bool all = (flags & LINUX_MSG_WAITALL) != 0 && is_stream;
    uint64_t done = 0;
    *ret_received = (struct local_received){0};
    if (local->is_listening) {
        return -EINVAL;
    }
    do {
        struct local_packet *packet = NULL;
        struct local_received received = {0};
        struct cella_gather rest = *bytes;
        rest.skip += done;
        rest.size -= done;
        if (is_stream && rest.size == 0) {
            break;
        }
        long result = packet_take(open, flags, done == 0 || all, &packet);
        if (result == 1) {
            if (done > 0 && packet->right_count > 0) {
                packet_back(local, packet); /* a message of its own */
                break;
            }
            result = packet_give(open, packet, &rest, flags, &received);
            room_tell(local);
        } else if (result == 0) {
            break;
        }
        if (result < 0) {
            return done > 0 ? (long)done : result;
        }
        if (done == 0) {
            *ret_received = received;
        }
        done += (uint64_t)result;
    } while (is_stream && (flags & LINUX_MSG_PEEK) == 0 && ret_received->right_count == 0);
    return (flags & LINUX_MSG_TRUNC) != 0 && !is_stream && ret_received->whole > done
               ? (long)ret_received->whole
               : (long)done;
}

/* ------------------------------------------------------------------- messages with a header */

/* The descriptors of a control message, with references. */
static long rights_read(uint64_t at, uint64_t size, struct cella_open **ret_rights,
                        uint32_t *ret_count)
{
    struct control control;
    *ret_count = 0;
    if (size > CONTROL_MAX) {
        return -ENOBUFS;
    }
    for (uint64_t done = 0; size - done >= CONTROL_HEAD;) {
        if (!linux_user_read(&control, at + done, sizeof(control))) {
            return -EFAULT;
        }
        if (control.size < CONTROL_HEAD || control.size > size - done) {
            return -EINVAL;
        }
        const uint64_t count = (control.size - CONTROL_HEAD) / 4;
        const bool is_rights = control.level == SOL_SOCKET_LEVEL && control.type == SCM_RIGHTS_TYPE;
        for (uint64_t i = 0; is_rights && i < count; i++) {
            int32_t fd;
            if (*ret_count == LOCAL_RIGHTS_MAX ||
                !linux_user_read(&fd, at + done + CONTROL_HEAD + 4 * i, sizeof(fd))) {
                return *ret_count == LOCAL_RIGHTS_MAX ? -EINVAL : -EFAULT;
            }
            ret_rights[*ret_count] = cella_descriptor_get((uint32_t)fd);
            if (!ret_rights[*ret_count]) {
                return -EBADF;
            }
            ++*ret_count;
        }
        const uint64_t step = (control.size + 7) & ~7ull;
        done += step < size - done ? step : size - done;
    }
    return 0;
}

/* The descriptors that came: numbers for as many as there is room for; the rest is closed, and the message says so. */
static uint64_t rights_write(struct local_received *received, uint64_t at, uint64_t size,
                             uint32_t flags)
{
    int32_t fds[LOCAL_RIGHTS_MAX];
    const uint64_t room = size >= CONTROL_HEAD ? (size - CONTROL_HEAD) / 4 : 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < received->right_count; i++) {
        const long fd = i < room ? cella_descriptor_add(received->rights[i],
                                                        (flags & LINUX_MSG_CMSG_CLOEXEC) != 0, 0)
                                 : -EMFILE;
        if (i >= room) {
            cella_open_put(received->rights[i]);
        }
        if (fd < 0) {
            received->flags |= MSG_CTRUNC_FLAG;
        } else {
            fds[count++] = (int32_t)fd;
        }
    }
    if (count == 0) {
        return 0;
    }
    const struct control control = {
        .size = CONTROL_HEAD + 4ull * count, .level = SOL_SOCKET_LEVEL, .type = SCM_RIGHTS_TYPE};
    if (!linux_user_write(at, &control, sizeof(control)) ||
        !linux_user_write(at + CONTROL_HEAD, fds, 4ull * count)) {
        return 0;
    }
    const uint64_t padded = (control.size + 7) & ~7ull;
    return padded < size ? padded : size;
}

static long message_send(struct cella_open *open, const struct linux_message *message,
                         uint32_t flags)
{
    struct cella_open *rights[LOCAL_RIGHTS_MAX];
    struct local_address to;
    struct cella_gather bytes;
    uint32_t count = 0;
    long result = cella_vector_take(message->vector, message->vector_count, &bytes);
    if (result != 0) {
        return result == -EINVAL ? -EMSGSIZE : result;
    }
    const bool has_name = message->name != 0 && message->name_size > 0;
    result = has_name ? local_address_take(message->name, message->name_size, &to) : 0;
    if (result == 0 && message->control != 0) {
        result = rights_read(message->control, message->control_size, rights, &count);
    }
    if (result == 0) {
        result = local_send(open, &bytes, has_name ? &to : NULL, flags, rights, count);
    }
    if (result < 0) {
        rights_put(rights, count);
    }
    return result;
}

static long address_out(const struct local_address *address, uint64_t to, uint64_t size_at)
{
    struct cella_call_address out = {.size = address->size};
    __builtin_memcpy(out.address, address->bytes, address->size);
    return cella_address_write(&out, to, size_at);
}

static long message_receive(struct cella_open *open, uint64_t at, uint32_t flags)
{
    struct linux_message message;
    struct local_received received;
    struct cella_gather bytes;
    if (!linux_user_read(&message, at, sizeof(message))) {
        return -EFAULT;
    }
    long result = cella_vector_take(message.vector, message.vector_count, &bytes);
    if (result != 0) {
        return result == -EINVAL ? -EMSGSIZE : result;
    }
    const long count = local_receive(open, &bytes, flags, &received);
    if (count < 0) {
        return count;
    }
    message.control_size = rights_write(&received, message.control, message.control_size, flags);
    message.flags = received.flags;
    message.name_size = message.name != 0 ? message.name_size : 0;
    if (!linux_user_write(at, &message, sizeof(message))) {
        return -EFAULT;
    }
    result = address_out(&received.from, message.name,
                         at + __builtin_offsetof(struct linux_message, name_size));
    return result != 0 ? result : count;
}

static long call_message(struct cella_open *open, uint64_t at, uint32_t flags, bool sending)
{
    struct linux_message message;
    if (!sending) {
        return message_receive(open, at, flags);
    }
    return linux_user_read(&message, at, sizeof(message)) ? message_send(open, &message, flags)
                                                          : -EFAULT;
}

static long call_messages(struct cella_open *open, const struct cella_regs *regs, bool sending)
{
    const uint64_t stride = sizeof(struct linux_message) + 8;
    uint32_t flags = (uint32_t)ARG3(regs);
    uint64_t count = (uint32_t)ARG2(regs);
    count = count < MESSAGES_MAX ? count : MESSAGES_MAX;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = ARG1(regs) + i * stride;
        const long result = call_message(open, at, flags & ~LINUX_MSG_WAITFORONE, sending);
        if (result < 0) {
            return i > 0 ? (long)i : result;
        }
        const uint32_t size = (uint32_t)result;
        if (!linux_user_write(at + sizeof(struct linux_message), &size, sizeof(size))) {
            return -EFAULT;
        }
        flags |= (flags & LINUX_MSG_WAITFORONE) != 0 ? LINUX_MSG_DONTWAIT : 0;
    }
    return (long)count;
}

static long call_send(struct cella_open *open, const struct cella_regs *regs)
{
    struct local_address to;
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    const bool has_name = ARG4(regs) != 0 && ARG5(regs) != 0;
    const long result = has_name ? local_address_take(ARG4(regs), (uint32_t)ARG5(regs), &to) : 0;
    return result != 0
               ? result
               : local_send(open, &bytes, has_name ? &to : NULL, (uint32_t)ARG3(regs), NULL, 0);
}

static long call_receive(struct cella_open *open, const struct cella_regs *regs)
{
    struct local_received received;
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    const long count = local_receive(open, &bytes, (uint32_t)ARG3(regs), &received);
    if (count < 0) {
        return count;
    }
    rights_put(received.rights, received.right_count);
    const long result = address_out(&received.from, ARG4(regs), ARG5(regs));
    return result != 0 ? result : count;
}

bool local_message_calls(struct cella_regs *regs, long *ret_result)
{
    const bool is_plain = regs->rax == __NR_sendto || regs->rax == __NR_recvfrom;
    const bool is_one = regs->rax == __NR_sendmsg || regs->rax == __NR_recvmsg;
    if (!is_plain && !is_one && regs->rax != __NR_sendmmsg && regs->rax != __NR_recvmmsg) {
        return false;
    }
    CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
    if (!local_of(open)) {
        return false;
    }
    if (is_plain) {
        *ret_result = regs->rax == __NR_sendto ? call_send(open, regs) : call_receive(open, regs);
    } else if (is_one) {
        *ret_result =
            call_message(open, ARG1(regs), (uint32_t)ARG2(regs), regs->rax == __NR_sendmsg);
    } else {
        *ret_result = call_messages(open, regs, regs->rax == __NR_sendmmsg);
    }
    return true;
}
