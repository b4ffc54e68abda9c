/*
 * Making a thread of an enclave look at its signals: a thread that runs inside is interrupted, one that waits in the host
 * comes back.
 * Side: host. Called by service.c (CELLA_OCALL_KICK), applications (cella_enclave_signal) and, by a signal, in the thread that is kicked.
 * Never loses a kick: it is noted in the slot first, and whoever is about to wait or to resume looks there last.
 */
#include "host/services.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define AGAIN_NANOSECONDS 50000

static int g_number; /* of our signal, 0: none was free */
static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static __thread __attribute__((tls_model("initial-exec"))) uint32_t t_tid;

/* The same signal once more, a little later. */
static void signal_again(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = g_number};
    const struct itimerspec soon = {.it_value = {.tv_nsec = AGAIN_NANOSECONDS}};
    static __thread __attribute__((tls_model("initial-exec"))) int t_timer;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (t_timer == 0) {
        int timer;
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) < 0) {
            return;
        }
        t_timer = timer + 1;
    }
    syscall(SYS_timer_settime, t_timer - 1, 0, &soon, NULL);
}

/* Where an AEX leaves the thread, and where ERESUME will be executed. */
static bool is_at_eresume(const struct cella_host_slot *slot, const ucontext_t *context)
{
    const greg_t *registers = context->uc_mcontext.gregs;
    return (uint32_t)registers[REG_RAX] == SGX_ERESUME &&
           (uint64_t)registers[REG_RBX] == slot->tcs && registers[REG_RCX] == registers[REG_RIP];
}

/* The enclave is dead: the thread must not resume. An ENCLU of no leaf faults, and the vDSO says so to call.c. */
static void give_up(const struct cella_host_slot *slot, ucontext_t *context)
{
    if (is_at_eresume(slot, context)) {
        context->uc_mcontext.gregs[REG_RAX] = 0x7FFFFFFF;
    } else {
        signal_again(); /* another handler stands in between */
    }
}

/*
 * The thread is not in the host's hands: an AEX has interrupted it, perhaps below other handlers, or it is on its way
 * between the enclave and host code that notes where it is. There CSSA may be 0: the entry is refused.
 */
static void look(const struct cella_host_active *active, ucontext_t *context)
{
    struct cella_host_frame frame = {.status = CELLA_HOST_LOST};
    struct cella_host_slot *slot = active->slot;
    if (atomic_load(&active->enclave->dead) == 0) {
        cella_host_look(slot, active->enclave->enter, &frame);
    }
    const uint64_t answer = frame.status == CELLA_HOST_LEFT ? frame.rdi & 0xFF : 0;
    if (answer == CELLA_EXIT_RESUME) {
        if (frame.rsi != 0) { /* stays: the next kick that finds nothing to do does not undo it */
            atomic_store(&slot->looked, 1);
        } else { /* in the kernel, which may have looked already and be about to wait: the wait sees it */
            atomic_store(&slot->kicked, 1);
        }
        return;
    }
    atomic_store(&slot->kicked, 1);
    if (answer != CELLA_EXIT_DONE) {
        give_up(slot, context);
    }
}

static void on_kick(int number, siginfo_t *info, void *context)
{
    const int error = errno;
    const struct cella_host_active *active = cella_host_active();
    (void)number;
    (void)info;
    for (const struct cella_host_active *a = active; a; a = a->outer) {
        atomic_store(&a->slot->kick_tid, 0);
    }
    if (active && active->enclave->is_interruptible && !atomic_load(&active->slot->in_host) &&
        cella_kick_take(active->slot)) {
        look(active, context);
    }
    errno = error;
}

static void forget_thread(void)
{
    t_tid = 0;
}

static void prepare(void)
{
    struct sigaction action = {.sa_sigaction = on_kick,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    pthread_atfork(NULL, NULL, forget_thread);
    for (int number = SIGRTMAX; number >= SIGRTMIN && g_number == 0; number--) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
            sigaction(number, &action, NULL) == 0) {
            g_number = number;
        }
    }
}

bool cella_kick_prepare(void)
{
    pthread_once(&g_once, prepare);
    return g_number != 0;
}

/* Threads of the host may block everything. */
static void unblock(void)
{
    sigset_t set;
    if (g_number != 0) {
        sigemptyset(&set);
        sigaddset(&set, g_number);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

void cella_kick_enter(struct cella_host_slot *slot)
{
    if (t_tid == 0) {
        t_tid = (uint32_t)syscall(SYS_gettid);
        unblock();
    }
    atomic_store(&slot->kicked, 0); /* of the thread that had the slot before */
    atomic_store(&slot->tid, t_tid);
    atomic_store(&slot->kick_tid, 0);
}

/*
 * The order matters: the note first, so that whoever sees none afterwards finds the event word changed, or the bell rung;
 * then the signal, for a thread that is inside.
 */
void cella_kick(cella_enclave *enclave, uint32_t index)
{
    struct cella_host_slot *slot = &enclave->slots[index];
    const uint32_t tid = atomic_load(&slot->tid);
    const uint64_t one = 1;
    if (!enclave->is_interruptible || tid == 0) {
        return;
    }
    atomic_store(&slot->kicked, 1);
    __atomic_fetch_or(&slot->arena->event, CELLA_EVENT_KICK, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &slot->arena->event, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    const int bell = atomic_load(&enclave->services->bells[index]);
    if (bell > 0 && write(bell - 1, &one, sizeof(one)) < 0) {
        /* it is rung as often as it can be */
    }
    if (atomic_exchange(&slot->kick_tid, tid) != tid) {
        syscall(SYS_tgkill, getpid(), tid, g_number);
    }
}

cella_result cella_enclave_signal(cella_enclave *enclave, int number)
{
    CELLA_ENSURE(number >= 1 && number <= 64, OUT_OF_RANGE);
    CELLA_ENSURE(enclave->is_interruptible && atomic_load(&enclave->dead) == 0, WRONG_STATE);
    const int error = errno;
    __atomic_fetch_or(&enclave->slots[0].arena->signals, 1ull << (number - 1), __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < enclave->thread_count; i++) {
        cella_kick(enclave, i);
    }
    errno = error;
    return CELLA_OK;
}
