/*
 * Sending and receiving: bytes leave and come in one host call each, in pieces of the libc's memory.
 * Side: enclave. Called by sockets.c for the libc's system calls.
 * Never passes descriptors or credentials: control messages are refused on the way out and absent on the way in.
 */
#include "enclave/sockets.h"

#define MESSAGES_MAX 1024u
#define PROTOCOL_TCP 6u
#define PROTOCOL_MPTCP 262u
#define SEND_FLAGS                                                                                 \
    (0x1u | 0x4u | LINUX_MSG_DONTWAIT | 0x80u | 0x800u | LINUX_MSG_NOSIGNAL | 0x8000u)
#define RECEIVE_FLAGS                                                                              \
    (0x1u | LINUX_MSG_PEEK | LINUX_MSG_TRUNC | LINUX_MSG_DONTWAIT | LINUX_MSG_WAITALL |            \
     LINUX_MSG_CMSG_CLOEXEC)
/* What the host may say of a message: OOB, TRUNC, EOR. */
#define ANSWER_FLAGS (0x1u | LINUX_MSG_TRUNC | 0x80u)

static uint32_t flags_of(const struct cella_open *open, uint32_t flags)
{
    return (open->flags & LINUX_O_NONBLOCK) != 0 ? flags | LINUX_MSG_DONTWAIT : flags;
}

static bool is_stream(const struct cella_open *open)
{
    return open->words[SOCKET_TYPE] == 1;
}

static long send_piece(struct cella_open *open, const struct cella_gather *bytes,
                       const uint8_t *address, uint64_t address_size, uint32_t flags)
{
    struct {
        struct cella_call_request head;
        uint8_t address[CELLA_CALL_ADDRESS_MAX];
    } request = {.head = {.operation = CELLA_SOCKET_SEND,
                          .handle = open->handle,
                          .a = flags,
                          .b = (int64_t)address_size}};
    const size_t size = sizeof(request.head) + ((address_size + 7) & ~7ull);
    int64_t value = 0;
    __builtin_memcpy(request.address, address, address_size);
    cella_result result = cella_system_ocall_parts(CELLA_OCALL_SOCKET, &request, size, bytes,
                                                   &value, sizeof(value), NULL);
    return cella_is_ok(result) ? cella_answer_filter(value, (int64_t)bytes->size)
                               : cella_errno_of(result);
}

long cella_socket_send(struct cella_open *open, const struct cella_gather *bytes, uint64_t at,
                       uint64_t address_size, uint32_t flags)
{
    uint8_t address[CELLA_CALL_ADDRESS_MAX] = {0};
    uint64_t done = 0;
    if ((flags & ~SEND_FLAGS) != 0) {
        return -EOPNOTSUPP;
    }
    if (at != 0 && address_size != 0) {
        const long result = cella_address_read(at, address_size, address);
        if (result != 0) {
            return result;
        }
    } else {
        address_size = 0;
    }
    if (!is_stream(open) && bytes->size > CELLA_PIECE_MAX) {
        return -EMSGSIZE;
    }
    do {
        struct cella_gather piece = *bytes;
        piece.skip += done;
        piece.size = bytes->size - done < CELLA_PIECE_MAX ? bytes->size - done : CELLA_PIECE_MAX;
        const long count = send_piece(open, &piece, address, address_size, flags_of(open, flags));
        if (count < 0) {
            return done > 0 ? (long)done : count;
        }
        done += (uint64_t)count;
        if ((uint64_t)count < piece.size) {
            break;
        }
    } while (done < bytes->size);
    return (long)done;
}

