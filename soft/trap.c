/*
 * Every signal while the processor is active: rolls interrupted transitions, emulates ENCLU, turns what happened
 * inside an enclave into an AEX, and gives the rest to the application.
 * Side: soft. Called by enter.S only, with all signals blocked, the host's FS base and the kernel's frame.
 * Never returns to enclave code except through SOFT_RETURN_ENCLAVE.
 */
#include "soft/transition.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "soft/opcode.h"
#include "soft/processor.h"
#include "soft/xstate.h"

int soft_signal(int number, siginfo_t *info, ucontext_t *context, struct soft_thread *thread,
                uint64_t *bases) __attribute__((visibility("hidden")));

#define FLAG_CF 0x1
#define FLAG_ZF 0x40
#define FLAGS_ARITHMETIC 0x8D5
#define SYS_USER_DISPATCH_CODE 2

/* What happened inside, in the processor's words. */
struct event {
    uint8_t vector;
    uint32_t error;
    uint64_t address; /* of #PF; of pages of an enclave, the page's */
};

static bool within(uint64_t rip, const char *begin, const char *end)
{
    return rip >= (uint64_t)(uintptr_t)begin && rip < (uint64_t)(uintptr_t)end;
}

static bool at(uint64_t rip, const char *place)
{
    return rip == (uint64_t)(uintptr_t)place;
}

/* ------------------------------------------------------------------ interrupted transitions */

static void unlock_tcs(struct soft_thread *thread)
{
    __atomic_store_n(&thread->entry->tcs_alias->state, 0, __ATOMIC_RELEASE);
}

/* An EENTER that had not happened yet: back to the ENCLU. */
static void roll_back_enter(struct soft_thread *thread, greg_t *registers)
{
    uint64_t rip = (uint64_t)registers[REG_RIP];
    if (within(rip, soft_enter_locked, soft_enter_unlocked) ||
        (at(rip, soft_enter_decide) && !(registers[REG_EFL] & FLAG_CF))) {
        unlock_tcs(thread);
    }
    thread->selector = SOFT_SELECTOR_ALLOW;
    thread->inside = 0;
    registers[REG_RAX] = SGX_EENTER;
    registers[REG_RCX] = (greg_t)soft_aep;
    registers[REG_RIP] = (greg_t)soft_aep;
}

/* An ERESUME on its way: an AEX right behind it. The SSA frame has not changed. */
static void roll_back_resume(struct soft_thread *thread, ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)registers[REG_RIP];
    const struct soft_resume *resume = &thread->resume;
    if (within(rip, soft_resume_committed, soft_resume_retract)) {
        thread->entry->tcs_alias->cssa += 1;
    }
    if (within(rip, soft_resume_locked, soft_resume_unlocked) ||
        (at(rip, soft_resume_decide) && !(registers[REG_EFL] & FLAG_CF))) {
        unlock_tcs(thread);
    }
    thread->selector = SOFT_SELECTOR_ALLOW;
    thread->inside = 0;
    for (int i = REG_R8; i <= REG_RCX; i++) {
        registers[i] = 0;
    }
    registers[REG_RAX] = SGX_ERESUME;
    registers[REG_RBX] = (greg_t)thread->entry->tcs;
    registers[REG_RCX] = (greg_t)thread->entry->aep;
    registers[REG_RIP] = (greg_t)thread->entry->aep;
    registers[REG_RSP] = (greg_t)resume->host_rsp;
    registers[REG_RBP] = (greg_t)resume->host_rbp;
    soft_xstate_init(context, false);
}

/* An EEXIT on its way: done. RBX still holds where it goes. */
static void roll_forward_exit(struct soft_thread *thread, greg_t *registers)
{
    registers[REG_RIP] = registers[REG_RBX];
    registers[REG_RCX] = (greg_t)thread->entry->aep;
    registers[REG_RAX] = SGX_EEXIT;
    if (thread->inside) {
        soft_leave(thread);
    }
}

/* ------------------------------------------------------------------ leaves that run without a trap */

/* Back to the marked site: the operands are where they were, only what the site gives away has changed. */
static void roll_back_leaf(greg_t *registers)
{
    registers[REG_RIP] = registers[REG_RSI] - (greg_t)SOFT_LEAF_SITE_SIZE;
}

