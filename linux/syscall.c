/*
 * The program's system calls: who answers them.
 * Side: enclave. Called by entry.S and by traps. The table is the switch statements of the parts, asked in order.
 * Never lets one through to the host: what nobody answers is ENOSYS, and named in the trace of a debug enclave.
 */
#include "enclave/descriptors.h"
#include "linux/linux.h"

#define SIGILL_NUMBER 4u
#define SIGTRAP_NUMBER 5u
#define SIGBUS_NUMBER 7u
#define SIGFPE_NUMBER 8u
#define SIGSEGV_NUMBER 11u
#define SIGPIPE_NUMBER 13u
#define SI_USER 0
#define MSG_NOSIGNAL 0x4000u
#define ILL_ILLOPN 2
#define TRAP_BRKPT 1
#define BUS_ADRALN 1
#define BUS_ADRERR 2
#define FPE_INTDIV 1
#define FPE_FLTINV 7
#define SI_KERNEL 0x80
#define KERNEL_TEXT_MAX (1u << 24)

/* The frequent calls that each descriptor answers by its class, or epoll: no part of linux/ has an answer of its own. */
static bool is_of_descriptors(uint64_t number)
{
    switch (number) {
    case __NR_read:
    case __NR_write:
    case __NR_close:
    case __NR_pread64:
    case __NR_pwrite64:
    case __NR_readv:
    case __NR_writev:
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
    case __NR_epoll_ctl:
        return true;
    default:
        return false;
    }
}

static bool parts_answer(struct cella_regs *regs, long *ret_result)
{
    return linux_thread_syscall(regs, ret_result) || linux_memory_syscall(regs, ret_result) ||
           linux_signal_syscall(regs, ret_result) || linux_clock_syscall(regs, ret_result) ||
           linux_timer_syscall(regs, ret_result) || linux_signalfd_syscall(regs, ret_result) ||
           cella_linux_ego(regs, ret_result) || cella_linux_fs(regs, ret_result) ||
           linux_process_syscall(regs, ret_result);
}

static long call_answer(struct cella_regs *regs)
{
    long result = 0;
    const bool is_frequent = is_of_descriptors(regs->rax);
    if (!is_frequent && parts_answer(regs, &result)) {
        return result;
    }
    struct cella_td *td = cella_td_self();
    td->is_programs_call = true;
    if (!is_frequent || !cella_descriptor_module.syscall(regs, &result)) {
        result = cella_kernel_syscall(regs);
    }
    td->is_programs_call = false;
    return result;
}

/* Calls with a mask of their own, for the time they take: where it is, and its size. false: none is given. */
static bool call_mask(const struct cella_regs *regs, uint64_t *ret_at, uint64_t *ret_size)
{
    switch (regs->rax) {
    case __NR_ppoll:
        *ret_at = ARG3(regs);
        *ret_size = ARG4(regs);
        break;
    case __NR_epoll_pwait:
    case __NR_epoll_pwait2:
        *ret_at = ARG4(regs);
        *ret_size = ARG5(regs);
        break;
    case __NR_pselect6:
        if (ARG5(regs) == 0 || !cella_user_range(ARG5(regs), 16)) {
            return false;
        }
        *ret_at = ((const uint64_t *)ARG5(regs))[0];
        *ret_size = ((const uint64_t *)ARG5(regs))[1];
        break;
    default:
        return false;
    }
    return *ret_at != 0;
}

/* As call_answer, with that mask in place. The old one comes back here, or when signals have been looked at. */
static long call_masked(struct linux_thread *thread, struct cella_regs *regs)
{
    uint64_t at, size;
    if (!call_mask(regs, &at, &size)) {
        return call_answer(regs);
    }
    if (size != 8) {
        return -EINVAL;
    }
    if (!cella_user_range(at, 8)) {
        return -EFAULT;
    }
    const uint64_t before = thread->td->signal_mask;
    linux_signal_mask_set(thread, *(const uint64_t *)at);
    const long result = call_answer(regs);
    if (result == -EINTR) {
        thread->saved_mask = before;
        thread->has_saved_mask = true;
    } else {
        linux_signal_mask_set(thread, before);
    }
    return result;
}

