/*
 * Signals: who has which pending, what is done about them, and when. They are the kernel's own; the host only brings a
 * thread to where it looks, and what the outside wants to say (a mask, believed for no more than that somebody asked).
 * Side: enclave. Called for the program's system calls, by traps and on the way back into the program.
 * Source: signal(7), sigaction(2), and what the Go runtime and glibc rely on. Never delivers to a thread in the kernel.
 */
#include "linux/linux.h"

#define SIG_DFL 0u
#define SIG_IGN 1u
#define SIGKILL 9u
#define SIGSTOP 19u
#define SA_NOCLDSTOP 1u
#define SA_SIGINFO 4u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u
#define SA_RESETHAND 0x80000000u
#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM ((int32_t)(1u << 31))
#define MINSIGSTKSZ 2048u
#define NANOSECONDS 1000000000ull
#define SECONDS_MAX (1ll << 33)
#define SI_USER 0
#define SI_TKILL (-6)
#define BIT(number) (1ull << ((number)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
/* HUP INT QUIT USR1 USR2 TERM WINCH: what the outside may ask for. */
#define FROM_OUTSIDE (BIT(1) | BIT(2) | BIT(3) | BIT(10) | BIT(12) | BIT(15) | BIT(28))
/* CHLD CONT URG WINCH, and the stops, which there is nobody to continue from. */
#define IGNORED_BY_DEFAULT                                                                         \
    (BIT(17) | BIT(18) | BIT(23) | BIT(28) | BIT(19) | BIT(20) | BIT(21) | BIT(22))

static struct linux_action actions[LINUX_SIGNAL_COUNT + 1];
static struct linux_pending process_pending;
static struct cella_lock action_lock;

void linux_signal_thread_new(struct linux_thread *thread)
{
    linux_pending_drop(&thread->pending, ~0ull);
    atomic_store(&thread->waits_for, 0);
    thread->has_saved_mask = false;
    thread->is_interrupted = false;
    thread->altstack = (struct linux_altstack){.flags = SS_DISABLE};
}

static bool is_ignored(uint32_t number)
{
    const uint64_t handler = actions[number].handler;
    return handler == SIG_IGN || (handler == SIG_DFL && (BIT(number) & IGNORED_BY_DEFAULT) != 0);
}

static uint64_t deliverable(const struct linux_thread *thread)
{
    return (atomic_load(&thread->pending.bits) | atomic_load(&process_pending.bits)) &
           ~thread->td->signal_mask;
}

bool cella_linux_interrupted(void)
{
    struct cella_td *td = cella_td_self();
    if (td->program_thread && atomic_load(&td->attention) == 0 && cella_program_is_signaled()) {
        atomic_store(&td->attention, 1); /* from outside: whoever looks first takes them */
    }
    return td->program_thread && atomic_load(&td->attention) != 0;
}

/* After a change of the mask or of what is pending: the thread looks on its way back. */
static void attention_check(struct linux_thread *thread)
{
    if (deliverable(thread) != 0) {
        atomic_store(&thread->td->attention, 1);
    }
}

void linux_signal_mask_set(struct linux_thread *thread, uint64_t mask)
{
    const uint64_t before = thread->td->signal_mask;
    /* Seen by a sender, or the sender's signal is seen here: each side writes first and reads then. */
    __atomic_store_n(&thread->td->signal_mask, mask & ~UNBLOCKABLE, __ATOMIC_SEQ_CST);
    attention_check(thread);
    linux_signal_pass_on(mask & ~before);
}

/* Whether nobody will ever see it: it is ignored, and this thread would take it at once. */
static bool is_nothing(struct linux_thread *thread, uint32_t number)
{
    return is_ignored(number) &&
           ((thread->td->signal_mask | atomic_load(&thread->waits_for)) & BIT(number)) == 0;
}