/* The leaf is done, or (`again`) goes back to its site: the registers that enclave code shall find. */
static void leave_leaf(struct soft_thread *thread, greg_t *registers, bool again)
{
    const struct soft_leaf_call *call = &thread->call;
    registers[REG_RAX] = (greg_t)call->rax;
    registers[REG_RBX] = (greg_t)call->rbx;
    registers[REG_RCX] = (greg_t)call->rcx;
    registers[REG_RDX] = (greg_t)call->rdx;
    registers[REG_RBP] = (greg_t)call->rbp;
    registers[REG_RSP] = (greg_t)call->rsp;
    registers[REG_RIP] = (greg_t)(call->rip - (again ? SOFT_LEAF_SITE_SIZE : 0));
    registers[REG_RSI] = (greg_t)call->rip;
    registers[REG_RDI] = (greg_t)thread->entry->tcs;
    registers[REG_R8] = registers[REG_R9] = registers[REG_R10] = registers[REG_R11] = 0;
    thread->leaf = 0;
}

static uint64_t *mask_of(ucontext_t *context)
{
    return (uint64_t *)&context->uc_sigmask; /* the kernel's has eight bytes */
}

/*
 * A signal while a leaf runs, which may hold locks: it waits until the leaf has ended, and so does every other, but for the
 * SIGILL by which soft_leaf_trap gives them back.
 */
static int defer(struct soft_thread *thread, siginfo_t *info, ucontext_t *context)
{
    const uint32_t count = thread->deferred;
    if (count == 0) {
        thread->deferred_mask = *mask_of(context);
        *mask_of(context) = ~(1ull << (SIGILL - 1));
    }
    const bool pends = count == 2 || (count == 1 && thread->deferred_info[0].si_signo == SIGILL);
    if (!pends) { /* else a standard signal that pends already */
        thread->deferred_info[count] = *info;
        thread->deferred = count + 1;
    }
    if (within((uint64_t)context->uc_mcontext.gregs[REG_RIP], soft_leaf_decide, soft_leaf_out)) {
        context->uc_mcontext.gregs[REG_RIP] = (greg_t)soft_leaf_decide;
    }
    return SOFT_RETURN_LEAF;
}

/* The first of the signals that waited becomes the one that is handled now. */
static void take_deferred(struct soft_thread *thread, siginfo_t *info, ucontext_t *context)
{
    *mask_of(context) = thread->deferred_mask;
    *info = thread->deferred_info[0];
    if (thread->deferred == 2) {
        soft_syscall(SYS_rt_tgsigqueueinfo, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
                     soft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0), SIGILL, &thread->deferred_info[1],
                     0, 0);
    }
    thread->deferred = 0;
}

/* ------------------------------------------------------------------ leaving with a fault */

static bool is_always_reported(uint8_t vector)
{
    switch (vector) {
    case SGX_VECTOR_DE:
    case SGX_VECTOR_DB:
    case SGX_VECTOR_BP:
    case SGX_VECTOR_BR:
    case SGX_VECTOR_UD:
    case SGX_VECTOR_MF:
    case SGX_VECTOR_AC:
    case SGX_VECTOR_XM:
        return true;
    default:
        return false;
    }
}

/* EXITINFO of a fault (SDM 35.9.1.1, table 35-9). */
static uint32_t exit_info_of(const struct soft_enclave *enclave, uint8_t vector)
{
    bool detailed = vector == SGX_VECTOR_PF || vector == SGX_VECTOR_GP;
    bool exinfo = enclave->shared->secs.misc_select & SGX_MISC_EXINFO;
    if (!is_always_reported(vector) && !(detailed && exinfo)) {
        return 0;
    }
    uint32_t type =
        vector == SGX_VECTOR_BP ? SGX_EXITINFO_TYPE_SOFTWARE : SGX_EXITINFO_TYPE_HARDWARE;
    return SGX_EXITINFO_VALID | type | vector;
}

/* The kernel's vDSO fixup: everything but #DB and #BP goes to the caller instead of becoming a signal. */
static void fix_up(greg_t *registers, uint32_t leaf, const struct event *event)
{
    registers[REG_RIP] = (greg_t)soft_vdso_fixup;
    registers[REG_RAX] = (greg_t)leaf;
    registers[REG_RDI] = event->vector;
    registers[REG_RSI] = (greg_t)(event->error & 0xFFFF);
    registers[REG_RDX] = (greg_t)event->address;
}