/* SIGPIPE for writers whose readers are gone. */
static void pipe_signal(struct linux_thread *thread, const struct cella_regs *regs)
{
    const struct linux_signal_info info = {.code = SI_USER, .process = 1};
    if (thread->has_quiet_pipe) {
        return;
    }
    switch (thread->call) {
    case __NR_sendto:
    case __NR_sendmmsg:
        if ((ARG3(regs) & MSG_NOSIGNAL) != 0) {
            return;
        }
        break;
    case __NR_sendmsg:
        if ((ARG2(regs) & MSG_NOSIGNAL) != 0) {
            return;
        }
        break;
    case __NR_write:
    case __NR_writev:
    case __NR_sendfile:
    case __NR_splice:
        break;
    default:
        return;
    }
    (void)linux_signal_send(thread, SIGPIPE_NUMBER, &info);
}

static void call_trace(const struct cella_regs *regs, uint64_t number, long result)
{
    const uint64_t words[] = {ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), (uint64_t)result};
    static const char digits[] = "0123456789abcdef";
    char line[160];
    size_t used = 0;
    line[used++] = 't';
    const uint64_t heads[] = {cella_td_self()->tid, number};
    for (uint32_t i = 0; i < CELLA_COUNT(heads) + CELLA_COUNT(words); i++) {
        const uint64_t word = i < 2 ? heads[i] : words[i - 2];
        line[used++] = ' ';
        int shift = 60;
        while (shift > 0 && (word >> shift) == 0) {
            shift -= 4;
        }
        for (; shift >= 0; shift -= 4) {
            line[used++] = digits[(word >> shift) & 15];
        }
    }
    cella_ignore(cella_system_ocall(CELLA_OCALL_TRACE, line, used, NULL, 0, NULL));
}

void cella_linux_syscall(struct cella_regs *regs)
{
    struct linux_thread *thread = linux_thread_self();
    thread->call = regs->rax;
    thread->has_quiet_pipe = false;
    const long result = call_masked(thread, regs);
    if (__builtin_expect((cella_linux_flags & CELLA_CALL_PROGRAM_TRACE) != 0, 0)) {
        call_trace(regs, thread->call, result);
    }
    if (result == -EINTR) {
        thread->is_interrupted = true;
        atomic_store(&thread->td->attention, 1);
    } else if (result == -EPIPE) {
        pipe_signal(thread, regs);
    }
    regs->rax = (uint64_t)result;
}

/* ------------------------------------------------------------------ traps */

/* The kernel itself touched memory of the program, or the host's. Not mended: the enclave's end. */
static void kernel_fault(struct cella_trap *trap)
{
    struct cella_regs *regs = &trap->regs;
    if (trap->kind == CELLA_TRAP_SYSCALL) { /* of the kernel's own libc */
        regs->rip += 2;
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
        regs->rax = (uint64_t)cella_kernel_syscall(regs);
        return;
    }
    if (trap->vector == SGX_VECTOR_PF && cella_program_is_in(trap->address)) {
        if (linux_memory_fault(trap->address, trap->error) == 0) {
            return;
        }
        if (regs->rip >= (uint64_t)cella_host_access &&
            regs->rip < (uint64_t)cella_host_access_end) {
            regs->rip = (uint64_t)cella_host_access_failed;
            return;
        }
    }
    cella_trace("fault in the program kernel: vector", trap->vector);
    cella_trace("  at", regs->rip);
    cella_trace("  address", trap->address);
    if (linux_thread_self()) {
        cella_trace("  system call", linux_thread_self()->call);
    }
    linux_process_end(CELLA_ABORT_EXCEPTION | (uint64_t)trap->vector << 8);
}

/* Each call of the program's reads this thread's TD. That it faults there is the host's doing, and no fault of the program. */
static bool is_own_td(uint64_t address)
{
    return address - (uint64_t)cella_td_self() <
           (uint64_t)cella_image_info.td_pages * SGX_PAGE_SIZE;
}

