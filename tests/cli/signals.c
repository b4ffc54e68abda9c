/*
 * Run by `cella soft --` and without it: signals do what signal(7) says, also the six that the processor needs.
 * Side: tests (host). Each check is a line of its own; the first that does not hold ends the program with its number.
 * Never touches an SGX node.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static volatile int g_count, g_order[8];
static volatile char *volatile g_nowhere = (volatile char *)8;
static sigset_t g_mask; /* in the latest handler */

static void on_signal(int number)
{
    g_order[g_count++ % 8] = number;
    pthread_sigmask(SIG_BLOCK, NULL, &g_mask);
}

static sigset_t set_of(int first, int second)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    return set;
}

static void handle(int number, int flags, int also)
{
    struct sigaction action = {.sa_flags = flags, .sa_mask = set_of(also, also)};
    action.sa_handler = on_signal;
    CHECK(sigaction(number, &action, NULL) == 0);
}

/* What waits with another mask: the handlers start from that one, so both signals come before the call returns. */
static void check_waiting(int kind)
{
    const sigset_t both = set_of(SIGUSR1, SIGUSR2);
    const struct timespec moment = {0, 1000000};
    sigset_t none;
    sigemptyset(&none);
    handle(SIGUSR1, 0, SIGHUP);
    handle(SIGUSR2, SA_NODEFER, SIGHUP);
    CHECK(sigprocmask(SIG_BLOCK, &both, NULL) == 0);
    g_count = 0;
    CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR2) == 0 && g_count == 0);
    errno = 0;
    CHECK((kind == 0   ? sigsuspend(&none)
           : kind == 1 ? ppoll(NULL, 0, &moment, &none)
                       : pselect(0, NULL, NULL, NULL, &moment, &none)) == -1);
    CHECK(errno == EINTR && g_count == 2);
    CHECK(g_order[0] == SIGUSR2 && g_order[1] == SIGUSR1); /* the second frame lies on the first */
    CHECK(sigismember(&g_mask, SIGUSR1) == 1 && sigismember(&g_mask, SIGHUP) == 1);
    CHECK(sigismember(&g_mask, SIGUSR2) == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &both, NULL) == 0);
}

/* A synchronous signal that is sent while it is blocked stays pending, can be waited for, or comes later. */
static void check_held(void)
{
    const sigset_t set = set_of(SIGSEGV, SIGSEGV);
    sigset_t pending;
    int number = 0;
    handle(SIGSEGV, 0, SIGHUP);
    g_count = 0;
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGSEGV) == 0 && g_count == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGSEGV) == 1);
    CHECK(sigwait(&set, &number) == 0 && number == SIGSEGV && g_count == 0);
    CHECK(kill(getpid(), SIGSEGV) == 0 && g_count == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, &pending) == 0 && g_count == 1);
    CHECK(sigismember(&pending, SIGSEGV) == 1); /* the mask of before */
}

static void fault_blocked(void)
{
    const sigset_t set = set_of(SIGSEGV, SIGSEGV);
    handle(SIGSEGV, 0, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *g_nowhere = 1;
}

static void fault_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    *g_nowhere = 1;
}

static void fault_default(void)
{
    signal(SIGSEGV, SIG_DFL);
    *g_nowhere = 1;
}

/* A fault that cannot be handled now kills, as the kernel would have it. */
static void check_deaths(void)
{
    void (*const faults[])(void) = {fault_blocked, fault_ignored, fault_default};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            faults[i]();
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
}

/* What the child of a vfork does to its signals is its own, though the memory is not. */
static void check_vfork(void)
{
    int status = 0;
    handle(SIGUSR1, 0, SIGHUP);
    g_count = 0;
    pid_t child = vfork();
    if (child == 0) {
        signal(SIGUSR1, SIG_DFL);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(raise(SIGUSR1) == 0 && g_count == 1);
    CHECK(raise(SIGUSR1) == 0 && g_count == 2);
}

int main(void)
{
    for (int kind = 0; kind < 3; kind++) {
        check_waiting(kind);
    }
    check_held();
    check_deaths();
    check_vfork();
    return 0;
}
