/*
 * The application's signals while the processor owns the kernel's handlers: dispositions, masks, alternate
 * stacks, and delivery on the stack and with the mask the application asked for.
 * Side: soft. Called by trap.c; its interposers by the application instead of libc's functions.
 * Never lets an application handler see the enclave's registers, stack or FS base.
 */
#include "soft/transition.h"
#include "soft/xstate.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_SA_RESTORER 0x04000000ul
#define SIGNAL_COUNT 64
#define MASK_ALL (~0ull)
#define BIT(number) (1ull << ((number)-1))
/* Raised by the processor itself; a thread that blocks one of these dies at the next trap. */
#define SYNCHRONOUS                                                                                \
    (BIT(SIGSEGV) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGBUS) | BIT(SIGSYS))
#define RED_ZONE 128u

/* struct sigaction as the kernel has it. */
struct kernel_action {
    void *handler;
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* The kernel's frame on x86-64: what is at RSP when a handler starts. */
struct signal_frame {
    void (*restorer)(void);
    struct kernel_context {
        uint64_t flags;
        void *link;
        stack_t stack;
        mcontext_t registers;
        uint64_t mask;
    } context;
    siginfo_t info;
};

/* Synchronous signals that this thread believes blocked, and those of them that were sent meanwhile. */
#define SOFT_TLS static __thread __attribute__((tls_model("initial-exec")))
SOFT_TLS uint64_t t_blocked, t_held;
SOFT_TLS siginfo_t t_held_info[SIGSYS + 1];

static struct kernel_action g_actions[SIGNAL_COUNT + 1];
static _Atomic uint32_t g_actions_lock;
static _Atomic bool g_active;

void *soft_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static long kernel_sigaction(int number, const struct kernel_action *action,
                             struct kernel_action *ret_old)
{
    return soft_syscall(SYS_rt_sigaction, number, action, ret_old, sizeof(uint64_t), 0, 0);
}

/* Held with all signals blocked, for a few loads and stores. */
static uint64_t actions_lock(void)
{
    uint64_t mask = soft_signals_block();
    while (atomic_exchange(&g_actions_lock, 1)) {
        __builtin_ia32_pause();
    }
    return mask;
}

static void actions_unlock(uint64_t mask)
{
    atomic_store(&g_actions_lock, 0);
    soft_signals_restore(mask);
}

static bool is_synchronous(int number)
{
    return (SYNCHRONOUS & BIT(number)) != 0;
}

static bool is_handler(const struct kernel_action *action)
{
    return action->handler != (void *)SIG_DFL && action->handler != (void *)SIG_IGN;
}

/* What the kernel is told: our entry for every signal that has a handler, and for ours always. */
static void install(int number)
{
    const struct kernel_action *wanted = &g_actions[number];
    struct kernel_action ours = *wanted;
    if (is_synchronous(number) || is_handler(wanted)) {
        const uint64_t kept = SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT;
        ours.handler = (void *)soft_signal_entry;
        ours.flags = (wanted->flags & kept) | SA_SIGINFO | SA_ONSTACK | KERNEL_SA_RESTORER;
        ours.restorer = soft_restorer;
        ours.mask = MASK_ALL;
    }
    kernel_sigaction(number, &ours, NULL);
}

/* Takes over what is installed now, handlers that were set by raw system calls (a Go runtime's) included. */
void soft_signals_activate(void)
{
    uint64_t mask = actions_lock();
    for (int i = 1; i <= SIGNAL_COUNT; i++) {
        struct kernel_action now;
        if (i == SIGKILL || i == SIGSTOP || kernel_sigaction(i, NULL, &now) < 0 ||
            now.handler == (void *)soft_signal_entry) {
            continue;
        }
        g_actions[i] = now;
        if (is_synchronous(i) || is_handler(&now)) {
            install(i);
        }
    }
    atomic_store(&g_active, true);
    t_blocked |= mask & SYNCHRONOUS;
    actions_unlock(mask & ~SYNCHRONOUS);
}

/* A thread may have blocked everything before the processor was there: inside an enclave it would die at the next trap. */
void soft_signals_open(void)
{
    static __thread bool t_open __attribute__((tls_model("initial-exec")));
    uint64_t open = SYNCHRONOUS, old = 0;
    if (t_open || !soft_thread_self()) {
        return;
    }
    t_open = true;
    soft_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &open, &old, sizeof(open), 0, 0);
    t_blocked |= old & SYNCHRONOUS;
}

