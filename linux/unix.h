/*
 * The inside of the sockets between the threads of a program: sockets, messages, names.
 * Side: enclave. Included by linux/unix*.c. Source: unix(7), cmsg(3), socket(7); the kernel's answers where these are silent.
 * Never touches the program's memory with the lock; never leaves the enclave but for paths below mounts of the host.
 *
 * One spin lock guards all links between sockets, their queues and their names: what happens under it is a few stores.
 */
#ifndef CELLA_LINUX_UNIX_H
#define CELLA_LINUX_UNIX_H

#include "enclave/sockets.h"
#include "linux/fs_tree.h"

#define UNIX_STREAM 1u
#define UNIX_DATAGRAM 2u
#define UNIX_RAW 3u
#define UNIX_SEQUENCED 5u

#define UNIX_TYPE_MASK 0xFu
#define UNIX_NONBLOCK 04000u
#define UNIX_CLOEXEC 02000000u
#define UNIX_FLAGS (UNIX_NONBLOCK | UNIX_CLOEXEC)

#define MSG_OOB_FLAG 0x1u
#define MSG_CTRUNC_FLAG 0x8u
#define POLLRDHUP_FLAG 0x2000u

#define UNIX_PATH_AT 2u
#define UNIX_ADDRESS_MAX 110u
#define UNIX_RIGHTS_MAX 253u
#define UNIX_BUFFER 212992u /* net.core.wmem_default */
#define UNIX_QUEUE_MAX 10u  /* net.unix.max_dgram_qlen */
#define UNIX_SHUT_RECEIVE 1u
#define UNIX_SHUT_SEND 2u
#define UNIX_SHUT_BOTH 3u

enum unix_state {
    UNIX_CLOSED, /* neither of the others */
    UNIX_LISTENS,
    UNIX_CONNECTED,
};

/* A struct sockaddr_un as it was bound; counted, never changed. */
struct unix_name {
    _Atomic uint32_t references;
    uint32_t size;
    uint8_t bytes[UNIX_ADDRESS_MAX + 2];
};

struct unix_credentials {
    uint32_t process, user, group;
};

/* Open objects on their way: each with a reference. */
struct unix_rights {
    struct unix_rights *next;
    uint32_t count;
    uint32_t capacity; /* of the allocation */
    bool in_flight;    /* counted in g_in_flight: part of a queue */
    struct cella_open *opens[];
};

struct unix_socket;
struct unix_message {
    struct unix_message *next;
    struct unix_socket *sender; /* a reference */
    struct unix_rights *rights; /* or NULL */
    struct unix_credentials credentials;
    uint32_t size, taken;
    uint32_t capacity; /* of the allocation, and what the sender is charged */
    uint8_t bytes[];
};

struct unix_socket {
    struct unix_socket *next, *previous; /* of all */
    uint32_t references;                 /* under the lock */
    uint32_t type;
    enum unix_state state;
    uint32_t shut; /* UNIX_SHUT_* */
    bool is_found; /* by its name, which it was given, not left by a listener */
    bool is_dead;  /* its open object is gone */
    bool passes_credentials;
    bool is_marked, is_scanned; /* the collector's */
    bool wants_room;            /* was found full by a sender or a poll: to be told */
    bool delays_senders;        /* somebody waits for room in this one's queue */
    uint32_t error;             /* SO_ERROR */
    uint32_t flights;           /* the collector's: how often its open object is in a queue */
    _Atomic uint32_t changes;   /* whoever waits for something to come, or to go wrong */
    _Atomic uint32_t rooms;     /* whoever waits for room in the queue of this one */
    struct cella_open *open;    /* NULL: not accepted yet */
    uint64_t serial;
    struct unix_socket *peer; /* a reference */
    struct unix_name *name;   /* or NULL */
    struct fs_node *node;     /* where the name is a path: a reference */
    struct unix_message *first, *last;
    uint32_t count; /* messages, or connections that wait */
    uint64_t used;  /* bytes in the queue */
    struct unix_socket *accept_first, *accept_last, *accept_next;
    uint32_t backlog;
    uint32_t charged; /* what is on its way from here */
    uint32_t send_size, receive_size, low_water;
    int64_t send_limit, receive_limit; /* nanoseconds; 0: none */
    uint64_t switches;                 /* options that are on or off and change nothing here */
    uint32_t linger[2];
    struct unix_credentials credentials, peer_credentials;
    struct linux_mutex reading;
};

/* What goes with bytes on their way out. */
struct unix_outgoing {
    uint64_t address, address_size; /* of the program; 0: none */
    struct unix_rights *rights;
    struct unix_credentials credentials;
    bool has_credentials;
};

/* What came with bytes. */
struct unix_incoming {
    struct unix_name *name; /* a reference, or NULL */
    struct unix_rights *rights;
    struct unix_credentials credentials;
    bool has_credentials;
    uint32_t flags; /* MSG_* for the header */
};