static int signal_of(uint8_t vector)
{
    switch (vector) {
    case SGX_VECTOR_DE:
    case SGX_VECTOR_MF:
    case SGX_VECTOR_XM:
        return SIGFPE;
    case SGX_VECTOR_DB:
    case SGX_VECTOR_BP:
        return SIGTRAP;
    case SGX_VECTOR_UD:
        return SIGILL;
    case SGX_VECTOR_AC:
        return SIGBUS;
    default:
        return SIGSEGV;
    }
}

/* What the kernel would have sent for `event` at the RIP that the context now has. */
static int deliver_event(const struct event *event, siginfo_t *info, ucontext_t *context,
                         uint64_t *ret_call)
{
    greg_t *registers = context->uc_mcontext.gregs;
    int number = signal_of(event->vector);
    registers[REG_TRAPNO] = event->vector;
    registers[REG_ERR] = (greg_t)event->error;
    if (number != info->si_signo || event->vector == SGX_VECTOR_PF) {
        bool page = event->vector == SGX_VECTOR_PF;
        info->si_signo = number;
        info->si_code = page ? SEGV_ACCERR : number == SIGILL ? ILL_ILLOPN : SI_KERNEL;
        info->si_addr = page                ? (void *)event->address
                        : number == SIGSEGV ? NULL
                                            : (void *)registers[REG_RIP];
    }
    if (event->vector == SGX_VECTOR_PF) {
        registers[REG_CR2] = (greg_t)event->address;
    }
    return soft_signal_deliver(number, info, context, ret_call);
}

static int exit_with(struct soft_thread *thread, const struct event *event, siginfo_t *info,
                     ucontext_t *context, uint64_t *bases)
{
    bool through_vdso = thread->entry->aep == (uint64_t)(uintptr_t)soft_aep;
    uint64_t maddr = event->vector == SGX_VECTOR_PF ? event->address : 0;
    soft_aex(thread, context, bases[0], bases[1],
             exit_info_of(thread->entry->enclave, event->vector), maddr, event->error);
    if (through_vdso && event->vector != SGX_VECTOR_DB && event->vector != SGX_VECTOR_BP) {
        fix_up(context->uc_mcontext.gregs, SGX_ERESUME, event);
        return SOFT_RETURN_HOST;
    }
    return deliver_event(event, info, context, bases);
}

/* ------------------------------------------------------------------ ENCLU inside */

static void store_result(greg_t *registers, uint32_t leaf, const struct soft_outcome *outcome)
{
    if (outcome->kind == SOFT_DONE && (leaf == SGX_EREPORT || leaf == SGX_EMODPE)) {
        return; /* no result, flags untouched */
    }
    registers[REG_EFL] &= ~(greg_t)FLAGS_ARITHMETIC;
    if (outcome->kind == SOFT_CODE) {
        registers[REG_EFL] |= FLAG_ZF;
    }
    registers[REG_RAX] = outcome->kind == SOFT_CODE ? (greg_t)outcome->code : 0;
}

static int enclu_inside(struct soft_thread *thread, size_t length, siginfo_t *info,
                        ucontext_t *context, uint64_t *bases)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint32_t leaf = (uint32_t)registers[REG_RAX];
    struct soft_outcome outcome = {.kind = SOFT_FAULT, .vector = SGX_VECTOR_GP};
    switch (leaf) {
    case SGX_EEXIT:
        if (soft_canonical((uint64_t)registers[REG_RBX])) {
            roll_forward_exit(thread, registers);
            return SOFT_RETURN_HOST;
        }
        break;
    case SGX_EENTER:
    case SGX_ERESUME:
        break;
    case SGX_EDECCSSA:
        outcome = soft_edeccssa(thread);
        if (outcome.kind == SOFT_DONE) {
            registers[REG_RIP] += (greg_t)length;
            return SOFT_RETURN_ENCLAVE;
        }
        break;
    default:
        outcome = soft_enclu(thread->entry->enclave, leaf, (uint64_t)registers[REG_RBX],
                             (uint64_t)registers[REG_RCX], (uint64_t)registers[REG_RDX]);
        break;
    }
    if (outcome.kind == SOFT_FAULT) {
        struct event event = {outcome.vector, outcome.error, outcome.address};
        return exit_with(thread, &event, info, context, bases);
    }
    store_result(registers, leaf, &outcome);
    registers[REG_RIP] += (greg_t)length;
    return SOFT_RETURN_ENCLAVE;
}