/* Ends the process as the default action does, with the interrupted state in the core file. */
static void die_by_default(int number, siginfo_t *info)
{
    const struct kernel_action reset = {.handler = (void *)SIG_DFL};
    kernel_sigaction(number, &reset, NULL);
    if (info->si_code <= 0) { /* sent, so it does not come back by itself */
        soft_syscall(SYS_rt_tgsigqueueinfo, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
                     soft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0), number, info, 0, 0);
    }
}

/* Sends what was held and may come now to this thread again. */
static void release_held(void)
{
    for (uint64_t bits = t_held & ~t_blocked; bits; bits &= bits - 1) {
        const int number = __builtin_ctzll(bits) + 1;
        t_held &= ~BIT(number);
        soft_syscall(SYS_rt_tgsigqueueinfo, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
                     soft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0), number, &t_held_info[number], 0,
                     0);
    }
}

uint64_t soft_signals_held(void)
{
    return t_held;
}

bool soft_signals_take_held(uint64_t bits, siginfo_t *ret_info)
{
    uint64_t mask = soft_signals_block();
    const uint64_t found = t_held & bits;
    if (found) {
        const int number = __builtin_ctzll(found) + 1;
        *ret_info = t_held_info[number];
        t_held &= ~BIT(number);
    }
    soft_signals_restore(mask);
    return found != 0;
}

static bool on_stack(const stack_t *stack, uint64_t sp)
{
    uint64_t base = (uint64_t)(uintptr_t)stack->ss_sp;
    return !(stack->ss_flags & SS_DISABLE) && sp > base && sp - base <= stack->ss_size;
}

/* Where the kernel would have put the frame. */
static uint64_t handler_stack(const struct kernel_action *action, uint64_t sp)
{
    const struct soft_thread *thread = soft_thread_self();
    if (!thread || !(action->flags & SA_ONSTACK) || (thread->app_stack.ss_flags & SS_DISABLE) ||
        thread->app_stack.ss_size == 0 || on_stack(&thread->app_stack, sp)) {
        return sp - RED_ZONE;
    }
    return (uint64_t)(uintptr_t)thread->app_stack.ss_sp + thread->app_stack.ss_size;
}

static void (*restorer_of(const struct kernel_action *action))(void)
{
    return (action->flags & KERNEL_SA_RESTORER) && action->restorer ? action->restorer
                                                                    : soft_restorer;
}

/* Copies the kernel's frame to the application's stack: returning from the handler returns from the copy. */
static struct signal_frame *copy_frame(const struct kernel_action *action, siginfo_t *info,
                                       ucontext_t *context)
{
    struct kernel_context *kernel = (struct kernel_context *)context;
    size_t extended = soft_xstate_frame_size(context);
    uint64_t sp = handler_stack(action, (uint64_t)context->uc_mcontext.gregs[REG_RSP]);
    uint64_t state = (sp - extended) & ~63ull;
    uint64_t at = ((state - sizeof(struct signal_frame)) & ~15ull) - 8;
    struct signal_frame *frame = (struct signal_frame *)at;
    memcpy((void *)state, context->uc_mcontext.fpregs, extended);
    frame->restorer = restorer_of(action);
    frame->context = *kernel;
    frame->info = *info;
    if (extended) {
        frame->context.registers.fpregs = (void *)state;
    }
    return frame;
}

/* The mask while the handler runs: on top of the interrupted one, or of that which an interrupted call waited with. */
static uint64_t handler_mask(const struct kernel_action *action, int number,
                             const ucontext_t *context)
{
    uint64_t mask = ((const struct kernel_context *)context)->mask;
    if (soft_waiting.valid && context->uc_mcontext.gregs[REG_RAX] == -EINTR) {
        soft_waiting.valid = false;
        mask = soft_waiting.mask;
    }
    mask |= action->mask;
    if (!(action->flags & SA_NODEFER)) {
        mask |= BIT(number);
    }
    return mask & ~SYNCHRONOUS;
}

