/*
 * Signal frames: what a handler finds on the program's stack, and the way back from it.
 * Side: enclave. Called by signal.c. Source: the x86-64 kernel's struct rt_sigframe (asm/sigcontext.h, asm/ucontext.h).
 * Never takes more of a frame back than a program may set: flags, vector state and addresses are put in order.
 *
 * A program may look at where it was interrupted. A jump in the place of a `syscall` is an address it does not know: the
 * frame says the instruction's own, and what comes back is turned again (struct cella_program_jump).
 */
#include "linux/linux.h"
#include "linux/memory.h"

#define SIG_SEGV 11
#define SA_ONSTACK 0x08000000u
#define SS_DISABLE 2
#define SS_AUTODISARM ((int32_t)(1u << 31))
#define RED_ZONE 128u
#define UC_FLAGS 7u /* FP_XSTATE, SIGCONTEXT_SS, STRICT_RESTORE_SS */
#define SEGMENT_CODE 0x33u
#define SEGMENT_STACK 0x2Bu
#define FLAGS_SETTABLE 0x40CD5ull /* CF PF AF ZF SF DF OF AC */
#define FLAGS_CLEARED 0x40400ull  /* DF and AC, when a handler starts */
#define FLAGS_FIXED 0x202ull
#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u
#define FP_SOFTWARE_AT 464u
#define FP_HEADER_AT 512u
#define FP_MXCSR_AT 24u
#define FP_LEGACY_SIZE 576u
#define MXCSR_DEFAULT 0x1F80u
#define MXCSR_SETTABLE 0xFFFFu

struct frame_registers {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t flags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fp_state;
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct frame_registers) == 256, "struct sigcontext");

struct frame_context {
    uint64_t flags, link;
    struct linux_altstack stack;
    struct frame_registers registers;
    uint64_t mask;
};
_Static_assert(sizeof(struct frame_context) == 304, "struct ucontext");

struct frame {
    uint64_t return_to;
    struct frame_context context;
    uint8_t info[128];
};
_Static_assert(sizeof(struct frame) == 440, "struct rt_sigframe");

/* The software bytes of an XSAVE image in a frame. */
struct fp_software {
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t size;
    uint32_t padding[7];
};

static const struct cella_program_jump *jumps_of(uint32_t *ret_count)
{
    *ret_count = cella_linux_program->jumps.count;
    return (const struct cella_program_jump *)((const uint8_t *)cella_linux_program +
                                               cella_linux_program->jumps.offset);
}

