/*
 * Threads of the software processor and the transitions they make; offsets shared with enter.S.
 * Side: soft. Included by enter.S, thread.c, transition.c, trap.c, signals.c.
 * Never included by the leaves or the kernel driver.
 */
#ifndef CELLA_SOFT_TRANSITION_H
#define CELLA_SOFT_TRANSITION_H

/* A thread's block: guard page, alternate signal stack, struct soft_thread in the last two pages. */
#define SOFT_BLOCK_SIZE 0x20000
#define SOFT_BLOCK_GUARD 0x1000
#define SOFT_THREAD_SIZE 0x2000
#define SOFT_THREAD_OFFSET (SOFT_BLOCK_SIZE - SOFT_THREAD_SIZE)
#define SOFT_MAX_THREADS 4096

/* struct soft_thread */
#define SOFT_T_SELECTOR 0
#define SOFT_T_INSIDE 8
#define SOFT_T_ENTRY 16
#define SOFT_T_RESUME 24
#define SOFT_T_SERIAL 72
#define SOFT_T_LEAF 80
#define SOFT_T_DEFERRED 84
#define SOFT_T_LEAF_RAX 88
#define SOFT_T_LEAF_RBX 96
#define SOFT_T_LEAF_RCX 104
#define SOFT_T_LEAF_RDX 112
#define SOFT_T_LEAF_RSP 120
#define SOFT_T_LEAF_RIP 128
#define SOFT_T_LEAF_RBP 136
#define SOFT_T_ENTRIES 256
#define SOFT_ENTRY_COUNT 16
#define SOFT_ENTRY_SHIFT 7

/* struct soft_entry */
#define SOFT_E_TCS 0
#define SOFT_E_THREAD 8
#define SOFT_E_GENERATION_AT 16
#define SOFT_E_GENERATION 24
#define SOFT_E_CSSA 28
#define SOFT_E_TCS_ALIAS 32
#define SOFT_E_SSA_GPR 40
#define SOFT_E_FS_BASE 48
#define SOFT_E_GS_BASE 56
#define SOFT_E_RIP 64
#define SOFT_E_HOST_FS 72
#define SOFT_E_HOST_GS 80
#define SOFT_E_AEP 88

/* struct soft_resume: what enter.S loads on ERESUME, ending in the frame that IRETQ pops. */
#define SOFT_R_XSAVE 0
#define SOFT_R_XFRM 8
#define SOFT_R_FS 16
#define SOFT_R_GS 24
#define SOFT_R_TCS 32
#define SOFT_R_CSSA 40
#define SOFT_R_SERIAL 44
#define SOFT_R_ENTRY 48
#define SOFT_R_HOST_RSP 56
#define SOFT_R_HOST_RBP 64
#define SOFT_R_GPRS 72

/* The owner of an active TCS: a pointer of the entering process in the page's implementation-defined tail. */
#define SOFT_TCS_OWNER 4088

/* Offsets in struct sgx_linux_run, sgx_tcs and sgx_gprsgx that enter.S uses (asserted in transition.c). */
#define SOFT_RUN_TCS 0
#define SOFT_RUN_FUNCTION 8
#define SOFT_RUN_VECTOR 12
#define SOFT_RUN_ERROR 14
#define SOFT_RUN_ADDRESS 16
#define SOFT_RUN_HANDLER 24
#define SOFT_RUN_RESERVED 40
#define SOFT_TCS_CSSA 24
#define SOFT_GPR_URSP 144
#define SOFT_GPR_URBP 152

#define SOFT_SELECTOR_ALLOW 0
#define SOFT_SELECTOR_BLOCK 1

/* What soft_signal tells enter.S to do with the frame. */
#define SOFT_RETURN_HOST 0
#define SOFT_RETURN_ENCLAVE 1
#define SOFT_RETURN_HANDLER 2
#define SOFT_RETURN_LEAF                                                                           \
    3 /* to a leaf that runs without a trap: bases as they were, the selector as it is */
#define SOFT_FRAME_INFO 304 /* siginfo behind the ucontext in the kernel's frame */

