/*
 * The older signal functions come to the same records as sigaction and sigprocmask while the processor is active.
 * Side: tests (host). Run by meson.
 */
#include "tests/soft/probe_bench.h"

#include <signal.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* they are what is tested */

static volatile sig_atomic_t g_signals;

static void on_plain(int number)
{
    (void)number;
    g_signals++;
}

static void test_old_functions(void **state)
{
    struct sigaction now;
    struct probe p;
    (void)state;
    probe_open(&p, &(struct probe_options){0}); /* from here on handlers are the processor's */
    assert_ptr_equal(sigset(SIGUSR2, on_plain), SIG_DFL);
    assert_int_equal(sigaction(SIGUSR2, NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, on_plain);
    assert_int_equal(sighold(SIGUSR2), 0);
    assert_int_equal(raise(SIGUSR2), 0);
    assert_int_equal(g_signals, 0);
    assert_int_equal(sigrelse(SIGUSR2), 0);
    assert_int_equal(g_signals, 1);
    assert_int_equal(siginterrupt(SIGUSR2, 0), 0);
    assert_int_equal(sigaction(SIGUSR2, NULL, &now), 0);
    assert_true(now.sa_flags & SA_RESTART);
    assert_int_equal(siginterrupt(SIGUSR2, 1), 0);
    assert_int_equal(sigaction(SIGUSR2, NULL, &now), 0);
    assert_false(now.sa_flags & SA_RESTART);
    assert_ptr_equal(sigset(SIGUSR2, SIG_HOLD), on_plain);
    assert_ptr_equal(sigset(SIGUSR2, SIG_DFL), SIG_HOLD);
    assert_int_equal(sigignore(SIGUSR2), 0);
    assert_ptr_equal(ssignal(SIGUSR2, SIG_DFL), SIG_IGN);
    probe_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_functions)};
    return cmocka_run_group_tests_name("soft_signals_old", tests, NULL, NULL);
}
