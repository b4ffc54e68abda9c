/*
 * Signals, threads and fork around enclaves: what an application sees is what the kernel driver would show.
 * Side: tests (host). Run by meson. Bounded in time and count.
 */
#include "tests/soft/probe_bench.h"

#include "soft/transition.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STORM_PERIOD_US 30
#define STORM_ENTRIES 200000

static struct probe g_probe;
static _Atomic unsigned g_signals, g_at_aep, g_bad;
static _Atomic uint32_t g_stop;
static __thread unsigned g_marker; /* lives at the host's FS base */
static uint8_t g_other_stack[65536];

/* Whether the interrupted state is one that a host may see: no enclave address, no enclave register. */
static void look(const ucontext_t *context)
{
    uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    uint64_t rsp = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
    bool inside =
        soft_in_elrange(g_probe.enclave, rip, 1) || soft_in_elrange(g_probe.enclave, rsp, 1);
    bool resumes = context->uc_mcontext.gregs[REG_RAX] == SGX_ERESUME &&
                   context->uc_mcontext.gregs[REG_RCX] == (greg_t)rip;
    if (inside || g_marker != 0x4D41524B) {
        atomic_fetch_add(&g_bad, 1);
    }
    if (resumes) {
        atomic_fetch_add(&g_at_aep, 1);
        if (context->uc_mcontext.gregs[REG_R13] != 0) {
            atomic_fetch_add(&g_bad, 1); /* PROBE_SPIN keeps 5A5AH there */
        }
    }
    atomic_fetch_add(&g_signals, 1);
}

static void on_storm(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int saved = errno;
    errno = 77; /* must hit this thread's errno */
    look(context);
    errno = saved;
}

static void on_stack_check(int number, siginfo_t *info, void *context)
{
    uint8_t here;
    (void)number;
    (void)info;
    look(context);
    if (&here < g_other_stack || &here >= g_other_stack + sizeof(g_other_stack)) {
        atomic_fetch_add(&g_bad, 1);
    }
}

