/*
 * Sockets of AF_NETLINK: what asks for interfaces and addresses. Also ioctl on sockets of any family, as far as it asks
 * the same.
 * Side: enclave. Called for the program's system calls. Source: netlink(7), rtnetlink(7).
 * Never reaches the host's kernel: the answers are made here (netlink_answer.c).
 */
#include "linux/interfaces.h"
#include "linux/unix.h"

#define AF_NETLINK_FAMILY 16u
#define PROTOCOL_ROUTE 0u
#define LEVEL_SOCKET 1u
#define LEVEL_NETLINK 270u
#define ADDRESS_SIZE 12u
#define REQUEST_MAX 4096u
#define ANSWERS_WAITING 4u
#define PORT_OTHERS 0xFFFFEFFFu /* those after the first, as Linux numbers them, downwards */
#define IOCTL_SOCKETS 0x89u     /* the letter of requests on sockets */

struct netlink {
    struct cella_lock lock;
    uint32_t port; /* 0: not bound */
    uint32_t count;
    struct netlink_answers *waiting[ANSWERS_WAITING];
};

/* struct sockaddr_nl */
struct netlink_address {
    uint16_t family, pad;
    uint32_t port, groups;
};
_Static_assert(sizeof(struct netlink_address) == ADDRESS_SIZE, "struct sockaddr_nl");

static void netlink_bind(struct netlink *netlink, uint32_t port)
{
    static _Atomic uint32_t made;
    if (netlink->port != 0) {
        return;
    }
    if (port == 0) {
        const uint32_t before = atomic_fetch_add(&made, 1);
        port = before == 0 ? unix_credentials_own().process : PORT_OTHERS - before;
    }
    netlink->port = port;
}

static long request_take(struct cella_open *open, const uint8_t *bytes, uint64_t size)
{
    struct netlink *netlink = open->data;
    struct linux_interface list[LINUX_INTERFACES_MAX];
    const uint32_t count = linux_interfaces(linux_interfaces_speak(), list);
    struct netlink_answers *answers = fs_new(sizeof(*answers));
    if (!answers) {
        return -ENOBUFS;
    }
    netlink_bind(netlink, 0);
    linux_netlink_answer(cella_bytes_of(bytes, size), netlink->port, list, count, answers);
    cella_lock_take(&netlink->lock);
    const bool fits = answers->size == 0 || netlink->count < ANSWERS_WAITING;
    if (answers->size > 0 && fits) {
        netlink->waiting[netlink->count++] = CELLA_TAKE(answers);
    }
    cella_lock_give(&netlink->lock);
    fs_free(answers, sizeof(*answers));
    cella_poll_notify(open);
    cella_futex_wake((uint64_t)&open->changes, INT32_MAX);
    return fits ? (long)size : -ENOBUFS;
}

static long netlink_send(struct cella_open *open, const struct cella_gather *bytes)
{
    uint8_t *request = bytes->size <= REQUEST_MAX ? fs_new(REQUEST_MAX) : NULL;
    if (!request) {
        return bytes->size <= REQUEST_MAX ? -ENOBUFS : -EMSGSIZE;
    }
    long result = bytes->size > 0 ? fs_pieces_take(bytes, request, bytes->size) : 0;
    if (result == (long)bytes->size) {
        result = request_take(open, request, bytes->size);
    }
    fs_free(request, REQUEST_MAX);
    return result;
}

/* The first answer; a look leaves it where it is, and gets a copy. NULL: there is none. */
static struct netlink_answers *answers_take(struct netlink *netlink, bool peeks)
{
    struct netlink_answers *copy = peeks ? fs_new(sizeof(*copy)) : NULL;
    cella_lock_take(&netlink->lock);
    struct netlink_answers *first = netlink->count > 0 ? netlink->waiting[0] : NULL;
    if (first && copy) {
        *copy = *first;
    }
    if (first && !peeks) {
        netlink->count--;
        __builtin_memmove(netlink->waiting, netlink->waiting + 1,
                          netlink->count * sizeof(netlink->waiting[0]));
    }
    cella_lock_give(&netlink->lock);
    if (peeks && !first) {
        fs_free(CELLA_TAKE(copy), sizeof(*copy));
    }
    return peeks ? copy : first;
}

static long netlink_receive(struct cella_open *open, const struct cella_gather *bytes,
                            uint32_t flags, uint32_t *ret_flags)
{
    struct netlink_answers *answers;
    const bool waits = ((flags & LINUX_MSG_DONTWAIT) == 0) && (open->flags & LINUX_O_NONBLOCK) == 0;
    for (;;) {
        const uint32_t seen = atomic_load(&open->changes);
        answers = answers_take(open->data, (flags & LINUX_MSG_PEEK) != 0);
        if (answers) {
            break;
        }
        const long waited = waits ? unix_wait(&open->changes, seen, 0) : -EAGAIN;
        if (waited != 0) {
            return waited;
        }
    }
    const uint64_t whole = answers->size;
    const uint64_t part = bytes->size < whole ? bytes->size : whole;
    long result = part > 0 ? fs_pieces_put(bytes, answers->bytes, part) : 0;
    fs_free(answers, sizeof(*answers));
    *ret_flags = part < whole ? LINUX_MSG_TRUNC : 0;
    return result < 0 ? result : (flags & LINUX_MSG_TRUNC) != 0 ? (long)whole : result;
}