bool linux_signal_send(struct linux_thread *thread, uint32_t number,
                       const struct linux_signal_info *info)
{
    if (is_nothing(thread, number)) {
        return true;
    }
    const enum linux_pended pended = linux_pending_add(&thread->pending, number, info);
    if (pended == LINUX_PENDED_NEW) {
        linux_signalfd_notify(number);
    }
    if ((deliverable(thread) & BIT(number)) != 0) {
        linux_thread_kick(thread);
    }
    return pended != LINUX_PENDED_FULL;
}

/* This thread when it can take it; else the first that does not block it. *ret_nothing: nobody blocks it, and it is ignored. */
static struct linux_thread *receiver_choose(uint32_t number, bool *ret_nothing)
{
    struct linux_thread *self = linux_thread_self();
    struct linux_thread *chosen = NULL;
    *ret_nothing = true;
    for (uint32_t slot = 0; slot < cella_image_info.thread_count; slot++) {
        struct linux_thread *thread = linux_thread_at(slot);
        if (!thread) {
            continue;
        }
        *ret_nothing = *ret_nothing && is_nothing(thread, number);
        if ((!chosen || thread == self) && (thread->td->signal_mask & BIT(number)) == 0) {
            chosen = thread;
        }
    }
    return chosen;
}

bool linux_signal_send_process(uint32_t number, const struct linux_signal_info *info)
{
    bool nothing;
    struct linux_thread *chosen = receiver_choose(number, &nothing);
    if (nothing) {
        return true;
    }
    const enum linux_pended pended = linux_pending_add(&process_pending, number, info);
    if (pended == LINUX_PENDED_NEW) {
        linux_signalfd_notify(number);
    }
    chosen =
        receiver_choose(number, &nothing); /* who blocks it may have changed before it was there */
    if (chosen) {
        linux_thread_kick(chosen);
    }
    return pended != LINUX_PENDED_FULL;
}

/* For each thread that can take one of them: the one that was called to take it may have been this. */
void linux_signal_pass_on(uint64_t of)
{
    const uint64_t left = atomic_load(&process_pending.bits) & of;
    for (uint32_t slot = 0; left != 0 && slot < cella_image_info.thread_count; slot++) {
        struct linux_thread *thread = linux_thread_at(slot);
        if (thread && thread != linux_thread_self() && (left & ~thread->td->signal_mask) != 0) {
            linux_thread_kick(thread);
        }
    }
}

/* What the outside has asked for since the last look. */
static void outside_take(void)
{
    uint64_t asked = cella_program_signals() & FROM_OUTSIDE;
    const struct linux_signal_info info = {.code = SI_USER};
    while (asked != 0) {
        const uint32_t number = (uint32_t)__builtin_ctzll(asked) + 1;
        asked &= asked - 1;
        (void)linux_signal_send_process(number, &info);
    }
}

/* The next signal for this thread, taken off; 0: none. */
static uint32_t signal_take(struct linux_thread *thread, uint64_t of,
                            struct linux_signal_info *ret_info)
{
    uint32_t number = linux_pending_take(&thread->pending, of, ret_info);
    number = number != 0 ? number : linux_pending_take(&process_pending, of, ret_info);
    if (number != 0 && ret_info->code == LINUX_SI_TIMER) {
        linux_timer_delivered(ret_info, number);
    }
    return number;
}

uint64_t linux_signal_pending(void)
{
    return atomic_load(&linux_thread_self()->pending.bits) | atomic_load(&process_pending.bits);
}

uint32_t linux_signal_take(uint64_t of, struct linux_signal_info *ret_info)
{
    return signal_take(linux_thread_self(), of, ret_info);
}

static _Noreturn void die_of(uint32_t number)
{
    cella_trace("ended by signal", number);
    linux_process_leave(CELLA_ABORT_SIGNAL | (uint64_t)number << 8);
}