static void storm(bool on)
{
    struct itimerval timer = {.it_interval = {.tv_usec = on ? STORM_PERIOD_US : 0},
                              .it_value = {.tv_usec = on ? STORM_PERIOD_US : 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

static int setup(void **state)
{
    (void)state;
    g_marker = 0x4D41524B;
    atomic_store(&g_signals, 0);
    atomic_store(&g_at_aep, 0);
    atomic_store(&g_bad, 0);
    atomic_store(&g_stop, 0);
    probe_open(&g_probe, &(struct probe_options){0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    storm(false);
    probe_close(&g_probe);
    return 0;
}

static void alarm_mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

/* No storm before the thread has its marker. */
static void start(pthread_t *ret_thread, void *(*function)(void *), void *argument)
{
    alarm_mask(SIG_BLOCK);
    assert_int_equal(pthread_create(ret_thread, NULL, function, argument), 0);
    alarm_mask(SIG_UNBLOCK);
}

static void mark_thread(void)
{
    g_marker = 0x4D41524B;
    alarm_mask(SIG_UNBLOCK);
}

static void sleep_ms(long ms)
{
    struct timespec left = {.tv_nsec = ms * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* Leaves the storm to the thread that is inside: SIGALRM stays blocked here. */
static void *stop_later(void *argument)
{
    sleep_ms((long)(intptr_t)argument);
    atomic_store(&g_stop, 1);
    return NULL;
}

/* Spins inside until another thread stops it; everything inside must survive the storm. */
static void spin(uint64_t tcs, long ms)
{
    pthread_t thread;
    uint8_t ymm[32], kept[32];
    memset(ymm, 0x77, sizeof(ymm));
    memcpy(kept, ymm, sizeof(kept));
    atomic_store(&g_stop, 0);
    start(&thread, stop_later, (void *)(intptr_t)ms);
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(probe_run(&g_probe, tcs, SGX_EENTER, PROBE_SPIN, &call), 0);
    assert_int_equal(g_probe.run.function, SGX_EEXIT);
    assert_true(call.out[1] != UINT64_MAX);
    assert_memory_equal(ymm, kept, sizeof(ymm));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_storm_inside(void **state)
{
    (void)state;
    handle(SIGALRM, on_storm, SA_RESTART);
    storm(true);
    spin(g_probe.tcs, 300);
    storm(false);
    print_message("%u signals, %u of them inside\n", g_signals, g_at_aep);
    assert_true(g_at_aep > 100);
    assert_int_equal(g_bad, 0);
}

static void test_storm_on_application_stack(void **state)
{
    (void)state;
    stack_t stack = {.ss_sp = g_other_stack, .ss_size = sizeof(g_other_stack)}, old;
    assert_int_equal(sigaltstack(&stack, &old), 0);
    handle(SIGALRM, on_stack_check, SA_RESTART | SA_ONSTACK);
    storm(true);
    spin(g_probe.tcs, 200);
    storm(false);
    assert_true(g_at_aep > 50);
    assert_int_equal(g_bad, 0);
    stack_t now;
    assert_int_equal(sigaltstack(&old, &now), 0);
    assert_ptr_equal(now.ss_sp, g_other_stack);
}

/* Every window of EENTER and EEXIT is hit: entries and results stay exact. */
static void test_storm_on_transitions(void **state)
{
    (void)state;
    handle(SIGALRM, on_storm, SA_RESTART);
    storm(true);
    for (uint64_t i = 0; i < STORM_ENTRIES; i++) {
        struct probe_call call = {.in = {0, i, ~i, i * 3, i * 5, g_probe.tcs}};
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        if (g_probe.run.function != SGX_EEXIT || call.out[1] != i || call.out[2] != ~i ||
            call.out[3] != i * 3 || call.out[4] != i * 5) {
            fail_msg("entry %lu came back wrong", (unsigned long)i);
        }
    }
    storm(false);
    print_message("%u signals, %u of them inside\n", g_signals, g_at_aep);
    assert_int_equal(g_bad, 0);
    assert_int_equal(probe_tcs(&g_probe)->state, 0);
    assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
}

static void test_storm_on_exceptions(void **state)
{
    (void)state;
    handle(SIGALRM, on_storm, SA_RESTART);
    storm(true);
    for (int i = 0; i < 3000; i++) {
        struct probe_call call = {0};
        probe_expect_fault(&g_probe, g_probe.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
        probe_resume_behind(&g_probe, g_probe.tcs, 0, 2);
        assert_int_equal(g_probe.run.function, SGX_EEXIT);
        assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
    }
    storm(false);
    assert_true(g_signals > 100);
    assert_int_equal(g_bad, 0);
}

/* A thread with everything blocked still has its enclave's faults reported. */
static void test_blocked(void **state)
{
    (void)state;
    sigset_t all, old, now;
    struct probe_call call = {0};
    sigfillset(&all);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &all, &old), 0);
    probe_expect_fault(&g_probe, g_probe.tcs, PROBE_DIVIDE, &call, SGX_VECTOR_DE);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, &now), 0);
    assert_int_equal(sigismember(&now, SIGSEGV), 1);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
}

static sigjmp_buf g_jump;
static void on_jump(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    look(context);
    siglongjmp(g_jump, 1);
}

/* A handler may leave for good: the interrupted frame stays in the SSA and can be resumed later. */
static void test_longjmp(void **state)
{
    (void)state;
    handle(SIGALRM, on_jump, 0);
    uint8_t ymm[32] = {0};
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    for (int i = 0; i < 20; i++) {
        if (sigsetjmp(g_jump, 1) == 0) {
            struct itimerval once = {.it_value = {.tv_usec = 2000}};
            setitimer(ITIMER_REAL, &once, NULL);
            probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_SPIN, &call);
            fail_msg("the enclave stopped by itself");
        }
        assert_int_equal(probe_tcs(&g_probe)->cssa, 1);
        assert_int_equal(probe_tcs(&g_probe)->state, 0);
        atomic_store(&g_stop, 1);
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_ERESUME, 0, &call), 0);
        assert_int_equal(g_probe.run.function, SGX_EEXIT);
        assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
        atomic_store(&g_stop, 0);
    }
    assert_int_equal(g_bad, 0);
}

static struct probe_call g_inner;
static void on_nested(int number, siginfo_t *info, void *context)
{
    static struct sgx_linux_run run;
    (void)number;
    (void)info;
    look(context);
    g_inner = (struct probe_call){.in = {PROBE_MARKED, 11, 22, 33, 44, g_probe.tcs2},
                                  .function = SGX_EENTER};
    memset(&run, 0, sizeof(run));
    run.tcs = g_probe.tcs2;
    if (probe_call(g_probe.processor->enter(), &g_inner, &run) != 0 || run.function != SGX_EEXIT ||
        g_inner.out[2] != 22) {
        atomic_fetch_add(&g_bad, 1);
    }
}

/* A handler that itself enters, by another TCS, on top of what it interrupted. */
static void test_handler_enters(void **state)
{
    (void)state;
    handle(SIGALRM, on_nested, SA_RESTART);
    storm(true);
    spin(g_probe.tcs, 200);
    for (uint64_t i = 0; i < STORM_ENTRIES / 4; i++) {
        struct probe_call call = {.in = {0, i, ~i, 0, 0, g_probe.tcs}};
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        assert_int_equal(call.out[1], i);
    }
    storm(false);
    assert_true(g_signals > 100);
    assert_int_equal(g_bad, 0);
}

static void *enter_busy(void *argument)
{
    struct sgx_linux_run *run = argument;
    struct probe_call call = {.in = {PROBE_NONE}, .function = SGX_EENTER};
    mark_thread();
    while (probe_tcs(&g_probe)->state == 0) {
    }
    memset(run, 0, sizeof(*run));
    run->tcs = g_probe.tcs;
    assert_int_equal(probe_call(g_probe.processor->enter(), &call, run), 0);
    atomic_store(&g_stop, 1);
    return NULL;
}

static void test_busy_tcs(void **state)
{
    (void)state;
    pthread_t thread;
    static struct sgx_linux_run run;
    uint8_t ymm[32] = {0};
    start(&thread, enter_busy, &run);
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_SPIN, &call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(g_probe.run.function, SGX_EEXIT);
    assert_int_equal(run.function, SGX_EENTER);
    assert_int_equal(run.exception_vector, SGX_VECTOR_GP);
}

struct loop {
    uint64_t tcs;
    struct sgx_linux_run run;
    unsigned wrong;
};

static void *loop_entries(void *argument)
{
    struct loop *loop = argument;
    mark_thread();
    for (uint64_t i = 0; i < STORM_ENTRIES / 2; i++) {
        struct probe_call call = {.in = {PROBE_MARKED, i, 2, 3, 4, loop->tcs},
                                  .function = SGX_EENTER};
        memset(&loop->run, 0, sizeof(loop->run));
        loop->run.tcs = loop->tcs;
        long result = probe_call(g_probe.processor->enter(), &call, &loop->run);
        loop->wrong += result != 0 || loop->run.function != SGX_EEXIT || call.out[1] != i;
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static struct loop loops[2];
    pthread_t threads[2];
    handle(SIGALRM, on_storm, SA_RESTART);
    loops[0].tcs = g_probe.tcs;
    loops[1].tcs = g_probe.tcs2;
    storm(true);
    for (int i = 0; i < 2; i++) {
        start(&threads[i], loop_entries, &loops[i]);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(loops[i].wrong, 0);
    }
    storm(false);
    assert_int_equal(g_bad, 0);
}

/* More threads than blocks are ever needed at once: blocks come back at thread exit. */
static void test_many_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        static struct sgx_linux_run run;
        probe_tcs(&g_probe)->state = 1;
        start(&thread, enter_busy, &run);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(run.exception_vector, SGX_VECTOR_GP);
        probe_tcs(&g_probe)->state = 0;
    }
}

static int in_child(void)
{
    struct probe_call call = {.in = {0, 5, 6, 7, 8, g_probe.tcs2}};
    if (probe_run(&g_probe, g_probe.tcs2, SGX_EENTER, PROBE_MARKED, &call) != 0 ||
        g_probe.run.function != SGX_EEXIT || call.out[1] != 5) {
        return 1;
    }
    if (probe_run(&g_probe, g_probe.tcs2, SGX_EENTER, PROBE_SYSCALL, &call) != 0 ||
        g_probe.run.exception_vector != SGX_VECTOR_UD) {
        return 2; /* dispatch is not inherited over fork: it must have been armed again */
    }
    /* The parent is inside this one. */
    if (probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_NONE, &call) != 0 ||
        g_probe.run.function != SGX_EENTER || g_probe.run.exception_vector != SGX_VECTOR_GP) {
        return 3;
    }
    uint64_t data = g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    uint64_t word = 0;
    probe_tcs(&g_probe); /* the EPC is shared: what the parent wrote is here */
    memcpy(&word, soft_alias(g_probe.enclave, data + 64), sizeof(word));
    return word == 0xC0FFEE ? 0 : 4;
}

