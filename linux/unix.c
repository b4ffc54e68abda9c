/*
 * Sockets between the threads of a program: AF_UNIX. Their life, what poll sees of them, and which call is whose.
 * Side: enclave. Called for the program's system calls and by the table of descriptors.
 * Never leaves the enclave, but to put threads to sleep: what is the host's goes to enclave/sockets.c as it is.
 */
#include "linux/unix.h"

#define FUTEX_WAIT_BITSET_PRIVATE (9u | 128u)
#define NANOSECONDS 1000000000ll
#define PROTOCOL_UNIX 1u
#define POLL_NORMAL_IN 0x40u   /* POLLRDNORM */
#define POLL_NORMAL_OUT 0x300u /* POLLWRNORM, POLLWRBAND */
#define PROCESS_ID 1u

static struct cella_lock lock;
static struct unix_socket *all;

void unix_take(void)
{
    cella_lock_take(&lock);
}

void unix_give(void)
{
    cella_lock_give(&lock);
}

struct unix_socket *unix_all(void)
{
    return all;
}

struct unix_credentials unix_credentials_own(void)
{
    struct fs_ids ids;
    fs_system_ids(&ids);
    return (struct unix_credentials){
        .process = ids.process, .user = ids.user_effective, .group = ids.group_effective};
}

int64_t unix_deadline(int64_t limit)
{
    return limit == 0 ? 0 : (int64_t)linux_clock_now(false) + limit;
}

long unix_wait(_Atomic uint32_t *word, uint32_t seen, int64_t deadline)
{
    const struct libc_timespec until = {.seconds = deadline / NANOSECONDS,
                                        .nanoseconds = deadline % NANOSECONDS};
    struct cella_regs regs = {.rdi = (uint64_t)word,
                              .rsi = FUTEX_WAIT_BITSET_PRIVATE,
                              .rdx = seen,
                              .r10 = deadline != 0 ? (uint64_t)&until : 0,
                              .r9 = UINT32_MAX};
    const long result = cella_futex(&regs);
    return result == -EINTR ? -EINTR : result == -ETIMEDOUT ? -EAGAIN : 0;
}

struct unix_socket *unix_new(uint32_t type)
{
    struct unix_socket *socket = fs_new(sizeof(*socket));
    if (!socket) {
        return NULL;
    }
    *socket = (struct unix_socket){
        .references = 1,
        .type = type,
        .backlog = UNIX_QUEUE_MAX,
        .send_size = UNIX_BUFFER,
        .receive_size = UNIX_BUFFER,
        .low_water = 1,
        .credentials = unix_credentials_own(),
        .peer_credentials = {.user = UINT32_MAX, .group = UINT32_MAX},
    };
    unix_take();
    socket->next = all;
    if (all) {
        all->previous = socket;
    }
    all = socket;
    unix_give();
    return socket;
}

void unix_get(struct unix_socket *socket)
{
    socket->references++;
}

/* A socket has at most one other that only it keeps: its peer. That one's turn comes in the loop. */
void unix_put(struct unix_socket *socket)
{
    while (socket) {
        unix_take();
        const bool last = --socket->references == 0;
        if (last) {
            *(socket->previous ? &socket->previous->next : &all) = socket->next;
            if (socket->next) {
                socket->next->previous = socket->previous;
            }
        }
        unix_give();
        if (!last) {
            return;
        }
        struct unix_socket *peer = socket->peer;
        unix_name_put(socket->name);
        fs_free(socket, sizeof(*socket));
        socket = peer;
    }
}

void unix_changed(struct unix_socket *socket)
{
    atomic_fetch_add(&socket->changes, 1);
    cella_futex_wake((uint64_t)&socket->changes, INT32_MAX);
    unix_take();
    struct cella_open *open = socket->is_dead ? NULL : socket->open;
    const uint64_t serial = socket->serial;
    unix_give();
    if (open && cella_open_take(open, serial)) {
        cella_poll_notify(open);
        cella_open_put(open);
    }
}

bool unix_is_writable(const struct unix_socket *socket)
{
    return socket->state != UNIX_LISTENS && (uint64_t)socket->charged * 4 <= socket->send_size;
}

/* Under the lock: datagrams also need room at the other end, unless it is a pair. */
static bool peer_has_room(struct unix_socket *socket)
{
    struct unix_socket *peer = socket->peer;
    if (socket->type != UNIX_DATAGRAM || !peer || peer->peer == socket ||
        peer->count <= peer->backlog) {
        return true;
    }
    peer->delays_senders = true;
    return false;
}

