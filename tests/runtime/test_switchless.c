/*
 * Switchless calls both ways: rings, batches, sleeping and waking workers, start and stop.
 * Side: tests (host). Argument: enclave_none.signed.
 * Never timed: on a busy machine workers sleep more, nothing else changes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cella/host.h"
#include "tests/runtime/calls.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static const char *g_image;
static _Atomic uint32_t g_echoes;

static cella_result host_echo(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    g_echoes++;
    *ret_size = in_size < out_capacity ? in_size : out_capacity;
    memcpy(out, in, *ret_size);
    return CELLA_OK;
}

/* Holds the worker that serves it until g_release; a caller that had to make its call itself is not held. */
static pthread_t g_holder;
static _Atomic uint32_t g_held, g_release;
static cella_result host_hold(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    *ret_size = 0;
    if (pthread_equal(pthread_self(), g_holder)) {
        return CELLA_OK;
    }
    g_held = 1;
    while (!g_release) {
        const struct timespec moment = {.tv_nsec = 1000000};
        nanosleep(&moment, NULL);
    }
    return CELLA_OK;
}

/* u32 whether the ecall is switchless -> the counter of the TCS that serves it: beyond 1000 if it waits for this */
static cella_enclave *g_nest;
static cella_result host_nest(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    uint32_t is_switchless = 0;
    memcpy(&is_switchless, in, in_size < 4 ? in_size : 4);
    return is_switchless
               ? cella_ecall_switchless(g_nest, NONE_TLS, NULL, 0, out, out_capacity, ret_size)
               : cella_ecall(g_nest, NONE_TLS, NULL, 0, out, out_capacity, ret_size);
}

enum { OCALL_ECHO, OCALL_HOLD, OCALL_NEST, OCALL_COUNT };

static cella_enclave *enclave_with(uint32_t flags)
{
    static const cella_ocall_function ocalls[OCALL_COUNT] = {host_echo, host_hold, host_nest};
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG | flags, .ocall_count = OCALL_COUNT, .ocalls = ocalls};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(g_image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), error.text);
    }
    return enclave;
}

static cella_enclave *enclave_new(void)
{
    return enclave_with(CELLA_ENCLAVE_WAIT);
}

static void start(cella_enclave *enclave, uint32_t workers, uint32_t ocall_workers, uint32_t spins)
{
    const struct cella_switchless_options options = {
        .workers = workers, .ocall_workers = ocall_workers, .spins = spins};
    assert_code(cella_switchless_start(enclave, &options), OK);
}

static size_t adds(cella_enclave *enclave, int count)
{
    size_t failures = 0;
    for (int i = 0; i < count; i++) {
        const int32_t in[2] = {i, 5};
        int32_t out = 0;
        size_t size = 0;
        cella_result result =
            cella_ecall_switchless(enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size);
        failures += !cella_is_ok(result) || out != i + 5 || size != 4;
    }
    return failures;
}

static void test_ecalls(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    assert_int_equal(adds(enclave, 100), 0); /* without workers: plain calls */
    start(enclave, 2, 0, 0);
    assert_int_equal(adds(enclave, 300), 0);
    assert_code(cella_ecall_switchless(enclave, NONE_ECALL_COUNT, NULL, 0, NULL, 0, NULL),
                NOT_FOUND);
    uint64_t base, size;
    int32_t out;
    cella_enclave_range(enclave, &base, &size);
    assert_code(cella_ecall_switchless(enclave, NONE_ADD, (void *)base, 8, &out, 4, NULL),
                HOST_POINTER);
    cella_enclave_destroy(enclave); /* with workers running */
}

/* Workers that find nothing sleep, and wake for the next call; they stop and start again. */
static void test_sleep_and_stop(void **state)
{
    (void)state;
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 3000000};
    cella_enclave *enclave = enclave_new();
    for (int round = 0; round < 4; round++) {
        start(enclave, 1, 1, 10);
        for (int i = 0; i < 3; i++) {
            nanosleep(&moment, NULL);
            assert_int_equal(adds(enclave, 5), 0);
        }
        cella_switchless_stop(enclave);
        assert_int_equal(adds(enclave, 5), 0);
    }
    cella_enclave_destroy(enclave);
}

static void test_batch(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static int32_t in[COUNT][2], out[COUNT];
    static struct cella_call calls[COUNT];
    cella_enclave *enclave = enclave_new();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            in[i][0] = i;
            in[i][1] = round;
            out[i] = -1;
            calls[i] = (struct cella_call){.number = i % 100 == 7 ? 999 : NONE_ADD,
                                           .in = in[i],
                                           .in_size = 8,
                                           .out = &out[i],
                                           .out_capacity = 4};
        }
        if (round == 1) {
            start(enclave, 1, 0, 0);
        } else if (round == 2) {
            cella_switchless_stop(enclave);
            start(enclave, 2, 0, 20);
        }
        assert_code(cella_ecall_batch(enclave, calls, COUNT), OK);
        for (int i = 0; i < COUNT; i++) {
            if (i % 100 == 7) {
                assert_code(calls[i].result, NOT_FOUND);
            } else {
                assert_code(calls[i].result, OK);
                assert_int_equal(calls[i].out_size, 4);
                assert_int_equal(out[i], i + round);
            }
        }
    }
    assert_code(cella_ecall_batch(enclave, NULL, 0), OK);
    cella_enclave_destroy(enclave);
}

