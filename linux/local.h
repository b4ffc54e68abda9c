/*
 * Sockets of the family AF_UNIX inside the enclave: what their parts know of each other.
 * Side: enclave. Included by linux/local*.c.
 * Never shows the host a byte of what one part of the program says to another. Only a socket whose path lies in a directory
 * of the host becomes a socket of the host's, by which programs outside are spoken with.
 */
#ifndef CELLA_LINUX_LOCAL_H
#define CELLA_LINUX_LOCAL_H

#include "enclave/sockets.h"
#include "linux/fs_tree.h"

#define LOCAL_STREAM 1u
#define LOCAL_DATAGRAM 2u
#define LOCAL_PACKETS 5u /* SOCK_SEQPACKET */
#define LOCAL_ADDRESS_MAX 110u
#define LOCAL_QUEUE_MAX 212992u /* bytes that wait, as Linux has it */
#define LOCAL_PIECE_MAX 65536u
#define LOCAL_RIGHTS_MAX 32u
#define LOCAL_RDHUP 0x2000u

struct local_address {
    uint32_t size; /* with the family; 0: none */
    uint8_t bytes[LOCAL_ADDRESS_MAX + 2];
};

/* Something sent: in one piece for the types that keep messages apart. */
struct local_packet {
    struct local_packet *next;
    uint64_t size, used;
    struct local_address from;
    struct cella_open *rights[LOCAL_RIGHTS_MAX]; /* descriptors that go with it: references */
    uint32_t right_count;
    uint8_t bytes[];
};

struct local {
    struct local *next; /* of all that have an address */
    uint32_t references;
    uint32_t type;
    bool is_listed, is_listening, is_closed, is_shut_for_reading, is_shut_for_writing;
    struct local *peer; /* a reference; of a stream, or where a datagram goes */
    struct local_packet *first, *last;
    uint64_t queued;
    struct local *pending, *pending_next; /* connections that wait for accept; references */
    uint32_t backlog, pending_count;
    struct local_address address;
    struct fs_node *node; /* of its path: a reference */
    struct cella_open *open;
    uint64_t serial;
    _Atomic uint32_t changes;
    int64_t limits[2][2]; /* SO_RCVTIMEO, SO_SNDTIMEO: seconds, nanoseconds; 0: none */
};

/* local.c */
extern const struct cella_open_class local_class;
void local_take(void); /* one lock for all of them; never over an exit or the program's memory */
void local_give(void);
struct local *local_new(uint32_t type);
void local_put(struct local *local);
/* A socket's object, with the descriptor's flags; takes over the reference, also when it fails. */
long local_insert(struct local *local, uint32_t flags);
/* Whoever waits for this socket looks again, in poll, too. */
void local_changed(struct local *local);
/* Only those that sleep until there is room in its queue. */
void local_wake(struct local *local);
/* Until it has changed since `seen`; -EAGAIN after the limit (seconds, nanoseconds; 0: none), -EINTR. */
long local_wait(struct local *local, const int64_t limit[2], uint32_t seen);
/* The socket of a descriptor, with a reference of its object; NULL: it is none of these. */
static inline struct local *local_of(const struct cella_open *open)
{
    return open && open->class == &local_class ? open->data : NULL;
}
bool local_syscall(struct cella_regs *regs, long *ret_result);

/* local_names.c */
extern struct local *local_list; /* under the lock */
long local_address_take(uint64_t user, uint64_t size, struct local_address *ret_address);
long local_bind(struct cella_open *open, const struct local_address *address);
/* Who listens (or receives) there, with a reference; NULL and an errno. 1: it was the host's; `open` is connected. */
struct local *local_find(struct cella_open *open, const struct local_address *address,
                         long *ret_error);

/* local_messages.c */
long local_send(struct cella_open *open, const struct cella_gather *bytes,
                const struct local_address *to, uint32_t flags, struct cella_open *const *rights,
                uint32_t right_count);
struct local_received {
    struct local_address from;
    uint64_t whole; /* of a message that was longer */
    struct cella_open *rights[LOCAL_RIGHTS_MAX];
    uint32_t right_count;
    uint32_t flags;
};
long local_receive(struct cella_open *open, const struct cella_gather *bytes, uint32_t flags,
                   struct local_received *ret_received);
void local_packets_free(struct local_packet *packet);
bool local_message_calls(struct cella_regs *regs, long *ret_result);

#endif