static void *fork_while_inside(void *argument)
{
    int *status = argument;
    mark_thread();
    while (probe_tcs(&g_probe)->state == 0) {
    }
    pid_t child = fork();
    if (child == 0) {
        _exit(in_child());
    }
    waitpid(child, status, 0);
    atomic_store(&g_stop, 1);
    return NULL;
}

static void test_fork(void **state)
{
    (void)state;
    pthread_t thread;
    int status = -1;
    uint8_t ymm[32] = {0};
    uint64_t data = g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    struct probe_call write = {.in = {0, data + 64, 0xC0FFEE}};
    assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_WRITE, &write), 0);
    assert_int_equal(g_probe.run.function, SGX_EEXIT);
    start(&thread, fork_while_inside, &status);
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_SPIN, &call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The host's own faults are the host's: its handler sees them, and without one it dies of them. */
static void on_host_fault(int number, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    if (number != SIGSEGV || info->si_addr != (void *)0x10 ||
        interrupted->uc_mcontext.gregs[REG_CR2] != 0x10) {
        atomic_fetch_add(&g_bad, 1);
    }
    siglongjmp(g_jump, 1);
}

/* Out of the compiler's sight. */
static void touch(uint64_t address)
{
    __asm__ volatile("movl $1, (%0)" ::"r"(address) : "memory");
}

