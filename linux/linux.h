/*
 * The Linux personality: what its parts know of each other.
 * Side: enclave. Included by linux/ only. Part of the program kernel, never of an enclave that has code of its own.
 * Never depends on a libc; never believes a host; takes the program's memory for the program's, not for a stranger's:
 * program and kernel are one enclave, and only their mistakes are kept apart.
 */
#ifndef CELLA_LINUX_LINUX_H
#define CELLA_LINUX_LINUX_H

#include "abi/program.h"
#include "enclave/libc.h"
#include "enclave/trap.h"
#include "linux/description.h"

#define LINUX_SIGNAL_COUNT 64u
#define LINUX_NAME_SIZE 16u
#define LINUX_SI_TIMER (-2) /* si_code: of timer_create */

#define LINUX_PROT_READ 1u
#define LINUX_PROT_WRITE 2u
#define LINUX_PROT_EXEC 4u

/* struct stack_t */
struct linux_altstack {
    uint64_t base;
    int32_t flags;
    uint32_t pad;
    uint64_t size;
};
_Static_assert(sizeof(struct linux_altstack) == 24, "stack_t");

/* What a siginfo_t says beside the number. */
struct linux_signal_info {
    int32_t code;
    uint32_t process, user;
    uint64_t value; /* si_value, or si_addr of a fault */
    uint32_t timer;
    uint32_t overrun;
};

/* signal_queue.c: what is pending for a thread or for the process. */
struct linux_pending {
    _Atomic uint64_t bits; /* signal N is bit N - 1 */
    struct linux_signal_info
        info[LINUX_SIGNAL_COUNT + 1]; /* of the first of each, while its bit is set */
    uint32_t queue;                   /* further real-time signals */
};
enum linux_pended {
    LINUX_PENDED_NEW,
    LINUX_PENDED_ALREADY, /* that it is there says it all */
    LINUX_PENDED_FULL,    /* it is there, and this one is lost */
};
CELLA_KERNEL enum linux_pended linux_pending_add(struct linux_pending *pending, uint32_t number,
                                                 const struct linux_signal_info *info);
/* The lowest pending signal that is in `of`, taken off; 0: none. */
CELLA_KERNEL uint32_t linux_pending_take(struct linux_pending *pending, uint64_t of,
                                         struct linux_signal_info *ret_info);
CELLA_KERNEL void linux_pending_drop(struct linux_pending *pending, uint64_t of);

/* Where a program may read or write, as it was with so many changes of its address space: changes 0, nowhere. */
#define LINUX_RANGES 8u
struct linux_range {
    uint64_t start, end, changes;
    uint32_t rights;
};

/* A thread of the program, on one TCS. Those of a slot are kept for the slot's next thread. */
struct linux_thread {
    struct cella_td *td;
    struct linux_pending pending;
    _Atomic uint64_t waits_for; /* what rt_sigtimedwait wants: pends though it is ignored */
    uint64_t saved_mask;        /* to be put back when signals have been looked at */
    bool has_saved_mask;
    bool is_running; /* between clone and exit */
    struct linux_altstack altstack;
    char name[LINUX_NAME_SIZE];
    uint64_t call;       /* number of the system call being made */
    uint64_t fault_page; /* the latest page that faulted for no reason that the kernel knows, … */
    uint32_t fault_count; /* … and how often in a row */
    uint64_t window_end;  /* where the pages end that its latest fault made, … */
    uint32_t window_size; /* … and how many bytes they were at most */
    bool is_interrupted;  /* it ended with EINTR: begin it again if no handler wanted the signal */
    bool has_quiet_pipe;  /* its EPIPE is no SIGPIPE */
    bool in_call;
    struct linux_range ranges[LINUX_RANGES]; /* the latest that it asked for, by their addresses */
};

