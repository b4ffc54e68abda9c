/*
 * Signals, threads and fork around enclaves: what an application sees is what the kernel driver would show.
 * Side: tests (host). Run by meson. Bounded in count; no test depends on how fast signals come.
 */
#include "tests/soft/signals_bench.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORM_ENTRIES 200000

static uint8_t g_other_stack[65536];
static sigjmp_buf g_jump;

static void on_stack_check(int number, siginfo_t *info, void *context)
{
    uint8_t here;
    (void)number;
    (void)info;
    signals_look(context);
    if (&here < g_other_stack || &here >= g_other_stack + sizeof(g_other_stack)) {
        signals_complain("the handler is not on its stack", context);
    }
}

static void test_storm_inside(void **state)
{
    (void)state;
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    signals_storm(true);
    signals_spin(g_probe.tcs, &g_at_aep, 1000);
    signals_storm(false);
    signals_assert_good();
}

static void test_storm_on_application_stack(void **state)
{
    (void)state;
    stack_t stack = {.ss_sp = g_other_stack, .ss_size = sizeof(g_other_stack)}, old;
    assert_int_equal(sigaltstack(&stack, &old), 0);
    signals_handle(SIGALRM, on_stack_check, SA_RESTART | SA_ONSTACK);
    signals_storm(true);
    signals_spin(g_probe.tcs, &g_at_aep, 500);
    signals_storm(false);
    signals_assert_good();
    stack_t now;
    assert_int_equal(sigaltstack(&old, &now), 0);
    assert_ptr_equal(now.ss_sp, g_other_stack);
}

/* Every window of EENTER and EEXIT is hit: entries and results stay exact. */
static void test_storm_on_transitions(void **state)
{
    (void)state;
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    signals_storm(true);
    for (uint64_t i = 0; i < STORM_ENTRIES; i++) {
        struct probe_call call = {.in = {0, i, ~i, i * 3, i * 5, g_probe.tcs}};
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        if (g_probe.run.function != SGX_EEXIT || call.out[1] != i || call.out[2] != ~i ||
            call.out[3] != i * 3 || call.out[4] != i * 5) {
            fail_msg("entry %lu came back wrong", (unsigned long)i);
        }
    }
    signals_storm(false);
    print_message("%u signals, %u of them inside\n", g_signals, g_at_aep);
    signals_assert_good();
    assert_int_equal(probe_tcs(&g_probe)->state, 0);
    assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
}

