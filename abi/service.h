/*
 * Records of the opt-in services: files, sockets, waiting, names, ids. docs/formats/calls.md is the manual.
 * Side: ground; the modules of enclave/ ask, host/ answers.
 * Never holds a pointer. A host's answer is filtered inside: numbers, sizes, names and addresses.
 *
 * A request is the head, then a path, an address or data. An answer starts with an i64: a count, a handle, or an errno
 * as a negative number. Handles are the host's names for what it has open for this enclave.
 */
#ifndef CELLA_ABI_SERVICE_H
#define CELLA_ABI_SERVICE_H

#include "abi/call.h"

struct cella_call_request {
    uint32_t operation;
    int32_t handle;
    int64_t a;
    int64_t b;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_request) == 24);

/* CELLA_OCALL_FILE. Paths are absolute, zero-terminated, and taken below the directory that the host chose. */
enum cella_call_file_operation {
    /* a: flags, b: mode; path; out: handle, u64 mode of the file, and struct cella_call_stat where there is room */
    CELLA_FILE_OPEN = 1,
    CELLA_FILE_CLOSE,
    CELLA_FILE_READ,  /* a: offset or CELLA_FILE_HERE, b: size; out: count, bytes */
    CELLA_FILE_WRITE, /* a: offset or CELLA_FILE_HERE; data */
    CELLA_FILE_SEEK,  /* a: offset, b: whence */
    CELLA_FILE_STAT,  /* handle -1: path, a: 1 = of the link itself; out: struct cella_call_stat */
    CELLA_FILE_TRUNCATE, /* a: size; handle -1: path */
    CELLA_FILE_SYNC,     /* a: 1 = data only */
    CELLA_FILE_UNLINK,   /* path */
    CELLA_FILE_RENAME,   /* a: flags; two paths */
    CELLA_FILE_MKDIR,    /* b: mode; path */
    CELLA_FILE_RMDIR,    /* path */
    CELLA_FILE_ACCESS,   /* a: mode; path */
    CELLA_FILE_LINK,     /* two paths */
    CELLA_FILE_SYMLINK,  /* the link's text, its path */
    CELLA_FILE_READLINK, /* path; out: size, text */
    CELLA_FILE_CHMOD,    /* b: mode; handle -1: path */
    CELLA_FILE_TIMES, /* i64[4]: access and change times; handle -1: path after them, a: 1 = link */
    CELLA_FILE_ENTRIES, /* b: size; out: size, struct linux_dirent64 */
    CELLA_FILE_FLOCK,   /* a: operation of flock(2) */
    CELLA_FILE_LOCK,    /* a: F_GETLK and its kin; struct cella_call_lock, also as the answer */
    CELLA_FILE_FLAGS,   /* a: flags of F_SETFL */
    CELLA_FILE_CONTROL, /* a: FIONREAD, TIOCGWINSZ; out: 0, u64 */
    CELLA_FILE_SPACE,   /* handle -1: path; out: struct cella_call_space */
    CELLA_FILE_RESERVE, /* a: offset, b: size: fallocate without flags */
};

/* Instead of an offset: where the file stands; WAITS_NOT: EAGAIN when there is nothing yet. */
#define CELLA_FILE_HERE (-1)
#define CELLA_FILE_HERE_WAITS_NOT (-2)

struct cella_call_stat {
    uint64_t device, inode, links, size, blocks, special;
    uint32_t mode, block_size, user, group;
    int64_t accessed[2], modified[2], changed[2]; /* seconds, nanoseconds */
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_stat) == 112);

struct cella_call_space {
    uint64_t type, block_size, blocks, free, available, files, files_free, name_max;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_space) == 64);

/* struct flock of x86-64. */
struct cella_call_lock {
    int16_t type, whence;
    int32_t reserved1;
    int64_t start, size;
    int32_t process;
    int32_t reserved2;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_lock) == 32);

/* CELLA_OCALL_SOCKET. Addresses are those of the socket calls, at most CELLA_CALL_ADDRESS_MAX bytes. */
enum cella_call_socket_operation {
    CELLA_SOCKET_NEW = 1,    /* handle: protocol, a: domain, b: type; out: handle */
    CELLA_SOCKET_PAIR,       /* the same; out: handle, u64 handle */
    CELLA_SOCKET_BIND,       /* address */
    CELLA_SOCKET_LISTEN,     /* a: backlog */
    CELLA_SOCKET_ACCEPT,     /* a: 1 = do not wait; out: struct cella_call_address */
    CELLA_SOCKET_CONNECT,    /* a: 1 = do not wait; address */
    CELLA_SOCKET_SEND,       /* a: flags, b: size of the address; address padded to 8, data */
    CELLA_SOCKET_RECEIVE,    /* a: flags, b: size; out: struct cella_call_address, bytes */
    CELLA_SOCKET_SHUTDOWN,   /* a: how */
    CELLA_SOCKET_OPTION,     /* a: level, b: name, bytes; out: 0 */
    CELLA_SOCKET_OPTION_GET, /* a: level, b: name; out: size, bytes */
    CELLA_SOCKET_NAME,       /* a: 1 = the peer's; out: struct cella_call_address */
};

