/*
 * Exceptions, in two stages. Stage one runs at CSSA 1 on its own stack: it emulates what needs no help, or copies the
 * interrupted context to the thread's stack and lets ERESUME go on in stage two, where handlers run at CSSA 0.
 * Side: enclave. Called by entry.S. Trusts only what the processor wrote into the SSA frame.
 * Never believes the host that something happened: without a valid EXITINFO the thread simply goes on.
 */
#include "enclave/kernel.h"
#include "enclave/trap.h"

#define HANDLER_MAX 32u
#define RED_ZONE 128u
#define XSAVE_HEADER 512u
#define RFLAGS_CLEAR 0x44400ull /* AC, NT, DF */

_Static_assert(sizeof(struct cella_registers) == sizeof(struct cella_regs), "the API's registers");

static struct cella_lock handler_lock;
static cella_exception_handler handlers[HANDLER_MAX];
static uint32_t handler_count;
static _Atomic uint64_t tsc_latest;

cella_result cella_exception_add(cella_exception_handler handler, int first)
{
    cella_result result = CELLA_RESULT(LIMIT_EXCEEDED);
    cella_lock_take(&handler_lock);
    if (handler_count < HANDLER_MAX) {
        uint32_t at = handler_count++;
        for (; first && at > 0; at--) {
            handlers[at] = handlers[at - 1];
        }
        handlers[at] = handler;
        result = CELLA_OK;
    }
    cella_lock_give(&handler_lock);
    return result;
}

cella_result cella_exception_remove(cella_exception_handler handler)
{
    cella_result result = CELLA_RESULT(NOT_FOUND);
    cella_lock_take(&handler_lock);
    for (uint32_t i = 0; i < handler_count; i++) {
        if (handlers[i] == handler) {
            for (handler_count--; i < handler_count; i++) {
                handlers[i] = handlers[i + 1];
            }
            result = CELLA_OK;
        }
    }
    cella_lock_give(&handler_lock);
    return result;
}

/* The host's counter, but never backwards. */
static uint64_t tsc_filter(uint64_t tsc)
{
    uint64_t latest = atomic_load(&tsc_latest);
    while (tsc > latest) {
        if (atomic_compare_exchange_weak(&tsc_latest, &latest, tsc)) {
            return tsc;
        }
    }
    return latest;
}

/* What raised #UD and needs no handler. true: done, the thread goes on behind it. */
static bool emulate(struct sgx_gprsgx *gpr, uint64_t tsc)
{
    const uint8_t *code = (const uint8_t *)gpr->rip;
    if (!cella_inside(gpr->rip, 3)) {
        return false;
    }
    if (code[0] == 0x0F && code[1] == 0xA2) { /* CPUID */
        uint32_t out[4];
        cella_cpuid((uint32_t)gpr->rax, (uint32_t)gpr->rcx, out);
        gpr->rax = out[0];
        gpr->rbx = out[1];
        gpr->rcx = out[2];
        gpr->rdx = out[3];
        gpr->rip += 2;
        return true;
    }
    const bool rdtscp = code[0] == 0x0F && code[1] == 0x01 && code[2] == 0xF9;
    if (rdtscp || (code[0] == 0x0F && code[1] == 0x31)) { /* RDTSC */
        tsc = tsc_filter(tsc);
        gpr->rax = (uint32_t)tsc;
        gpr->rdx = tsc >> 32;
        if (rdtscp) {
            gpr->rcx = 0;
        }
        gpr->rip += rdtscp ? 3 : 2;
        return true;
    }
    return false;
}

static bool is_syscall(const struct sgx_gprsgx *gpr)
{
    const uint8_t *code = (const uint8_t *)gpr->rip;
    return cella_inside(gpr->rip, 2) && code[0] == 0x0F && code[1] == 0x05;
}

static void regs_from_gpr(struct cella_regs *regs, const struct sgx_gprsgx *gpr)
{
    *regs = (struct cella_regs){.r15 = gpr->r15,
                                .r14 = gpr->r14,
                                .r13 = gpr->r13,
                                .r12 = gpr->r12,
                                .rbp = gpr->rbp,
                                .rbx = gpr->rbx,
                                .r11 = gpr->r11,
                                .r10 = gpr->r10,
                                .r9 = gpr->r9,
                                .r8 = gpr->r8,
                                .rcx = gpr->rcx,
                                .rdx = gpr->rdx,
                                .rsi = gpr->rsi,
                                .rdi = gpr->rdi,
                                .rax = gpr->rax,
                                .rflags = gpr->rflags,
                                .rip = gpr->rip,
                                .rsp = gpr->rsp};
}