/* unix.c */
extern const struct cella_open_class linux_unix_class;
void unix_take(void);
void unix_give(void);
/* A new socket with one reference, in the list of all; NULL: no memory. */
struct unix_socket *unix_new(uint32_t type);
void unix_get(struct unix_socket *socket); /* under the lock */
void unix_put(struct unix_socket *socket); /* not under it */
static inline void unix_put_at(struct unix_socket **socket)
{
    if (*socket) {
        unix_put(*socket);
    }
}
/* The open object of a socket that has none; takes over the reference. NULL and an errno. */
struct cella_open *unix_open(struct unix_socket *socket, uint32_t flags, long *ret_error);
/* Not under the lock: whoever waits on it, in a call or in poll, looks again. */
void unix_changed(struct unix_socket *socket);
/* Takes the socket out of everything: its peer sees it, its queue is emptied. */
void unix_close(struct unix_socket *socket);
/* Sleeps until *word is not `seen`; 0, -EINTR, -EAGAIN when the deadline (0: none) is over. */
long unix_wait(_Atomic uint32_t *word, uint32_t seen, int64_t deadline);
int64_t unix_deadline(int64_t limit);
/* The first of all sockets, under the lock. */
struct unix_socket *unix_all(void);
struct unix_credentials unix_credentials_own(void);
bool unix_is_writable(const struct unix_socket *socket); /* under the lock */
static inline bool unix_is_connecting(const struct unix_socket *socket)
{
    return socket->type == UNIX_STREAM || socket->type == UNIX_SEQUENCED;
}
/* This socket lives with the host: bound or connected to a path below a mount of it. */
static inline bool unix_is_hosts(const struct cella_open *open)
{
    return open->handle != CELLA_NO_HANDLE;
}

/* unix_names.c */
void unix_name_put(struct unix_name *name);
static inline void unix_name_done(struct unix_name **name)
{
    unix_name_put(*name);
}
struct unix_name *unix_name_get(struct unix_name *name);
/* Reads a sockaddr_un; *ret_size is what counts of it. */
long unix_address_read(uint64_t at, uint64_t size, uint8_t ret_bytes[UNIX_ADDRESS_MAX + 2],
                       uint32_t *ret_size);
long unix_autobind(struct unix_socket *socket);
/*
 * Whom an address names, with a reference. `open`: becomes a socket of the host when the path is the host's; then
 * *ret_host is the address for it, and 0 comes back without a socket.
 */
struct unix_host_address {
    uint32_t size;
    uint8_t bytes[CELLA_CALL_ADDRESS_MAX];
};
long unix_find(const struct unix_socket *socket, uint64_t at, uint64_t size,
               struct unix_socket **ret_found, struct unix_host_address *ret_host);
/* Makes `open` a socket of the host, once. */
long unix_host_make(struct cella_open *open);
long unix_bind(struct cella_open *open, uint64_t at, uint64_t size);
long unix_name_call(struct cella_open *open, uint64_t to, uint64_t size_at, bool of_peer);
/* As the socket calls give addresses out; NULL: one without a name. */
long unix_name_write(const struct unix_name *name, uint64_t to, uint64_t size_at);

/* unix_connect.c */
long unix_connect(struct cella_open *open, uint64_t at, uint64_t size);
long unix_listen(struct cella_open *open, int32_t backlog);
long unix_accept(struct cella_open *open, uint64_t to, uint64_t size_at, uint32_t flags);
long unix_shutdown(struct cella_open *open, uint32_t how);

/* unix_send.c, unix_receive.c */
long unix_send(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
               struct unix_outgoing *outgoing);
long unix_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                  struct unix_incoming *ret_incoming);
void unix_incoming_done(struct unix_incoming *incoming);
/* Gives a message back, with what is in it; not under the lock. */
void unix_message_free(struct unix_message *message);
/* Under the lock: all messages of a queue, as a list that unix_messages_free takes. */
struct unix_message *unix_queue_take(struct unix_socket *socket);
void unix_messages_free(struct unix_message *messages);
bool unix_message_calls(struct cella_open *open, const struct cella_regs *regs, long *ret_result);

/* unix_control.c */
/* The program's control messages; -ETOOMANYREFS, -EBADF, -EPERM, -EINVAL. */
long unix_control_read(uint64_t at, uint64_t size, struct unix_outgoing *outgoing);
/* Hands out what came; descriptors are made. *ret_used: bytes written; flags: MSG_CTRUNC may be added. */
void unix_control_write(struct unix_incoming *incoming, bool wants_credentials, uint64_t at,
                        uint64_t size, bool close_on_exec, uint64_t *ret_used);
void unix_rights_put(struct unix_rights *rights); /* not under the lock */
/* Under the lock: for a look at what stays in the queue; `to` is empty and large enough. */
void unix_rights_copy(struct unix_rights *to, const struct unix_rights *from);
struct unix_rights *unix_rights_new(uint32_t count);
/* Under the lock: into a queue, out of one. */
void unix_rights_fly(struct unix_rights *rights);
void unix_rights_land(struct unix_rights *rights);
/* Objects in queues that nobody can reach any more are let go. */
void unix_collect(void);

/* unix_options.c */
long unix_option_set(struct cella_open *open, uint32_t level, uint32_t name, uint64_t at,
                     uint64_t size);
long unix_option_get(struct cella_open *open, uint32_t level, uint32_t name, uint64_t to,
                     uint64_t size_at);
long unix_control(struct cella_open *open, uint64_t request, uint64_t argument);

#endif
