/*
 * The sockets module: sockets of the host. Opt-in: -u cella_module_sockets.
 * Side: enclave. Called for the libc's system calls. What comes over a socket is the world's word, and the host sees all
 * of it: speak TLS.
 * Never gives the libc an address that its family cannot have.
 */
#include "enclave/sockets.h"

#define SOCK_TYPE_MASK 0xFu
#define SOCK_NONBLOCK 04000u
#define SOCK_CLOEXEC 02000000u
#define MODE_SOCKET 0140000u
#define SIZE_INET 16u
#define SIZE_INET6 28u
#define SIZE_UNIX 110u

extern const char cella_module_sockets;
const char cella_module_sockets = 1;

static bool size_fits(uint32_t family, uint64_t size)
{
    switch (family) {
    case LINUX_AF_INET:
        return size == SIZE_INET;
    case LINUX_AF_INET6:
        return size == SIZE_INET6;
    case LINUX_AF_UNIX:
        return size >= 2 && size <= SIZE_UNIX;
    default:
        return false;
    }
}

bool cella_address_is_sane(const struct cella_open *open, const struct cella_call_address *address)
{
    uint16_t family;
    if (address->size == 0) {
        return true;
    }
    if (address->size < 2 || address->size > CELLA_CALL_ADDRESS_MAX) {
        return false;
    }
    __builtin_memcpy(&family, address->address, sizeof(family));
    return family == open->words[SOCKET_DOMAIN] && size_fits(family, address->size);
}

long cella_address_write(const struct cella_call_address *address, uint64_t to, uint64_t size_at)
{
    if (to == 0 || size_at == 0) {
        return 0;
    }
    if (!cella_user_writable(size_at, 4)) {
        return -EFAULT;
    }
    const int32_t capacity = *(const int32_t *)size_at;
    if (capacity < 0) {
        return -EINVAL;
    }
    const uint32_t part = (uint32_t)capacity < address->size ? (uint32_t)capacity : address->size;
    if (!cella_user_writable(to, part)) {
        return -EFAULT;
    }
    __builtin_memcpy((void *)to, address->address, part);
    *(uint32_t *)size_at = address->size;
    return 0;
}

long cella_address_read(uint64_t from, uint64_t size, uint8_t ret_address[CELLA_CALL_ADDRESS_MAX])
{
    if (size > CELLA_CALL_ADDRESS_MAX || size < 2) {
        return -EINVAL;
    }
    if (!cella_user_range(from, size)) {
        return -EFAULT;
    }
    cella_zero(ret_address, CELLA_CALL_ADDRESS_MAX);
    __builtin_memcpy(ret_address, (const void *)from, size);
    return 0;
}

struct cella_open *cella_socket_get(uint64_t fd, long *ret_error)
{
    struct cella_open *open = cella_descriptor_get(fd);
    *ret_error = open ? -ENOTSOCK : -EBADF;
    /* A class of its own with a handle of a socket: linux/unix.c, of a path that is the host's. */
    if (open && open->class != &cella_socket_class &&
        (open->handle == CELLA_NO_HANDLE || open->mode != MODE_SOCKET)) {
        cella_open_put(open);
        return NULL;
    }
    return open;
}

static long socket_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct cella_call_address answer;
    return transfer->writing ? cella_socket_send(open, &transfer->bytes, 0, 0, 0)
                             : cella_socket_receive(open, &transfer->bytes, 0, &answer);
}

const struct cella_open_class cella_socket_class = {.transfer = socket_transfer,
                                                    .control = cella_handle_control};

/* A handle becomes a descriptor; `like` (may be NULL) is the socket that it came from. */
static long socket_insert(int32_t handle, const uint32_t words[3], uint32_t flags)
{
    long error;
    const uint32_t open_flags =
        LINUX_O_RDWR | ((flags & SOCK_NONBLOCK) != 0 ? LINUX_O_NONBLOCK : 0);
    struct cella_open *open = cella_open_new(&cella_socket_class, handle, open_flags, &error);
    if (!open) {
        if (error != -EIO) {
            cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, handle, 0, 0, 0);
        }
        return error;
    }
    open->mode = MODE_SOCKET;
    for (uint32_t i = 0; i < 3; i++) {
        open->words[i] = words[i];
    }
    return cella_descriptor_add(open, (flags & SOCK_CLOEXEC) != 0, 0);
}

