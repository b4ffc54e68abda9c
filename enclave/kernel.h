/*
 * The inside of the enclave kernel: what its parts know of each other.
 * Side: enclave. Included by enclave/ only; applications include cella/enclave.h.
 * Never depends on a libc, never holds a lock over an ocall.
 */
#ifndef CELLA_ENCLAVE_KERNEL_H
#define CELLA_ENCLAVE_KERNEL_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/call.h"
#include "abi/image.h"
#include "abi/sgx.h"
#include "cella/enclave.h"
#include "common/cleanup.h"
#include "common/result.h"
#include "enclave/boundary.h"
#include "enclave/td.h"

#define CELLA_KERNEL __attribute__((visibility("hidden")))

extern const volatile struct cella_image_info cella_image_info;
extern const char __ehdr_start[] CELLA_KERNEL; /* the first byte of the image: the enclave base */

struct cella_pair {
    uint64_t first, second;
};

/* A way out of the enclave that does not leave it: see cella_ring_system_call. */
typedef bool (*cella_ring_call)(uint32_t number, const void *in, size_t in_size, uint64_t slice,
                                uint64_t slice_in, uint64_t slice_out,
                                struct cella_pair *ret_answer);

/* What INIT has learnt; constant from then on. */
struct cella_kernel {
    uint64_t base;
    uint64_t size;
    uint64_t heap;      /* address; 0 size when the image has none */
    uint64_t heap_size; /* usable: initial part on SGX1 */
    uint64_t heap_initial;
    uint64_t arenas; /* host address */
    uint64_t arena_stride;
    uint64_t tsc_hz;
    struct sgx_attributes attributes; /* of this enclave, from its own report */
    uint64_t features;                /* CELLA_INIT_* */
    uint32_t misc_select;
    struct cella_ring ocall_ring; /* address 0: none */
    bool has_libc;
    /* cella_ring_system_call, where services that come back at once go over the ring (linux/); else NULL. */
    cella_ring_call ring_call;
};
extern CELLA_KERNEL struct cella_kernel cella_kernel;

/* Read by entry.S. */
extern CELLA_KERNEL _Atomic uint32_t cella_kernel_state;
extern CELLA_KERNEL uint32_t cella_exit_xfrm;
extern CELLA_KERNEL uint8_t cella_exit_xgetbv1;
extern CELLA_KERNEL uint64_t cella_xsave_size;

/* entry.S */
/* ENCLU of any leaf but EEXIT (entry.S): what it leaves in RAX. */
CELLA_KERNEL uint64_t cella_enclu(uint32_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx);
CELLA_KERNEL struct cella_pair cella_kernel_leave(uint64_t rdi, uint64_t rsi, uint64_t rdx,
                                                  uint64_t r8, uint64_t r9);
CELLA_KERNEL struct cella_pair
cella_kernel_leave_preserving(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t r8, uint64_t r9);
CELLA_KERNEL _Noreturn void cella_kernel_exit(uint64_t rdi, uint64_t rsi, uint64_t rdx);
CELLA_KERNEL _Noreturn void cella_kernel_unpark(uint64_t result);
CELLA_KERNEL _Noreturn void cella_kernel_jump(const struct cella_regs *regs);
CELLA_KERNEL void cella_kernel_stage_two(void);
CELLA_KERNEL void cella_enclave_entry(void);
CELLA_KERNEL void cella_syscall_entry(void);
extern CELLA_KERNEL const char cella_entry_text[], cella_entry_text_end[];
extern CELLA_KERNEL const char cella_host_access[], cella_host_access_end[];
extern CELLA_KERNEL const char cella_host_access_failed[];

/* dispatch.c: called by entry.S */
CELLA_KERNEL struct cella_pair cella_kernel_ecall(uint64_t number, uint64_t in, uint64_t in_size,
                                                  uint64_t out, uint64_t out_capacity);
CELLA_KERNEL struct cella_pair cella_kernel_enter_slow(uint64_t code, uint64_t rsi, uint64_t rdx,
                                                       uint64_t r8, uint64_t r9);
/* switchless.c */
/*
 * A service's call, whose input lies in `slice`, over the ring of ocalls; `in` is that input as the enclave has it. The
 * answer is as from leaving: unchecked. false: nobody took it, or it may wait: leave.
 */
CELLA_KERNEL bool cella_ring_system_call(uint32_t number, const void *in, size_t in_size,
                                         uint64_t slice, uint64_t slice_in, uint64_t slice_out,
                                         struct cella_pair *ret_answer);
