/*
 * Socket options: those whose value is plain bytes.
 * Side: enclave. Called by sockets.c for the libc's system calls.
 * Never passes an option whose value holds a pointer; what the enclave knows itself the host is not asked.
 */
#include "enclave/sockets.h"

#define LEVEL_IP 0u
#define LEVEL_SOCKET 1u
#define LEVEL_TCP 6u
#define LEVEL_UDP 17u
#define LEVEL_IPV6 41u
#define LEVEL_MPTCP 284u
#define MPTCP_INFO_NAME 1u
#define SO_TYPE_NAME 3u
#define SO_ERROR_NAME 4u
#define SO_PROTOCOL_NAME 38u
#define SO_DOMAIN_NAME 39u
#define ERRNO_MAX 4095u

/* Filters and BPF programs are pointers; memory of a zero-copy send would have to stay as it is. */
static bool option_is_plain(uint64_t level, uint64_t name)
{
    switch (level) {
    case LEVEL_IP:
        return name < 64 && name != 16 && name != 17;
    case LEVEL_IPV6:
        return name < 80 && name != 34 && name != 35 && name != 64 && name != 65;
    case LEVEL_TCP:
        return name < 35 && name != 14 && name != 31;
    case LEVEL_MPTCP:
        return name == MPTCP_INFO_NAME; /* the others have pointers */
    case LEVEL_UDP:
        return name < 105;
    case LEVEL_SOCKET:
        return name <= 25 || (name >= 29 && name <= 49 && name != 31 && name != 44) || name == 66 ||
               name == 67;
    default:
        return false;
    }
}

static long option_set(uint64_t fd, uint64_t level, uint64_t name, uint64_t at, uint64_t size)
{
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    if (!option_is_plain(level, name)) {
        return -ENOPROTOOPT;
    }
    if (size > CELLA_CALL_OPTION_MAX) {
        return -EINVAL;
    }
    if (!cella_user_range(at, size)) {
        return -EFAULT;
    }
    const struct cella_call_request request = {.operation = CELLA_SOCKET_OPTION,
                                               .handle = open->handle,
                                               .a = (int64_t)level,
                                               .b = (int64_t)name};
    const struct cella_gather bytes = CELLA_GATHER_ONE(at, size);
    return cella_ask(CELLA_OCALL_SOCKET, &request, &bytes, 0);
}

/* What the socket was made as. */
static bool option_known(const struct cella_open *open, uint64_t level, uint64_t name,
                         uint32_t *ret_value)
{
    if (level != LEVEL_SOCKET) {
        return false;
    }
    switch (name) {
    case SO_TYPE_NAME:
        *ret_value = open->words[SOCKET_TYPE];
        return true;
    case SO_DOMAIN_NAME:
        *ret_value = open->words[SOCKET_DOMAIN];
        return true;
    case SO_PROTOCOL_NAME:
        *ret_value = open->words[SOCKET_PROTOCOL];
        return open->words[SOCKET_PROTOCOL] != 0;
    default:
        return false;
    }
}

static long option_ask(struct cella_open *open, uint64_t level, uint64_t name, uint8_t *ret_bytes,
                       uint64_t capacity)
{
    int64_t value = 0;
    const struct cella_call_request request = {.operation = CELLA_SOCKET_OPTION_GET,
                                               .handle = open->handle,
                                               .a = (int64_t)level,
                                               .b = (int64_t)name};
    const struct cella_gather scatter = CELLA_GATHER_ONE(ret_bytes, capacity);
    const long size = cella_ask_answer(CELLA_OCALL_SOCKET, &request, NULL, &value, sizeof(value),
                                       &scatter, (int64_t)capacity);
    if (size >= 4 && level == LEVEL_SOCKET && name == SO_ERROR_NAME) {
        uint32_t error;
        __builtin_memcpy(&error, ret_bytes, sizeof(error));
        return error <= ERRNO_MAX ? size : -EIO;
    }
    return size;
}

static long option_get(uint64_t fd, uint64_t level, uint64_t name, uint64_t to, uint64_t size_at)
{
    uint8_t bytes[CELLA_CALL_OPTION_MAX];
    uint32_t known;
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    if (!option_is_plain(level, name)) {
        return -ENOPROTOOPT;
    }
    if (!cella_user_writable(size_at, 4)) {
        return -EFAULT;
    }
    const int32_t capacity = *(const int32_t *)size_at;
    if (capacity < 0 || !cella_user_writable(to, (uint32_t)capacity)) {
        return capacity < 0 ? -EINVAL : -EFAULT;
    }
    const uint32_t room =
        (uint32_t)capacity < sizeof(bytes) ? (uint32_t)capacity : (uint32_t)sizeof(bytes);
    long size = sizeof(known);
    if (option_known(open, level, name, &known)) {
        __builtin_memcpy(bytes, &known, sizeof(known));
    } else {
        size = option_ask(open, level, name, bytes, room);
    }
    if (size < 0) {
        return size;
    }
    size = (uint32_t)size < room ? size : (long)room;
    __builtin_memcpy((void *)to, bytes, (uint64_t)size);
    *(uint32_t *)size_at = (uint32_t)size;
    return 0;
}

bool cella_socket_options(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_setsockopt:
        *ret_result = option_set((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs),
                                 ARG3(regs), (uint32_t)ARG4(regs));
        return true;
    case __NR_getsockopt:
        *ret_result = option_get((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs),
                                 ARG3(regs), ARG4(regs));
        return true;
    default:
        return false;
    }
}
