/*
 * The kernel driver's own state: the enclave memfd and what this process knows of it.
 * Side: soft (untrusted). Included by driver_*.c, encls_*.c, enclu_*.c, keys.c and tests/soft/.
 * Locks: g_process_lock (this process's tables), then shared->lock (the EPCM); both only with all
 * signals blocked. The layout of the memfd is described in docs/formats/enclave-memfd.md.
 */
#ifndef CELLA_SOFT_DRIVER_H
#define CELLA_SOFT_DRIVER_H

#include "soft/check.h"
#include "soft/soft.h"

#define SOFT_ENCLAVE_MAGIC 0x31434E4541434C43ull   /* "CLCAENC1" as bytes */
#define SOFT_PROVISION_MAGIC 0x31565250414C4C43ull /* "CLLAPRV1" */
#define SOFT_CONTROL_SIZE 16384u
#define SOFT_MAX_SIZE_LOG2 47u /* what CPUID 0x12.0 EDX[15:8] would say */
#define SOFT_CHUNK_PAGES 512u  /* pages counted together in `chunks` */

/* EPCM flags of this processor, above the SECINFO bits (soft.h has VALID and BLOCKED). */
#define SOFT_EPCM_TRACKING                                                                         \
    (1u << 18) /* changed by EMODPR, EMODT or EBLOCK in epoch `max_prot >> 3` */
#define SOFT_MAX_PROT_MASK 7u
#define SOFT_EPOCH_SHIFT 3u

/* Fields of the SECS that the manual leaves to the implementation: in its reserved tail. */
struct soft_secs_tail {
    uint8_t isv_ext_prod_id[16];
    uint8_t isv_family_id[16];
    uint8_t padding[352]; /* top of the PKCS#1 encoded message, a key input */
};
#define SOFT_SECS_TAIL_AT 1024u

static inline struct soft_secs_tail *soft_secs_tail(struct sgx_secs *secs)
{
    return (struct soft_secs_tail *)((uint8_t *)secs + SOFT_SECS_TAIL_AT);
}

/* SHA-256 in progress. Its size is asserted against the library's in encls_build.c. */
struct soft_sha256 {
    uint32_t words[28];
};

/* The first SOFT_CONTROL_SIZE bytes of the memfd. */
struct soft_control {
    struct soft_shared shared;
    _Atomic uint32_t ioctl_owner; /* thread that is inside an ioctl, 0 when none */
    _Atomic uint32_t epoch;       /* advanced by ETRACK */
    uint64_t attributes_allowed;  /* what INIT lets through */
    uint64_t chunks_offset;       /* file offsets, set at ECREATE */
    uint64_t epcm_offset;
    uint64_t pages_offset;
    _Atomic uint64_t epc_pages;    /* EPC held: SECS, VA pages, enclave pages */
    _Atomic uint64_t kernel_pages; /* the driver's page_cnt, that VA pages are made for */
    _Atomic uint32_t child_pages;  /* valid EPCM entries */
    _Atomic uint32_t hooks;        /* SOFT_HOOK_*: set by tests only */
    struct soft_sha256 measurement;
    uint64_t einit_msr[4]; /* IA32_SGXLEPUBKEYHASH0..3, written by the driver before EINIT */
};
CELLA_ABI_ASSERT(sizeof(struct soft_control) <= SOFT_CONTROL_SIZE);

#define SOFT_HOOK_NO_ETRACK 1u  /* the driver forgets ETRACK: EACCEPT gives NOT_TRACKED */
#define SOFT_HOOK_TRACK_BUSY 2u /* ETRACK finds processors of the previous epoch inside */

/* One mapped range of an enclave fd outside any ELRANGE, or made before ECREATE. */
struct driver_span {
    uint64_t start;
    uint64_t end;   /* 0: free entry */
    uint32_t index; /* of the enclave */
    uint32_t prot;
};

