/*
 * Signals of hosts that execute ENCLU themselves, without the vDSO: what they see is what the kernel would show.
 * Side: tests (host). Run by meson. Bounded in count; no test depends on how fast signals come.
 */
#include "tests/soft/signals_bench.h"

#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf g_jump;

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
    signals_handle(SIGFPE, on_raw_skip, 0);
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

static void on_raw_skip_breakpoint(int number, siginfo_t *info, void *context)
{
    record(number, info, context);
    probe_gpr(&g_probe, g_probe.tcs, 0)->rip += 1;
}

/* INT3 of an enclave that is debugged: SIGTRAP at the AEP, to the handler or, by default, the end of the process. */
static void test_raw_breakpoint(void **state)
{
    struct probe_call call = {.in = {PROBE_BREAKPOINT}};
    signals_teardown(state);
    probe_open(&g_probe, &(struct probe_options){.flags = SGX_FLAGS_DEBUG});
    probe_tcs(&g_probe)->flags |= SGX_TCS_DBGOPTIN;
    signals_handle(SIGTRAP, on_raw_skip_breakpoint, 0);
    for (int i = 0; i < 2; i++) {
        g_raw.number = 0;
        probe_raw(&call, g_probe.tcs, 0);
        assert_int_equal(g_raw.number, SIGTRAP);
        assert_int_equal(g_raw.trap, SGX_VECTOR_BP);
        assert_int_equal(g_raw.rip, (greg_t)probe_aep);
        assert_int_equal(g_raw.rax, SGX_ERESUME);
        assert_int_equal(probe_tcs(&g_probe)->cssa, 0);
    }
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTRAP, SIG_DFL);
        probe_raw(&call, g_probe.tcs, 0);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTRAP);
    signal(SIGTRAP, SIG_DFL);
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
    signals_mark_thread();
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
    signals_handle(SIGALRM, signals_on_storm, SA_RESTART);
    signals_alarm_mask(SIG_BLOCK);
    assert_int_equal(pthread_create(&thread, NULL, raw_on_own_stack, &result), 0);
    signals_storm(true);
    signals_wait_for(&g_at_aep, 500);
    atomic_store(&g_stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    signals_storm(false);
    signals_alarm_mask(SIG_UNBLOCK);
    assert_true(result != UINT64_MAX);
    signals_assert_good();
}

static void test_raw_enclu_refused(void **state)
{
    (void)state;
    struct probe_call call = {0};
    signals_handle(SIGSEGV, on_raw_leave, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_raw_enclu),
        TEST(test_raw_breakpoint),
        TEST(test_raw_on_own_stack),
        TEST(test_raw_enclu_refused),
    };
    return cmocka_run_group_tests_name("soft_signals_raw", tests, NULL, NULL);
}