/*
 * In entry.S the stack pointer may be what the host put there. Laying a context on it would let a host that unmaps a
 * page at the right moment write where it likes (the SmashEx attack), so nothing is ever laid for these instructions.
 */
static bool in_entry_text(uint64_t rip)
{
    return rip >= (uint64_t)cella_entry_text && rip < (uint64_t)cella_entry_text_end;
}

/* A copy that met no memory at the host's address ends with a failure instead (boundary.c). */
static bool host_access_failed(struct sgx_gprsgx *gpr, uint32_t vector)
{
    if ((vector != SGX_VECTOR_PF && vector != SGX_VECTOR_GP) ||
        gpr->rip < (uint64_t)cella_host_access || gpr->rip >= (uint64_t)cella_host_access_end) {
        return false;
    }
    gpr->rip = (uint64_t)cella_host_access_failed;
    return true;
}

/* A page that the host does not give ends the leaf with a failure, not the enclave. */
static bool page_leaf_failed(struct sgx_gprsgx *gpr, uint32_t vector)
{
    const uint32_t leaf = (uint32_t)gpr->rax;
    if ((vector != SGX_VECTOR_PF && vector != SGX_VECTOR_GP) ||
        gpr->rip != (uint64_t)cella_enclu_site ||
        (leaf != SGX_EACCEPT && leaf != SGX_EACCEPTCOPY && leaf != SGX_EMODPE)) {
        return false;
    }
    gpr->rax = CELLA_ENCLU_FAULTED;
    gpr->rip = (uint64_t)cella_enclu_end;
    return true;
}

/*
 * Lays stage two on the thread's stack. A stack that is no stack faults here, at CSSA 1, and ends the enclave. Where the
 * kernel enters and leaves a program it stands on the program's stack for a few instructions: a host that makes one of
 * them fault would have the program's memory written below it.
 */
static bool stage_two_prepare(struct sgx_gprsgx *gpr, const struct sgx_exinfo *exinfo,
                              uint32_t vector)
{
    const uint64_t size = sizeof(struct cella_trap) + cella_xsave_size;
    const uint64_t below = gpr->rsp - RED_ZONE;
    uint64_t at = (below - size) & ~63ull;
    if (cella_program_is_in && cella_program_is_in(gpr->rip)) {
        at = cella_td_self()->kernel_stack; /* a program's own stack may be too small, or gone */
    } else if (in_entry_text(gpr->rip) || !cella_inside(at, below - at) ||
               (cella_program_is_in && cella_program_is_in(gpr->rsp))) {
        return false;
    }
    struct cella_trap *trap = (struct cella_trap *)at;
    regs_from_gpr(&trap->regs, gpr);
    trap->kind =
        vector == SGX_VECTOR_UD && is_syscall(gpr) ? CELLA_TRAP_SYSCALL : CELLA_TRAP_EXCEPTION;
    trap->vector = vector;
    trap->error = 0;
    trap->address = 0;
    if (exinfo && (vector == SGX_VECTOR_PF || vector == SGX_VECTOR_GP)) {
        trap->error = exinfo->errcd;
        trap->address = exinfo->maddr;
    }
    cella_zero((void *)(at + sizeof(*trap) + XSAVE_HEADER), 64);
    gpr->rip = (uint64_t)cella_kernel_stage_two;
    gpr->rsp = at;
    gpr->rflags &= ~RFLAGS_CLEAR;
    return true;
}

/*
 * An entry that no exception explains: a thread of a program is to look at its signals. In the program a trap is laid;
 * on the last steps of a system call or of a trap these begin again; elsewhere the kernel will look by itself.
 */
static uint64_t program_interrupt(struct cella_td *td, struct sgx_gprsgx *gpr)
{
    if (!cella_program_is_in || td->kernel_stack == 0) {
        return 0;
    }
    if (atomic_load(&td->attention) == 0) {
        if (!cella_program_is_signaled()) {
            return 0;
        }
        atomic_store(&td->attention, 1); /* from outside */
    }
    if (cella_program_is_in(gpr->rip)) {
        if (!stage_two_prepare(gpr, NULL, 0)) {
            return 0;
        }
        ((struct cella_trap *)td->kernel_stack)->kind = CELLA_TRAP_ATTENTION;
        return 1;
    }
    return cella_program_rewind(td, gpr);
}

static struct cella_pair stage_one_end(uint64_t exit_code, uint64_t value)
{
    return (struct cella_pair){.first = exit_code, .second = value};
}