static void test_storm_on_exceptions(void **state)
{
    (void)state;
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    signals_storm(true);
    for (int i = 0; i < 3000 || g_signals < 100; i++) {
        struct probe_call call = {0};
        probe_expect_fault(&g_probe, g_probe.tcs, PROBE_UNDEFINED, &call, SGX_VECTOR_UD);
        probe_resume_behind(&g_probe, g_probe.tcs, 0, 2);
        assert_int_equal(g_probe.run.function, SGX_EEXIT);
        assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
    }
    signals_storm(false);
    signals_assert_good();
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

static void alarm_soon(void)
{
    const struct itimerval once = {.it_value = {.tv_usec = 500}};
    assert_int_equal(setitimer(ITIMER_REAL, &once, NULL), 0);
}

/* Comes again when it came before the thread was inside. */
static void on_jump(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    if (signals_look(context)) {
        siglongjmp(g_jump, 1);
    }
    alarm_soon();
}

/* A handler may leave for good: the interrupted frame stays in the SSA and can be resumed later. */
static void test_longjmp(void **state)
{
    (void)state;
    signals_handle(SIGALRM, on_jump, 0);
    uint8_t ymm[32] = {0};
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    for (int i = 0; i < 20; i++) {
        if (sigsetjmp(g_jump, 1) == 0) {
            alarm_soon();
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
    signals_assert_good();
}

static struct probe_call g_inner;
static void on_nested(int number, siginfo_t *info, void *context)
{
    static struct sgx_linux_run run;
    (void)number;
    (void)info;
    signals_look(context);
    g_inner = (struct probe_call){.in = {PROBE_MARKED, 11, 22, 33, 44, g_probe.tcs2},
                                  .function = SGX_EENTER};
    memset(&run, 0, sizeof(run));
    run.tcs = g_probe.tcs2;
    if (probe_call(g_probe.processor->enter(), &g_inner, &run) != 0 || run.function != SGX_EEXIT ||
        g_inner.out[2] != 22) {
        signals_complain("the handler's own entry came back wrong", context);
    }
}

/* A handler that itself enters, by another TCS, on top of what it interrupted. */
static void test_handler_enters(void **state)
{
    (void)state;
    signals_handle(SIGALRM, on_nested, SA_RESTART);
    signals_storm(true);
    signals_spin(g_probe.tcs, &g_signals, 100);
    for (uint64_t i = 0; i < STORM_ENTRIES / 4; i++) {
        struct probe_call call = {.in = {0, i, ~i, 0, 0, g_probe.tcs}};
        assert_int_equal(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        assert_int_equal(call.out[1], i);
    }
    signals_storm(false);
    signals_assert_good();
}

static void *enter_busy(void *argument)
{
    struct sgx_linux_run *run = argument;
    struct probe_call call = {.in = {PROBE_NONE}, .function = SGX_EENTER};
    signals_mark_thread();
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
    signals_start(&thread, enter_busy, &run);
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
    signals_mark_thread();
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
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    loops[0].tcs = g_probe.tcs;
    loops[1].tcs = g_probe.tcs2;
    signals_storm(true);
    for (int i = 0; i < 2; i++) {
        signals_start(&threads[i], loop_entries, &loops[i]);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(loops[i].wrong, 0);
    }
    signals_storm(false);
    signals_assert_good();
}

/* More threads than blocks are ever needed at once: blocks come back at thread exit. */
static void test_many_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        static struct sgx_linux_run run;
        probe_tcs(&g_probe)->state = 1;
        signals_start(&thread, enter_busy, &run);
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
    signals_mark_thread();
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
    signals_start(&thread, fork_while_inside, &status);
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
        signals_complain("not the host's own fault", interrupted);
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
    signals_handle(SIGSEGV, on_host_fault, 0);
    for (int i = 0; i < 3; i++) {
        if (sigsetjmp(g_jump, 1) == 0) {
            touch(0x10);
            fail_msg("no fault");
        }
    }
    signals_assert_good();
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
    } action = {.handler = (void *)signals_on_storm,
                .flags = SA_SIGINFO | SA_RESTART | 0x04000000,
                .mask = 0};
    struct sigaction libc_action;
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    signals_teardown(state);
    action.restorer = soft_restorer; /* any will do that makes the system call */
    assert_int_equal(soft_syscall(SYS_rt_sigaction, SIGALRM, &action, NULL, 8, 0, 0), 0);
    signals_setup(state);
    assert_int_equal(sigaction(SIGALRM, NULL, &libc_action), 0);
    assert_ptr_equal(libc_action.sa_sigaction, signals_on_storm);
    signals_storm(true);
    signals_spin(g_probe.tcs, &g_at_aep, 20);
    signals_storm(false);
    signals_assert_good();
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
    signals_start(&thread, change_group, NULL);
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
    signals_mark_thread();
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
    signals_handle(SIGUSR1, signals_on_storm, SA_RESTART);
    signals_start(&thread, be_cancelled_inside, NULL);
    while (probe_tcs(&g_probe)->state == 0) {
    }
    while (g_at_aep == 0) { /* past the entry itself, of which a signal would make nothing */
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        signals_sleep_ms(1);
    }
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(probe_tcs(&g_probe)->state, 0);
    assert_int_equal(probe_tcs(&g_probe)->cssa, 1);
}

/* Dispositions are the application's own, whatever the kernel was told. */
static void test_dispositions(void **state)
{
    (void)state;
    struct sigaction old;
    signals_handle(SIGILL, signals_on_storm, SA_RESTART | SA_NODEFER);
    assert_int_equal(sigaction(SIGILL, NULL, &old), 0);
    assert_ptr_equal(old.sa_sigaction, signals_on_storm);
    const int restorer = 0x04000000; /* SA_RESTORER: libc sets it, and the kernel tells it back */
    assert_int_equal(old.sa_flags, SA_SIGINFO | SA_RESTART | SA_NODEFER | restorer);
    assert_ptr_equal(signal(SIGILL, SIG_IGN), (void (*)(int))(void *)signals_on_storm);
    assert_ptr_equal(signal(SIGILL, SIG_DFL), SIG_IGN);
    signals_handle(SIGUSR1, signals_on_storm, (int)SA_RESETHAND);
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
        TEST(test_dispositions),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests_name("soft_signals", tests, NULL, NULL);
}