static uint32_t unix_ready(struct cella_open *open)
{
    struct unix_socket *socket = open->data;
    uint32_t ready = 0;
    if (unix_is_hosts(open)) {
        return 0; /* the host is asked */
    }
    unix_take();
    ready |= socket->error != 0 ? LINUX_POLLERR : 0;
    ready |= socket->shut == UNIX_SHUT_BOTH ? LINUX_POLLHUP : 0;
    if ((socket->shut & UNIX_SHUT_RECEIVE) != 0) {
        ready |= LINUX_POLLIN | POLL_NORMAL_IN | POLLRDHUP_FLAG;
    }
    ready |= socket->count > 0 ? LINUX_POLLIN | POLL_NORMAL_IN : 0;
    ready |= unix_is_connecting(socket) && socket->state == UNIX_CLOSED ? LINUX_POLLHUP : 0;
    if (unix_is_writable(socket) && peer_has_room(socket)) {
        ready |= LINUX_POLLOUT | POLL_NORMAL_OUT;
    } else {
        socket->wants_room = true;
    }
    unix_give();
    return ready;
}

/* Connections that nobody took: each is closed as its peer sees it. */
static void embryos_close(struct unix_socket *embryo)
{
    while (embryo) {
        struct unix_socket *next = embryo->accept_next;
        embryo->accept_next = NULL;
        unix_close(embryo);
        unix_put(embryo);
        embryo = next;
    }
}

void unix_close(struct unix_socket *socket)
{
    unix_take();
    struct unix_message *messages = unix_queue_take(socket);
    struct unix_socket *embryos = socket->accept_first;
    struct unix_socket *peer = socket->peer;
    const bool was_embryo = !socket->open;
    struct fs_node *node = CELLA_TAKE(socket->node);
    socket->accept_first = socket->accept_last = NULL;
    socket->peer = NULL;
    socket->is_dead = true;
    socket->shut = UNIX_SHUT_BOTH;
    socket->state = UNIX_CLOSED;
    const bool tells = peer && unix_is_connecting(socket);
    if (tells) {
        peer->shut = UNIX_SHUT_BOTH;
        peer->error = messages || was_embryo ? ECONNRESET : peer->error;
    }
    atomic_fetch_add(&socket->rooms, 1);
    unix_give();
    cella_futex_wake((uint64_t)&socket->rooms, INT32_MAX);
    unix_changed(socket);
    if (tells) {
        unix_changed(peer);
    }
    if (peer) {
        unix_put(peer);
    }
    if (node) {
        fs_node_put(node);
    }
    unix_messages_free(messages);
    embryos_close(embryos);
}

static void unix_release(struct cella_open *open)
{
    struct unix_socket *socket = open->data;
    unix_close(socket);
    unix_put(socket);
    open->data = NULL;
    unix_collect();
}

static long unix_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct unix_incoming incoming = {0};
    struct unix_outgoing outgoing = {0};
    if (unix_is_hosts(open)) {
        return cella_socket_class.transfer(open, transfer);
    }
    if (transfer->writing) {
        return unix_send(open, &transfer->bytes, 0, &outgoing);
    }
    const long result =
        transfer->bytes.size == 0 ? 0 : unix_receive(open, &transfer->bytes, 0, &incoming);
    unix_incoming_done(&incoming);
    return result;
}

static long unix_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    const struct unix_credentials own = unix_credentials_own();
    *ret_stat = (struct cella_call_stat){.device = 8,
                                         .inode = open->serial,
                                         .links = 1,
                                         .mode = MODE_SOCKET | 0777,
                                         .user = own.user,
                                         .group = own.group,
                                         .block_size = SGX_PAGE_SIZE};
    return 0;
}

const struct cella_open_class linux_unix_class = {.transfer = unix_transfer,
                                                  .stat = unix_stat,
                                                  .control = unix_control,
                                                  .ready = unix_ready,
                                                  .release = unix_release};

struct cella_open *unix_open(struct unix_socket *socket, uint32_t flags, long *ret_error)
{
    struct cella_open *open = cella_open_new(
        &linux_unix_class, CELLA_NO_HANDLE,
        LINUX_O_RDWR | ((flags & UNIX_NONBLOCK) != 0 ? LINUX_O_NONBLOCK : 0), ret_error);
    if (!open) {
        unix_close(socket);
        unix_put(socket);
        return NULL;
    }
    open->mode = MODE_SOCKET;
    open->words[SOCKET_DOMAIN] = LINUX_AF_UNIX;
    open->words[SOCKET_TYPE] = socket->type;
    open->data = socket;
    unix_take();
    socket->open = open;
    socket->serial = open->serial;
    unix_give();
    return open;
}

/* 0, or an errno; *ret_kind is what the type is made as. */
static long type_take(uint32_t type, uint32_t protocol, uint32_t *ret_kind)
{
    const uint32_t kind = type & UNIX_TYPE_MASK;
    if ((type & ~(UNIX_TYPE_MASK | UNIX_FLAGS)) != 0) {
        return -EINVAL;
    }
    if (protocol != 0 && protocol != PROTOCOL_UNIX) {
        return -EPROTONOSUPPORT;
    }
    if (kind != UNIX_STREAM && kind != UNIX_DATAGRAM && kind != UNIX_RAW &&
        kind != UNIX_SEQUENCED) {
        return -ESOCKTNOSUPPORT;
    }
    *ret_kind = kind == UNIX_RAW ? UNIX_DATAGRAM : kind;
    return 0;
}