#define CELLA_CALL_ADDRESS_MAX 128u
#define CELLA_MSG_DONTWAIT 0x40 /* a flag of SEND and RECEIVE: the host does not wait */
#define CELLA_CALL_OPTION_MAX 256u

struct cella_call_address {
    int64_t value;  /* handle, or bytes that follow */
    uint64_t whole; /* RECEIVE: size of the message, which may be more than what follows */
    uint32_t flags; /* RECEIVE: MSG_* */
    uint32_t size;  /* of the address; 0: none */
    uint8_t address[CELLA_CALL_ADDRESS_MAX];
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_address) == 152);

/*
 * CELLA_OCALL_POLL: waits for handles, for POLL_WAKE of `slot`, or until the time is over.
 * In: struct cella_call_wait_list, struct cella_call_poll[count]; out: struct cella_call_waited, u32 events[count].
 */
struct cella_call_wait_list {
    uint32_t slot;
    uint32_t count;
    int64_t timeout; /* nanoseconds; negative: for ever */
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_wait_list) == 16);

struct cella_call_poll {
    int32_t handle;
    uint32_t events;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_poll) == 8);
#define CELLA_CALL_POLL_MAX 4096u

struct cella_call_waited {
    int64_t value;     /* how many are ready */
    int64_t remaining; /* nanoseconds of the time; 0: over */
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_waited) == 16);

/* CELLA_OCALL_EPOLL: the host's epoll objects, for what the host has open. */
enum cella_call_epoll_operation {
    CELLA_EPOLL_NEW = 1, /* out: handle */
    CELLA_EPOLL_CONTROL, /* a: EPOLL_CTL_*, b: handle; struct cella_call_event */
    CELLA_EPOLL_WAIT, /* a: timeout, b: slot << 32 | count; out: struct cella_call_waited, events */
};

struct cella_call_event {
    uint32_t events;
    uint32_t reserved;
    uint64_t cookie;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_event) == 16);

/* CELLA_OCALL_RESOLVE. Texts are zero-terminated. */
enum cella_call_resolve_operation {
    CELLA_RESOLVE_ADDRESSES = 1, /* a: flags, b: family | type << 16 | protocol << 32; handle: 1 =
                                    node given, 2 = service given; texts; out: count, records,
                                    canonical name */
    CELLA_RESOLVE_NAMES,         /* a: flags, b: size of the address; address; out: 0, two texts */
};
#define CELLA_CALL_NAME_MAX 1025u
#define CELLA_CALL_SERVICE_MAX 32u
#define CELLA_CALL_RESOLVED_MAX 64u

struct cella_call_resolved {
    uint32_t type, protocol;
    uint32_t size;
    uint8_t address[28];
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_resolved) == 40);

/* CELLA_OCALL_IDS: a number of the host's process. */
enum cella_call_id {
    CELLA_ID_PROCESS = 1,
    CELLA_ID_PARENT,
    CELLA_ID_USER,
    CELLA_ID_USER_EFFECTIVE,
    CELLA_ID_GROUP,
    CELLA_ID_GROUP_EFFECTIVE,
    CELLA_ID_PROCESS_GROUP, /* a: process, 0: this */
    CELLA_ID_SESSION,       /* a: process, 0: this */
    CELLA_ID_GROUPS,        /* out: count, u32[] */
    CELLA_ID_EXISTS,        /* a: process: kill(2) with signal 0 */
};
#define CELLA_CALL_GROUPS_MAX 256u

/* CELLA_OCALL_QUOTE: whom to make a report for; the quote of such a report. */
enum cella_call_quote_operation {
    CELLA_QUOTE_TARGET = 1, /* in: u32 operation; out: struct cella_call_quote_target */
    CELLA_QUOTE_GET,        /* in: struct cella_call_quote; out: the quote */
};

struct cella_call_quote_target {
    struct sgx_targetinfo target;
    uint32_t quote_size;
    uint32_t reserved;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_quote_target) == 520);

struct cella_call_quote {
    uint32_t operation;
    uint32_t reserved;
    struct sgx_report report;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_quote) == 440);

/* The ecall of libcella_enclave_attest. In: this, nonce, user data; out: u64 size that is needed, evidence if it fits. */
#define CELLA_ECALL_EVIDENCE (CELLA_ECALL_SYSTEM + 1)
#define CELLA_CALL_EVIDENCE_MAX 65536u
#define CELLA_CALL_EVIDENCE_OUT_MAX (256u << 10)

struct cella_call_evidence {
    uint32_t nonce_size;
    uint32_t user_data_size;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_evidence) == 8);

#endif