/* The program's own address of a place in a trampoline. */
static uint64_t address_outward(uint64_t rip)
{
    uint32_t low = 0, high;
    const struct cella_program_jump *jumps = jumps_of(&high);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (rip == jumps[middle].entry) {
            return jumps[middle].address;
        }
        if (rip == jumps[middle].entry + CELLA_PROGRAM_ENTER_SIZE) {
            return jumps[middle].address + CELLA_PROGRAM_SYSCALL_SIZE;
        }
        if (rip > jumps[middle].entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return linux_code_outward(rip);
}

static uint64_t address_inward(uint64_t rip)
{
    uint32_t low = 0, high;
    const struct cella_program_jump *jumps = jumps_of(&high);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (rip == jumps[middle].address) {
            return jumps[middle].entry;
        }
        if (rip == jumps[middle].address + CELLA_PROGRAM_SYSCALL_SIZE) {
            return jumps[middle].entry + CELLA_PROGRAM_ENTER_SIZE;
        }
        if (rip > jumps[middle].address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return linux_code_inward(rip);
}

void linux_signal_info_fill(uint8_t info[128], uint32_t number,
                            const struct linux_signal_info *from)
{
    const bool is_fault = from->code > 0 && from->process == 0 && from->user == 0;
    cella_zero(info, 128);
    *(uint32_t *)info = number;
    *(int32_t *)(info + 8) = from->code;
    if (is_fault) {
        *(uint64_t *)(info + 16) = from->value;
        return;
    }
    *(uint32_t *)(info + 16) = from->code == LINUX_SI_TIMER ? from->timer : from->process;
    *(uint32_t *)(info + 20) = from->code == LINUX_SI_TIMER ? from->overrun : from->user;
    *(uint64_t *)(info + 24) = from->value;
}

static void registers_fill(struct frame_registers *to, const struct cella_regs *regs)
{
    *to = (struct frame_registers){.r8 = regs->r8,
                                   .r9 = regs->r9,
                                   .r10 = regs->r10,
                                   .r11 = regs->r11,
                                   .r12 = regs->r12,
                                   .r13 = regs->r13,
                                   .r14 = regs->r14,
                                   .r15 = regs->r15,
                                   .rdi = regs->rdi,
                                   .rsi = regs->rsi,
                                   .rbp = regs->rbp,
                                   .rbx = regs->rbx,
                                   .rdx = regs->rdx,
                                   .rax = regs->rax,
                                   .rcx = regs->rcx,
                                   .rsp = regs->rsp,
                                   .rip = address_outward(regs->rip),
                                   .flags = regs->rflags,
                                   .cs = SEGMENT_CODE,
                                   .ss = SEGMENT_STACK};
}

/* Where the frame's top goes: the alternate stack where it is wanted and not in use. */
static uint64_t stack_choose(struct linux_thread *thread, const struct cella_regs *regs,
                             const struct linux_action *action)
{
    const struct linux_altstack *alt = &thread->altstack;
    const bool is_on = alt->size != 0 && regs->rsp - alt->base - 1 < alt->size;
    if ((action->flags & SA_ONSTACK) != 0 && alt->size != 0 && !is_on) {
        return alt->base + alt->size;
    }
    return regs->rsp - RED_ZONE;
}

static void xsave_write(uint64_t at, const void *xsave, uint64_t size)
{
    if (xsave) {
        __builtin_memcpy((void *)at, xsave, size);
    } else {
        cella_zero((void *)at, size);
        cella_linux_xsave((void *)at);
    }
    *(struct fp_software *)(at + FP_SOFTWARE_AT) =
        (struct fp_software){.magic1 = FP_MAGIC1,
                             .extended_size = (uint32_t)size + 4,
                             .features = cella_exit_xfrm,
                             .size = (uint32_t)size};
    *(uint32_t *)(at + size) = FP_MAGIC2;
}

bool linux_frame_push(struct cella_regs *regs, const void *xsave, uint32_t number,
                      const struct linux_signal_info *info, const struct linux_action *action,
                      uint64_t mask)
{
    struct linux_thread *thread = linux_thread_self();
    const uint64_t size = cella_xsave_size;
    const uint64_t top = stack_choose(thread, regs, action);
    const uint64_t fp_at = (top - size - 4) & ~63ull;
    const uint64_t at = ((fp_at - sizeof(struct frame)) & ~15ull) - 8;
    if (at >= CELLA_PROGRAM_KERNEL || !cella_user_range(at, top - at)) {
        return false;
    }
    xsave_write(fp_at, xsave, size);
    struct frame *frame = (struct frame *)at;
    frame->return_to = action->restorer;
    frame->context.flags = UC_FLAGS;
    frame->context.link = 0;
    frame->context.stack = thread->altstack;
    registers_fill(&frame->context.registers, regs);
    frame->context.registers.fp_state = fp_at;
    frame->context.registers.old_mask = mask;
    frame->context.registers.cr2 = number == SIG_SEGV ? info->value : 0;
    frame->context.mask = mask;
    linux_signal_info_fill(frame->info, number, info);
    if ((thread->altstack.flags & SS_AUTODISARM) != 0) {
        thread->altstack = (struct linux_altstack){.flags = SS_DISABLE};
    }
    regs->rsp = at;
    regs->rip = action->handler;
    regs->rdi = number;
    regs->rsi = (uint64_t)frame->info;
    regs->rdx = (uint64_t)&frame->context;
    regs->rax = 0;
    regs->rflags &= ~FLAGS_CLEARED;
    return true;
}

/* The vector state of a frame into the trap's, with only what XRSTOR takes and this enclave has. */
static bool xsave_read(uint64_t at, uint8_t *to)
{
    const uint64_t size = cella_xsave_size;
    cella_zero(to, size);
    *(uint32_t *)(to + FP_MXCSR_AT) = MXCSR_DEFAULT;
    if (at == 0) {
        return true;
    }
    if (!cella_user_range(at, FP_LEGACY_SIZE)) {
        return false;
    }
    const struct fp_software *software = (const struct fp_software *)(at + FP_SOFTWARE_AT);
    const bool is_extended = software->magic1 == FP_MAGIC1 && software->size == size &&
                             cella_user_range(at, size + 4) &&
                             *(const uint32_t *)(at + size) == FP_MAGIC2;
    __builtin_memcpy(to, (const void *)at, is_extended ? size : FP_HEADER_AT);
    uint64_t *header = (uint64_t *)(to + FP_HEADER_AT);
    header[0] = is_extended ? header[0] & cella_exit_xfrm : 3;
    for (uint32_t i = 1; i < 8; i++) {
        header[i] = 0;
    }
    *(uint32_t *)(to + FP_MXCSR_AT) &= MXCSR_SETTABLE;
    return true;
}

void linux_frame_return(struct cella_regs *regs)
{
    struct cella_td *td = cella_td_self();
    struct linux_thread *thread = td->program_thread;
    struct cella_trap *trap = (struct cella_trap *)td->kernel_stack;
    const uint64_t at = regs->rsp;
    if (!cella_user_range(at, sizeof(struct frame_context))) {
        linux_process_leave(CELLA_ABORT_SIGNAL | (uint64_t)SIG_SEGV << 8);
    }
    const struct frame_context context = *(const struct frame_context *)at;
    const struct frame_registers *from = &context.registers;
    if (!xsave_read(from->fp_state, (uint8_t *)trap + CELLA_TRAP_XSAVE_AT)) {
        linux_process_leave(CELLA_ABORT_SIGNAL | (uint64_t)SIG_SEGV << 8);
    }
    trap->regs = (struct cella_regs){.r15 = from->r15,
                                     .r14 = from->r14,
                                     .r13 = from->r13,
                                     .r12 = from->r12,
                                     .rbp = from->rbp,
                                     .rbx = from->rbx,
                                     .r11 = from->r11,
                                     .r10 = from->r10,
                                     .r9 = from->r9,
                                     .r8 = from->r8,
                                     .rcx = from->rcx,
                                     .rdx = from->rdx,
                                     .rsi = from->rsi,
                                     .rdi = from->rdi,
                                     .rax = from->rax,
                                     .rflags = (from->flags & FLAGS_SETTABLE) | FLAGS_FIXED,
                                     .rip = address_inward(from->rip),
                                     .rsp = from->rsp};
    trap->kind = CELLA_TRAP_ATTENTION;
    if ((context.stack.flags & ~(SS_DISABLE | SS_AUTODISARM)) == 0) {
        thread->altstack = context.stack;
    }
    thread->is_interrupted = false;
    td->trapped = false;
    linux_signal_mask_set(thread, context.mask);
    cella_linux_return(trap);
}
