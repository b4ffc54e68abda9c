/*
 * The calls that send and receive, on sockets of the program.
 * Side: enclave. Called by unix.c for the program's system calls.
 * Never reads a header of the program twice: it is copied, and its answers are written at the end.
 */
#include "linux/unix.h"

#define MESSAGES_MAX 1024u
#define STRIDE (sizeof(struct linux_message) + 8)

static void outgoing_done(struct unix_outgoing *outgoing)
{
    if (outgoing->rights) {
        unix_rights_put(CELLA_TAKE(outgoing->rights));
    }
}

/* The address of a sender: one without a name has none. */
static long sender_write(const struct unix_incoming *incoming, uint64_t to, uint64_t size_at)
{
    const uint32_t none = 0;
    if (to == 0) {
        return 0;
    }
    if (incoming->name) {
        return unix_name_write(incoming->name, to, size_at);
    }
    return linux_user_write(size_at, &none, sizeof(none)) ? 0 : -EFAULT;
}

static long call_send(struct cella_open *open, const struct cella_regs *regs)
{
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    struct unix_outgoing outgoing = {.address = ARG4(regs),
                                     .address_size = ARG4(regs) != 0 ? (uint32_t)ARG5(regs) : 0};
    if (!cella_user_range(ARG1(regs), ARG2(regs))) {
        return -EFAULT;
    }
    return unix_send(open, &bytes, (uint32_t)ARG3(regs), &outgoing);
}

static long call_receive(struct cella_open *open, const struct cella_regs *regs)
{
    CELLA_CLEANUP(unix_incoming_done) struct unix_incoming incoming = {0};
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    if (!cella_user_writable(ARG1(regs), ARG2(regs))) {
        return -EFAULT;
    }
    const long count = unix_receive(open, &bytes, (uint32_t)ARG3(regs), &incoming);
    if (count < 0) {
        return count;
    }
    const long error = sender_write(&incoming, ARG4(regs), ARG5(regs));
    return error != 0 ? error : count;
}

static long message_send(struct cella_open *open, const struct linux_message *message,
                         uint32_t flags)
{
    CELLA_CLEANUP(outgoing_done)
    struct unix_outgoing outgoing = {.address = message->name,
                                     .address_size = message->name != 0 ? message->name_size : 0};
    struct cella_gather bytes;
    long result = cella_vector_take(message->vector, message->vector_count, false, &bytes);
    if (result != 0) {
        return result == -EINVAL && message->vector_count > CELLA_VECTOR_MAX ? -EMSGSIZE : result;
    }
    result = unix_control_read(message->control, message->control_size, &outgoing);
    return result != 0 ? result : unix_send(open, &bytes, flags, &outgoing);
}

static long message_receive(struct cella_open *open, uint64_t at,
                            const struct linux_message *message, uint32_t flags)
{
    CELLA_CLEANUP(unix_incoming_done) struct unix_incoming incoming = {0};
    const struct unix_socket *socket = open->data;
    const bool close_on_exec = (flags & LINUX_MSG_CMSG_CLOEXEC) != 0;
    struct cella_gather bytes;
    long result = cella_vector_take(message->vector, message->vector_count, true, &bytes);
    if (result != 0) {
        return result == -EINVAL && message->vector_count > CELLA_VECTOR_MAX ? -EMSGSIZE : result;
    }
    const long count = unix_receive(open, &bytes, flags, &incoming);
    if (count < 0) {
        return count;
    }
    uint64_t used = 0;
    unix_control_write(&incoming, socket->passes_credentials, message->control,
                       message->control_size, close_on_exec, &used);
    result = sender_write(&incoming, message->name,
                          at + __builtin_offsetof(struct linux_message, name_size));
    const uint32_t shown = incoming.flags | (close_on_exec ? LINUX_MSG_CMSG_CLOEXEC : 0);
    if (!linux_user_write(at + __builtin_offsetof(struct linux_message, control_size), &used,
                          sizeof(used)) ||
        !linux_user_write(at + __builtin_offsetof(struct linux_message, flags), &shown,
                          sizeof(shown))) {
        return -EFAULT;
    }
    return result != 0 ? result : count;
}

static long call_message(struct cella_open *open, uint64_t at, uint32_t flags, bool sending)
{
    struct linux_message message;
    if (!linux_user_read(&message, at, sizeof(message))) {
        return -EFAULT;
    }
    return sending ? message_send(open, &message, flags)
                   : message_receive(open, at, &message, flags);
}

/* sendmmsg and recvmmsg. The first failure ends it; a time limit is looked at between two messages, as Linux does. */
static long call_messages(struct cella_open *open, const struct cella_regs *regs, bool sending)
{
    uint32_t flags = (uint32_t)ARG3(regs);
    uint64_t count = (uint32_t)ARG2(regs);
    int64_t limit[2], deadline = 0;
    count = count < MESSAGES_MAX ? count : MESSAGES_MAX;
    if (!sending && ARG4(regs) != 0) {
        if (!linux_user_read(limit, ARG4(regs), sizeof(limit))) {
            return -EFAULT;
        }
        if (limit[0] < 0 || limit[0] > INT32_MAX || limit[1] < 0 || limit[1] > 999999999) {
            return -EINVAL;
        }
        deadline = unix_deadline(limit[0] * 1000000000 + limit[1] + 1);
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = ARG1(regs) + i * STRIDE;
        const long result = call_message(open, at, flags & ~LINUX_MSG_WAITFORONE, sending);
        const uint32_t shown = (uint32_t)result;
        if (result < 0) {
            return i > 0 ? (long)i : result;
        }
        if (!linux_user_write(at + sizeof(struct linux_message), &shown, sizeof(shown))) {
            return i > 0 ? (long)i : -EFAULT;
        }
        if ((flags & LINUX_MSG_WAITFORONE) != 0) {
            flags |= LINUX_MSG_DONTWAIT;
        }
        if (deadline != 0 && (int64_t)linux_clock_now(false) >= deadline) {
            return (long)i + 1;
        }
    }
    return (long)count;
}

bool unix_message_calls(struct cella_open *open, const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_sendto:
        *ret_result = call_send(open, regs);
        return true;
    case __NR_recvfrom:
        *ret_result = call_receive(open, regs);
        return true;
    case __NR_sendmsg:
    case __NR_recvmsg:
        *ret_result =
            call_message(open, ARG1(regs), (uint32_t)ARG2(regs), regs->rax == __NR_sendmsg);
        return true;
    case __NR_sendmmsg:
    case __NR_recvmmsg:
        *ret_result = call_messages(open, regs, regs->rax == __NR_sendmmsg);
        return true;
    default:
        return false;
    }
}
