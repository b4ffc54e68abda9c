/*
 * Signals: handlers, masks, stacks, interrupted calls, timers. Prints the same natively and in an enclave.
 * Side: a program of the tests, built static for each libc. Never prints what time or a scheduler decides.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t count, last, nested_seen;
static char alternate[65536];

static void on_signal(int number)
{
    count++;
    last = number;
}

static void on_info(int number, siginfo_t *info, void *context)
{
    const ucontext_t *u = context;
    char here;
    count++;
    last = number;
    printf("handler: %d code %d pid %s value %d stack %s mask %d%d\n", number, info->si_code,
           info->si_pid == getpid() ? "own" : "other",
           info->si_code == SI_QUEUE ? info->si_value.sival_int : 0,
           (uintptr_t)&here - (uintptr_t)alternate < sizeof(alternate) ? "alternate" : "own",
           sigismember(&u->uc_sigmask, SIGUSR1), sigismember(&u->uc_sigmask, SIGUSR2));
}

static void on_nested(int number)
{
    if (number == SIGUSR1) {
        raise(SIGUSR2);
        printf("in USR1: seen %d\n", (int)nested_seen);
    } else {
        nested_seen++;
    }
}

static void set(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_flags = flags};
    action.sa_handler = handler;
    sigaction(number, &action, NULL);
}

static void test_basics(void)
{
    set(SIGUSR1, on_signal, 0);
    printf("raise: %d count %d\n", raise(SIGUSR1), (int)count);
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, &before);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    printf("blocked: count %d pending %d\n", (int)count, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("open: count %d\n", (int)count);
    set(SIGUSR1, SIG_IGN, 0);
    raise(SIGUSR1);
    printf("ignored: count %d\n", (int)count);
    set(SIGUSR1, on_signal, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    printf("reset: %d\n", now.sa_handler == SIG_DFL);
    printf("kill 0: %d, no such thread: %ld %s\n", kill(getpid(), 0),
           syscall(SYS_tgkill, getpid(), 999999, SIGUSR1), strerror(errno));
    set(SIGUSR1, on_nested, 0);
    set(SIGUSR2, on_nested, 0);
    raise(SIGUSR1);
    printf("bad signal: %d %s\n", raise(99), strerror(errno));
}

static void test_info(void)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    printf("sigaltstack: %d\n", sigaltstack(&stack, NULL));
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_info;
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    const union sigval value = {.sival_int = 4711};
    sigqueue(getpid(), SIGUSR1, value);
    stack_t old;
    sigaltstack(NULL, &old);
    printf("after: flags %d\n", old.ss_flags);
}

static double vectors[4] = {1.5, 2.5, 3.5, 4.5};

static void on_vectors(int number)
{
    (void)number;
    volatile double x = 1;
    for (int i = 0; i < 100; i++) {
        x = x * 1.01 + vectors[i % 4];
    }
}

/* Registers of all kinds survive a handler that uses them. */
static void test_registers(void)
{
    set(SIGUSR1, on_vectors, 0);
    double a = 1.25, b = 2.25, c = 3.25;
    uint64_t x = 0x1122334455667788, y = 0x99aabbccddeeff00;
    for (int i = 0; i < 1000; i++) {
        __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+r"(x), "+r"(y));
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
        __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+r"(x), "+r"(y));
    }
    printf("registers: %g %g %g %llx %llx\n", a, b, c, (unsigned long long)x,
           (unsigned long long)y);
}

static sigjmp_buf back;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    ucontext_t *u = context;
    if (number == SIGILL) {
        u->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
        u->uc_mcontext.gregs[REG_RAX] = 99;
        return;
    }
    siglongjmp(back, number);
}

static void test_faults(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_fault;
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    long rax = 0;
    __asm__ volatile("ud2" : "+a"(rax));
    printf("over ud2: %ld\n", rax);
    volatile int zero = 0;
    if (sigsetjmp(back, 1) == 0) {
        printf("not printed %d\n", 1 / zero);
    }
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        *(volatile int *)0xdead0000beef0000 = 1;
    }
    printf("no canonical address: %d\n", number);
}

static volatile int stop;
static volatile uint64_t spins;

static void *spinner(void *argument)
{
    (void)argument;
    while (!stop) {
        spins++;
    }
    return NULL;
}