static long receive_piece(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                          struct cella_call_address *ret_answer)
{
    const struct cella_call_request request = {.operation = CELLA_SOCKET_RECEIVE,
                                               .handle = open->handle,
                                               .a = flags,
                                               .b = (int64_t)bytes->size};
    cella_zero(ret_answer, sizeof(*ret_answer));
    const long count = cella_ask_answer(CELLA_OCALL_SOCKET, &request, NULL, ret_answer,
                                        sizeof(*ret_answer), bytes, (int64_t)bytes->size);
    if (count < 0) {
        return count;
    }
    ret_answer->flags &= ANSWER_FLAGS;
    return cella_address_is_sane(open, ret_answer) ? count : -EIO;
}

/* TCP that does not wait: its bytes come without an address and without flags, as those of a pipe do. */
static bool is_plain(const struct cella_open *open, uint32_t asked)
{
    const uint32_t domain = open->words[SOCKET_DOMAIN];
    const uint32_t protocol = open->words[SOCKET_PROTOCOL];
    return asked == LINUX_MSG_DONTWAIT && is_stream(open) &&
           (domain == LINUX_AF_INET || domain == LINUX_AF_INET6) &&
           (protocol == 0 || protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP);
}

static long plain_piece(struct cella_open *open, const struct cella_gather *bytes,
                        struct cella_call_address *ret_answer)
{
    int64_t value = 0;
    const struct cella_call_request request = {.operation = CELLA_FILE_READ,
                                               .handle = open->handle,
                                               .a = CELLA_FILE_HERE_WAITS_NOT,
                                               .b = (int64_t)bytes->size};
    cella_zero(ret_answer, sizeof(*ret_answer));
    return cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value), bytes,
                            (int64_t)bytes->size);
}

/* As much as one call brings; MSG_WAITALL goes on until all is there, or there is no more. */
long cella_socket_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                          struct cella_call_address *ret_answer)
{
    const bool all = (flags & LINUX_MSG_WAITALL) != 0 && (flags & LINUX_MSG_PEEK) == 0 &&
                     is_stream(open) && (flags_of(open, flags) & LINUX_MSG_DONTWAIT) == 0;
    uint64_t done = 0;
    if ((flags & ~(RECEIVE_FLAGS | LINUX_MSG_NOSIGNAL)) != 0) {
        return -EOPNOTSUPP;
    }
    /* Of a datagram the host tells the whole size; on a stream the flag would throw bytes away. */
    const uint32_t asked = (flags_of(open, flags) & RECEIVE_FLAGS &
                            ~(LINUX_MSG_WAITALL | LINUX_MSG_CMSG_CLOEXEC | LINUX_MSG_TRUNC)) |
                           (is_stream(open) ? 0 : LINUX_MSG_TRUNC);
    do {
        struct cella_gather piece = *bytes;
        piece.skip += done;
        piece.size = bytes->size - done < CELLA_PIECE_MAX ? bytes->size - done : CELLA_PIECE_MAX;
        const long count = is_plain(open, asked) ? plain_piece(open, &piece, ret_answer)
                                                 : receive_piece(open, &piece, asked, ret_answer);
        if (count < 0) {
            return done > 0 ? (long)done : count;
        }
        done += (uint64_t)count;
        if (count == 0) {
            break;
        }
    } while (all && done < bytes->size);
    /* The caller asked how long the datagram was. */
    if ((flags & LINUX_MSG_TRUNC) != 0 && !is_stream(open) && ret_answer->whole > done &&
        ret_answer->whole <= INT32_MAX) {
        return (long)ret_answer->whole;
    }
    return (long)done;
}

static long call_send(const struct cella_regs *regs)
{
    long error;
    CELLA_SOCKET_GET(open, (uint32_t)ARG0(regs), error);
    if (!open) {
        return error;
    }
    if (!cella_user_range(ARG1(regs), ARG2(regs))) {
        return -EFAULT;
    }
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    return cella_socket_send(open, &bytes, ARG4(regs), (uint32_t)ARG5(regs), (uint32_t)ARG3(regs));
}