struct cella_pair cella_kernel_exception(uint64_t code, uint64_t tsc)
{
    struct cella_td *td = cella_td_self();
    const uint32_t state = atomic_load(&cella_kernel_state);
    if ((code & 0xFF) != CELLA_ENTER_EXCEPTION) {
        return stage_one_end(CELLA_EXIT_DONE, CELLA_CODE_WRONG_STATE);
    }
    if (state == KERNEL_DEAD) {
        return stage_one_end(CELLA_EXIT_ABORTED, CELLA_CODE_ENCLAVE_ABORTED);
    }
    const uint64_t frame = td->tcs - cella_image_info.slot_tcs + cella_image_info.slot_ssa;
    const uint64_t end = frame + (uint64_t)cella_image_info.ssa_frame_pages * SGX_PAGE_SIZE;
    struct sgx_gprsgx *gpr = (struct sgx_gprsgx *)(end - sizeof(*gpr));
    const struct sgx_exinfo *exinfo =
        (cella_kernel.misc_select & SGX_MISC_EXINFO) != 0
            ? (const struct sgx_exinfo *)(end - sizeof(*gpr) - sizeof(struct sgx_exinfo))
            : NULL;
    const uint32_t info = gpr->exit_info;
    if ((info & SGX_EXITINFO_VALID) == 0) { /* an interrupt, or a host that lies */
        return stage_one_end(CELLA_EXIT_RESUME, program_interrupt(td, gpr));
    }
    gpr->exit_info = 0; /* one exception is delivered once */
    const uint32_t vector = info & SGX_EXITINFO_VECTOR_MASK;
    if (vector == SGX_VECTOR_UD && emulate(gpr, tsc)) {
        return stage_one_end(CELLA_EXIT_RESUME, 1);
    }
    const bool is_programs = vector == SGX_VECTOR_PF && exinfo && cella_program_is_in &&
                             cella_program_is_in(exinfo->maddr);
    if ((!is_programs && host_access_failed(gpr, vector)) || page_leaf_failed(gpr, vector)) {
        return stage_one_end(CELLA_EXIT_RESUME, 1);
    }
    if (cella_exception_depth(td, gpr->rsp) >= TD_EXCEPTIONS_MAX ||
        !stage_two_prepare(gpr, exinfo, vector)) {
        atomic_store(&cella_kernel_state, KERNEL_DEAD);
        return stage_one_end(CELLA_EXIT_ABORTED, CELLA_CODE_ENCLAVE_ABORTED);
    }
    return stage_one_end(CELLA_EXIT_RESUME, 1);
}

void *cella_exception_xsave(const struct cella_exception *exception)
{
    return (uint8_t *)exception->registers + sizeof(struct cella_trap);
}

uint32_t cella_exception_depth(struct cella_td *td, uint64_t rsp)
{
    while (td->in_exception > 0 && rsp > td->exception_at[td->in_exception - 1]) {
        td->in_exception--;
    }
    return td->in_exception;
}

/* Asks the handlers in order; the list may change while one runs. */
static bool handlers_ask(struct cella_exception *exception)
{
    for (uint32_t i = 0;; i++) {
        cella_exception_handler handler = NULL;
        cella_lock_take(&handler_lock);
        if (i < handler_count) {
            handler = handlers[i];
        }
        cella_lock_give(&handler_lock);
        if (!handler) {
            return false;
        }
        if (handler(exception) == CELLA_EXCEPTION_CONTINUE) {
            return true;
        }
    }
}

void cella_kernel_handle_trap(struct cella_trap *trap)
{
    struct cella_td *td = cella_td_self();
    struct cella_regs *regs = &trap->regs;
    if (cella_program_trap && td->kernel_stack != 0) {
        cella_program_trap(td, trap);
        return;
    }
    if (trap->kind == CELLA_TRAP_SYSCALL) {
        regs->rip += 2;
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
        td->trapped = true;
        regs->rax = (uint64_t)cella_kernel_syscall(regs);
        td->trapped = false;
        return;
    }
    struct cella_exception exception = {.vector = trap->vector,
                                        .error = trap->error,
                                        .address = trap->address,
                                        .registers = (struct cella_registers *)regs};
    const uint32_t level = cella_exception_depth(td, (uint64_t)trap);
    if (level >= TD_EXCEPTIONS_MAX) {
        cella_kernel_abort(CELLA_ABORT_EXCEPTION | (uint64_t)trap->vector << 8);
    }
    td->exception_at[level] = (uint64_t)trap;
    td->in_exception = level + 1;
    const bool handled = handlers_ask(&exception);
    td->in_exception = level;
    if (!handled) {
        cella_trace("unhandled exception: vector", trap->vector);
        cella_trace("unhandled exception: offset", regs->rip - cella_kernel.base);
        cella_kernel_abort(CELLA_ABORT_EXCEPTION | (uint64_t)trap->vector << 8);
    }
}