/* Whether the kernel's frame is on a stack of ours, or on the application's other one though it did not ask. */
static bool must_move(const struct kernel_action *action, const ucontext_t *context)
{
    const struct kernel_context *kernel = (const struct kernel_context *)context;
    uint64_t at = (uint64_t)(uintptr_t)context;
    return at - soft_arena_base < soft_arena_size ||
           (!(action->flags & SA_ONSTACK) && on_stack(&kernel->stack, at));
}

/* From another stack: rt_sigreturn enters the handler, with its mask, on the copy of the frame. */
static int enter_on_copy(const struct kernel_action *action, int number, siginfo_t *info,
                         ucontext_t *context)
{
    struct signal_frame *frame = copy_frame(action, info, context);
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RSP] = (greg_t)frame;
    registers[REG_RIP] = (greg_t)action->handler;
    registers[REG_RDI] = number;
    registers[REG_RSI] = (greg_t)&frame->info;
    registers[REG_RDX] = (greg_t)&frame->context;
    registers[REG_RAX] = 0;
    registers[REG_EFL] &= ~(greg_t)0x10500; /* DF, TF, RF, as the kernel clears them */
    ((struct kernel_context *)context)->mask = handler_mask(action, number, context);
    return SOFT_RETURN_HOST;
}

/* The frame is where the application's handler wants it: enter.S goes straight there. */
static int enter_in_place(const struct kernel_action *action, int number, ucontext_t *context,
                          uint64_t *ret_call)
{
    struct signal_frame *frame =
        (struct signal_frame *)((uint8_t *)context - offsetof(struct signal_frame, context));
    frame->restorer = restorer_of(action);
    ret_call[0] = (uint64_t)(uintptr_t)action->handler;
    ret_call[1] = (uint64_t)number;
    soft_signals_restore(handler_mask(action, number, context));
    return SOFT_RETURN_HANDLER;
}

int soft_signal_deliver(int number, siginfo_t *info, ucontext_t *context, uint64_t *ret_call)
{
    if (is_synchronous(number) && (t_blocked & BIT(number))) {
        if (info->si_code > 0) { /* a fault that cannot wait ends the process */
            die_by_default(number, info);
        } else {
            t_held |= BIT(number);
            t_held_info[number] = *info;
        }
        return SOFT_RETURN_HOST;
    }
    uint64_t mask = actions_lock();
    struct kernel_action action = g_actions[number];
    if (is_handler(&action) && (action.flags & (uint64_t)SA_RESETHAND)) {
        g_actions[number].handler = (void *)SIG_DFL;
        install(number);
    }
    actions_unlock(mask);
    if (action.handler == (void *)SIG_IGN && info->si_code <= 0) {
        return SOFT_RETURN_HOST;
    }
    if (!is_handler(&action)) {
        die_by_default(number, info);
        return SOFT_RETURN_HOST;
    }
    return must_move(&action, context) ? enter_on_copy(&action, number, info, context)
                                       : enter_in_place(&action, number, context, ret_call);
}

/* ------------------------------------------------------------------------- what libc's callers call */

static void action_to_libc(const struct kernel_action *from, struct sigaction *to)
{
    memset(to, 0, sizeof(*to));
    to->sa_sigaction = (void (*)(int, siginfo_t *, void *))from->handler;
    to->sa_flags = (int)(from->flags & 0xFFFFFFFFul);
    to->sa_restorer = from->restorer;
    memcpy(&to->sa_mask, &from->mask, sizeof(from->mask));
}

static void action_from_libc(const struct sigaction *from, struct kernel_action *to)
{
    to->handler = (void *)from->sa_sigaction;
    to->flags = (uint64_t)(unsigned int)from->sa_flags | KERNEL_SA_RESTORER;
    to->restorer = soft_restorer;
    memcpy(&to->mask, &from->sa_mask, sizeof(to->mask));
}