static long call_socket(uint32_t type, uint32_t protocol)
{
    uint32_t kind;
    long error = type_take(type, protocol, &kind);
    if (error != 0) {
        return error;
    }
    struct unix_socket *socket = unix_new(kind);
    struct cella_open *open = socket ? unix_open(socket, type, &error) : NULL;
    if (!open) {
        return socket ? error : -ENOMEM;
    }
    return cella_descriptor_add(open, (type & UNIX_CLOEXEC) != 0, 0);
}

static void pair_join(struct unix_socket *one, struct unix_socket *two)
{
    unix_take();
    one->peer = two;
    two->peer = one;
    unix_get(one);
    unix_get(two);
    one->state = two->state = UNIX_CONNECTED;
    one->peer_credentials = two->credentials;
    two->peer_credentials = one->credentials;
    unix_give();
}

static long call_pair(uint32_t type, uint32_t protocol, uint64_t to)
{
    struct cella_open *opens[2] = {NULL, NULL};
    long fds[2] = {-ENOMEM, -ENOMEM};
    uint32_t kind;
    long error = type_take(type, protocol, &kind);
    if (error != 0) {
        return error;
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct unix_socket *socket = unix_new(kind);
        opens[i] = socket ? unix_open(socket, type, &error) : NULL;
    }
    if (!opens[0] || !opens[1]) {
        cella_open_put_at(&opens[0]);
        cella_open_put_at(&opens[1]);
        return error != 0 ? error : -ENOMEM;
    }
    pair_join(opens[0]->data, opens[1]->data);
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = cella_descriptor_add(opens[i], (type & UNIX_CLOEXEC) != 0, 0);
    }
    const int32_t shown[2] = {(int32_t)fds[0], (int32_t)fds[1]};
    if (fds[0] >= 0 && fds[1] >= 0 && linux_user_write(to, shown, sizeof(shown))) {
        return 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct cella_open *left =
            fds[i] >= 0 ? cella_descriptor_swap((uint64_t)fds[i], NULL, false) : NULL;
        cella_open_put_at(&left);
    }
    return fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : -EFAULT;
}

/* Calls on a socket that is one of these. */
static bool socket_calls(struct cella_open *open, const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_bind:
        *ret_result = unix_bind(open, ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_connect:
        *ret_result = unix_connect(open, ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    case __NR_listen:
        *ret_result = unix_listen(open, (int32_t)ARG1(regs));
        return true;
    case __NR_accept:
    case __NR_accept4:
        *ret_result = unix_accept(open, ARG1(regs), ARG2(regs),
                                  regs->rax == __NR_accept4 ? (uint32_t)ARG3(regs) : 0);
        return true;
    case __NR_shutdown:
        *ret_result = unix_shutdown(open, (uint32_t)ARG1(regs));
        return true;
    case __NR_getsockname:
    case __NR_getpeername:
        *ret_result = unix_name_call(open, ARG1(regs), ARG2(regs), regs->rax == __NR_getpeername);
        return true;
    case __NR_setsockopt:
        *ret_result = unix_option_set(open, (uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs),
                                      (uint32_t)ARG4(regs));
        return true;
    case __NR_getsockopt:
        *ret_result = unix_option_get(open, (uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs),
                                      ARG4(regs));
        return true;
    default:
        return unix_message_calls(open, regs, ret_result);
    }
}

/*
 * What stays here of a socket that is the host's: the name that it was given, and the names that it is given: what they
 * mean is for the tree to say.
 */
static bool hosts_calls(struct cella_open *open, const struct cella_regs *regs, long *ret_result)
{
    const struct unix_socket *socket = open->data;
    switch (regs->rax) {
    case __NR_getsockname:
        if (!socket->name) {
            return false;
        }
        return socket_calls(open, regs, ret_result);
    case __NR_bind:
    case __NR_connect:
    case __NR_sendto:
    case __NR_sendmsg:
    case __NR_sendmmsg:
        return socket_calls(open, regs, ret_result);
    default:
        return false;
    }
}

bool linux_unix_syscall(struct cella_regs *regs, long *ret_result)
{
    const bool is_socket = regs->rax >= __NR_socket && regs->rax <= __NR_getsockopt;
    if (!is_socket && regs->rax != __NR_accept4 && regs->rax != __NR_sendmmsg &&
        regs->rax != __NR_recvmmsg) {
        return false;
    }
    if (regs->rax == __NR_socket || regs->rax == __NR_socketpair) {
        if ((uint32_t)ARG0(regs) != LINUX_AF_UNIX) {
            return false;
        }
        *ret_result = regs->rax == __NR_socket
                          ? call_socket((uint32_t)ARG1(regs), (uint32_t)ARG2(regs))
                          : call_pair((uint32_t)ARG1(regs), (uint32_t)ARG2(regs), ARG3(regs));
        return true;
    }
    CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
    if (!open || open->class != &linux_unix_class) {
        return false;
    }
    return unix_is_hosts(open) ? hosts_calls(open, regs, ret_result)
                               : socket_calls(open, regs, ret_result);
}