static void program_page_fault(struct cella_trap *trap)
{
    if (is_own_td(trap->address)) {
        cella_trace("the host keeps the thread's own page away:", trap->address);
        linux_process_end(CELLA_ABORT_HOST);
    }
    const int code = cella_program_is_in(trap->address)
                         ? linux_memory_fault(trap->address, trap->error)
                         : 1 /* SEGV_MAPERR */;
    if (code == LINUX_FAULT_BUS) {
        linux_signal_fault(trap, SIGBUS_NUMBER, BUS_ADRERR, trap->address);
        return;
    }
    if (code < 0) {
        cella_trace("no enclave memory is left; pages in use:", linux_pages_used());
        linux_process_end(CELLA_ABORT_SIGNAL | 9u << 8);
    }
    if (code > 0) {
        linux_signal_fault(trap, SIGSEGV_NUMBER, code, trap->address);
    }
}

/* INT3 and INT 3 are no instructions of an enclave; to a program they are what they are: their size, or 0. */
static uint32_t breakpoint_size(const struct cella_trap *trap)
{
    const uint8_t *code = (const uint8_t *)trap->regs.rip;
    if (!cella_user_range(trap->regs.rip, 2)) {
        return 0;
    }
    return code[0] == 0xCC ? 1 : code[0] == 0xCD && code[1] == 0x03 ? 2 : 0;
}

static void program_exception(struct cella_trap *trap)
{
    const uint32_t breakpoint = trap->vector == SGX_VECTOR_UD ? breakpoint_size(trap) : 0;
    if (breakpoint != 0) {
        trap->regs.rip += breakpoint;
        linux_signal_fault(trap, SIGTRAP_NUMBER, SI_KERNEL, 0);
        return;
    }
    switch (trap->vector) {
    case SGX_VECTOR_PF:
        program_page_fault(trap);
        break;
    case SGX_VECTOR_UD:
        linux_signal_fault(trap, SIGILL_NUMBER, ILL_ILLOPN, trap->regs.rip);
        break;
    case SGX_VECTOR_DE:
        linux_signal_fault(trap, SIGFPE_NUMBER, FPE_INTDIV, trap->regs.rip);
        break;
    case SGX_VECTOR_MF:
    case SGX_VECTOR_XM:
        linux_signal_fault(trap, SIGFPE_NUMBER, FPE_FLTINV, trap->regs.rip);
        break;
    case SGX_VECTOR_BP:
    case SGX_VECTOR_DB:
        trap->regs.rip += trap->vector == SGX_VECTOR_BP ? 1 : 0;
        linux_signal_fault(trap, SIGTRAP_NUMBER, SI_KERNEL, 0);
        break;
    case SGX_VECTOR_AC:
        linux_signal_fault(trap, SIGBUS_NUMBER, BUS_ADRALN, 0);
        break;
    default:
        linux_signal_fault(trap, SIGSEGV_NUMBER, SI_KERNEL, 0);
        break;
    }
}

void cella_program_trap(struct cella_td *td, struct cella_trap *trap)
{
    struct cella_regs *regs = &trap->regs;
    if ((uint64_t)trap != td->kernel_stack) {
        kernel_fault(trap);
        return;
    }
    switch (trap->kind) {
    case CELLA_TRAP_SYSCALL:
        regs->rip += 2;
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
        td->trapped = true;
        cella_linux_syscall(regs);
        if (atomic_load(&td->attention) != 0) {
            cella_linux_trap_attention(trap);
        }
        td->trapped = false;
        trap->kind = CELLA_TRAP_ATTENTION; /* what comes later is no part of the call */
        break;
    case CELLA_TRAP_EXCEPTION:
        program_exception(trap);
        break;
    default:
        break;
    }
    cella_linux_return(trap);
}

uint64_t cella_program_rewind(struct cella_td *td, struct sgx_gprsgx *gpr)
{
    if (gpr->rip >= (uint64_t)cella_linux_exit && gpr->rip < (uint64_t)cella_linux_exit_end) {
        gpr->rip = (uint64_t)cella_linux_exit;
        gpr->rsp = td->kernel_stack - REGS_SIZE;
        return 1;
    }
    if (gpr->rip >= (uint64_t)cella_linux_back && gpr->rip < (uint64_t)cella_linux_back_end) {
        gpr->rip = (uint64_t)cella_linux_back;
        gpr->rsp = td->kernel_stack;
        return 1;
    }
    return 0;
}