/* State of one page's mapping: see vma_at in soft/vma.h. */
#define VMA_PROT 0x07u
#define VMA_MAPPED 0x08u
#define VMA_APPLIED 0x70u
#define VMA_APPLIED_SHIFT 4u
#define VMA_PRIVATE 0x80u

#define DRIVER_FAULTED 16u
#define DRIVER_SOURCES 4u

struct driver_scratch;

/* soft_enclave comes first: the table hands out pointers to it. */
struct driver_enclave {
    struct soft_enclave pub;
    struct soft_control *control;
    uint64_t device;
    uint64_t inode;
    uint32_t opens;        /* descriptors of this process, as far as they passed through here */
    uint32_t pins;         /* calls at work on this entry */
    uint64_t mapped_pages; /* pages of ELRANGE that this process has mapped */
    uint32_t spans;        /* spans of this enclave */
    uint32_t seen_generation;
    uint32_t locker; /* the thread that runs a leaf, where it knows its number; 0: ask the kernel */
    uint16_t *vma_chunks; /* the state of all pages of a chunk, or VMA_SPREAD: each has its own */
    uint8_t *vma;         /* one byte a page of ELRANGE, of spread chunks only */
    _Atomic uint32_t *chunks; /* valid pages in each SOFT_CHUNK_PAGES */
    uint64_t table_size;      /* bytes mapped at chunks and epcm together */
    void *table;
    struct driver_scratch *scratch; /* of ADD_PAGES, see mover.h */
    /* The latest mappings that ADD_PAGES was allowed to read: a loader takes content and zeros in turn. */
    struct driver_source {
        uint64_t start, end;
    } sources[DRIVER_SOURCES];
    uint32_t source_next;
    uint64_t source_end; /* of the one that the last answer was about; 0: that page only */
    /* Pages + 1 whose faults the enclave was told of: it is going to use them once it has accepted them. */
    uint64_t faulted[DRIVER_FAULTED];
    int64_t extra_mappings; /* of the kernel's, that pages which came one by one have made */
};

extern struct driver_enclave g_enclaves[SOFT_MAX_ENCLAVES];
extern _Atomic uint32_t g_process_lock;

static inline struct driver_enclave *driver_of(struct soft_enclave *enclave)
{
    return (struct driver_enclave *)enclave;
}

static inline uint64_t driver_page_count(const struct driver_enclave *e)
{
    return e->pub.size >> SGX_PAGE_SHIFT;
}

static inline uint64_t driver_chunk_count(uint64_t size)
{
    return ((size >> SGX_PAGE_SHIFT) + SOFT_CHUNK_PAGES - 1) / SOFT_CHUNK_PAGES;
}

/* The first page from `page` on, below `end`, that is in a chunk with valid pages; else `end`. */
static inline uint64_t driver_next_used(const struct driver_enclave *e, uint64_t page, uint64_t end)
{
    while (page < end && !e->chunks[page / SOFT_CHUNK_PAGES]) {
        page = (page | (SOFT_CHUNK_PAGES - 1)) + 1;
    }
    return page < end ? page : end;
}

/* sys.c */
uint32_t soft_thread_id(void);
bool soft_try_lock(_Atomic uint32_t *lock, uint32_t self);
void soft_lock(_Atomic uint32_t *lock);
void soft_lock_as(_Atomic uint32_t *lock, uint32_t self); /* self: soft_thread_id() */
void soft_unlock(_Atomic uint32_t *lock);
/* Host memory that may not be there: false instead of a fault. */
bool soft_user_read(void *to, uint64_t from, size_t size);
bool soft_user_write(uint64_t to, const void *from, size_t size);
void *soft_map_anonymous(size_t size);
void soft_unmap(void *address, size_t size);

/*
 * driver_table.c. `driver_get` finds or attaches the enclave of `fd` and pins it (NULL: not an
 * enclave fd); `driver_put` unpins. `driver_sync` maps the tables once ECREATE has been done, by
 * whatever process; it and `driver_release_idle` want g_process_lock.
 */
