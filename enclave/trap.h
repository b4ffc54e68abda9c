/*
 * A trap: what an exception interrupted, as stage one lays it down for stage two; and what linux/ has to do with it.
 * Side: enclave. Included by exception.c and linux/.
 * Never on a program's own stack: those of a program's thread lie at td->kernel_stack.
 */
#ifndef CELLA_ENCLAVE_TRAP_H
#define CELLA_ENCLAVE_TRAP_H

#include "enclave/kernel.h"

enum cella_trap_kind {
    CELLA_TRAP_EXCEPTION,
    CELLA_TRAP_SYSCALL,
    CELLA_TRAP_ATTENTION, /* no exception: the thread is to look at its signals */
};

/* 64-byte aligned; the XSAVE area follows at 256 (entry.S). */
struct cella_trap {
    struct cella_regs regs;
    uint32_t kind; /* enum cella_trap_kind */
    uint32_t vector;
    uint32_t error;
    uint32_t reserved;
    uint64_t address;
    uint8_t reserved2[256 - REGS_SIZE - 24];
};
_Static_assert(sizeof(struct cella_trap) == 256, "entry.S");
#define CELLA_TRAP_XSAVE_AT 256u

/*
 * What cella_enclu answers instead of a fault of EACCEPT, EACCEPTCOPY or EMODPE: the host did not give the page. Locks may
 * be held there that a handler of the fault would want.
 */
#define CELLA_ENCLU_FAULTED 0xFFFFFFFFu
extern CELLA_KERNEL const char cella_enclu_site[], cella_enclu_end[];

/* The personality's part, where it is linked in. */
/* Whether an address belongs to the program, and not to the kernel. */
CELLA_KERNEL bool cella_program_is_in(uint64_t address) __attribute__((weak));
/* Stage two of a program's thread, whatever it was interrupted in. */
CELLA_KERNEL void cella_program_trap(struct cella_td *td, struct cella_trap *trap)
    __attribute__((weak));
/* Moves a thread that is on its way back into the program to where it looks at its signals. 1: moved. */
CELLA_KERNEL uint64_t cella_program_rewind(struct cella_td *td, struct sgx_gprsgx *gpr)
    __attribute__((weak));

#endif