/* Runs one handler: the frame is laid, `regs` point into it. */
static void handler_start(struct linux_thread *thread, struct cella_regs *regs, const void *xsave,
                          uint32_t number, const struct linux_signal_info *info)
{
    struct cella_td *td = thread->td;
    cella_lock_take(&action_lock);
    const struct linux_action action = actions[number];
    if ((action.flags & SA_RESETHAND) != 0) {
        actions[number].handler = SIG_DFL;
    }
    cella_lock_give(&action_lock);
    const uint64_t mask = thread->has_saved_mask ? thread->saved_mask : td->signal_mask;
    thread->has_saved_mask = false;
    if (!linux_frame_push(regs, xsave, number, info, &action, mask)) {
        die_of(11);
    }
    td->signal_mask =
        (td->signal_mask | action.mask | ((action.flags & SA_NODEFER) != 0 ? 0 : BIT(number))) &
        ~UNBLOCKABLE;
}

static bool call_restarts(uint64_t number)
{
    switch (number) {
    case __NR_nanosleep:
    case __NR_clock_nanosleep:
    case __NR_poll:
    case __NR_ppoll:
    case __NR_select:
    case __NR_pselect6:
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
    case __NR_epoll_pwait2:
    case __NR_pause:
    case __NR_rt_sigsuspend:
    case __NR_rt_sigtimedwait:
    case __NR_semop:
        return false;
    default:
        return true;
    }
}

/* The interrupted call is made once more: back to the jump, or to the instruction, with its number. */
static void call_again(struct linux_thread *thread, struct cella_regs *regs)
{
    regs->rip -= thread->td->trapped ? 2 : CELLA_PROGRAM_ENTER_SIZE;
    regs->rax = thread->call;
}

/*
 * All signals that this thread can take now. Handlers stack up as on Linux: the last one taken runs first. `in_call`: a
 * system call is behind us, which may have been interrupted.
 */
static void signals_deliver(struct cella_regs *regs, const void *xsave, bool in_call)
{
    struct linux_thread *thread = linux_thread_self();
    bool interrupted = in_call && thread->is_interrupted;
    thread->is_interrupted = false;
    atomic_store(&thread->td->attention, 0);
    outside_take();
    for (;;) {
        struct linux_signal_info info;
        const uint32_t number = signal_take(thread, ~thread->td->signal_mask, &info);
        if (number == 0) {
            break;
        }
        if (number == SIGKILL) {
            die_of(number);
        }
        if (is_ignored(number)) {
            continue;
        }
        if (actions[number].handler == SIG_DFL) {
            die_of(number);
        }
        if (interrupted) {
            interrupted = false;
            if ((actions[number].flags & SA_RESTART) != 0 && call_restarts(thread->call)) {
                call_again(thread, regs);
            }
        }
        handler_start(thread, regs, xsave, number, &info);
    }
    if (interrupted && thread->call != __NR_rt_sigsuspend && thread->call != __NR_pause) {
        call_again(thread, regs); /* nobody wanted the signal */
    }
    if (thread->has_saved_mask) {
        thread->has_saved_mask = false;
        linux_signal_mask_set(thread, thread->saved_mask);
    }
}

void cella_linux_attention(struct cella_regs *regs)
{
    signals_deliver(regs, NULL, true);
}

void cella_linux_trap_attention(struct cella_trap *trap)
{
    signals_deliver(&trap->regs, (const uint8_t *)trap + CELLA_TRAP_XSAVE_AT,
                    trap->kind == CELLA_TRAP_SYSCALL);
}

void linux_signal_fault(struct cella_trap *trap, uint32_t number, int32_t code, uint64_t address)
{
    struct linux_thread *thread = linux_thread_self();
    const struct linux_signal_info info = {.code = code, .value = address};
    if (actions[number].handler <= SIG_IGN || (thread->td->signal_mask & BIT(number)) != 0) {
        cella_trace("fault in the program: vector", trap->vector);
        cella_trace("  at", trap->regs.rip);
        cella_trace("  address", address);
        die_of(number);
    }
    handler_start(thread, &trap->regs, (const uint8_t *)trap + CELLA_TRAP_XSAVE_AT, number, &info);
}

/* ------------------------------------------------------------------ calls */