CELLA_KERNEL struct cella_pair cella_kernel_worker(struct cella_td *td, uint64_t ring);
/* Ends the enclave; every later entry says ENCLAVE_ABORTED. `reason`: CELLA_ABORT_* and its details. */
CELLA_KERNEL _Noreturn void cella_kernel_abort(uint64_t reason);
/* Leaves the running frame parked: INIT (or the pending ecall) is answered, later entries run below it. */
CELLA_KERNEL void cella_kernel_park(uint64_t result);
/* Makes this TCS ready for ecalls. */
CELLA_KERNEL void cella_kernel_thread_ready(struct cella_td *td);

/* ocall.c */
/* As cella_ocall; `way` is 0 or CELLA_EXIT_SWITCHLESS: what no worker took is made by this thread. */
CELLA_KERNEL CELLA_MUST_USE cella_result cella_ocall_by(uint32_t way, uint32_t number,
                                                        const void *in, size_t in_size, void *out,
                                                        size_t out_capacity, size_t *ret_size);
/* As cella_ocall, also for the kernel's own numbers; keeps vector registers. */
CELLA_KERNEL CELLA_MUST_USE cella_result cella_system_ocall(uint32_t number, const void *in,
                                                            size_t in_size, void *out,
                                                            size_t out_capacity, size_t *ret_size);
/* gather.c */
/* Enclave memory in pieces (as struct iovec): `size` bytes from byte `skip` on. */
struct cella_part {
    uint64_t at, size;
};
struct cella_gather {
    const struct cella_part *parts;
    uint32_t count;
    uint64_t skip, size;
};
/*
 * A system call out of the enclave with `gather` (may be NULL) behind the input, whose size is a multiple of 8, and
 * `scatter` (may be NULL) for what follows the answer's head of `out_size` bytes: as many bytes as the head's first
 * word, an i64, says. When that word is negative the rest of the head is as it was. Keeps vector registers.
 */
CELLA_KERNEL CELLA_MUST_USE cella_result cella_system_ocall_parts(
    uint32_t number, const void *in, size_t in_size, const struct cella_gather *gather, void *out,
    size_t out_size, const struct cella_gather *scatter);
/* Copies an ocall's input into its slice, which is ours up to the next multiple of 8. */
CELLA_KERNEL CELLA_MUST_USE cella_result cella_slice_fill(uint64_t slice, const void *in,
                                                          size_t size);
CELLA_KERNEL void cella_arena_attach(struct cella_td *td);
CELLA_KERNEL cella_result cella_result_from_host(uint64_t code);

/* init.c */
CELLA_KERNEL struct cella_pair cella_kernel_init(uint64_t init, uint64_t size);
CELLA_KERNEL cella_result cella_tls_attach(struct cella_td *td);
extern CELLA_KERNEL char cella_environment[CELLA_CALL_ENVIRONMENT_MAX + 64];
CELLA_KERNEL struct cella_td *cella_td_of_slot(uint32_t slot);
CELLA_KERNEL uint64_t cella_slot_address(uint32_t slot);
static inline uint32_t cella_ecall_slots(void)
{
    return cella_image_info.thread_count - cella_image_info.enclave_thread_count;
}

/* Tells the host the names of calls, once, while the enclave starts. false: not now, or the host does not take them. */
bool cella_names_offer(void);

/* Signals that the host was asked to pass on, as a mask; taken. Believed for nothing but that. */
CELLA_KERNEL uint64_t cella_program_signals(void);
/* Whether there are any. */
CELLA_KERNEL bool cella_program_is_signaled(void);

/* cpuid.c */
CELLA_KERNEL cella_result cella_cpuid_init(uint64_t table, uint32_t count);
CELLA_KERNEL void cella_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret_regs[4]);

/* exception.c: called by entry.S */
struct cella_trap;
CELLA_KERNEL struct cella_pair cella_kernel_exception(uint64_t code, uint64_t tsc);
CELLA_KERNEL void cella_kernel_handle_trap(struct cella_trap *trap);
/* The XSAVE area of the interrupted thread, while a handler runs: restored when the thread goes on. */
CELLA_KERNEL void *cella_exception_xsave(const struct cella_exception *exception);
/* How many handlers a thread with this stack pointer is in; those that were left by longjmp lie below it, and are over. */
CELLA_KERNEL uint32_t cella_exception_depth(struct cella_td *td, uint64_t rsp);
static inline bool cella_in_exception(struct cella_td *td)
{
    return td->in_exception != 0 &&
           cella_exception_depth(td, (uint64_t)__builtin_frame_address(0)) != 0;
}

