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
#include <sys/uio.h>
#include <unistd.h>

#include "soft/processor.h"
#include "soft/xstate.h"

int soft_signal(int number, siginfo_t *info, ucontext_t *context, struct soft_thread *thread,
                uint64_t *bases) __attribute__((visibility("hidden")));

#define FLAG_CF 0x1
#define FLAG_ZF 0x40
#define FLAGS_ARITHMETIC 0x8D5
#define SYS_USER_DISPATCH_CODE 2
#define OPCODE_MAX 15u

/* What happened inside, in the processor's words. */
struct event {
    uint8_t vector;
    uint32_t error;
    uint64_t address; /* of #PF */
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

/* ------------------------------------------------------------------ instructions */

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x66:
    case 0x67:
    case 0xF2:
    case 0xF3:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x26:
    case 0x64:
    case 0x65:
        return true;
    default:
        return (byte & 0xF0) == 0x40; /* REX */
    }
}

/* Up to OPCODE_MAX bytes at `rip`, out of the EPC or of the host's memory. The number that could be read. */
static size_t fetch(uint64_t rip, uint8_t opcode[OPCODE_MAX])
{
    const struct soft_enclave *enclave = soft_enclave_at(rip);
    if (enclave) {
        uint64_t left = enclave->base + enclave->size - rip;
        size_t size = left < OPCODE_MAX ? (size_t)left : OPCODE_MAX;
        memcpy(opcode, soft_alias(enclave, rip), size);
        return size;
    }
    size_t first = SGX_PAGE_SIZE - (rip & (SGX_PAGE_SIZE - 1));
    first = first < OPCODE_MAX ? first : OPCODE_MAX;
    struct iovec to = {.iov_base = opcode, .iov_len = OPCODE_MAX};
    struct iovec from[2] = {
        {.iov_base = (void *)rip, .iov_len = first},
        {.iov_base = (void *)(rip + first), .iov_len = OPCODE_MAX - first},
    };
    long got = soft_syscall(SYS_process_vm_readv, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), &to,
                            1, from, first < OPCODE_MAX ? 2 : 1, 0);
    return got < 0 ? 0 : (size_t)got;
}

/* The instruction at `rip` without its prefixes, *ret_skipped of them. 0 when it cannot be read. */
static size_t read_opcode(uint64_t rip, uint8_t opcode[OPCODE_MAX], size_t *ret_skipped)
{
    memset(opcode, 0, OPCODE_MAX);
    size_t size = fetch(rip, opcode), skipped = 0;
    while (skipped < size && is_prefix(opcode[skipped])) {
        skipped++;
    }
    memmove(opcode, opcode + skipped, OPCODE_MAX - skipped);
    *ret_skipped = skipped;
    return size - skipped;
}

static bool is_enclu(const uint8_t *opcode, size_t size)
{
    return size >= 3 && opcode[0] == 0x0F && opcode[1] == 0x01 && opcode[2] == 0xD7;
}

/* What ENCLU raises: #UD without SGX; a CPU that has it hidden by its hypervisor gives #GP or #PF. */
static bool is_enclu_fault(uint8_t vector)
{
    return vector == SGX_VECTOR_UD || vector == SGX_VECTOR_GP || vector == SGX_VECTOR_PF;
}

static bool is_cpuid(const uint8_t *opcode, size_t size)
{
    return size >= 2 && opcode[0] == 0x0F && opcode[1] == 0xA2;
}

/* 0F 00 and 0F 01 with /2 or /3 load a descriptor register: #GP at CPL 3 everywhere. Of 0F 01, only from memory. */
static bool is_descriptor_load(const uint8_t *opcode, size_t size)
{
    const bool is_memory = size >= 3 && opcode[2] >> 6 != 3;
    const uint8_t extension = size >= 3 ? (opcode[2] >> 3) & 7 : 0;
    return (extension == 2 || extension == 3) && (is_memory || opcode[1] == 0x00);
}

/* Instructions that give #UD inside an enclave and #GP at CPL 3 outside (SDM 34.6, table 34-1). */
static bool is_illegal_inside(const uint8_t *opcode, size_t size)
{
    if (size < 1) {
        return false;
    }
    switch (opcode[0]) {
    case 0x6C: /* INS, OUTS */
    case 0x6D:
    case 0x6E:
    case 0x6F:
    case 0xE4: /* IN, OUT */
    case 0xE5:
    case 0xE6:
    case 0xE7:
    case 0xEC:
    case 0xED:
    case 0xEE:
    case 0xEF:
    case 0xCD: /* INT n */
    case 0xCA: /* far RET */
    case 0xCB:
    case 0xCF: /* IRET */
    case 0x8E: /* MOV to a segment register */
        return true;
    case 0x0F:
        break;
    default:
        return false;
    }
    if (size < 2) {
        return false;
    }
    switch (opcode[1]) {
    case 0xA2: /* CPUID */
    case 0x33: /* RDPMC */
    case 0x05: /* SYSCALL */
    case 0x34: /* SYSENTER */
    case 0x37: /* GETSEC */
        return true;
    case 0x00: /* SLDT, STR; LLDT and LTR are only privileged */
    case 0x01: /* SGDT, SIDT, SMSW, VMCALL, VMFUNC; ENCLU is taken before; LGDT and LIDT are only privileged */
        return !is_descriptor_load(opcode, size);
    default:
        return false;
    }
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
static bool page_fault_inside(const greg_t *registers, struct event *event)
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
    return soft_fault_resolve(enclave, address, access_of(event->error), &event->error);
}

static int fault_inside(struct soft_thread *thread, int number, siginfo_t *info,
                        ucontext_t *context, uint64_t *bases)
{
    greg_t *registers = context->uc_mcontext.gregs;
    struct event event = {.vector = (uint8_t)registers[REG_TRAPNO]};
    uint8_t opcode[OPCODE_MAX];
    size_t skipped, size;
    if (number == SIGSYS) { /* RIP is behind the SYSCALL; RCX and R11 are lost */
        registers[REG_RIP] -= 2;
        event.vector = SGX_VECTOR_UD;
        return exit_with(thread, &event, info, context, bases);
    }
    size = read_opcode((uint64_t)registers[REG_RIP], opcode, &skipped);
    if (is_enclu_fault(event.vector) && is_enclu(opcode, size)) {
        return enclu_inside(thread, skipped + 3, info, context, bases);
    }
    switch (event.vector) {
    case SGX_VECTOR_PF:
        if (page_fault_inside(registers, &event)) {
            return SOFT_RETURN_ENCLAVE;
        }
        break;
    case SGX_VECTOR_UD:
    case SGX_VECTOR_GP:
        if (is_illegal_inside(opcode, size)) {
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
    if (is_enclu_fault(vector)) {
        uint8_t opcode[OPCODE_MAX];
        size_t skipped, size = read_opcode((uint64_t)registers[REG_RIP], opcode, &skipped);
        if (is_enclu(opcode, size)) {
            return enclu_outside(info, context, bases);
        }
        bool cpuid = (is_cpuid(opcode, size) && soft_cpuid_faults()) ||
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
    SETTLED_OUTSIDE, /* none, or rolled: the context is the host's now */
    SETTLED_FAULT,   /* rolled, and the fault was the transition's own: it is dealt with */
};

static enum settled settle(struct soft_thread *thread, ucontext_t *context, bool fault)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)registers[REG_RIP];
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
    bool fault = is_fault(number, info);
    switch (thread ? settle(thread, context, fault) : SETTLED_OUTSIDE) {
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