struct driver_enclave *driver_get(int fd);
void driver_put(struct driver_enclave *e);
int driver_sync(struct driver_enclave *e);
void driver_release_idle(struct driver_enclave *e);
int driver_lay_out(struct driver_enclave *e, uint64_t size);
bool driver_is_provision_fd(int fd);

/* driver_map.c. Both locks held. */
int driver_apply(struct driver_enclave *e, uint64_t first, uint64_t count);
int driver_apply_around(struct driver_enclave *e, uint64_t page);
void driver_adopt_spans(struct driver_enclave *e);
void driver_page_added(struct driver_enclave *e, uint64_t page);
void driver_page_removed(struct driver_enclave *e, uint64_t page);

/* Adds the page at `page` to the EPCM as EAUG does; both locks held. 0 or -ENOMEM. */
int driver_augment(struct driver_enclave *e, uint64_t page);

/* One more change of the EPCM; shared->lock held. Keeps seen_generation when nobody else changed
 * it. */
void driver_bump(struct driver_enclave *e);

/* driver_ioctl_edmm.c */
int driver_ioctl_restrict(struct driver_enclave *e, void *argument);
int driver_ioctl_modify(struct driver_enclave *e, void *argument);
int driver_ioctl_remove(struct driver_enclave *e, void *argument);
/* driver_ioctl_add.c */
void driver_drop_scratch(struct driver_enclave *e);
int driver_ioctl_add(struct driver_enclave *e, void *argument, uint64_t old_mask);
/* driver_ioctl.c */
bool driver_range_is_good(const struct driver_enclave *e, uint64_t offset, uint64_t length);

/* driver_epc.c: the page cache as a bounded resource. Counts are pages. */
struct soft_epc_stats {
    uint64_t total;
    uint64_t used;
    uint64_t enclaves;
    bool overcommit;
};
struct soft_epc_stats soft_epc_stats(void);
void driver_epc_open(struct driver_enclave *e);
void driver_epc_close(struct driver_enclave *e);
/* Up to `pages` for the enclave, with the VA pages that the kernel would need. Gives the number
 * granted. */
uint64_t driver_epc_take(struct driver_enclave *e, uint64_t pages);
void driver_epc_give(struct driver_enclave *e, uint64_t pages);
void driver_epc_fork_child(void);

/*
 * Further entries for the interposers and transitions.
 * soft_probe_fd: like soft_is_enclave_fd, but also recognises a descriptor that this process never
 * saw (inherited over exec, received over a socket). soft_close_fd, soft_dup_fd: call before
 * close() of `fd` and after dup of it. soft_owns_fd: descriptors of the processor itself; close()
 * must give EBADF. soft_overlay: a mapping that is no enclave's was put with MAP_FIXED over
 * [address, address + length). soft_is_stale: another process changed the EPCM; soft_refresh
 * applies that to this process's mappings. soft_fork_*: around fork, prepare and parent/child in
 * the same thread; signals stay blocked in between.
 */
bool soft_probe_fd(int fd);
void soft_close_fd(int fd);
void soft_dup_fd(int fd);
bool soft_owns_fd(int fd);
int soft_next_own_fd(int from); /* the lowest of them that is not below `from`; -1: none */
void soft_overlay(void *address, size_t length);
bool soft_is_stale(const struct soft_enclave *enclave);
void soft_refresh(struct soft_enclave *enclave);
void soft_fork_prepare(void);
void soft_fork_parent(void);
void soft_fork_child(void);

/*
 * ENCLS. The EPC is addressed as the kernel does, by its own mapping: the page of ELRANGE offset o
 * is at soft_alias(base + o), the SECS at &shared->secs. Operands that are not EPC are plain memory
 * of the caller. The caller holds what has to be held (the driver its ioctl and locks).
 */
struct soft_outcome soft_encls(uint32_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx);

#endif