struct producer {
    cella_enclave *enclave;
    size_t failures;
};

static void *producer_main(void *argument)
{
    struct producer *producer = argument;
    producer->failures = adds(producer->enclave, 200);
    return NULL;
}

static void test_many_producers(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    pthread_t threads[10];
    struct producer producers[10];
    start(enclave, 2, 0, 100);
    for (int i = 0; i < 10; i++) {
        producers[i] = (struct producer){.enclave = enclave};
        pthread_create(&threads[i], NULL, producer_main, &producers[i]);
    }
    for (int i = 0; i < 10; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(producers[i].failures, 0);
    }
    cella_enclave_destroy(enclave);
}

static void test_ocalls(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    for (int round = 0; round < 3; round++) {
        uint32_t in[64] = {0, 256, 50};
        uint32_t out[64] = {0};
        size_t size = 0;
        for (int i = 3; i < 64; i++) {
            in[i] = (uint32_t)(i * round + 1);
        }
        if (round == 1) {
            start(enclave, 0, 1, 0);
        } else if (round == 2) {
            cella_switchless_stop(enclave);
            start(enclave, 1, 2, 5);
        }
        g_echoes = 0;
        assert_code(cella_ecall(enclave, NONE_SWITCHLESS, in, sizeof(in), out, sizeof(out), &size),
                    OK);
        assert_int_equal(size, 61 * 4);
        assert_memory_equal(out, in + 3, 61 * 4);
        assert_int_equal(g_echoes, 50);
        in[0] = 77;
        assert_code(cella_ecall(enclave, NONE_SWITCHLESS, in, sizeof(in), out, sizeof(out), &size),
                    NOT_FOUND);
    }
    cella_enclave_destroy(enclave);
}

struct holder {
    cella_enclave *enclave;
    bool by_ocall; /* holds the worker for ocalls, not the one for ecalls */
};

static void *holder_main(void *argument)
{
    const struct holder *holder = argument;
    const uint32_t forward[2] = {1, 0}, over_ring[3] = {1, 0, 1};
    size_t size = 0;
    g_holder = pthread_self();
    while (!g_held) {
        if (holder->by_ocall) {
            assert_code(cella_ecall(holder->enclave, NONE_SWITCHLESS, over_ring, sizeof(over_ring),
                                    NULL, 0, &size),
                        OK);
        } else {
            assert_code(cella_ecall_switchless(holder->enclave, NONE_FORWARD, forward,
                                               sizeof(forward), NULL, 0, &size),
                        OK);
        }
    }
    return NULL;
}

static void hold(pthread_t *thread, struct holder *holder)
{
    g_held = 0;
    g_release = 0;
    assert_int_equal(pthread_create(thread, NULL, holder_main, holder), 0);
    while (!g_held) {
        sched_yield();
    }
}

/* While the only worker has no time, calls are withdrawn and made by the caller, more than the ring has slots. */
static void test_withdrawn_ecalls(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int32_t in[COUNT][2], out[COUNT];
    static struct cella_call calls[COUNT];
    struct holder holder = {enclave_new(), false};
    pthread_t thread;
    start(holder.enclave, 1, 0, 0);
    for (int round = 0; round < 3; round++) {
        hold(&thread, &holder);
        for (int i = 0; i < COUNT; i++) {
            in[i][0] = i;
            in[i][1] = round;
            calls[i] = (struct cella_call){
                .number = NONE_ADD, .in = in[i], .in_size = 8, .out = &out[i], .out_capacity = 4};
        }
        assert_code(cella_ecall_batch(holder.enclave, calls, COUNT), OK);
        for (int i = 0; i < COUNT; i++) {
            assert_code(calls[i].result, OK);
            assert_int_equal(out[i], i + round);
        }
        assert_int_equal(adds(holder.enclave, 100), 0);
        g_release = 1;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(adds(holder.enclave, 100), 0);
    } /* that the worker can be held again shows that it has passed over what was withdrawn */
    cella_enclave_destroy(holder.enclave);
}