/* memory.c: pages of the heap. Addresses are multiples of 4096; 0 is failure. */
CELLA_KERNEL cella_result cella_memory_init(void);
CELLA_KERNEL uint64_t cella_pages_map(uint64_t count, bool commit);
CELLA_KERNEL bool cella_pages_map_at(uint64_t address, uint64_t count, bool commit, bool replace);
CELLA_KERNEL bool cella_pages_commit(uint64_t address, uint64_t count);
CELLA_KERNEL bool cella_pages_unmap(uint64_t address, uint64_t count);
CELLA_KERNEL bool cella_pages_clear(uint64_t address, uint64_t count);
CELLA_KERNEL void cella_pages_forget(uint64_t address, uint64_t count);
CELLA_KERNEL uint64_t cella_pages_alike(uint64_t address, uint64_t count, bool *ret_present);
CELLA_KERNEL bool cella_pages_in_heap(uint64_t address, uint64_t count);
CELLA_KERNEL uint64_t cella_pages_break(uint64_t wanted);
CELLA_KERNEL void cella_pages_count(uint64_t *ret_total, uint64_t *ret_used);
CELLA_KERNEL uint64_t cella_pages_peak(void); /* the most that were used at once */

/* string.c: the kernel's own, under names no libc has (see names.h). */
CELLA_KERNEL void cella_zero(void *at, size_t size);
CELLA_KERNEL size_t cella_strlen(const char *text);
CELLA_KERNEL bool cella_equal(const void *a, const void *b, size_t size);

/* Spin locks are for a few instructions, never over an ocall. */
struct cella_lock {
    _Atomic uint32_t taken;
};
static inline void cella_lock_take(struct cella_lock *lock)
{
    while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) != 0) {
        while (atomic_load_explicit(&lock->taken, memory_order_relaxed) != 0) {
            __builtin_ia32_pause();
        }
    }
}
static inline void cella_lock_give(struct cella_lock *lock)
{
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

static inline bool cella_is_debug(void)
{
    return (cella_kernel.attributes.flags & SGX_FLAGS_DEBUG) != 0;
}

/* Whether all of [address, address + size) is enclave memory. */
static inline bool cella_inside(uint64_t address, uint64_t size)
{
    return address >= cella_kernel.base && size <= cella_kernel.size &&
           address - cella_kernel.base <= cella_kernel.size - size;
}

/*
 * Ecalls of a skin over this kernel, beside the application's table: each is one of these in the section. The number has
 * CELLA_ECALL_SYSTEM set.
 */
struct cella_system_ecall {
    uint64_t number;
    struct cella_ecall ecall;
};
#define CELLA_SYSTEM_ECALL(object)                                                                 \
    static const struct cella_system_ecall *const object##_entry                                   \
        __attribute__((section("cella_system_ecalls"), used)) = &object
extern const struct cella_system_ecall *const __start_cella_system_ecalls[] CELLA_KERNEL;
extern const struct cella_system_ecall *const __stop_cella_system_ecalls[] CELLA_KERNEL;

/*
 * The system-call layer and its modules are linked in only with a libc: each puts one of these into the section, and
 * the kernel walks the section. Not linked means not present.
 */
struct cella_module {
    const char *name;
    bool last; /* asked when no other module knows the call: the layer under the opt-in modules */
    /* Answers the call in `regs` and sets *ret_result; false: not one of mine. */
    bool (*syscall)(struct cella_regs *regs, long *ret_result);
    /* Starts the libc on this TCS; comes back only when that fails. */
    cella_result (*start)(void);
    /* Starts the thread that is bound to this TCS; comes back only when there is none. */
    void (*start_thread)(struct cella_td *td);
};
#define CELLA_MODULE(object)                                                                       \
    static const struct cella_module *const object##_entry                                         \
        __attribute__((section("cella_modules"), used)) = &object
extern const struct cella_module *const __start_cella_modules[] CELLA_KERNEL;
extern const struct cella_module *const __stop_cella_modules[] CELLA_KERNEL;

/* linux/: answers a call of the kernel's own libc, which no module shall see. */
CELLA_KERNEL bool cella_kernel_own_syscall(struct cella_regs *regs, long *ret_result)
    __attribute__((weak));

/* -ENOSYS when no module knows the call. Also called by entry.S. */
CELLA_KERNEL long cella_kernel_syscall(struct cella_regs *regs);

/* dispatch.c: gives a TD that was never entered its first values. false: no randomness. */
CELLA_KERNEL bool cella_td_boot(uint32_t slot);

/* One line to the host's log, debug enclaves only. */
CELLA_KERNEL void cella_trace(const char *text, uint64_t value);

#endif
