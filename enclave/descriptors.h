/*
 * File descriptors: one table for files, sockets and what lives inside the enclave (pipes, event counters, epoll).
 * Side: enclave. Included by enclave/descriptors*.c and the modules that open something.
 * Never lets a number of the host be a number of the libc: the host's handle stays in struct cella_open.
 */
#ifndef CELLA_ENCLAVE_DESCRIPTORS_H
#define CELLA_ENCLAVE_DESCRIPTORS_H

#include "abi/service.h"
#include "enclave/libc.h"

#define LINUX_O_ACCMODE 3u
#define LINUX_O_WRONLY 1u
#define LINUX_O_RDWR 2u
#define LINUX_O_CREAT 0100u
#define LINUX_O_APPEND 02000u
#define LINUX_O_NONBLOCK 04000u
#define LINUX_O_DIRECTORY 0200000u
#define LINUX_O_CLOEXEC 02000000u
#define LINUX_O_PATH 010000000u
#define LINUX_AT_FDCWD (-100)
#define LINUX_AT_EMPTY_PATH 0x1000u
#define LINUX_FIONREAD 0x541Bu
#define LINUX_TIOCGWINSZ 0x5413u
#define LINUX_POLLIN 1u
#define LINUX_POLLOUT 4u
#define LINUX_POLLERR 8u
#define LINUX_POLLHUP 16u
#define LINUX_POLLNVAL 32u

#ifndef CELLA_DESCRIPTOR_COUNT /* whole programs have more: linux/meson.build */
#define CELLA_DESCRIPTOR_COUNT 1024u
#endif
#define LINUX_RLIMIT_NOFILE 7u
#define CELLA_VECTOR_MAX 1024u
#define CELLA_PIECE_MAX (1u << 20) /* bytes of one host call */
#define CELLA_NO_HANDLE (-1)

struct cella_open;

/* Bytes in pieces of the libc's memory, from `skip` on; offset -1: where the file stands. */
struct cella_transfer {
    struct cella_gather bytes;
    int64_t offset;
    bool writing;
};

/* What can be done with an open object; NULL: EINVAL, or ESPIPE for seek. */
struct cella_open_class {
    long (*transfer)(struct cella_open *open, const struct cella_transfer *transfer);
    long (*seek)(struct cella_open *open, int64_t offset, uint64_t whence);
    long (*stat)(struct cella_open *open, struct cella_call_stat *ret_stat);
    long (*control)(struct cella_open *open, uint64_t request, uint64_t argument); /* ioctl */
    long (*flags_changed)(struct cella_open *open, uint32_t flags);
    long (*lock)(struct cella_open *open, uint64_t command, uint64_t lock);
    /* POLL* that hold now, for objects inside; NULL: the host knows by its handle. */
    uint32_t (*ready)(struct cella_open *open);
    /* The last reference is gone; the handle is closed by the caller. */
    void (*release)(struct cella_open *open);
};

/* An open file description of Linux: descriptors made by dup share it. */
struct cella_open {
    const struct cella_open_class *class;
    _Atomic uint32_t references; /* 0: free */
    int32_t handle;              /* the host's, or CELLA_NO_HANDLE */
    _Atomic uint32_t flags;      /* as F_GETFL shows them */
    uint32_t mode;               /* type bits of st_mode, as far as known */
    uint64_t serial;             /* no two have the same */
    _Atomic uint32_t changes;    /* of an object inside: counts what could end a wait */
    uint32_t words[5];           /* the class's own */
    void *data;
    uint64_t data_size; /* not 0: bytes of pages at `data`, given back with the object */
};

/* descriptors_calls.c */
bool cella_is_descriptor(uint64_t fd, uint64_t path, uint64_t flags);
extern const struct cella_module cella_descriptor_module CELLA_KERNEL;

/* A new object with one reference; NULL: no memory. A handle that is open already: NULL and -EIO. */
struct cella_open *cella_open_new(const struct cella_open_class *class, int32_t handle,
                                  uint32_t flags, long *ret_error);
/* The host's handle of an object that was made without; false: it is open already, and stays whoever's it is. */
bool cella_open_handle_set(struct cella_open *open, int32_t handle);
void cella_open_put(struct cella_open *open);
/* The same, with what the host says to the close when it was the last reference. */
long cella_open_close(struct cella_open *open);
/* One reference more if the object still is the one with this serial. Objects' memory never goes away. */
bool cella_open_take(struct cella_open *open, uint64_t serial);