static void test_host_faults(void **state)
{
    (void)state;
    struct probe_call call = {0};
    probe_expect_fault(&g_probe, g_probe.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
    handle(SIGSEGV, on_host_fault, 0);
    for (int i = 0; i < 3; i++) {
        if (sigsetjmp(g_jump, 1) == 0) {
            touch(0x10);
            fail_msg("no fault");
        }
    }
    assert_int_equal(g_bad, 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        touch(0x10);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    signal(SIGSEGV, SIG_DFL);
}

/* A handler that a raw system call installed (a Go runtime's) is taken over when the next enclave is opened. */
static void test_raw_handler(void **state)
{
    struct {
        void *handler;
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {
        .handler = (void *)on_storm, .flags = SA_SIGINFO | SA_RESTART | 0x04000000, .mask = 0};
    struct sigaction libc_action;
    handle(SIGALRM, on_storm, SA_RESTART);
    teardown(state);
    action.restorer = soft_restorer; /* any will do that makes the system call */
    assert_int_equal(soft_syscall(SYS_rt_sigaction, SIGALRM, &action, NULL, 8, 0, 0), 0);
    setup(state);
    assert_int_equal(sigaction(SIGALRM, NULL, &libc_action), 0);
    assert_ptr_equal(libc_action.sa_sigaction, on_storm);
    storm(true);
    spin(g_probe.tcs, 100);
    storm(false);
    assert_true(g_at_aep > 20);
    assert_int_equal(g_bad, 0);
}

static void *change_group(void *unused)
{
    (void)unused;
    while (probe_tcs(&g_probe)->state == 0) {
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(setegid(getegid()),
                         0); /* glibc signals every thread, the one inside too */
    }
    atomic_store(&g_stop, 1);
    return NULL;
}

static void test_libc_signals(void **state)
{
    (void)state;
    pthread_t thread;
    uint8_t ymm[32] = {0};
    start(&thread, change_group, NULL);
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_SPIN, &call), 0);
    assert_int_equal(g_probe.run.function, SGX_EEXIT);
    assert_true(call.out[1] != UINT64_MAX);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static _Atomic int g_cleaned;
static void clean(void *unused)
{
    (void)unused;
    atomic_store(&g_cleaned, 1);
}

static void *be_cancelled_inside(void *unused)
{
    static struct sgx_linux_run run;
    static uint8_t ymm[32];
    (void)unused;
    mark_thread();
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_cleanup_push(clean, NULL);
    struct probe_call call = {
        .in = {PROBE_SPIN, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm},
        .function = SGX_EENTER};
    memset(&run, 0, sizeof(run));
    run.tcs = g_probe.tcs;
    probe_call(g_probe.processor->enter(), &call, &run);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Cancelled while inside: the thread ends, its TCS is left with one frame in the SSA. */
static void test_cancel_inside(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    start(&thread, be_cancelled_inside, NULL);
    while (probe_tcs(&g_probe)->state == 0) {
    }
    sleep_ms(20); /* past the entry itself */
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(probe_tcs(&g_probe)->state, 0);
    assert_int_equal(probe_tcs(&g_probe)->cssa, 1);
}

/* ------------------------------------------------------------------ hosts without the vDSO */

static struct {
    int number;
    int code;
    void *address;
    greg_t rip, rax, rbx, rcx, trap;
} g_raw;

static void record(int number, siginfo_t *info, const ucontext_t *context)
{
    const greg_t *registers = context->uc_mcontext.gregs;
    g_raw.number = number;
    g_raw.code = info->si_code;
    g_raw.address = info->si_addr;
    g_raw.rip = registers[REG_RIP];
    g_raw.rax = registers[REG_RAX];
    g_raw.rbx = registers[REG_RBX];
    g_raw.rcx = registers[REG_RCX];
    g_raw.trap = registers[REG_TRAPNO];
}

static void on_raw_leave(int number, siginfo_t *info, void *context)
{
    record(number, info, context);
    siglongjmp(g_jump, 1);
}

/* What a host's exception handler does by entering again: here the frame is changed by hand. */
static void on_raw_skip(int number, siginfo_t *info, void *context)
{
    record(number, info, context);
    probe_gpr(&g_probe, g_probe.tcs, 0)->rip += 2;
}

static void test_raw_enclu(void **state)
{
    (void)state;
    struct probe_call call = {.in = {PROBE_NONE, 1, 2, 3, 4, 5}};
    for (int i = 0; i < 100; i++) {
        probe_raw(&call, g_probe.tcs, 0);
        assert_int_equal(call.out[1], 1);
        assert_int_equal(call.out[5], 5);
        assert_int_equal(probe_tcs(&g_probe)->state, 0);
        struct probe_call by_vdso = {0}; /* both ways on one TCS */
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_NONE, &by_vdso), 0);
        assert_int_equal(g_probe.run.function, SGX_EEXIT);
    }
    /* A fault inside: the signal the kernel would send, at the AEP, with the synthetic state; returning resumes. */
    handle(SIGFPE, on_raw_skip, 0);
    call.in[0] = PROBE_DIVIDE;
    probe_raw(&call, g_probe.tcs, 0);
    assert_int_equal(g_raw.number, SIGFPE);
    assert_int_equal(g_raw.trap, SGX_VECTOR_DE);
    assert_int_equal(g_raw.rip, (greg_t)probe_aep);
    assert_int_equal(g_raw.rcx, (greg_t)probe_aep);
    assert_int_equal(g_raw.rax, SGX_ERESUME);
    assert_int_equal(g_raw.rbx, (greg_t)g_probe.tcs);
    assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
    signal(SIGFPE, SIG_DFL);
}

/*
 * A thread with an alternate stack of its own whose first entry is a raw ENCLU: it traps onto that stack, where nobody
 * may change stacks. Signals that come while it is inside must not land there.
 */
static void *raw_on_own_stack(void *argument)
{
    static uint8_t own[65536];
    stack_t stack = {.ss_sp = own, .ss_size = sizeof(own)}, now;
    uint8_t ymm[32] = {0};
    struct probe_call call = {
        .in = {PROBE_SPIN, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    mark_thread();
    probe_raw(&call, g_probe.tcs, 0);
    *(uint64_t *)argument = call.out[1];
    assert_int_equal(sigaltstack(NULL, &now), 0);
    assert_ptr_equal(now.ss_sp, own);
    assert_int_equal(now.ss_flags, 0);
    return NULL;
}

static void test_raw_on_own_stack(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t result = UINT64_MAX;
    handle(SIGALRM, on_storm, SA_RESTART);
    alarm_mask(SIG_BLOCK);
    assert_int_equal(pthread_create(&thread, NULL, raw_on_own_stack, &result), 0);
    storm(true);
    sleep_ms(200);
    atomic_store(&g_stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    storm(false);
    alarm_mask(SIG_UNBLOCK);
    assert_true(result != UINT64_MAX);
    assert_true(g_at_aep > 50);
    assert_int_equal(g_bad, 0);
}

static void test_raw_enclu_refused(void **state)
{
    (void)state;
    struct probe_call call = {0};
    handle(SIGSEGV, on_raw_leave, 0);
    if (sigsetjmp(g_jump, 1) == 0) {
        probe_raw(&call, g_probe.tcs, 1ull << 47);
        fail_msg("entered with an AEP that is not canonical");
    }
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_07"));
    assert_int_equal(g_raw.number, SIGSEGV);
    assert_int_equal(g_raw.trap, SGX_VECTOR_GP);
    if (sigsetjmp(g_jump, 1) == 0) {
        probe_raw(&call, g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE, 0);
        fail_msg("entered by a page that is no TCS");
    }
    assert_string_equal(soft_last_check, SDM_COVERS("EENTER_05"));
    assert_int_equal(g_raw.trap, SGX_VECTOR_PF);
    assert_ptr_equal(g_raw.address, (void *)(g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE));
    signal(SIGSEGV, SIG_DFL);
}

/* Dispositions are the application's own, whatever the kernel was told. */
static void test_dispositions(void **state)
{
    (void)state;
    struct sigaction old;
    handle(SIGILL, on_storm, SA_RESTART | SA_NODEFER);
    assert_int_equal(sigaction(SIGILL, NULL, &old), 0);
    assert_ptr_equal(old.sa_sigaction, on_storm);
    const int restorer = 0x04000000; /* SA_RESTORER: libc sets it, and the kernel tells it back */
    assert_int_equal(old.sa_flags, SA_SIGINFO | SA_RESTART | SA_NODEFER | restorer);
    assert_ptr_equal(signal(SIGILL, SIG_IGN), (void (*)(int))(void *)on_storm);
    assert_ptr_equal(signal(SIGILL, SIG_DFL), SIG_IGN);
    handle(SIGUSR1, on_storm, (int)SA_RESETHAND);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(g_signals, 1);
    assert_int_equal(sigaction(SIGUSR1, NULL, &old), 0);
    assert_ptr_equal(old.sa_handler, SIG_DFL);
    struct sigaction bad = {0};
    assert_int_equal(sigaction(SIGKILL, &bad, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(sigaction(99, &bad, NULL), -1);
    assert_int_equal(errno, EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_storm_inside),
        TEST(test_storm_on_application_stack),
        TEST(test_storm_on_transitions),
        TEST(test_storm_on_exceptions),
        TEST(test_blocked),
        TEST(test_longjmp),
        TEST(test_handler_enters),
        TEST(test_busy_tcs),
        TEST(test_threads),
        TEST(test_many_threads),
        TEST(test_fork),
        TEST(test_host_faults),
        TEST(test_raw_handler),
        TEST(test_libc_signals),
        TEST(test_cancel_inside),
        TEST(test_raw_enclu),
        TEST(test_raw_on_own_stack),
        TEST(test_raw_enclu_refused),
        TEST(test_dispositions),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests_name("soft_signals", tests, NULL, NULL);
}