/* What is ignored from now on does not wait for better days (sigaction(2), POSIX). */
static void pending_forget(uint32_t number)
{
    linux_pending_drop(&process_pending, BIT(number));
    for (uint32_t slot = 0; slot < cella_image_info.thread_count; slot++) {
        struct linux_thread *thread = linux_thread_at(slot);
        if (thread) {
            linux_pending_drop(&thread->pending, BIT(number));
        }
    }
}

static long call_action(uint64_t number, uint64_t action, uint64_t old, uint64_t size)
{
    if (size != 8 || number < 1 || number > LINUX_SIGNAL_COUNT ||
        (action != 0 && (number == SIGKILL || number == SIGSTOP))) {
        return -EINVAL;
    }
    if ((action != 0 && !cella_user_range(action, sizeof(struct linux_action))) ||
        (old != 0 && !cella_user_writable(old, sizeof(struct linux_action)))) {
        return -EFAULT;
    }
    struct linux_action wanted = {0};
    if (action != 0) {
        wanted = *(const struct linux_action *)action;
        wanted.mask &= ~UNBLOCKABLE;
    }
    cella_lock_take(&action_lock);
    const struct linux_action before = actions[number];
    if (action != 0) {
        actions[number] = wanted;
    }
    cella_lock_give(&action_lock);
    if (action != 0 && is_ignored((uint32_t)number)) {
        pending_forget((uint32_t)number);
    }
    if (old != 0) {
        *(struct linux_action *)old = before;
    }
    return 0;
}

static long call_mask(uint64_t how, uint64_t set, uint64_t old, uint64_t size)
{
    struct linux_thread *thread = linux_thread_self();
    const uint64_t before = thread->td->signal_mask;
    if (size != 8) {
        return -EINVAL;
    }
    if ((set != 0 && !cella_user_range(set, 8)) || (old != 0 && !cella_user_writable(old, 8))) {
        return -EFAULT;
    }
    if (set != 0) {
        const uint64_t bits = *(const uint64_t *)set;
        if (how > 2) {
            return -EINVAL;
        }
        linux_signal_mask_set(thread, how == 0 ? before | bits : how == 1 ? before & ~bits : bits);
    }
    if (old != 0) {
        *(uint64_t *)old = before;
    }
    return 0;
}

static bool on_altstack(const struct linux_thread *thread, uint64_t rsp)
{
    return thread->altstack.size != 0 && rsp - thread->altstack.base - 1 < thread->altstack.size;
}

static long call_altstack(const struct cella_regs *regs)
{
    struct linux_thread *thread = linux_thread_self();
    struct linux_altstack before = thread->altstack;
    const bool is_on = on_altstack(thread, regs->rsp);
    if (before.size == 0) {
        before.flags = SS_DISABLE;
    } else if (is_on) {
        before.flags |= SS_ONSTACK;
    }
    if ((ARG0(regs) != 0 && !cella_user_range(ARG0(regs), sizeof(before))) ||
        (ARG1(regs) != 0 && !cella_user_writable(ARG1(regs), sizeof(before)))) {
        return -EFAULT;
    }
    if (ARG0(regs) != 0) {
        struct linux_altstack wanted = *(const struct linux_altstack *)ARG0(regs);
        if (is_on) {
            return -EPERM;
        }
        if ((wanted.flags & ~(SS_DISABLE | SS_ONSTACK | SS_AUTODISARM)) != 0) {
            return -EINVAL;
        }
        if ((wanted.flags & SS_DISABLE) != 0) {
            wanted = (struct linux_altstack){.flags = SS_DISABLE};
        } else if (wanted.size < MINSIGSTKSZ) {
            return -ENOMEM;
        }
        wanted.flags &= ~SS_ONSTACK;
        thread->altstack = wanted;
    }
    if (ARG1(regs) != 0) {
        *(struct linux_altstack *)ARG1(regs) = before;
    }
    return 0;
}

#define PROCESS_ID 1u