/* ------------------------------------------------------------------ faults inside */

static uint32_t access_of(uint32_t error)
{
    return error & SGX_PF_WRITE ? SGX_PF_WRITE : error & SGX_PF_FETCH ? SGX_PF_FETCH : 0;
}

/* true: mended, retry. Else the event is a #PF. */
static bool page_fault_inside(const struct soft_thread *thread, const greg_t *registers,
                              struct event *event)
{
    uint64_t address = (uint64_t)registers[REG_CR2];
    struct soft_enclave *enclave = soft_enclave_at(address);
    event->vector = SGX_VECTOR_PF;
    event->error = (uint32_t)registers[REG_ERR];
    event->address = address;
    if (!enclave) {
        return false;
    }
    event->address = address & ~(uint64_t)(SGX_PAGE_SIZE - 1);
    return soft_fault_resolve_as(thread->tid, enclave, address, access_of(event->error),
                                 &event->error);
}

static int fault_inside(struct soft_thread *thread, int number, siginfo_t *info,
                        ucontext_t *context, uint64_t *bases)
{
    greg_t *registers = context->uc_mcontext.gregs;
    struct event event = {.vector = (uint8_t)registers[REG_TRAPNO]};
    uint8_t opcode[SOFT_OPCODE_MAX];
    size_t skipped, size;
    if (number == SIGSYS) { /* RIP is behind the SYSCALL; RCX and R11 are lost */
        registers[REG_RIP] -= 2;
        event.vector = SGX_VECTOR_UD;
        return exit_with(thread, &event, info, context, bases);
    }
    size = soft_opcode_read((uint64_t)registers[REG_RIP], opcode, &skipped);
    if (soft_is_enclu_fault(event.vector) && soft_opcode_is_enclu(opcode, size)) {
        return enclu_inside(thread, skipped + 3, info, context, bases);
    }
    switch (event.vector) {
    case SGX_VECTOR_PF:
        if (page_fault_inside(thread, registers, &event)) {
            return SOFT_RETURN_ENCLAVE;
        }
        break;
    case SGX_VECTOR_UD:
    case SGX_VECTOR_GP:
        if (soft_opcode_is_illegal_inside(opcode, size)) {
            event.vector = SGX_VECTOR_UD;
        }
        break;
    case SGX_VECTOR_BP:
        registers[REG_RIP] -= 1;
        if (!(thread->entry->tcs_alias->flags & SGX_TCS_DBGOPTIN)) {
            event.vector = SGX_VECTOR_UD;
        }
        break;
    default:
        event.error = event.vector == SGX_VECTOR_AC ? (uint32_t)registers[REG_ERR] : 0;
        break;
    }
    return exit_with(thread, &event, info, context, bases);
}

static bool is_fault(int number, const siginfo_t *info)
{
    if (info->si_code <= 0) {
        return false;
    }
    switch (number) {
    case SIGSEGV:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGBUS:
        return true;
    case SIGSYS:
        return info->si_code == SYS_USER_DISPATCH_CODE;
    default:
        return false;
    }
}

/* ------------------------------------------------------------------ ENCLU of a host without the vDSO */

/* A host's own ENCLU (it traps, as there is no SGX): what enter.S does, on the frame. */
static int enter_by_frame(struct soft_thread *thread, struct soft_entry *entry, greg_t *registers,
                          uint64_t *bases)
{
    entry->generation -= 1; /* never by the fast path: the AEP is the host's own */
    entry->ssa_gpr->ursp = (uint64_t)registers[REG_RSP];
    entry->ssa_gpr->urbp = (uint64_t)registers[REG_RBP];
    registers[REG_RAX] = (greg_t)entry->cssa;
    registers[REG_RCX] = registers[REG_RIP] + 3;
    registers[REG_RIP] = (greg_t)entry->rip;
    registers[REG_EFL] &= ~(greg_t)0x100;
    bases[0] = entry->fs_base;
    bases[1] = entry->gs_base;
    thread->inside = 1;
    return SOFT_RETURN_ENCLAVE;
}

