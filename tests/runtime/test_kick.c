/*
 * Threads of an enclave that are made to look at their signals, wherever they are; signals from outside.
 * Side: tests (host). Argument: enclave_kick.signed.
 * Never timed: a kick that is lost is a test that hangs, and meson ends it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cella/host.h"
#include "tests/runtime/kick.h"

static const char *g_image;

static cella_enclave *make(uint32_t flags)
{
    const struct cella_enclave_options options = {.flags = flags};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    if (!cella_is_ok(cella_enclave_create(g_image, &options, &enclave, &error))) {
        fail_msg("%s", error.text);
    }
    return enclave;
}

struct life {
    cella_enclave *enclave;
    uint32_t kind;
    uint64_t out[2];
    cella_result result;
    pthread_t thread;
};

static void *life_main(void *argument)
{
    struct life *life = argument;
    size_t size;
    life->result = cella_ecall(life->enclave, KICK_LIVE, &life->kind, sizeof(life->kind), life->out,
                               sizeof(life->out), &size);
    return NULL;
}

static void expect_ok(cella_enclave *enclave, cella_result result)
{
    if (!cella_is_ok(result)) {
        print_message("%s: %s\n", cella_result_name(result), cella_enclave_abort_text(enclave));
    }
    assert_string_equal(cella_result_name(result), "OK");
}

static void kick(cella_enclave *enclave, uint64_t count, bool waits)
{
    const uint64_t words[2] = {count, waits};
    expect_ok(enclave, cella_ecall(enclave, KICK_KICK, words, sizeof(words), NULL, 0, NULL));
}

static uint64_t lives(uint32_t kind, uint64_t count, bool waits)
{
    struct life life = {.enclave = make(CELLA_ENCLAVE_INTERRUPTIBLE), .kind = kind};
    assert_int_equal(pthread_create(&life.thread, NULL, life_main, &life), 0);
    kick(life.enclave, count, waits);
    expect_ok(life.enclave, cella_ecall(life.enclave, KICK_STOP, NULL, 0, NULL, 0, NULL));
    pthread_join(life.thread, NULL);
    assert_string_equal(cella_result_name(life.result), "OK");
    assert_int_equal(life.out[1], 0);
    cella_enclave_destroy(life.enclave);
    return life.out[0];
}

/* Each kick is seen before the next is made: none is lost. */
static void test_none_is_lost(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < LIFE_COUNT; kind++) {
        print_message("life %u\n", kind);
        assert_in_range(lives(kind, 500, true), 500, 501);
    }
}

/* As fast as they can be made: some fall together, the last is seen. */
static void test_flood(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < LIFE_COUNT; kind++) {
        print_message("life %u\n", kind);
        assert_in_range(lives(kind, kind == LIFE_SPIN ? 100000 : 2000, false), 1, 100001);
    }
}

/* A thread that computes in an enclave that has ended comes out. */
static void test_dead_enclave(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < LIFE_COUNT; kind++) {
        struct life life = {.enclave = make(CELLA_ENCLAVE_INTERRUPTIBLE), .kind = kind};
        assert_int_equal(pthread_create(&life.thread, NULL, life_main, &life), 0);
        assert_false(cella_is_ok(cella_ecall(life.enclave, KICK_ABORT, NULL, 0, NULL, 0, NULL)));
        pthread_join(life.thread, NULL);
        assert_false(cella_is_ok(life.result));
        cella_enclave_destroy(life.enclave);
    }
}

static void test_only_where_wanted(void **state)
{
    (void)state;
    cella_enclave *enclave = make(0);
    assert_string_equal(cella_result_name(cella_enclave_signal(enclave, SIGTERM)), "WRONG_STATE");
    cella_enclave_destroy(enclave);
    enclave = make(CELLA_ENCLAVE_INTERRUPTIBLE);
    assert_string_equal(cella_result_name(cella_enclave_signal(enclave, 0)), "OUT_OF_RANGE");
    assert_string_equal(cella_result_name(cella_enclave_signal(enclave, 65)), "OUT_OF_RANGE");
    cella_enclave_destroy(enclave);
}

static uint64_t take_signals(cella_enclave *enclave)
{
    uint64_t signals = 0;
    size_t size;
    assert_true(
        cella_is_ok(cella_ecall(enclave, KICK_SIGNALS, NULL, 0, &signals, sizeof(signals), &size)));
    return signals;
}

static void test_signals(void **state)
{
    (void)state;
    cella_enclave *enclave = make(CELLA_ENCLAVE_INTERRUPTIBLE);
    assert_int_equal(take_signals(enclave), 0);
    assert_true(cella_is_ok(cella_enclave_signal(enclave, SIGTERM)));
    assert_true(cella_is_ok(cella_enclave_signal(enclave, SIGTERM)));
    assert_true(cella_is_ok(cella_enclave_signal(enclave, 64)));
    assert_int_equal(take_signals(enclave), 1ull << (SIGTERM - 1) | 1ull << 63);
    assert_int_equal(take_signals(enclave), 0);
    cella_enclave_destroy(enclave);
}

/* The host's own handlers go on working beside it, and other real-time signals. */
static volatile sig_atomic_t g_handled;
static void on_signal(int number)
{
    (void)number;
    g_handled++;
}

static void test_beside_the_hosts_signals(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct life life = {.enclave = make(CELLA_ENCLAVE_INTERRUPTIBLE), .kind = LIFE_SPIN};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN + 5, &action, NULL);
    assert_int_equal(pthread_create(&life.thread, NULL, life_main, &life), 0);
    for (int i = 0; i < 50; i++) {
        pthread_kill(life.thread, i % 2 ? SIGUSR1 : SIGRTMIN + 5);
        kick(life.enclave, 10, true);
    }
    assert_true(cella_is_ok(cella_ecall(life.enclave, KICK_STOP, NULL, 0, NULL, 0, NULL)));
    pthread_join(life.thread, NULL);
    assert_in_range(life.out[0], 500, 501);
    assert_true(g_handled > 0);
    cella_enclave_destroy(life.enclave);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return 2;
    }
    g_image = argv[1];
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_where_wanted), cmocka_unit_test(test_signals),
        cmocka_unit_test(test_none_is_lost),      cmocka_unit_test(test_flood),
        cmocka_unit_test(test_dead_enclave),      cmocka_unit_test(test_beside_the_hosts_signals),
    };
    return cmocka_run_group_tests_name("runtime_kick", tests, NULL, NULL);
}