static long send_to_process(int64_t process, uint64_t number, const struct linux_signal_info *info)
{
    if (number > LINUX_SIGNAL_COUNT) {
        return -EINVAL;
    }
    if (process != PROCESS_ID && process != 0 && process != -1 && process != -(int64_t)PROCESS_ID) {
        return -ESRCH;
    }
    if (number != 0 && !linux_signal_send_process((uint32_t)number, info) &&
        info->code != SI_USER) {
        return -EAGAIN;
    }
    return 0;
}

static long send_to_thread(uint64_t group, uint64_t tid, uint64_t number,
                           const struct linux_signal_info *info)
{
    struct linux_thread *thread = linux_thread_of((uint32_t)tid);
    if (number > LINUX_SIGNAL_COUNT || (int32_t)tid <= 0) {
        return -EINVAL;
    }
    if (!thread || (group != 0 && group != PROCESS_ID)) {
        return -ESRCH;
    }
    if (number != 0 && !linux_signal_send(thread, (uint32_t)number, info) &&
        info->code != SI_USER) {
        return -EAGAIN;
    }
    return 0;
}

static long call_kill(const struct cella_regs *regs)
{
    const struct linux_signal_info sent = {.code = regs->rax == __NR_kill ? SI_USER : SI_TKILL,
                                           .process = PROCESS_ID,
                                           .user = cella_linux_program->user};
    return regs->rax == __NR_kill    ? send_to_process((int32_t)ARG0(regs), ARG1(regs), &sent)
           : regs->rax == __NR_tkill ? send_to_thread(0, ARG0(regs), ARG1(regs), &sent)
                                     : send_to_thread(ARG0(regs), ARG1(regs), ARG2(regs), &sent);
}

/* siginfo_t of rt_sigqueueinfo: number, errno, code, then process, user, value. */
static long call_queue(const struct cella_regs *regs, bool to_thread)
{
    const uint64_t at = to_thread ? ARG3(regs) : ARG2(regs);
    if (!cella_user_range(at, 128)) {
        return -EFAULT;
    }
    const struct linux_signal_info info = {.code = *(const int32_t *)(at + 8),
                                           .process = *(const uint32_t *)(at + 16),
                                           .user = *(const uint32_t *)(at + 20),
                                           .value = *(const uint64_t *)(at + 24)};
    return to_thread ? send_to_thread(ARG0(regs), ARG1(regs), ARG2(regs), &info)
                     : send_to_process((int32_t)ARG0(regs), ARG1(regs), &info);
}

/* Waits until a signal is there that the mask lets through. */
static long call_suspend(uint64_t mask_at, uint64_t size)
{
    struct linux_thread *thread = linux_thread_self();
    if (mask_at != 0) {
        if (size != 8) {
            return -EINVAL;
        }
        if (!cella_user_range(mask_at, 8)) {
            return -EFAULT;
        }
        thread->saved_mask = thread->td->signal_mask;
        thread->has_saved_mask = true;
        linux_signal_mask_set(thread, *(const uint64_t *)mask_at);
    }
    const struct libc_timespec day = {.seconds = 86400};
    while (!cella_linux_interrupted()) {
        cella_sleep(CELLA_WAIT_RELATIVE, &day);
    }
    return -EINTR;
}

/*
 * One of `wanted`, taken off; 0: none came until `deadline` (0: for ever), or another signal is to be looked at. While it
 * waits the thread is open to what is wanted, so that senders call it; nothing is delivered before it looks.
 */
static uint32_t wanted_wait(struct linux_thread *thread, uint64_t wanted, uint64_t deadline,
                            struct linux_signal_info *ret_info)
{
    const uint64_t mask = thread->td->signal_mask;
    uint32_t number = 0;
    atomic_store(&thread->waits_for, wanted);
    for (bool is_over = false; number == 0 && !is_over;) {
        struct libc_timespec time = {.seconds = 86400};
        __atomic_store_n(&thread->td->signal_mask, mask & ~wanted, __ATOMIC_SEQ_CST);
        attention_check(thread); /* what came before that called nobody */
        const uint64_t now = deadline != 0 ? linux_clock_now(false) : 0;
        if (deadline != 0 && now < deadline && deadline - now < 86400 * NANOSECONDS) {
            time.seconds = (int64_t)((deadline - now) / NANOSECONDS);
            time.nanoseconds = (int64_t)((deadline - now) % NANOSECONDS);
        }
        is_over = deadline != 0 && now >= deadline;
        if (!is_over && !cella_linux_interrupted()) {
            cella_sleep(CELLA_WAIT_RELATIVE, &time);
        }
        outside_take();
        number = signal_take(thread, wanted, ret_info);
        thread->td->signal_mask = mask;
        atomic_store(&thread->td->attention,
                     0); /* before the look: a sender that comes now sets it again */
        attention_check(thread);
        is_over = is_over || cella_linux_interrupted();
    }
    atomic_store(&thread->waits_for, 0);
    return number;
}