static void test_withdrawn_ocalls(void **state)
{
    (void)state;
    struct holder holder = {enclave_new(), true};
    pthread_t thread;
    start(holder.enclave, 0, 1, 0);
    for (uint32_t round = 0; round < 3; round++) {
        const uint32_t in[4] = {0, 4, 100, round};
        uint32_t out = UINT32_MAX;
        size_t size = 0;
        hold(&thread, &holder);
        g_echoes = 0;
        assert_code(
            cella_ecall(holder.enclave, NONE_SWITCHLESS, in, sizeof(in), &out, sizeof(out), &size),
            OK);
        assert_int_equal(g_echoes, 100);
        assert_int_equal(out, round);
        g_release = 1;
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    cella_enclave_destroy(holder.enclave);
}

/* One ocall that makes an ecall: ordinary or over the ring, and so the ecall inside. The inner result, and its counter. */
static cella_result nest(bool ocall_is_switchless, uint32_t ecall_is_switchless, uint32_t *ret_tls)
{
    const uint32_t in[3] = {OCALL_NEST, ocall_is_switchless, ecall_is_switchless};
    size_t size = 0;
    *ret_tls = 0;
    return cella_ecall(g_nest, NONE_NEST, in, sizeof(in), ret_tls, 4, &size);
}

/*
 * Where nesting is refused, an ecall below a switchless ocall is none, though the ocall's own thread serves it: there are no
 * workers, or the only one is held. It has a TCS of its own, which the counters tell.
 */
static void test_nested_apart(void **state)
{
    (void)state;
    struct holder holder = {enclave_with(CELLA_ENCLAVE_NO_NESTING), true};
    pthread_t thread;
    g_nest = holder.enclave;
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t counter = 0;
        if (round == 1) {
            start(holder.enclave, 0, 1, 0);
            hold(&thread, &holder);
        }
        assert_code(nest(false, 0, &counter), WRONG_STATE);
        for (uint32_t i = 0; i < 3; i++) {
            assert_code(nest(i > 0, i != 1, &counter), OK);
            assert_in_range(counter, 1, 999);
        }
        assert_code(nest(false, 0, &counter), WRONG_STATE);
    }
    g_release = 1;
    assert_int_equal(pthread_join(thread, NULL), 0);
    cella_enclave_destroy(holder.enclave);
}

/* Where nesting is allowed, with a network or without, it is nesting: on the caller's own TCS. */
static void test_nested_allowed(void **state)
{
    (void)state;
    g_nest = enclave_with(CELLA_ENCLAVE_NETWORK);
    uint32_t counter = 0;
    for (uint32_t i = 0; i < 4; i++) {
        assert_code(nest(i & 1, i >> 1, &counter), OK);
        assert_int_equal(counter, 1001);
    }
    cella_enclave_destroy(g_nest);
}

/* When workers have every TCS, a call that waits for one of them is not withdrawn, and others find none. */
static void test_all_workers(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_with(0);
    pthread_t threads[6];
    struct producer producers[6];
    for (int round = 0; round < 2; round++) {
        start(enclave, 4, 0, 50);
        const int32_t in[2] = {1, 2};
        int32_t out = 0;
        size_t size = 0;
        assert_code(cella_ecall(enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size),
                    OUT_OF_THREADS);
        for (int i = 0; i < 6; i++) {
            producers[i] = (struct producer){.enclave = enclave};
            pthread_create(&threads[i], NULL, producer_main, &producers[i]);
        }
        for (int i = 0; i < 6; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(producers[i].failures, 0);
        }
        if (round == 0) {
            cella_switchless_stop(enclave);
            assert_code(cella_ecall(enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size),
                        OK);
        }
    }
    cella_enclave_destroy(enclave); /* with a worker where exit handlers would run */
}

static void test_refused(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    struct cella_switchless_options options = {.workers = 5};
    assert_code(cella_switchless_start(enclave, &options), OUT_OF_THREADS); /* there are four */
    options.workers = 0;
    assert_code(cella_switchless_start(enclave, &options), INVALID_ARGUMENT);
    options.ocall_workers = 1000;
    assert_code(cella_switchless_start(enclave, &options), INVALID_ARGUMENT);
    start(enclave, 1, 0, 0);
    options.ocall_workers = 1;
    assert_code(cella_switchless_start(enclave, &options), WRONG_STATE);
    cella_switchless_stop(enclave);
    cella_switchless_stop(enclave);
    cella_enclave_destroy(enclave);
}

/* A worker that dies with its enclave leaves no caller waiting. */
static void test_abort(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    start(enclave, 1, 0, 0);
    assert_code(cella_ecall_switchless(enclave, NONE_ABORT, NULL, 0, NULL, 0, NULL),
                ENCLAVE_ABORTED);
    assert_code(cella_ecall_switchless(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL),
                ENCLAVE_ABORTED);
    cella_enclave_destroy(enclave);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecalls),
        cmocka_unit_test(test_sleep_and_stop),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_many_producers),
        cmocka_unit_test(test_ocalls),
        cmocka_unit_test(test_withdrawn_ecalls),
        cmocka_unit_test(test_withdrawn_ocalls),
        cmocka_unit_test(test_nested_apart),
        cmocka_unit_test(test_nested_allowed),
        cmocka_unit_test(test_all_workers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_abort),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s IMAGE\n", argv[0]);
        return 2;
    }
    g_image = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
