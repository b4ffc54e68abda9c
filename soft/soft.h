/*
 * The inside of the software SGX processor: what its parts know of each other.
 * Side: soft (untrusted; it plays the processor). Included by soft/ and tests/soft/ only.
 * Parts: leaves (encls_*.c, enclu_*.c, keys.c, platform.c), kernel driver (driver_*.c), transitions
 * (transition.c, enter.S, trap.c, thread.c, vdso.c, interpose.c). Leaves never touch signals or registers.
 */
#ifndef CELLA_SOFT_SOFT_H
#define CELLA_SOFT_SOFT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/sgx.h"
#include "abi/sgx_linux.h"

#define SOFT_MAX_ENCLAVES 256u

/* What a leaf did: it finished, it gave an error code in RAX (ZF set), or it faulted. */
enum soft_kind {
    SOFT_DONE,
    SOFT_CODE,
    SOFT_FAULT,
};

struct soft_outcome {
    enum soft_kind kind;
    uint32_t code;    /* SOFT_CODE: enum sgx_error */
    uint8_t vector;   /* SOFT_FAULT: enum sgx_vector */
    uint32_t error;   /* SOFT_FAULT: error code of #GP and #PF; SGX_PF_SGX is set for EPCM faults */
    uint64_t address; /* SOFT_FAULT: linear address of #PF, else 0 */
};

/*
 * One entry of the EPC map, in memory that processes share over fork. Changed only under the enclave's
 * lock; read without it (one 32-bit load). All flags are SGX_SECINFO_* bits, type in SGX_SECINFO_TYPE_MASK.
 */
#define SOFT_EPCM_VALID (1u << 16)
#define SOFT_EPCM_BLOCKED (1u << 17)
struct soft_epcm {
    _Atomic uint32_t flags;
    _Atomic uint32_t max_prot; /* kernel driver's: PROT_* bits a mapping may ask for */
};

/* Shared over fork: lives in the enclave's memfd, so that whoever holds the fd holds the enclave. */
struct soft_shared {
    uint64_t magic;
    _Atomic uint32_t lock;       /* spin lock; hold only with all signals blocked */
    _Atomic uint32_t generation; /* changes with every EPCM change: validates cached entry checks */
    _Atomic uint32_t exit_slot;  /* index + 1 of the patched exit slot, 0 when no site is patched */
    _Atomic uint32_t state;      /* enum soft_state */
    _Alignas(4096) struct sgx_secs secs; /* an EPC page of its own */
    /* The driver keeps its own fields behind these: see driver.h. */
};

enum soft_state {
    SOFT_STATE_NEW,         /* opened */
    SOFT_STATE_CREATED,     /* ECREATE done */
    SOFT_STATE_INITIALIZED, /* EINIT done */
};

/* One enclave as this process sees it. Allocated in static storage; found without locks in signal handlers. */
struct soft_enclave {
    _Atomic uint32_t used;
    uint32_t index; /* own place in the table */
    uint64_t base;  /* SECS.BASEADDR; 0 before ECREATE */
    uint64_t size;
    uint8_t *alias; /* the processor's own RW mapping of the page at `base` */
    struct soft_shared *shared;
    struct soft_epcm *epcm; /* one entry a page of ELRANGE */
    int fd;                 /* private duplicate of the memfd */
};

/* The enclave whose ELRANGE holds `address`, or NULL. Async-signal-safe, lock-free. */
struct soft_enclave *soft_enclave_at(uint64_t address);

/* Where the processor reads and writes the byte at `address` of the enclave (address must be in ELRANGE). */
static inline void *soft_alias(const struct soft_enclave *enclave, uint64_t address)
{
    return enclave->alias + (address - enclave->base);
}

static inline bool soft_in_elrange(const struct soft_enclave *enclave, uint64_t address,
                                   uint64_t size)
{
    return address >= enclave->base && size <= enclave->size &&
           address - enclave->base <= enclave->size - size;
}