/* start.c */
extern CELLA_KERNEL const struct cella_program *cella_linux_program;
extern CELLA_KERNEL uint32_t cella_linux_flags; /* CELLA_CALL_PROGRAM_* */
/* A text of the description; *ret_size without a zero, which is not there. */
CELLA_KERNEL const char *cella_linux_text(struct cella_program_text text, uint32_t *ret_size);
CELLA_KERNEL uint32_t cella_linux_cpu_count(void);
CELLA_KERNEL const char *
cella_linux_environment(uint64_t *ret_size); /* strings behind each other */
CELLA_KERNEL const char *cella_linux_arguments(uint64_t *ret_size);
CELLA_KERNEL const struct cella_program_description *cella_linux_description(void);
/* Where the host was started; not more than a hint. Not zero-terminated. */
CELLA_KERNEL const char *cella_linux_directory(uint64_t *ret_size);
extern CELLA_KERNEL uint64_t cella_linux_auxv[64];
extern CELLA_KERNEL uint32_t cella_linux_auxv_count;
extern CELLA_KERNEL uint64_t cella_linux_start_time; /* monotonic nanoseconds */

/* syscall.c: called by entry.S and by traps. */
CELLA_KERNEL void cella_linux_syscall(struct cella_regs *regs);

/* entry.S */
CELLA_KERNEL void cella_linux_entry(void);
CELLA_KERNEL _Noreturn void cella_linux_return(struct cella_trap *trap);
extern CELLA_KERNEL const char cella_linux_exit[], cella_linux_exit_end[];
extern CELLA_KERNEL const char cella_linux_back[], cella_linux_back_end[];
CELLA_KERNEL void cella_linux_xsave(void *at);

/* space.c: who has which addresses. All under the memory lock (memory.h). */
struct cella_open;
struct linux_area {
    uint64_t start, end;
    uint32_t rights;         /* LINUX_PROT_* */
    uint32_t flags;          /* LINUX_AREA_* */
    struct cella_open *file; /* a reference of its own; NULL: anonymous */
    uint64_t offset;
};
#define LINUX_AREA_SHARED 0x1u
#define LINUX_AREA_STACK 0x2u
#define LINUX_AREA_BREAK 0x4u
#define LINUX_AREA_IMAGE 0x8u /* pages of the measured image */

CELLA_KERNEL cella_result linux_space_init(void);
/* The area that holds `address`, or the first above it; NULL: none. Valid until the next change. */
CELLA_KERNEL struct linux_area *linux_space_find(uint64_t address);
CELLA_KERNEL bool linux_space_is_free(uint64_t start, uint64_t end);
CELLA_KERNEL bool linux_space_insert(const struct linux_area *area);
/* Takes [start, end) out of whatever is there; areas are cut. false: no memory for the cut. */
CELLA_KERNEL bool linux_space_remove(uint64_t start, uint64_t end);
/* Files whose last mapping has gone since the last call, for the caller to put; at most LINUX_DEAD_MAX. */
#define LINUX_DEAD_MAX 64u
CELLA_KERNEL uint32_t linux_space_take_dead(struct cella_open **ret_dead);
CELLA_KERNEL bool linux_space_protect(uint64_t start, uint64_t end, uint32_t rights);
/* Whether all of [start, end) belongs to areas with `rights` at least; then *ret_range (NULL: not wanted) is all of those. */
CELLA_KERNEL bool linux_space_covers(uint64_t start, uint64_t end, uint32_t rights,
                                     struct linux_range *ret_range);
/* Without the lock: counts what took addresses or rights away; never 0. As long as it is the same, a range is what it was. */
CELLA_KERNEL uint64_t linux_space_changes(void);
/* The highest free place below `limit`; 0: none. */
CELLA_KERNEL uint64_t linux_space_place(uint64_t size, uint64_t limit);
CELLA_KERNEL uint32_t linux_space_count(void);
CELLA_KERNEL const struct linux_area *linux_space_at(uint32_t index);

/* pages.c: which pages exist, with which rights. Under the same lock. Addresses are page-aligned. */
CELLA_KERNEL cella_result linux_pages_init(void);
CELLA_KERNEL void linux_pages_are_loaded(uint64_t start, uint64_t end, uint32_t rights);
/* Makes all pages of the range exist, zero where they are new; those that are there are left. */
CELLA_KERNEL bool linux_pages_commit(uint64_t start, uint64_t end, uint32_t rights);
CELLA_KERNEL bool linux_pages_rights(uint64_t start, uint64_t end, uint32_t rights);
CELLA_KERNEL void linux_pages_drop(uint64_t start, uint64_t end);
CELLA_KERNEL bool linux_page_exists(uint64_t address);
/* Whether it exists, with just these rights; and asks the host once more to map it so. */
CELLA_KERNEL bool linux_page_is(uint64_t address, uint32_t rights);
CELLA_KERNEL void linux_page_ask(uint64_t address, uint32_t rights);
/* Makes an absent page exist with the content of a page of the kernel, at once (EACCEPTCOPY). */
CELLA_KERNEL bool linux_page_copy(uint64_t address, const void *source, uint32_t rights);
CELLA_KERNEL bool linux_pages_open(uint64_t start, uint64_t end);
CELLA_KERNEL uint64_t linux_pages_used(void);
CELLA_KERNEL uint64_t linux_pages_peak(void);

