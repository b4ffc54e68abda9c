/*
 * The system-call layer for unmodified static libcs: what its parts know of each other.
 * Side: enclave. Included by enclave/libc_*.c and the modules. Part of libcella_enclave_libc.a.
 * Never present in an enclave without a libc.
 */
#ifndef CELLA_ENCLAVE_LIBC_H
#define CELLA_ENCLAVE_LIBC_H

#include "enclave/kernel.h"

#include <asm/errno.h>
#include <asm/unistd_64.h>

/* Linux structures that cross no boundary: a libc of this enclave reads and writes them. */
struct libc_timespec {
    int64_t seconds;
    int64_t nanoseconds;
};

struct libc_iovec {
    uint64_t base;
    uint64_t size;
};

/* Arguments of the call in `regs`, in the kernel's order. */
#define ARG0(regs) ((regs)->rdi)
#define ARG1(regs) ((regs)->rsi)
#define ARG2(regs) ((regs)->rdx)
#define ARG3(regs) ((regs)->r10)
#define ARG4(regs) ((regs)->r8)
#define ARG5(regs) ((regs)->r9)

/* Each answers the calls it knows; false: not mine. */
CELLA_KERNEL bool cella_libc_process(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL bool cella_libc_memory(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL bool cella_libc_thread(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL bool cella_libc_console(struct cella_regs *regs, long *ret_result);

/* libc_thread.c */
CELLA_KERNEL void cella_libc_start_thread(struct cella_td *td);
/* libc_futex.c */
CELLA_KERNEL long cella_futex(struct cella_regs *regs);
CELLA_KERNEL void cella_futex_wake(uint64_t address, uint32_t count);
/* For the kernel's own words: no signal ends it. `until` (may be NULL) is a monotonic time. */
CELLA_KERNEL void cella_futex_wait_uninterrupted(uint64_t address, uint32_t value,
                                                 const struct libc_timespec *until);
/* linux/, where it is linked in: whether the calling thread has a signal to look at. */
CELLA_KERNEL bool cella_linux_interrupted(void) __attribute__((weak));
static inline bool cella_is_interrupted(void)
{
    return cella_linux_interrupted && cella_linux_interrupted();
}
/* Sleeps without a word to wait for. 0; -EINTR only where there are signals. */
CELLA_KERNEL long cella_sleep(uint32_t clock, const struct libc_timespec *time);

/* Host results as errno values. */
CELLA_KERNEL long cella_errno_of(cella_result result);

/* linux/, where it is linked in: whether a program has memory there, or the kernel. */
CELLA_KERNEL bool cella_program_range(uint64_t address, uint64_t size) __attribute__((weak));

CELLA_KERNEL bool cella_program_writable(uint64_t address, uint64_t size) __attribute__((weak));

/* Whether the libc may read or write there: enclave memory only, so that no pointer leads out. */
static inline bool cella_user_range(uint64_t address, uint64_t size)
{
    return cella_inside(address, size) &&
           (!cella_program_range || cella_program_range(address, size));
}

/* The same for what a call writes: a program's memory may be there to be read only, and the kernel's is not its own. */
static inline bool cella_user_writable(uint64_t address, uint64_t size)
{
    return cella_inside(address, size) &&
           (!cella_program_writable || cella_program_writable(address, size));
}

/* Either, for calls that do both. */
static inline bool cella_user_may(uint64_t address, uint64_t size, bool stored)
{
    return stored ? cella_user_writable(address, size) : cella_user_range(address, size);
}

#endif
