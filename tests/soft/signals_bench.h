/*
 * What the tests of signals share: a storm of timer signals, and what their handlers look for.
 * Side: tests (host). Included by tests/soft/signals*_test.c. No test depends on how fast signals come: those that
 * need many wait until there were so many.
 */
#ifndef CELLA_TESTS_SIGNALS_BENCH_H
#define CELLA_TESTS_SIGNALS_BENCH_H

#include "tests/soft/probe_bench.h"

#include "soft/transition.h"

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

extern struct probe g_probe;
extern _Atomic unsigned g_signals; /* handled */
extern _Atomic unsigned g_at_aep;  /* those of them that saw the AEP with ERESUME in RAX */
extern _Atomic uint32_t g_stop;    /* ends PROBE_SPIN */

int signals_setup(void **state);
int signals_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, signals_setup, signals_teardown)

/* Handlers cannot fail a test: the first complaint is kept, and signals_assert_good fails with it. */
void signals_complain(const char *what, const ucontext_t *context);
void signals_assert_good(void);

/* Whether the interrupted state is one that a host may see. true: the AEP, with ERESUME in RAX. */
bool signals_look(const ucontext_t *context);
void signals_on_storm(int number, siginfo_t *info, void *context);

void signals_storm(bool on);
void signals_handle(int number, void (*handler)(int, siginfo_t *, void *), int flags);
void signals_alarm_mask(int how);
void signals_sleep_ms(long ms);
void signals_wait_for(_Atomic unsigned *counter, unsigned count);

/* Starts a thread that gets no SIGALRM before it has called signals_mark_thread. */
void signals_start(pthread_t *ret_thread, void *(*function)(void *), void *argument);
void signals_mark_thread(void);

/* Spins inside until `counter` has reached `count`; everything inside must survive what comes meanwhile. */
void signals_spin(uint64_t tcs, _Atomic unsigned *counter, unsigned count);

#endif