/* What soft_leaf answers. */
#define SOFT_LEAF_DONE 0
#define SOFT_LEAF_VECTORS 1 /* again by soft_leaf_full, with vector registers kept */
#define SOFT_LEAF_TRAP 2 /* the instruction is done again, by a trap: it faults, or is another's */

/* Red zone of the interrupted code that soft_restack leaves alone. */
#define SOFT_RESTACK_SKIP 128

#ifndef __ASSEMBLER__

#include <signal.h>
#include <ucontext.h>

#include "soft/soft.h"

struct soft_thread;

/* An EENTER that was checked: valid while `generation` is the enclave's and TCS.CSSA is `cssa`. */
struct soft_entry {
    uint64_t tcs; /* linear address; 0: unused */
    struct soft_thread *thread;
    _Atomic uint32_t *generation_at;
    uint32_t generation;
    uint32_t cssa;
    struct sgx_tcs *tcs_alias;
    struct sgx_gprsgx *ssa_gpr; /* of SSA[CSSA], in the alias */
    uint64_t fs_base;
    uint64_t gs_base;
    uint64_t rip;     /* BASE + OENTRY */
    uint64_t host_fs; /* while inside */
    uint64_t host_gs;
    uint64_t aep;
    struct soft_enclave *enclave;
    uint64_t reserved[3];
};