/* memory.c */
CELLA_KERNEL cella_result linux_memory_init(uint64_t *ret_stack_top);
CELLA_KERNEL bool linux_memory_syscall(struct cella_regs *regs, long *ret_result);
/*
 * memory_fault.c. 0: the access may be tried again; else the si_code of SIGSEGV, LINUX_FAULT_BUS, or an errno: no memory.
 */
#define LINUX_FAULT_BUS 0x100
CELLA_KERNEL int linux_memory_fault(uint64_t address, uint32_t error);
/* Pages for the program that the kernel chooses, readable and writable; 0: none. */
CELLA_KERNEL uint64_t cella_linux_user_pages(uint64_t size);
CELLA_KERNEL void cella_linux_user_pages_free(uint64_t at, uint64_t size);
/* The areas in order, for /proc/self/maps, with a reference of the file for the caller. false: no more. */
CELLA_KERNEL bool cella_linux_area_get(uint32_t index, struct linux_area *ret_area);

/* mutex.c: sleeps in the host; never held while the program's memory is touched. */
struct linux_mutex {
    _Atomic uint32_t word;
    _Atomic uint32_t hungry; /* threads that have slept for it in vain */
};
CELLA_KERNEL void linux_mutex_take(struct linux_mutex *mutex);
CELLA_KERNEL void linux_mutex_give(struct linux_mutex *mutex);

/* thread_slot.c: makes the pages of a slot that the image left out, and its TCS. */
CELLA_KERNEL bool linux_slot_make(uint32_t slot);