static long netlink_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    uint32_t unused;
    return transfer->writing ? netlink_send(open, &transfer->bytes)
                             : netlink_receive(open, &transfer->bytes, 0, &unused);
}

static uint32_t netlink_ready(struct cella_open *open)
{
    struct netlink *netlink = open->data;
    cella_lock_take(&netlink->lock);
    const uint32_t ready = LINUX_POLLOUT | (netlink->count > 0 ? LINUX_POLLIN : 0);
    cella_lock_give(&netlink->lock);
    return ready;
}

static void netlink_release(struct cella_open *open)
{
    struct netlink *netlink = open->data;
    for (uint32_t i = 0; i < netlink->count; i++) {
        fs_free(netlink->waiting[i], sizeof(*netlink->waiting[i]));
    }
    fs_free(netlink, sizeof(*netlink));
    open->data = NULL;
}

static const struct cella_open_class netlink_class = {
    .transfer = netlink_transfer, .ready = netlink_ready, .release = netlink_release};

static long call_socket(uint32_t type, uint32_t protocol)
{
    const uint32_t kind = type & UNIX_TYPE_MASK;
    long error;
    if ((type & ~(UNIX_TYPE_MASK | UNIX_FLAGS)) != 0) {
        return -EINVAL;
    }
    if (kind != UNIX_RAW && kind != UNIX_DATAGRAM) {
        return -ESOCKTNOSUPPORT;
    }
    if (protocol != PROTOCOL_ROUTE) {
        return -EPROTONOSUPPORT;
    }
    struct netlink *netlink = fs_new(sizeof(*netlink));
    if (!netlink) {
        return -ENOMEM;
    }
    struct cella_open *open =
        cella_open_new(&netlink_class, CELLA_NO_HANDLE,
                       LINUX_O_RDWR | ((type & UNIX_NONBLOCK) != 0 ? LINUX_O_NONBLOCK : 0), &error);
    if (!open) {
        fs_free(netlink, sizeof(*netlink));
        return error;
    }
    open->mode = MODE_SOCKET;
    open->words[SOCKET_DOMAIN] = AF_NETLINK_FAMILY;
    open->words[SOCKET_TYPE] = kind;
    open->data = netlink;
    return cella_descriptor_add(open, (type & UNIX_CLOEXEC) != 0, 0);
}

static long address_take(uint64_t at, uint64_t size, struct netlink_address *ret_address)
{
    if (size < ADDRESS_SIZE) {
        return -EINVAL;
    }
    if (!linux_user_read(ret_address, at, sizeof(*ret_address))) {
        return -EFAULT;
    }
    return ret_address->family == AF_NETLINK_FAMILY ? 0 : -EINVAL;
}

/* Nothing here ever changes: groups are joined and stay silent. */
static long call_bind(struct cella_open *open, uint64_t at, uint64_t size)
{
    struct netlink *netlink = open->data;
    struct netlink_address address;
    const long result = address_take(at, size, &address);
    if (result != 0) {
        return result;
    }
    if (netlink->port != 0 && address.port != 0 && address.port != netlink->port) {
        return -EINVAL;
    }
    netlink_bind(netlink, address.port);
    return 0;
}

static long address_write(uint32_t port, uint64_t to, uint64_t size_at)
{
    const struct netlink_address address = {.family = AF_NETLINK_FAMILY, .port = port};
    const uint32_t whole = sizeof(address);
    int32_t capacity;
    if (!linux_user_read(&capacity, size_at, sizeof(capacity))) {
        return -EFAULT;
    }
    if (capacity < 0) {
        return -EINVAL;
    }
    return linux_user_write(to, &address,
                            (uint32_t)capacity < whole ? (uint32_t)capacity : whole) &&
                   linux_user_write(size_at, &whole, sizeof(whole))
               ? 0
               : -EFAULT;
}

static long call_option_get(struct cella_open *open, const struct cella_regs *regs)
{
    static const struct {
        uint32_t name, value;
    } known[] = {{4, 0}, {7, UNIX_BUFFER}, {8, UNIX_BUFFER}, {38, 0}, {39, AF_NETLINK_FAMILY}};
    uint32_t value = open->words[SOCKET_TYPE];
    int32_t capacity;
    bool is_known = (uint32_t)ARG2(regs) == 3;
    for (uint32_t i = 0; i < CELLA_COUNT(known); i++) {
        if ((uint32_t)ARG2(regs) == known[i].name) {
            value = known[i].value;
            is_known = true;
        }
    }
    if ((uint32_t)ARG1(regs) != LEVEL_SOCKET || !is_known) {
        return -ENOPROTOOPT;
    }
    if (!linux_user_read(&capacity, ARG4(regs), sizeof(capacity)) || capacity < 0) {
        return -EFAULT;
    }
    const uint32_t part = (uint32_t)capacity < sizeof(value) ? (uint32_t)capacity : 4;
    return linux_user_write(ARG3(regs), &value, part) &&
                   linux_user_write(ARG4(regs), &part, sizeof(part))
               ? 0
               : -EFAULT;
}

