/*
 * The kernel's per-thread data (TD): the page that FS and GS point to at EENTER. Offsets shared with entry.S.
 * Side: enclave. Included by enclave/ only. The processor sets GS from the TCS, so the host cannot choose a TD.
 * Never reachable from the host; its first eight bytes and offset 0x28 follow the x86-64 TLS ABI.
 */
#ifndef CELLA_ENCLAVE_TD_H
#define CELLA_ENCLAVE_TD_H

#define TD_SELF 0
#define TD_STATE 8
#define TD_SLOT 12
#define TD_STACK_TOP 16
#define TD_TCS 24
#define TD_FS_BASE 32
#define TD_CANARY 40
#define TD_HOST_RIP 48
#define TD_HOST_RSP 56
#define TD_HOST_RBP 64
#define TD_DEPTH 72
#define TD_FLOOR 76
#define TD_HOST_MXCSR 80
#define TD_SCRATCH 84
#define TD_JUMP_RIP 88
#define TD_JUMP_RSP 96
#define TD_PROGRAM_ENTRY 104 /* CELLA_PROGRAM_SYSCALL_GS */
#define TD_KERNEL_STACK 112
#define TD_USER_RSP 120
#define TD_ATTENTION 128

/* TD_STATE */
#define TD_UNTOUCHED 0 /* as loaded: zeros */
#define TD_BOOTED 1    /* canary, stack and TCS are known */
#define TD_READY 2     /* serves ecalls: the fast path may be taken */
#define TD_AWAY 3      /* waits for the kernel's own ocall: nothing may run on top of it */

/* struct cella_regs, in the order in which entry.S stores it */
#define REGS_R15 0
#define REGS_R14 8
#define REGS_R13 16
#define REGS_R12 24
#define REGS_RBP 32
#define REGS_RBX 40
#define REGS_R11 48
#define REGS_R10 56
#define REGS_R9 64
#define REGS_R8 72
#define REGS_RCX 80
#define REGS_RDX 88
#define REGS_RSI 96
#define REGS_RDI 104
#define REGS_RAX 112
#define REGS_RFLAGS 120
#define REGS_RIP 128
#define REGS_RSP 136
#define REGS_SIZE 144

/* cella_kernel_state */
#define KERNEL_NEW 0
#define KERNEL_STARTING 1
#define KERNEL_READY 2
#define KERNEL_STOPPING 3
#define KERNEL_DEAD 4

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All registers of a thread that a system call or an exception interrupted. */
struct cella_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rcx, rdx, rsi, rdi, rax;
    uint64_t rflags, rip, rsp;
};
_Static_assert(sizeof(struct cella_regs) == REGS_SIZE, "entry.S");
_Static_assert(offsetof(struct cella_regs, rax) == REGS_RAX, "entry.S");
_Static_assert(offsetof(struct cella_regs, rsp) == REGS_RSP, "entry.S");

/* An ecall, or a worker's entry (its ring is `in`), that waits until the libc thread of its TCS has started. */
struct cella_pending_call {
    bool valid;
    bool worker;
    uint64_t number, in, in_size, out, out_capacity;
};

struct cella_futex_waiter;
struct linux_thread;

#define TD_EXCEPTIONS_MAX 16u

struct cella_td {
    uint64_t self;
    uint32_t state;
    uint32_t slot;
    uint64_t stack_top; /* where the next entry's frame starts; 16-byte aligned */
    uint64_t tcs;
    uint64_t fs_base;
    uint64_t canary;
    uint64_t host_rip; /* of the latest EENTER, as are the four below */
    uint64_t host_rsp;
    uint64_t host_rbp;
    uint32_t depth; /* frames that wait for RETURN (or, up to `floor`, are parked) */
    uint32_t floor;
    uint32_t host_mxcsr;
    uint32_t scratch;
    uint64_t jump_rip; /* last steps of a context restore */
    uint64_t jump_rsp;
    uint64_t program_entry; /* where system calls of a whole program arrive (linux/entry.S) */
    uint64_t
        kernel_stack; /* of a program's thread: its traps lie from here on, its calls below; 64-byte aligned */
    uint64_t user_rsp;
    _Atomic uint32_t attention; /* look at signals before going on in the program */
    uint32_t reserved;
    uint64_t arena; /* host address of the first slice byte, 0 until known */
    uint64_t arena_size;
    uint64_t arena_used;
    void *buffer; /* spare call buffer, kept between ecalls */
    uint64_t buffer_size;
    uint32_t tid;
    uint32_t in_exception; /* stage two is running: depth of it */
    uint64_t clear_tid;    /* address inside, 0: none */
    uint64_t robust_list;
    uint64_t signal_mask;
    struct cella_pending_call pending;
    bool start_bound; /* `start` waits for the first entry on this TCS */
    bool is_enclave_thread;
    bool in_pool_use;
    struct cella_regs start;
    bool
        trapped; /* the running system call came by #UD: its child starts without the trampoline's frame */
    uint64_t unmap_at, unmap_size; /* the thread's own stack, unmapped when it is off it */
    void *call_buffer;             /* spare buffer of generated calls, kept as `buffer` is */
    uint64_t call_buffer_size;
    uint32_t outstanding; /* the generated ocall that is being waited for, plus 1; 0: none */
    uint64_t exception_at[TD_EXCEPTIONS_MAX]; /* frames of the levels of in_exception */
    struct linux_thread *program_thread;      /* linux/: the program's thread on this TCS */
    struct linux_clock_look *clock;           /* linux/: for the vDSO */
    uint64_t clock_last; /* the latest monotonic time that this thread was told */
    bool
        is_programs_call; /* linux/: the system call at hand is the program's, not the kernel's own libc's */
};

#define TD_AT(member, at) _Static_assert(offsetof(struct cella_td, member) == (at), "entry.S")
TD_AT(self, TD_SELF);
TD_AT(state, TD_STATE);
TD_AT(slot, TD_SLOT);
TD_AT(stack_top, TD_STACK_TOP);
TD_AT(tcs, TD_TCS);
TD_AT(fs_base, TD_FS_BASE);
TD_AT(canary, TD_CANARY);
TD_AT(host_rip, TD_HOST_RIP);
TD_AT(host_rsp, TD_HOST_RSP);
TD_AT(host_rbp, TD_HOST_RBP);
TD_AT(depth, TD_DEPTH);
TD_AT(floor, TD_FLOOR);
TD_AT(host_mxcsr, TD_HOST_MXCSR);
TD_AT(scratch, TD_SCRATCH);
TD_AT(jump_rip, TD_JUMP_RIP);
TD_AT(jump_rsp, TD_JUMP_RSP);
TD_AT(program_entry, TD_PROGRAM_ENTRY);
TD_AT(kernel_stack, TD_KERNEL_STACK);
TD_AT(user_rsp, TD_USER_RSP);
TD_AT(attention, TD_ATTENTION);
#undef TD_AT

static inline struct cella_td *cella_td_self(void)
{
    struct cella_td *td;
    __asm__("mov %%gs:0, %0" : "=r"(td));
    return td;
}

#endif
#endif