static bool kind_is_sane(uint64_t domain, uint64_t type)
{
    return (domain == LINUX_AF_UNIX || domain == LINUX_AF_INET || domain == LINUX_AF_INET6) &&
           (type & ~(uint64_t)(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) == 0;
}

static long socket_new(uint64_t domain, uint64_t type, uint64_t protocol)
{
    const uint32_t words[3] = {(uint32_t)domain, (uint32_t)type & SOCK_TYPE_MASK,
                               (uint32_t)protocol};
    if (!kind_is_sane(domain, type)) {
        return -EAFNOSUPPORT;
    }
    const long handle = cella_ask_plain(CELLA_OCALL_SOCKET, CELLA_SOCKET_NEW, (int32_t)protocol,
                                        (int64_t)domain, words[SOCKET_TYPE], INT32_MAX);
    return handle < 0 ? handle : socket_insert((int32_t)handle, words, (uint32_t)type);
}

static long socket_pair(uint64_t domain, uint64_t type, uint64_t protocol, uint64_t to)
{
    const uint32_t words[3] = {(uint32_t)domain, (uint32_t)type & SOCK_TYPE_MASK,
                               (uint32_t)protocol};
    struct {
        int64_t value;
        uint64_t second;
    } answer = {0};
    const struct cella_call_request request = {.operation = CELLA_SOCKET_PAIR,
                                               .handle = (int32_t)protocol,
                                               .a = (int64_t)domain,
                                               .b = words[SOCKET_TYPE]};
    if (!kind_is_sane(domain, type)) {
        return -EAFNOSUPPORT;
    }
    if (!cella_user_writable(to, 8)) {
        return -EFAULT;
    }
    const long first = cella_ask_answer(CELLA_OCALL_SOCKET, &request, NULL, &answer, sizeof(answer),
                                        NULL, INT32_MAX);
    if (first < 0) {
        return first;
    }
    if (answer.second > INT32_MAX) {
        return -EIO;
    }
    const long one = socket_insert((int32_t)first, words, (uint32_t)type);
    const long two = one < 0 ? one : socket_insert((int32_t)answer.second, words, (uint32_t)type);
    if (two < 0) {
        struct cella_open *open =
            one < 0 ? NULL : cella_descriptor_swap((uint64_t)one, NULL, false);
        if (open) {
            cella_open_put(open);
        } else {
            cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, (int32_t)answer.second, 0, 0, 0);
        }
        return two;
    }
    ((int32_t *)to)[0] = (int32_t)one;
    ((int32_t *)to)[1] = (int32_t)two;
    return 0;
}

/* bind and connect. */
static long socket_address(uint64_t fd, uint32_t operation, uint64_t at, uint64_t size)
{
    uint8_t address[CELLA_CALL_ADDRESS_MAX];
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    error = cella_address_read(at, size, address);
    if (error != 0) {
        return error;
    }
    const struct cella_call_request request = {
        .operation = operation, .handle = open->handle, .a = (open->flags & LINUX_O_NONBLOCK) != 0};
    const struct cella_gather bytes = CELLA_GATHER_ONE(address, size);
    return cella_ask(CELLA_OCALL_SOCKET, &request, &bytes, 0);
}

static long socket_accept(uint64_t fd, uint64_t to, uint64_t size_at, uint64_t flags)
{
    struct cella_call_address answer = {0};
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    if ((flags & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    const struct cella_call_request request = {.operation = CELLA_SOCKET_ACCEPT,
                                               .handle = open->handle,
                                               .a = (open->flags & LINUX_O_NONBLOCK) != 0};
    const long handle = cella_ask_answer(CELLA_OCALL_SOCKET, &request, NULL, &answer,
                                         sizeof(answer), NULL, INT32_MAX);
    if (handle < 0) {
        return handle;
    }
    error = cella_address_is_sane(open, &answer) ? cella_address_write(&answer, to, size_at) : -EIO;
    if (error != 0) {
        cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, (int32_t)handle, 0, 0, 0);
        return error;
    }
    return socket_insert((int32_t)handle, open->words, (uint32_t)flags);
}

static long socket_name(uint64_t fd, uint64_t to, uint64_t size_at, bool of_peer)
{
    struct cella_call_address answer = {0};
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    if (!open) {
        return error;
    }
    const struct cella_call_request request = {
        .operation = CELLA_SOCKET_NAME, .handle = open->handle, .a = of_peer};
    error = cella_ask_answer(CELLA_OCALL_SOCKET, &request, NULL, &answer, sizeof(answer), NULL, 0);
    if (error != 0) {
        return error;
    }
    if (!cella_address_is_sane(open, &answer) || answer.size == 0) {
        return -EIO;
    }
    return to == 0 || size_at == 0 ? -EFAULT : cella_address_write(&answer, to, size_at);
}

static long socket_plain(uint64_t fd, uint32_t operation, int64_t a)
{
    long error;
    CELLA_SOCKET_GET(open, fd, error);
    return open ? cella_ask_plain(CELLA_OCALL_SOCKET, operation, open->handle, a, 0, 0) : error;
}

static bool sockets_life(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    switch (regs->rax) {
    case __NR_socket:
        *ret_result = socket_new((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_socketpair:
        *ret_result = socket_pair((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), (uint32_t)ARG2(regs),
                                  ARG3(regs));
        return true;
    case __NR_bind:
        *ret_result = socket_address(fd, CELLA_SOCKET_BIND, ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_connect:
        *ret_result = socket_address(fd, CELLA_SOCKET_CONNECT, ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_listen:
        *ret_result = socket_plain(fd, CELLA_SOCKET_LISTEN, (int32_t)ARG1(regs));
        return true;
    case __NR_shutdown:
        *ret_result = (uint32_t)ARG1(regs) <= 2
                          ? socket_plain(fd, CELLA_SOCKET_SHUTDOWN, (int32_t)ARG1(regs))
                          : -EINVAL;
        return true;
    case __NR_accept:
        *ret_result = socket_accept(fd, ARG1(regs), ARG2(regs), 0);
        return true;
    case __NR_accept4:
        *ret_result = socket_accept(fd, ARG1(regs), ARG2(regs), (uint32_t)ARG3(regs));
        return true;
    case __NR_getsockname:
    case __NR_getpeername:
        *ret_result = socket_name(fd, ARG1(regs), ARG2(regs), regs->rax == __NR_getpeername);
        return true;
    default:
        return false;
    }
}

static bool sockets_syscall(struct cella_regs *regs, long *ret_result)
{
    return cella_socket_messages(regs, ret_result) || sockets_life(regs, ret_result) ||
           cella_socket_options(regs, ret_result);
}

static const struct cella_module sockets_module = {.name = "sockets", .syscall = sockets_syscall};
CELLA_MODULE(sockets_module);
