/*
 * What the tests of signals share: the storm, the handlers' eyes, threads.
 * Side: tests (host). Linked into soft_signals*_test. A handler never fails a test itself: it complains.
 */
#include "tests/soft/signals_bench.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define STORM_PERIOD_US 30
#define FS_MARKER 0x4D41524Bu
#define SPIN_R13 0x5A5A /* what PROBE_SPIN keeps there */

struct probe g_probe;
_Atomic unsigned g_signals, g_at_aep;
_Atomic uint32_t g_stop;

static __thread unsigned g_marker; /* lives at the host's FS base */
static _Atomic(const char *) g_complaint;
static _Atomic unsigned g_complaints;
static gregset_t g_complaint_registers;

void signals_complain(const char *what, const ucontext_t *context)
{
    const char *none = NULL;
    atomic_fetch_add(&g_complaints, 1);
    if (atomic_compare_exchange_strong(&g_complaint, &none, what) && context) {
        memcpy(g_complaint_registers, context->uc_mcontext.gregs, sizeof(g_complaint_registers));
    }
}

void signals_assert_good(void)
{
    if (g_complaint) {
        const greg_t *registers = g_complaint_registers;
        fail_msg("%s; %u complaints in %u signals; rip %#llx (soft_aep%+lld) rsp %#llx rax %#llx "
                 "rbx %#llx rcx %#llx r13 %#llx",
                 g_complaint, g_complaints, g_signals, registers[REG_RIP],
                 registers[REG_RIP] - (greg_t)soft_aep, registers[REG_RSP], registers[REG_RAX],
                 registers[REG_RBX], registers[REG_RCX], registers[REG_R13]);
    }
}

/*
 * The AEP with ERESUME in RAX is seen behind an AEX and, by chance, right before a host's own ERESUME: there its
 * registers are the host's, not zero. An enclave's must never be there.
 */
bool signals_look(const ucontext_t *context)
{
    const greg_t *registers = context->uc_mcontext.gregs;
    const uint64_t rip = (uint64_t)registers[REG_RIP];
    const bool resumes = registers[REG_RAX] == SGX_ERESUME && registers[REG_RCX] == (greg_t)rip;
    if (soft_in_elrange(g_probe.enclave, rip, 1)) {
        signals_complain("RIP in the enclave", context);
    }
    if (soft_in_elrange(g_probe.enclave, (uint64_t)registers[REG_RSP], 1)) {
        signals_complain("RSP in the enclave", context);
    }
    if (g_marker != FS_MARKER) {
        signals_complain("FS is not the host's", context);
    }
    if (resumes && registers[REG_R13] == SPIN_R13) {
        signals_complain("a register of the enclave", context);
    }
    atomic_fetch_add(&g_at_aep, resumes);
    atomic_fetch_add(&g_signals, 1);
    return resumes;
}

void signals_on_storm(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int saved = errno;
    errno = 77; /* must hit this thread's errno */
    signals_look(context);
    errno = saved;
}

void signals_storm(bool on)
{
    struct itimerval timer = {.it_interval = {.tv_usec = on ? STORM_PERIOD_US : 0},
                              .it_value = {.tv_usec = on ? STORM_PERIOD_US : 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

void signals_handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

int signals_setup(void **state)
{
    (void)state;
    g_marker = FS_MARKER;
    atomic_store(&g_signals, 0);
    atomic_store(&g_at_aep, 0);
    atomic_store(&g_complaint, NULL);
    atomic_store(&g_complaints, 0);
    atomic_store(&g_stop, 0);
    probe_open(&g_probe, &(struct probe_options){0});
    return 0;
}

int signals_teardown(void **state)
{
    (void)state;
    signals_storm(false);
    probe_close(&g_probe);
    return 0;
}

void signals_alarm_mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

void signals_start(pthread_t *ret_thread, void *(*function)(void *), void *argument)
{
    signals_alarm_mask(SIG_BLOCK);
    assert_int_equal(pthread_create(ret_thread, NULL, function, argument), 0);
    signals_alarm_mask(SIG_UNBLOCK);
}

void signals_mark_thread(void)
{
    g_marker = FS_MARKER;
    signals_alarm_mask(SIG_UNBLOCK);
}

void signals_sleep_ms(long ms)
{
    struct timespec left = {.tv_nsec = ms * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

void signals_wait_for(_Atomic unsigned *counter, unsigned count)
{
    while (atomic_load(counter) < count) {
        signals_sleep_ms(1);
    }
}

struct stop {
    _Atomic unsigned *counter;
    unsigned count;
};

/* Leaves the storm to the thread that is inside: SIGALRM stays blocked here. */
static void *stop_later(void *argument)
{
    const struct stop *stop = argument;
    signals_wait_for(stop->counter, stop->count);
    atomic_store(&g_stop, 1);
    return NULL;
}

void signals_spin(uint64_t tcs, _Atomic unsigned *counter, unsigned count)
{
    pthread_t thread;
    struct stop stop = {counter, count};
    uint8_t ymm[32], kept[32];
    memset(ymm, 0x77, sizeof(ymm));
    memcpy(kept, ymm, sizeof(kept));
    atomic_store(&g_stop, 0);
    signals_start(&thread, stop_later, &stop);
    struct probe_call call = {.in = {0, (uint64_t)(uintptr_t)&g_stop, (uint64_t)(uintptr_t)ymm}};
    assert_int_equal(probe_run(&g_probe, tcs, SGX_EENTER, PROBE_SPIN, &call), 0);
    assert_int_equal(g_probe.run.function, SGX_EEXIT);
    assert_true(call.out[1] != UINT64_MAX);
    assert_memory_equal(ymm, kept, sizeof(ymm));
    assert_int_equal(pthread_join(thread, NULL), 0);
}