static int resume_by_frame(struct soft_thread *thread, ucontext_t *context, uint64_t *bases)
{
    const struct soft_resume *resume = &thread->resume;
    greg_t *registers = context->uc_mcontext.gregs;
    static const int order[15] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10,
                                  REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (size_t i = 0; i < 15; i++) {
        registers[order[i]] = (greg_t)resume->gprs[i];
    }
    registers[REG_RIP] = (greg_t)resume->rip;
    registers[REG_RSP] = (greg_t)resume->rsp;
    registers[REG_EFL] = (greg_t)resume->rflags;
    soft_xstate_load(context, resume->xsave, resume->xfrm);
    thread->entry->tcs_alias->cssa -= 1;
    bases[0] = resume->fs_base;
    bases[1] = resume->gs_base;
    thread->inside = 1;
    return SOFT_RETURN_ENCLAVE;
}

static bool lock_tcs(struct soft_thread *thread, struct soft_entry *entry)
{
    uint64_t free_state = 0;
    if (!__atomic_compare_exchange_n(&entry->tcs_alias->state, &free_state, 1, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return false;
    }
    uint64_t owner = (uint64_t)(uintptr_t)entry;
    memcpy((uint8_t *)entry->tcs_alias + SOFT_TCS_OWNER, &owner, sizeof(owner));
    __asm__("rdfsbase %0" : "=r"(entry->host_fs));
    __asm__("rdgsbase %0" : "=r"(entry->host_gs));
    thread->entry = entry;
    return true;
}

static int enclu_outside(siginfo_t *info, ucontext_t *context, uint64_t *bases)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint32_t leaf = (uint32_t)registers[REG_RAX];
    uint64_t tcs = (uint64_t)registers[REG_RBX], aep = (uint64_t)registers[REG_RCX];
    struct soft_outcome outcome = {.kind = SOFT_FAULT, .vector = SGX_VECTOR_GP};
    struct soft_entry *entry = NULL;
    bool again;
    struct soft_thread *thread = soft_thread_arm_handling(context, &again);
    if (again) {
        return SOFT_RETURN_HOST;
    }
    bool notify = leaf == SGX_EENTER;
    if (thread && leaf == SGX_ERESUME) {
        outcome = soft_eresume(tcs, aep, thread, &notify);
        entry = thread->resume.entry;
    }
    if (thread && notify) {
        outcome = soft_eenter_check(tcs, aep, thread, &entry);
    }
    if (outcome.kind == SOFT_DONE && lock_tcs(thread, entry)) {
        return notify ? enter_by_frame(thread, entry, registers, bases)
                      : resume_by_frame(thread, context, bases);
    }
    if (outcome.kind == SOFT_DONE) { /* taken meanwhile */
        outcome = (struct soft_outcome){.kind = SOFT_FAULT, .vector = SGX_VECTOR_GP};
    }
    struct event event = {outcome.vector, outcome.error, outcome.address};
    return deliver_event(&event, info, context, bases);
}

/* ------------------------------------------------------------------ the host's own signals */

static int fault_outside(int number, siginfo_t *info, ucontext_t *context, uint64_t *bases)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint8_t vector = (uint8_t)registers[REG_TRAPNO];
    if (soft_is_enclu_fault(vector)) {
        uint8_t opcode[SOFT_OPCODE_MAX];
        size_t skipped, size = soft_opcode_read((uint64_t)registers[REG_RIP], opcode, &skipped);
        if (soft_opcode_is_enclu(opcode, size)) {
            return enclu_outside(info, context, bases);
        }
        bool cpuid = (soft_opcode_is_cpuid(opcode, size) && soft_cpuid_faults()) ||
                     soft_cpuid_is_site((uint64_t)registers[REG_RIP]);
        if (cpuid && soft_cpuid_emulate(context)) {
            return SOFT_RETURN_HOST;
        }
    }
    if (vector == SGX_VECTOR_PF) {
        uint64_t address = (uint64_t)registers[REG_CR2];
        struct soft_enclave *enclave = soft_enclave_at(address);
        uint32_t error = (uint32_t)registers[REG_ERR];
        if (enclave && soft_fault_resolve(enclave, address, access_of(error), &error)) {
            return SOFT_RETURN_HOST;
        }
    }
    return soft_signal_deliver(number, info, context, bases);
}