static inline uint32_t soft_epcm_flags(const struct soft_enclave *enclave, uint64_t address)
{
    return atomic_load_explicit(&enclave->epcm[(address - enclave->base) >> SGX_PAGE_SHIFT].flags,
                                memory_order_acquire);
}

/*
 * ENCLU leaves that stay inside: EREPORT, EGETKEY, EACCEPT, EMODPE, EACCEPTCOPY, EVERIFYREPORT2. `rbx`, `rcx`,
 * `rdx` are the operands. Any other leaf: #GP(0). Holes are filled by EAUG as the kernel's fault handler does.
 * Called with all signals blocked and the host's FS base; takes the enclave's lock itself.
 */
struct soft_outcome soft_enclu(struct soft_enclave *enclave, uint32_t leaf, uint64_t rbx,
                               uint64_t rcx, uint64_t rdx);
/* The same for a thread that knows its number. */
struct soft_outcome soft_enclu_as(uint32_t self, struct soft_enclave *enclave, uint32_t leaf,
                                  uint64_t rbx, uint64_t rcx, uint64_t rdx);

/*
 * An access to `address` (in ELRANGE) faulted natively. true: the driver mended the mapping (EAUG, or a
 * protection that was stale) and the access is to be retried. false: *ret_error is the #PF error code
 * (SGX_PF_* bits, synthesised from EPCM and mapping). `access` is 0 read, SGX_PF_WRITE or SGX_PF_FETCH.
 * Called with all signals blocked.
 */
bool soft_fault_resolve(struct soft_enclave *enclave, uint64_t address, uint32_t access,
                        uint32_t *ret_error);
/* The same for a thread that knows its number. */
bool soft_fault_resolve_as(uint32_t self, struct soft_enclave *enclave, uint64_t address,
                           uint32_t access, uint32_t *ret_error);

/*
 * The kernel driver. Each returns what the system call returns, or a negative errno. `soft_is_enclave_fd`
 * is cheap when no enclave exists. mmap/mprotect/munmap take any range; they act on the parts that belong to
 * enclaves and return false (nothing done) when none does, so that the caller goes on to the real call.
 */
bool soft_is_node(const char *path); /* /dev/sgx_enclave, /dev/sgx_provision */
int soft_open_node(const char *path, int flags);
bool soft_is_enclave_fd(int fd);
int soft_ioctl(int fd, unsigned long request, void *argument);
long soft_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
bool soft_munmap(void *address, size_t length, int *ret_result);
bool soft_mprotect(void *address, size_t length, int prot, int *ret_result);
bool soft_any_enclave(void);
/*
 * The child of a vfork runs on its parent's memory with signals and descriptors of its own: what it does must not be
 * noted. soft_process_note: at activation and in the child of a fork.
 */
void soft_process_note(void);
bool soft_is_borrowed(void);

/* Called by the driver after a successful EINIT; patches the runtime's marked EEXIT sites. (transitions) */
void soft_patch_exit_sites(struct soft_enclave *enclave);
/* Called by the driver when an enclave goes away in this process. (transitions) */
void soft_forget_enclave(struct soft_enclave *enclave);

/* Raw system calls, so that the processor never runs into its own interposers. -errno on failure. */
long soft_syscall6(long number, long a, long b, long c, long d, long e, long f);
#define soft_syscall(number, a, b, c, d, e, f)                                                     \
    soft_syscall6((long)(number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Blocks every signal; returns the old mask for soft_signals_restore. Raw system calls. */
uint64_t soft_signals_block(void);
void soft_signals_restore(uint64_t mask);

/* A linear address that 48-bit paging can have (SDM Vol. 1, 3.3.7.1). */
static inline bool soft_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* A function that applications call instead of libc's. */
#define SOFT_EXPORT __attribute__((visibility("default")))

/* This CPU: XCR0, and size in bytes of a standard-format XSAVE area for `xfrm`. (platform.c) */
uint64_t soft_cpu_xcr0(void);
uint32_t soft_cpu_xsave_size(uint64_t xfrm);

#endif