/* A thread that runs and makes no calls is reached too. */
static void test_running_thread(void)
{
    pthread_t thread;
    set(SIGUSR1, on_signal, 0);
    count = 0;
    pthread_create(&thread, NULL, spinner, NULL);
    while (spins == 0) {
    }
    for (int i = 1; i <= 200; i++) {
        pthread_kill(thread, SIGUSR1);
        while (count < i) {
        }
    }
    stop = 1;
    pthread_join(thread, NULL);
    printf("running thread: %d\n", (int)count);
}

static int pipes[2];

static void *reader(void *argument)
{
    char byte;
    const long got = read(pipes[0], &byte, 1);
    *(int *)argument = got < 0 ? errno : (int)got;
    return NULL;
}

/* A blocked read: ended without SA_RESTART, begun again with it. */
static void test_interrupted(void)
{
    for (int restart = 0; restart < 2; restart++) {
        pthread_t thread;
        int result = -1;
        if (pipe(pipes) != 0) {
            return;
        }
        count = 0;
        set(SIGUSR1, on_signal, restart ? SA_RESTART : 0);
        pthread_create(&thread, NULL, reader, &result);
        usleep(50000);
        pthread_kill(thread, SIGUSR1);
        while (count == 0) {
            usleep(1000);
        }
        usleep(20000);
        if (write(pipes[1], "x", 1) != 1) {
            return;
        }
        pthread_join(thread, NULL);
        printf("read, restart %d: %s\n", restart, result == 1 ? "a byte" : strerror(result));
        close(pipes[0]);
        close(pipes[1]);
    }
}

static void test_waits(void)
{
    sigset_t mask, empty;
    sigemptyset(&empty);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGALRM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    set(SIGALRM, on_signal, SA_RESTART);
    count = 0;
    struct itimerval timer = {.it_value = {.tv_usec = 30000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    errno = 0;
    printf("sigsuspend: %d %s count %d\n", sigsuspend(&empty), strerror(errno), (int)count);
    setitimer(ITIMER_REAL, &timer, NULL);
    int number = 0;
    printf("sigwait: %d %d\n", sigwait(&mask, &number), number);
    const struct timespec none = {0};
    printf("sigtimedwait: %d %s\n", sigtimedwait(&mask, NULL, &none), strerror(errno));
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    const struct timespec second = {.tv_sec = 5};
    struct timespec left = {0};
    errno = 0;
    const int slept = nanosleep(&second, &left);
    printf("nanosleep: %d %s left %ld\n", slept, strerror(errno), (long)left.tv_sec);
    setitimer(ITIMER_REAL, &timer, NULL);
    errno = 0;
    printf("poll: %d %s\n", poll(NULL, 0, 5000), strerror(errno));
    printf("alarm: %u %u\n", alarm(100), alarm(0));
}

static void test_timers(void)
{
    timer_t id;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    set(SIGUSR2, on_signal, SA_RESTART);
    count = 0;
    printf("timer_create: %d\n", timer_create(CLOCK_MONOTONIC, &event, &id));
    const struct itimerspec every = {.it_value = {.tv_nsec = 5000000},
                                     .it_interval = {.tv_nsec = 5000000}};
    printf("timer_settime: %d\n", timer_settime(id, 0, &every, NULL));
    while (count < 5) {
        pause();
    }
    printf("timer_delete: %d\n", timer_delete(id));
}

static void test_pipe(void)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    close(ends[0]);
    set(SIGPIPE, on_signal, 0);
    last = 0;
    errno = 0;
    const long got = write(ends[1], "x", 1);
    printf("write without a reader: %ld %s signal %d\n", got, strerror(errno), (int)last);
    set(SIGPIPE, SIG_IGN, 0);
    last = 0;
    printf("ignored: %ld %d\n", (long)write(ends[1], "x", 1), (int)last);
}

static volatile int waits_done;

static void *waiter(void *argument)
{
    sigset_t set;
    int number;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < 3000; i++) {
        if (sigwait(&set, &number) != 0 || number != SIGUSR1) {
            return NULL;
        }
        __atomic_store_n(&waits_done, i + 1, __ATOMIC_SEQ_CST);
    }
    return argument;
}