static long call_timed_wait(const struct cella_regs *regs)
{
    struct linux_thread *thread = linux_thread_self();
    struct linux_signal_info info;
    struct libc_timespec limit = {.seconds = SECONDS_MAX};
    if (ARG3(regs) != 8) {
        return -EINVAL;
    }
    if (!cella_user_range(ARG0(regs), 8) ||
        (ARG1(regs) != 0 && !cella_user_writable(ARG1(regs), 128)) ||
        (ARG2(regs) != 0 && !cella_user_range(ARG2(regs), 16))) {
        return -EFAULT;
    }
    if (ARG2(regs) != 0) {
        limit = *(const struct libc_timespec *)ARG2(regs);
    }
    if (limit.seconds < 0 || limit.nanoseconds < 0 || limit.nanoseconds >= (int64_t)NANOSECONDS) {
        return -EINVAL;
    }
    const uint64_t wanted = *(const uint64_t *)ARG0(regs) & ~UNBLOCKABLE;
    uint32_t number = signal_take(thread, wanted, &info);
    if (number == 0 && (limit.seconds != 0 || limit.nanoseconds != 0)) {
        const uint64_t deadline = limit.seconds >= SECONDS_MAX
                                      ? 0
                                      : linux_clock_now(false) +
                                            (uint64_t)limit.seconds * NANOSECONDS +
                                            (uint64_t)limit.nanoseconds;
        number = wanted_wait(thread, wanted, deadline, &info);
    }
    if (number == 0) {
        return cella_linux_interrupted() ? -EINTR : -EAGAIN;
    }
    if (ARG1(regs) != 0) {
        linux_signal_info_fill((uint8_t *)ARG1(regs), number, &info);
    }
    return (long)number;
}

static long call_pending(uint64_t to, uint64_t size)
{
    const struct linux_thread *thread = linux_thread_self();
    if (size > 8) {
        return -EINVAL;
    }
    if (!cella_user_writable(to, 8)) {
        return -EFAULT;
    }
    *(uint64_t *)to = (atomic_load(&thread->pending.bits) | atomic_load(&process_pending.bits)) &
                      thread->td->signal_mask;
    return 0;
}

bool linux_signal_syscall(struct cella_regs *regs, long *ret_result)
{
    long result = 0;
    switch (regs->rax) {
    case __NR_rt_sigaction:
        result = call_action(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        break;
    case __NR_rt_sigprocmask:
        result = call_mask(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        break;
    case __NR_sigaltstack:
        result = call_altstack(regs);
        break;
    case __NR_rt_sigreturn:
        linux_frame_return(regs);
    case __NR_kill:
    case __NR_tkill:
    case __NR_tgkill:
        result = call_kill(regs);
        break;
    case __NR_rt_sigqueueinfo:
    case __NR_rt_tgsigqueueinfo:
        result = call_queue(regs, regs->rax == __NR_rt_tgsigqueueinfo);
        break;
    case __NR_rt_sigsuspend:
        result = call_suspend(ARG0(regs), ARG1(regs));
        break;
    case __NR_pause:
        result = call_suspend(0, 0);
        break;
    case __NR_rt_sigtimedwait:
        result = call_timed_wait(regs);
        break;
    case __NR_rt_sigpending:
        result = call_pending(ARG0(regs), ARG1(regs));
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}