/* An ERESUME that was checked. enter.S pops `gprs`, then IRETQ takes the last five words. */
struct soft_resume {
    void *xsave;
    uint64_t xfrm;
    uint64_t fs_base;
    uint64_t gs_base;
    uint64_t tcs;
    uint32_t cssa;   /* as found: the frame is SSA[cssa - 1] */
    uint32_t serial; /* of this preparation, its low half: a later one has spoilt it */
    struct soft_entry *entry;
    uint64_t host_rsp, host_rbp;
    uint64_t gprs[15]; /* rax rcx rdx rbx rbp rsi rdi r8 … r15 */
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Lives at the top of its block; found from any stack pointer inside the block by masking. */
struct soft_thread {
    uint8_t selector; /* Syscall User Dispatch reads it */
    uint8_t reserved1[7];
    uint64_t
        inside; /* 1 from the first step of EENTER to the last of EEXIT or AEX: FS may be foreign */
    struct soft_entry *entry;      /* current while inside */
    struct soft_resume *resume_at; /* = &resume */
    uint64_t reserved4;
    stack_t app_stack; /* the application's alternate stack */
    uint32_t index;
    bool dispatching; /* Syscall User Dispatch is armed */
    uint8_t reserved2[3];
    _Atomic uint64_t
        serial; /* counts preparations: a handler that enters spoils the one it interrupted */
    /* A leaf that the enclave entered by its marked site (enter.S). */
    _Atomic uint32_t leaf;     /* 1 while it runs: signals wait in `deferred_info` */
    _Atomic uint32_t deferred; /* how many wait */
    struct soft_leaf_call {
        uint64_t rax, rbx, rcx, rdx, rsp, rip, rbp; /* RIP: behind the site */
    } call;
    uint64_t deferred_mask; /* the mask that the first of them found */
    uint32_t tid;
    bool traps; /* soft_leaf_trap is reached with the leaf not done */
    uint8_t reserved3[256 - 157];
    struct soft_entry entries[SOFT_ENTRY_COUNT];
    struct soft_resume resume;
    _Alignas(64) uint8_t xsave[4096];
    siginfo_t deferred_info[2]; /* the second can only be a SIGILL that somebody sent */
};

/* thread.c */
extern uint64_t soft_arena_base, soft_arena_size;
/* This thread's block, or NULL while it has never entered an enclave. */
struct soft_thread *soft_thread_self(void);
/*
 * Gives this thread its block and alternate stack, Syscall User Dispatch and CPUID faulting. NULL: out of memory, or
 * called inside a handler on the application's own alternate stack. Not before the first EENTER: a Go runtime asks the
 * kernel what alternate stack a new thread has, and would take ours for its own.
 */
struct soft_thread *soft_thread_arm(void);
/*
 * The same while the signal of `context` is handled. *ret_again: the handler runs on the application's alternate stack;
 * the context has been changed to set the stack first and then to do the interrupted instruction again.
 */
struct soft_thread *soft_thread_arm_handling(ucontext_t *context, bool *ret_again);
/* In the child of a fork: kernel state that is not inherited is set again. */
void soft_thread_rearm(void);
void soft_thread_forget(const struct soft_enclave *enclave);

/* transition.c */
struct soft_outcome soft_eenter_check(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                      struct soft_entry **ret_entry);
struct soft_outcome soft_eresume(uint64_t tcs, uint64_t aep, struct soft_thread *thread,
                                 bool *ret_notify);
void soft_aex(struct soft_thread *thread, ucontext_t *context, uint64_t fs, uint64_t gs,
              uint32_t exit_info, uint64_t maddr, uint32_t errcd);
void soft_leave(struct soft_thread *thread);
struct soft_outcome soft_edeccssa(struct soft_thread *thread);

/*
 * leaf.c. Called by enter.S on the thread's own stack; signals are open and come back later. soft_leaf runs with the
 * enclave's FS base and vector registers, soft_leaf_full with the host's. Both give a SOFT_LEAF_*.
 */
uint32_t soft_leaf(struct soft_thread *thread);
uint32_t soft_leaf_full(struct soft_thread *thread);

/* signals.c */
void soft_signals_activate(void);
/*
 * Synchronous signals that were sent while this thread believes them blocked: their bits; takes one of `bits` away.
 */
uint64_t soft_signals_held(void);
bool soft_signals_take_held(uint64_t bits, siginfo_t *ret_info);
/* signals_wait.c: the mask of the call that this thread waits in, while `valid`. */
struct soft_waiting {
    bool valid;
    uint64_t mask;
};
extern __thread struct soft_waiting soft_waiting
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
/* Opens the synchronous signals in this thread, once. */
void soft_signals_open(void);
/*
 * Turns the frame of the signal being handled into a call of the application's own handler, on the stack and
 * with the mask it asked for; or does what its disposition says. Gives a SOFT_RETURN_*; for
 * SOFT_RETURN_HANDLER ret_call holds the handler and the signal's number.
 */
int soft_signal_deliver(int number, siginfo_t *info, ucontext_t *context, uint64_t *ret_call);
/* The next-defined function of that name, behind the interposer. */
void *soft_next(const char *name);

/* cpuid.c */
void soft_cpuid_activate(void);
void soft_cpuid_thread(void);
bool soft_cpuid_emulate(ucontext_t *context);
bool soft_cpuid_is_site(uint64_t address);

/* enter.S */
extern const char soft_aep[], soft_vdso_next[], soft_vdso_fixup[];
extern const char soft_enter_claim[], soft_resume_claim[];
extern const char soft_enter_window[], soft_enter_decide[], soft_enter_locked[];
extern const char soft_enter_unlocked[], soft_enter_window_end[];
extern const char soft_exit_window[], soft_exit_tail[], soft_exit_window_end[];
extern const char soft_resume_window[], soft_resume_decide[], soft_resume_locked[];
extern const char soft_resume_committed[], soft_resume_xrstor[], soft_resume_retract[];
extern const char soft_resume_unlocked[];
extern const char soft_resume_window_end[];
extern const char soft_restorer_begin[], soft_restorer_end[];
extern const char soft_exit_stubs[];
extern uint64_t soft_exit_delta[SOFT_MAX_ENCLAVES];
#define SOFT_EXIT_STUB_SIZE 16
extern const char soft_leaf_stubs[], soft_leaf_window[], soft_leaf_window_end[];
extern const char soft_leaf_decide[], soft_leaf_out[], soft_leaf_out_end[], soft_leaf_trap[];
#define SOFT_LEAF_SITE_SIZE 29u /* from ENCLU to where the site goes on */
void soft_signal_entry(int number, siginfo_t *info, void *context);
void soft_restorer(void);
void soft_restack(void);
int soft_vdso_enter(unsigned long rdi, unsigned long rsi, unsigned long rdx, unsigned int function,
                    unsigned long r8, unsigned long r9, struct sgx_linux_run *run);

#endif
#endif