static long call_receive(const struct cella_regs *regs)
{
    struct cella_call_address answer;
    long error;
    CELLA_SOCKET_GET(open, (uint32_t)ARG0(regs), error);
    if (!open) {
        return error;
    }
    if (!cella_user_writable(ARG1(regs), ARG2(regs))) {
        return -EFAULT;
    }
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    const long count = cella_socket_receive(open, &bytes, (uint32_t)ARG3(regs), &answer);
    if (count < 0) {
        return count;
    }
    error = cella_address_write(&answer, ARG4(regs), ARG5(regs));
    return error != 0 ? error : count;
}

static long message_send(struct cella_open *open, const struct linux_message *message,
                         uint32_t flags)
{
    struct cella_gather bytes;
    const long result = cella_vector_take(message->vector, message->vector_count, false, &bytes);
    if (result != 0) {
        return result == -EINVAL ? -EMSGSIZE : result;
    }
    if (message->control_size != 0) {
        return -EOPNOTSUPP;
    }
    return cella_socket_send(open, &bytes, message->name, message->name_size, flags);
}

/* The size of the name goes into the header; a name that nobody wants has size 0 there. */
static long message_receive(struct cella_open *open, uint64_t at, uint32_t flags)
{
    struct linux_message *header = (struct linux_message *)at;
    const struct linux_message message = *header;
    struct cella_call_address answer;
    struct cella_gather bytes;
    long result = cella_vector_take(message.vector, message.vector_count, true, &bytes);
    if (result != 0) {
        return result == -EINVAL ? -EMSGSIZE : result;
    }
    const long count = cella_socket_receive(open, &bytes, flags, &answer);
    if (count < 0) {
        return count;
    }
    header->name_size = message.name != 0 ? message.name_size : 0;
    result = cella_address_write(&answer, message.name,
                                 at + __builtin_offsetof(struct linux_message, name_size));
    header->control_size = 0;
    header->flags = answer.flags;
    return result != 0 ? result : count;
}

static long call_message(uint64_t fd, uint64_t at, uint32_t flags, bool sending)
{
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    if (!cella_user_may(at, sizeof(struct linux_message), !sending)) {
        return -EFAULT;
    }
    if (!sending) {
        return message_receive(open, at, flags);
    }
    const struct linux_message message = *(const struct linux_message *)at;
    return message_send(open, &message, flags);
}

/* sendmmsg and recvmmsg: records of a header and a count. The first failure ends it; time limits are not kept. */
static long call_messages(const struct cella_regs *regs, bool sending)
{
    const uint64_t stride = sizeof(struct linux_message) + 8;
    uint32_t flags = (uint32_t)ARG3(regs);
    uint64_t count = (uint32_t)ARG2(regs);
    count = count < MESSAGES_MAX ? count : MESSAGES_MAX;
    if (!cella_user_writable(ARG1(regs), count * stride)) { /* each has a size that is stored */
        return -EFAULT;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = ARG1(regs) + i * stride;
        const long result =
            call_message((uint32_t)ARG0(regs), at, flags & ~LINUX_MSG_WAITFORONE, sending);
        if (result < 0) {
            return i > 0 ? (long)i : result;
        }
        *(uint32_t *)(at + sizeof(struct linux_message)) = (uint32_t)result;
        if ((flags & LINUX_MSG_WAITFORONE) != 0) {
            flags |= LINUX_MSG_DONTWAIT;
        }
    }
    return (long)count;
}

bool cella_socket_messages(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_sendto:
        *ret_result = call_send(regs);
        return true;
    case __NR_recvfrom:
        *ret_result = call_receive(regs);
        return true;
    case __NR_sendmsg:
    case __NR_recvmsg:
        *ret_result = call_message((uint32_t)ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs),
                                   regs->rax == __NR_sendmsg);
        return true;
    case __NR_sendmmsg:
    case __NR_recvmmsg:
        *ret_result = call_messages(regs, regs->rax == __NR_sendmmsg);
        return true;
    default:
        return false;
    }
}