/* Each signal comes while the other thread is about to wait: none is slept over. */
static void test_about_to_wait(void)
{
    pthread_t thread;
    sigset_t set, before;
    void *result = NULL;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    pthread_create(&thread, NULL, waiter, &set);
    for (int i = 0; i < 3000; i++) {
        pthread_kill(thread, SIGUSR1);
        while (__atomic_load_n(&waits_done, __ATOMIC_SEQ_CST) <= i) {
            sched_yield();
        }
    }
    pthread_join(thread, &result);
    printf("about to wait: %s\n", result ? "all seen" : "an error");
    const struct timespec bad = {.tv_nsec = 1000000000};
    errno = 0;
    const int got = sigtimedwait(&set, NULL, &bad);
    printf("no time: %d %s\n", got, strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ------------------------------------------------------------------ what waits for its time */

static int values[16], value_count;

static void on_value(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (value_count < 16) {
        values[value_count++] = (number - SIGRTMIN) * 100 + info->si_value.sival_int;
    }
}

/* Real-time signals each arrive, the lower number first, those of one number in order; others once. */
static void test_queue(void)
{
    struct sigaction action = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO};
    sigset_t set, before, pending;
    value_count = 0;
    sigemptyset(&set);
    for (int i = 0; i < 3; i++) {
        sigaction(SIGRTMIN + i, &action, NULL);
        sigaddset(&set, SIGRTMIN + i);
        sigaddset(&action.sa_mask, SIGRTMIN + i);
    }
    for (int i = 0; i < 3; i++) {
        sigaction(SIGRTMIN + i, &action, NULL);
    }
    sigaddset(&set, SIGUSR1);
    sigaction(SIGUSR1, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    for (int i = 0; i < 4; i++) {
        sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i});
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
        kill(getpid(), SIGUSR1);
    }
    siginfo_t info;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN + 1);
    const struct timespec now = {0, 0};
    const int taken = sigtimedwait(&one, &info, &now);
    printf("queue: waited for +%d value %d\n", taken - SIGRTMIN, info.si_value.sival_int);
    sigpending(&pending);
    printf("queue: pending %d%d%d\n", sigismember(&pending, SIGRTMIN),
           sigismember(&pending, SIGRTMIN + 1), sigismember(&pending, SIGRTMIN + 2));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int sum = 0;
    for (int i = 0; i < value_count; i++) {
        if (values[i] < 0) { /* SIGUSR1 */
            sum++;
            continue;
        }
        printf("queue: %d\n", values[i]);
    }
    printf("queue: SIGUSR1 %d\n", sum);
    signal(SIGUSR1, SIG_DFL);
}

static void *send_child(void *argument)
{
    usleep(50000);
    kill(getpid(), SIGCHLD);
    return argument;
}

/* A signal that is ignored by default is there for who waits for it. */
static void test_wait_ignored(void)
{
    sigset_t set, before, pending;
    siginfo_t info;
    pthread_t thread;
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    pthread_create(&thread, NULL, send_child, NULL);
    const struct timespec limit = {5, 0};
    printf("ignored: waited %d\n", sigtimedwait(&set, &info, &limit));
    pthread_join(thread, NULL);
    kill(getpid(), SIGCHLD);
    sigpending(&pending);
    printf("ignored: pending %d\n", sigismember(&pending, SIGCHLD));
    signal(SIGCHLD, SIG_IGN);
    sigpending(&pending);
    printf("ignored: pending %d\n", sigismember(&pending, SIGCHLD));
    signal(SIGCHLD, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A timer has one signal pending, however often it fires. */
static void test_overrun(void)
{
    sigset_t set, before;
    siginfo_t info;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
    const struct itimerspec fast = {{0, 2000000}, {0, 2000000}}, off = {{0, 0}, {0, 0}};
    const struct timespec now = {0, 0};
    event.sigev_value.sival_int = 77;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &fast, NULL);
    usleep(60000);
    const int first = sigtimedwait(&set, &info, &now);
    const int overrun = timer_getoverrun(timer);
    printf("overrun: +%d code %d value %d overrun %s %s\n", first - SIGRTMIN, info.si_code,
           info.si_value.sival_int, info.si_overrun > 5 ? "many" : "few",
           overrun > 5 ? "many" : "few");
    timer_settime(timer, 0, &off, NULL);
    while (sigtimedwait(&set, &info, &now) > 0) {
    }
    printf("overrun: then %d %d\n", sigtimedwait(&set, &info, &now), errno);
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        signal(SIGTERM, SIG_DFL);
        raise(atoi(argv[1]));
    }
    test_basics();
    test_info();
    test_registers();
    test_faults();
    test_running_thread();
    test_interrupted();
    test_waits();
    test_about_to_wait();
    test_timers();
    test_pipe();
    test_queue();
    test_wait_ignored();
    test_overrun();
    return 0;
}