/* How far the transition was that a signal interrupted. */
enum settled {
    SETTLED_INSIDE,  /* none: the thread is in enclave code */
    SETTLED_ENCLU,   /* the same, before the marked site of a leaf that must be done by trap */
    SETTLED_WAITS,   /* a leaf runs: the signal has been put by */
    SETTLED_OUTSIDE, /* none, or rolled: the context is the host's now */
    SETTLED_FAULT,   /* rolled, and the fault was the transition's own: it is dealt with */
};

/* A signal or fault while the thread is in a leaf that was entered by its marked site. */
static enum settled settle_leaf(struct soft_thread *thread, siginfo_t *info, ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    const bool fault = is_fault(info->si_signo, info);
    if (!fault) {
        defer(thread, info, context);
        return SETTLED_WAITS;
    }
    if (!at((uint64_t)registers[REG_RIP],
            soft_leaf_trap)) { /* no memory for the EPC, or our own mistake */
        return SETTLED_OUTSIDE;
    }
    leave_leaf(thread, registers, thread->traps);
    if (thread->deferred == 0) {
        return SETTLED_ENCLU;
    }
    take_deferred(thread, info, context);
    return SETTLED_INSIDE;
}

static enum settled settle(struct soft_thread *thread, siginfo_t *info, ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)registers[REG_RIP];
    const bool fault = is_fault(info->si_signo, info);
    if (!thread->inside) {
        if (within(rip, soft_enter_claim, soft_enter_window)) {
            roll_back_enter(thread, registers);
        } else if (within(rip, soft_resume_claim, soft_resume_window)) {
            registers[REG_RIP] = (greg_t)soft_resume_claim; /* nothing but R12 is needed there */
        }
        if (within(rip, soft_exit_tail, soft_exit_window_end)) {
            roll_forward_exit(thread, registers);
        }
        return SETTLED_OUTSIDE;
    }
    if (thread->leaf) {
        return settle_leaf(thread, info, context);
    }
    if (within(rip, soft_leaf_window, soft_leaf_window_end)) {
        roll_back_leaf(registers); /* a fault here: the enclave lied about its TCS */
        return fault ? SETTLED_ENCLU : SETTLED_INSIDE;
    }
    if (within(rip, soft_leaf_out, soft_leaf_out_end)) {
        leave_leaf(thread, registers, false);
        return SETTLED_INSIDE;
    }
    if (within(rip, soft_enter_window, soft_enter_window_end)) {
        roll_back_enter(thread, registers);
        return SETTLED_OUTSIDE;
    }
    if (within(rip, soft_exit_window, soft_exit_window_end)) {
        roll_forward_exit(thread, registers); /* a fault here: the enclave lied about its TCS */
        return fault ? SETTLED_FAULT : SETTLED_OUTSIDE;
    }
    if (within(rip, soft_resume_window, soft_resume_window_end)) {
        roll_back_resume(thread, context);
        if (fault && at(rip, soft_resume_xrstor)) {
            const struct event event = {.vector = SGX_VECTOR_GP};
            fix_up(registers, SGX_ERESUME, &event);
            return SETTLED_FAULT;
        }
        return SETTLED_OUTSIDE;
    }
    return SETTLED_INSIDE;
}

/* bases[] comes in as FS and GS at the interruption and goes out as what enter.S needs for the SOFT_RETURN_*. */
int soft_signal(int number, siginfo_t *info, ucontext_t *context, struct soft_thread *thread,
                uint64_t *bases)
{
    const enum settled settled = thread ? settle(thread, info, context) : SETTLED_OUTSIDE;
    number = info->si_signo; /* the one that had waited, perhaps */
    const bool fault = is_fault(number, info);
    switch (settled) {
    case SETTLED_WAITS:
        return SOFT_RETURN_LEAF;
    case SETTLED_ENCLU:
        return enclu_inside(thread, SOFT_LEAF_SITE_SIZE, info, context, bases);
    case SETTLED_INSIDE:
        if (fault) {
            return fault_inside(thread, number, info, context, bases);
        }
        soft_aex(thread, context, bases[0], bases[1], 0, 0, 0);
        break;
    case SETTLED_FAULT:
        return SOFT_RETURN_HOST;
    case SETTLED_OUTSIDE:
        break;
    }
    if (fault) {
        return fault_outside(number, info, context, bases);
    }
    return soft_signal_deliver(number, info, context, bases);
}