SOFT_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    if (!atomic_load(&g_active) || number < 1 || number > SIGNAL_COUNT || number == SIGKILL ||
        number == SIGSTOP) {
        int (*next)(int, const struct sigaction *, struct sigaction *) = soft_next("sigaction");
        return next(number, action, ret_old);
    }
    struct kernel_action wanted = {0};
    if (action) {
        action_from_libc(action, &wanted);
    }
    uint64_t mask = actions_lock();
    struct kernel_action old = g_actions[number];
    if (action && soft_is_borrowed()) {
        kernel_sigaction(number, &wanted, NULL); /* the child's own, until it executes something */
    } else if (action) {
        g_actions[number] = wanted;
        install(number);
    }
    actions_unlock(mask);
    if (ret_old) {
        action_to_libc(&old, ret_old);
    }
    return 0;
}

static void (*set_handler(int number, void (*handler)(int), int flags))(int)
{
    struct sigaction action = {.sa_flags = flags}, old;
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    if (number < 1 || number > SIGNAL_COUNT || handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return sigaction(number, &action, &old) < 0 ? SIG_ERR : old.sa_handler;
}

SOFT_EXPORT void (*signal(int number, void (*handler)(int)))(int)
{
    if (!atomic_load(&g_active)) {
        void (*(*next)(int, void (*)(int)))(int) = soft_next("signal");
        return next(number, handler);
    }
    return set_handler(number, handler, SA_RESTART);
}

void (*__sysv_signal(int number, void (*handler)(int)))(int);
SOFT_EXPORT void (*__sysv_signal(int number, void (*handler)(int)))(int)
{
    return set_handler(number, handler, SA_RESETHAND | SA_NODEFER);
}

/* Masks: the six synchronous signals stay open; the application is told what it asked for. */
static int change_mask(int how, const sigset_t *set, sigset_t *ret_old)
{
    uint64_t wanted = 0, open, old;
    if (set) {
        memcpy(&wanted, set, sizeof(wanted));
    }
    open = how == SIG_UNBLOCK ? wanted : wanted & ~SYNCHRONOUS;
    long result =
        soft_syscall(SYS_rt_sigprocmask, how, set ? &open : NULL, &old, sizeof(open), 0, 0);
    if (result < 0) {
        return (int)-result;
    }
    if (ret_old) {
        old |= t_blocked;
        memset(ret_old, 0, sizeof(*ret_old));
        memcpy(ret_old, &old, sizeof(old));
    }
    if (set) {
        const uint64_t mine = wanted & SYNCHRONOUS;
        const uint64_t now = how == SIG_SETMASK ? mine
                             : how == SIG_BLOCK ? t_blocked | mine
                                                : t_blocked & ~mine;
        if (now != t_blocked && !soft_is_borrowed()) {
            t_blocked = now;
        }
        release_held();
    }
    return 0;
}

SOFT_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    if (!atomic_load(&g_active)) {
        int (*next)(int, const sigset_t *, sigset_t *) = soft_next("pthread_sigmask");
        return next(how, set, ret_old);
    }
    return change_mask(how, set, ret_old);
}

SOFT_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    if (!atomic_load(&g_active)) {
        int (*next)(int, const sigset_t *, sigset_t *) = soft_next("sigprocmask");
        return next(how, set, ret_old);
    }
    int error = change_mask(how, set, ret_old);
    if (error) {
        errno = error;
        return -1;
    }
    return 0;
}

SOFT_EXPORT int sigaltstack(const stack_t *stack, stack_t *ret_old)
{
    struct soft_thread *thread = soft_thread_self();
    if (!thread) {
        int (*next)(const stack_t *, stack_t *) = soft_next("sigaltstack");
        return next(stack, ret_old);
    }
    bool inside = on_stack(&thread->app_stack, (uint64_t)(uintptr_t)__builtin_frame_address(0));
    stack_t old = thread->app_stack;
    if (stack) {
        const int known = SS_DISABLE | SS_ONSTACK | (int)(1u << 31); /* SS_AUTODISARM */
        errno = inside                                                                    ? EPERM
                : (stack->ss_flags & ~known)                                              ? EINVAL
                : !(stack->ss_flags & SS_DISABLE) && stack->ss_size < (size_t)MINSIGSTKSZ ? ENOMEM
                                                                                          : 0;
        if (errno) {
            return -1;
        }
        thread->app_stack = *stack;
    }
    if (ret_old) {
        *ret_old = old;
        ret_old->ss_flags |= inside ? SS_ONSTACK : 0;
    }
    return 0;
}