static long call_message(struct cella_open *open, uint64_t at, uint32_t flags, bool sending)
{
    struct linux_message message;
    struct cella_gather bytes;
    if (!linux_user_read(&message, at, sizeof(message))) {
        return -EFAULT;
    }
    long result = cella_vector_take(message.vector, message.vector_count, !sending, &bytes);
    if (result != 0) {
        return result;
    }
    if (sending) {
        return netlink_send(open, &bytes);
    }
    const long count = netlink_receive(open, &bytes, flags, &message.flags);
    if (count < 0) {
        return count;
    }
    if (message.name != 0) {
        result = address_write(0, message.name,
                               at + __builtin_offsetof(struct linux_message, name_size));
        (void)linux_user_read(&message.name_size,
                              at + __builtin_offsetof(struct linux_message, name_size), 4);
    }
    message.control_size = 0;
    return result == 0 && linux_user_write(at, &message, sizeof(message)) ? count : -EFAULT;
}

static long call_receive(struct cella_open *open, const struct cella_regs *regs)
{
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    uint32_t unused;
    if (!cella_user_writable(ARG1(regs), ARG2(regs))) {
        return -EFAULT;
    }
    const long count = netlink_receive(open, &bytes, (uint32_t)ARG3(regs), &unused);
    if (count < 0 || ARG4(regs) == 0) {
        return count;
    }
    const long error = address_write(0, ARG4(regs), ARG5(regs));
    return error != 0 ? error : count;
}

static long call_send(struct cella_open *open, const struct cella_regs *regs)
{
    const struct cella_gather bytes = CELLA_GATHER_ONE(ARG1(regs), ARG2(regs));
    return cella_user_range(ARG1(regs), ARG2(regs)) ? netlink_send(open, &bytes) : -EFAULT;
}

static long socket_calls(struct cella_open *open, const struct cella_regs *regs)
{
    const struct netlink *netlink = open->data;
    struct netlink_address address;
    switch (regs->rax) {
    case __NR_bind:
        return call_bind(open, ARG1(regs), (uint32_t)ARG2(regs));
    case __NR_connect:
        return address_take(ARG1(regs), (uint32_t)ARG2(regs), &address);
    case __NR_getsockname:
        return address_write(netlink->port, ARG1(regs), ARG2(regs));
    case __NR_getpeername:
        return address_write(0, ARG1(regs), ARG2(regs));
    case __NR_sendto:
        return call_send(open, regs);
    case __NR_recvfrom:
        return call_receive(open, regs);
    case __NR_sendmsg:
    case __NR_recvmsg:
        return call_message(open, ARG1(regs), (uint32_t)ARG2(regs), regs->rax == __NR_sendmsg);
    case __NR_setsockopt:
        return (uint32_t)ARG1(regs) == LEVEL_SOCKET || (uint32_t)ARG1(regs) == LEVEL_NETLINK
                   ? 0
                   : -ENOPROTOOPT;
    case __NR_getsockopt:
        return call_option_get(open, regs);
    default:
        return -EOPNOTSUPP;
    }
}

/* Questions about interfaces go by any socket. */
static bool socket_control(const struct cella_regs *regs, long *ret_result)
{
    const uint32_t request = (uint32_t)ARG1(regs);
    if (request >> 8 != IOCTL_SOCKETS) {
        return false;
    }
    CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
    if (!open || (open->mode & MODE_TYPE) != MODE_SOCKET) {
        return false;
    }
    const long result = linux_interface_control(request, ARG2(regs));
    *ret_result = result;
    return result != -ENOTTY;
}

bool linux_netlink_syscall(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax == __NR_ioctl) {
        return socket_control(regs, ret_result);
    }
    if ((regs->rax < __NR_socket || regs->rax > __NR_getsockopt) && regs->rax != __NR_accept4) {
        return false;
    }
    if (regs->rax == __NR_socket || regs->rax == __NR_socketpair) {
        if ((uint32_t)ARG0(regs) != AF_NETLINK_FAMILY) {
            return false;
        }
        *ret_result = regs->rax == __NR_socket
                          ? call_socket((uint32_t)ARG1(regs), (uint32_t)ARG2(regs))
                          : -EOPNOTSUPP;
        return true;
    }
    CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
    if (!open || open->class != &netlink_class) {
        return false;
    }
    *ret_result = socket_calls(open, regs);
    return true;
}