/* The console's object of 0, 1 or 2, with a reference more, whatever has become of the number. */
struct cella_open *cella_console_get(uint32_t number);

/* Numbers below it are given out. */
extern CELLA_KERNEL _Atomic uint32_t cella_descriptor_limit;
/* The lowest free number from `minimum` on; takes over the reference, also when it fails (-EMFILE). */
long cella_descriptor_add(struct cella_open *open, bool close_on_exec, uint64_t minimum);
/* The object of a descriptor with a reference more; NULL: EBADF. */
struct cella_open *cella_descriptor_get(uint64_t fd);
/* Makes room for a number below CELLA_DESCRIPTOR_COUNT; false: no memory. */
bool cella_descriptor_room(uint64_t fd);
/* The lowest number from `from` on that is in use; CELLA_DESCRIPTOR_COUNT: none. */
uint64_t cella_descriptor_next(uint64_t from);
/* Puts `open` (NULL: nothing) at a number that there is room for; what was there comes back. */
struct cella_open *cella_descriptor_swap(uint64_t fd, struct cella_open *open, bool close_on_exec);
/* FD_CLOEXEC of a descriptor; set < 0: only looked at. */
long cella_descriptor_close_on_exec(uint64_t fd, int set);
static inline void cella_open_put_at(struct cella_open **open)
{
    if (*open) {
        cella_open_put(*open);
    }
}
#define CELLA_OPEN_GET(name, fd)                                                                   \
    CELLA_CLEANUP(cella_open_put_at) struct cella_open *name = cella_descriptor_get(fd)

/* Requests to the host; an answer that is not -4095 … max is -EIO. */
long cella_ask(uint32_t service, const struct cella_call_request *request,
               const struct cella_gather *bytes, int64_t max);
long cella_ask_plain(uint32_t service, uint32_t operation, int32_t handle, int64_t a, int64_t b,
                     int64_t max);
/* `ret_answer` starts with the i64; bytes behind it go to `scatter` (may be NULL). */
long cella_ask_answer(uint32_t service, const struct cella_call_request *request,
                      const struct cella_gather *bytes, void *ret_answer, size_t answer_size,
                      const struct cella_gather *scatter, int64_t max);
long cella_answer_filter(int64_t value, int64_t max);

/* One piece as a gather. */
#define CELLA_GATHER_ONE(address, bytes_size)                                                      \
    {                                                                                              \
        .parts = &(const struct cella_part){.at = (uint64_t)(address), .size = (bytes_size)},      \
        .count = 1, .size = (bytes_size)                                                           \
    }

/* Reads or writes by the host's handle: files and pipes of the host. */
long cella_handle_transfer(struct cella_open *open, const struct cella_transfer *transfer);

/* FIONREAD and TIOCGWINSZ by the host's handle. */
long cella_handle_control(struct cella_open *open, uint64_t request, uint64_t argument);

/* An iovec array of the libc as a gather, to be read or (`stored`) stored into; not 0: an errno. */
long cella_vector_take(uint64_t vector, uint64_t count, bool stored,
                       struct cella_gather *ret_gather);
/* entry.S: a copy that ends where there is no memory: the fault is mended, or it says 1. */
CELLA_KERNEL int cella_host_copy_bytes(void *to, const void *from, size_t size);
/* Copies between a gather and memory of the kernel, up to a range that is not there; how many bytes. */
uint64_t cella_gather_bytes(const struct cella_gather *gather, uint64_t at, void *bytes,
                            uint64_t size, bool out);

/* struct stat (144 bytes) and struct statx (256 bytes) of x86-64; ranges are checked. */
long cella_stat_write(const struct cella_call_stat *stat, uint64_t to);
long cella_statx_write(const struct cella_call_stat *stat, uint64_t to);
/* Fields a host may not say. */
bool cella_stat_is_sane(const struct cella_call_stat *stat);
long cella_open_stat(struct cella_open *open, struct cella_call_stat *ret_stat);

/*
 * Waiting in poll and epoll for objects inside: a waiter is on the list before it looks; whoever changes an object
 * calls cella_poll_notify afterwards, and the host calls the thread back (CELLA_OCALL_POLL_WAKE).
 */
struct cella_poll_waiter {
    struct cella_poll_waiter *next;
    uint32_t slot;
    bool called;
};
void cella_poll_waiter_add(struct cella_poll_waiter *waiter);
void cella_poll_waiter_remove(struct cella_poll_waiter *waiter);
void cella_poll_notify(struct cella_open *open);

#endif