/* thread.c */
CELLA_KERNEL cella_result linux_threads_init(void);
CELLA_KERNEL bool linux_thread_syscall(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL void linux_thread_enter(struct cella_td *td, const struct cella_regs *regs)
    __attribute__((noreturn));
CELLA_KERNEL struct linux_thread *linux_thread_self(void);
/* By index, of thread_count; NULL: that slot runs none. */
CELLA_KERNEL struct linux_thread *linux_thread_at(uint32_t slot);
CELLA_KERNEL struct linux_thread *linux_thread_of(uint32_t tid);
CELLA_KERNEL uint32_t linux_thread_count(void);
CELLA_KERNEL void linux_thread_kick(struct linux_thread *thread);
CELLA_KERNEL bool linux_kernel_thread_new(void (*main)(void));
CELLA_KERNEL _Noreturn void linux_process_end(uint64_t reason);
/* The same, after what the program has written and the kernel still has is where it belongs. With no lock. */
CELLA_KERNEL _Noreturn void linux_process_leave(uint64_t reason);

/* signal.c */
CELLA_KERNEL bool linux_signal_syscall(struct cella_regs *regs, long *ret_result);
/* false: no room for one more of its kind, whose information is lost. */
CELLA_KERNEL bool linux_signal_send(struct linux_thread *thread, uint32_t number,
                                    const struct linux_signal_info *info);
CELLA_KERNEL bool linux_signal_send_process(uint32_t number, const struct linux_signal_info *info);
/* A fault of the program: delivered at once, to this thread; death where it is blocked or ignored. */
CELLA_KERNEL void linux_signal_fault(struct cella_trap *trap, uint32_t number, int32_t code,
                                     uint64_t address);
/* Whether this thread has a signal to look at. */
CELLA_KERNEL bool cella_linux_interrupted(void);
CELLA_KERNEL void linux_signal_mask_set(struct linux_thread *thread, uint64_t mask);
/* Signals of the process, of `of`, that this thread will not take after all: others look. */
CELLA_KERNEL void linux_signal_pass_on(uint64_t of);
/* Called by entry.S on the way back: from a system call, from a trap. */
CELLA_KERNEL void cella_linux_attention(struct cella_regs *regs);
CELLA_KERNEL void cella_linux_trap_attention(struct cella_trap *trap);
CELLA_KERNEL void linux_signal_thread_new(struct linux_thread *thread);
/* For signalfd: what is pending for this thread, and the next of it that is in `of`, taken off; 0: none. */
CELLA_KERNEL uint64_t linux_signal_pending(void);
CELLA_KERNEL uint32_t linux_signal_take(uint64_t of, struct linux_signal_info *ret_info);

/* timer.c: the signal of a timer is about to be delivered; what came while it was pending is counted. */
CELLA_KERNEL void linux_timer_delivered(struct linux_signal_info *info, uint32_t number);

/* signalfd.c */
CELLA_KERNEL bool linux_signalfd_syscall(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL void linux_signalfd_notify(uint32_t number);

/* unix.c, netlink.c: sockets that are not the host's. */
bool linux_unix_syscall(struct cella_regs *regs, long *ret_result);
bool linux_netlink_syscall(struct cella_regs *regs, long *ret_result);

/* signal_frame.c */
struct linux_action {
    uint64_t handler, flags, restorer, mask;
};
/* A siginfo_t. */
CELLA_KERNEL void linux_signal_info_fill(uint8_t info[128], uint32_t number,
                                         const struct linux_signal_info *from);
/* Lays a frame on the program's stack and points `regs` at the handler. `xsave` NULL: vector state is still in the
 * registers. false: there is no stack. */
CELLA_KERNEL bool linux_frame_push(struct cella_regs *regs, const void *xsave, uint32_t number,
                                   const struct linux_signal_info *info,
                                   const struct linux_action *action, uint64_t mask);
CELLA_KERNEL _Noreturn void linux_frame_return(struct cella_regs *regs);

/* process.c, clock.c, timer.c */
CELLA_KERNEL bool linux_process_syscall(struct cella_regs *regs, long *ret_result);
/* What getrlimit says at first. */
CELLA_KERNEL void linux_limits_init(void);
/* The hard limit of descriptors. */
CELLA_KERNEL uint64_t linux_descriptor_max(void);
CELLA_KERNEL bool linux_clock_syscall(struct cella_regs *regs, long *ret_result);
/* Nanoseconds of the monotonic or the real clock; 0 on failure. */
CELLA_KERNEL uint64_t linux_clock_now(bool realtime);
/* A clock of the host in nanoseconds, by its number; 0: it gave none that can be. Processor time is for show only. */
CELLA_KERNEL uint64_t linux_clock_host(uint64_t clock);
struct linux_clock_look;
extern CELLA_KERNEL struct linux_clock_look cella_linux_clock;

/* vdso.c: maps it; where its ELF header is, 0: nowhere. */
CELLA_KERNEL uint64_t linux_vdso_map(void);
CELLA_KERNEL uint64_t linux_vdso_at(void);

/* Parts that may not be linked in: absent.c. */
CELLA_KERNEL bool cella_linux_fs(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL cella_result cella_linux_fs_init(void);
CELLA_KERNEL void cella_linux_fs_end(void);
CELLA_KERNEL bool cella_linux_ego(struct cella_regs *regs, long *ret_result);
CELLA_KERNEL bool linux_timer_syscall(struct cella_regs *regs, long *ret_result);
/* libc_context.c */
CELLA_KERNEL cella_result cella_linux_libc_init(void);
/* Fills enclave memory with bytes of an open file; how many, or an errno. */
CELLA_KERNEL long cella_linux_file_read(struct cella_open *open, uint64_t offset, uint64_t size,
                                        void *to);
/* The patches of an ELF file (abi/program.h); NULL: none. */
CELLA_KERNEL const struct cella_program_patches *cella_linux_file_patches(struct cella_open *open);

#define LINUX_PAGE_UP(x) (((x) + SGX_PAGE_SIZE - 1) & ~(uint64_t)(SGX_PAGE_SIZE - 1))
#define LINUX_PAGE_DOWN(x) ((x) & ~(uint64_t)(SGX_PAGE_SIZE - 1))

#endif
