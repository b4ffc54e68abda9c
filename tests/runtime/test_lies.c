/*
 * A host that lies in the kernel's own ocalls: results, sizes, numbers, times, early and late wake-ups.
 * Side: tests (host). Linked with --wrap=cella_host_service. Arguments: images of musl, glibc and with modules.
 * Never asks for right answers: the enclave must end each call with a result, and nothing else may happen to it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"
#include "tests/runtime/calls.h"

enum lie {
    LIE_NONE,
    LIE_RESULT, /* a failure instead of OK, or a number that is no result */
    LIE_SIZE,   /* more or fewer bytes than were asked for */
    LIE_BYTES,  /* the answer's first word is something else */
    LIE_CLOCK,  /* time jumps about, also backwards */
    LIE_WAKE,   /* nobody ever sleeps, or time is always over */
    LIE_COUNT,
};

static _Atomic enum lie g_lie;
static _Atomic uint64_t g_told;
static char **g_images;

cella_result __real_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size);
cella_result __wrap_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size);

static uint64_t random_next(void)
{
    static _Atomic uint64_t counter = 1;
    uint64_t value = atomic_fetch_add(&counter, 0x9E3779B97F4A7C15ull);
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ value >> 27) * 0x94D049BB133111EBull;
    return value ^ value >> 31;
}

static void lie_about_time(void *out, size_t out_capacity)
{
    static const int64_t times[][2] = {
        {0, 0},         {5, 999999999}, {4, 0},         {-1, 0},         {1, -1}, {1, 1000000000},
        {INT64_MAX, 0}, {100, 5},       {1ll << 40, 0}, {INT64_MIN, 77}, {3, 3},  {1000000, 1}};
    if (out_capacity >= 16) {
        memcpy(out, times[random_next() % 12], 16);
    }
}

/* After the real answer: spoils it in the way of the day. true: `*result` is the lie. */
static bool lie_tell(uint32_t number, void *out, size_t out_capacity, size_t *ret_size,
                     cella_result *result)
{
    static const uint32_t codes[] = {CELLA_CODE_BUSY, CELLA_CODE_OUT_OF_MEMORY,   12345,
                                     UINT32_MAX,      CELLA_CODE_ENCLAVE_ABORTED, CELLA_CODE_OK};
    static const int64_t words[] = {-1, -4096, INT64_MIN, INT64_MAX, 0, 1, 1 << 20, -EINTR};
    const enum lie lie = g_lie;
    switch (lie) {
    case LIE_RESULT:
        result->code = codes[random_next() % 6];
        return true;
    case LIE_SIZE:
        *ret_size = random_next() % 2 ? random_next() : random_next() % (out_capacity + 9);
        return true;
    case LIE_BYTES:
        if (out_capacity >= 8) {
            memcpy(out, &words[random_next() % 8], 8);
            return true;
        }
        return false;
    case LIE_CLOCK:
        if (number == CELLA_OCALL_CLOCK) {
            lie_about_time(out, out_capacity);
            return true;
        }
        return false;
    default:
        return false;
    }
}

cella_result __wrap_cella_host_service(cella_enclave *enclave, struct cella_host_slot *slot,
                                       uint32_t number, const void *in, size_t in_size, void *out,
                                       size_t out_capacity, size_t *ret_size)
{
    const bool sleeps = number == CELLA_OCALL_WAIT;
    if (g_lie == LIE_WAKE && sleeps) {
        g_told++;
        sched_yield();
        return random_next() % 2 ? CELLA_OK : CELLA_RESULT(BUSY);
    }
    cella_result result =
        __real_cella_host_service(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    /* A wake-up that never happens is a host that does not serve: nothing can be done about that. */
    if (g_lie == LIE_NONE || number == CELLA_OCALL_WAKE || sleeps ||
        (number == CELLA_OCALL_THREAD && cella_is_ok(result)) || random_next() % 3 == 0) {
        return result;
    }
    if (lie_tell(number, out, out_capacity, ret_size, &result)) {
        g_told++;
    }
    return result;
}

static void call(cella_enclave *enclave, uint32_t number, uint64_t argument, size_t in_size)
{
    uint64_t out[32] = {0};
    size_t size = 0;
    cella_result result = cella_ecall(enclave, number, &argument, in_size, out, sizeof(out), &size);
    assert_true(size <= sizeof(out));
    if (result.code == CELLA_CODE_ENCLAVE_ABORTED || result.code == CELLA_CODE_ENCLAVE_LOST) {
        fail_msg("lie %d, ecall %u: %s", (int)g_lie, number, cella_enclave_abort_text(enclave));
    }
}

static void lie_to(const char *image, enum lie lie, const char *root)
{
    const int null = open("/dev/null", O_WRONLY);
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG, .console = {null, null}, .file_root = root};
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    g_lie = LIE_NONE;
    cella_result result = cella_enclave_create(image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", image, error.text);
    }
    g_lie = lie;
    const int rounds =
        lie == LIE_WAKE ? 1 : 4; /* threads that never sleep are in each other's way */
    for (int round = 0; round < rounds; round++) {
        call(enclave, LIBC_HELLO, 0x646c726f77, 5);
        call(enclave, LIBC_THREADS, 3, 4);
        call(enclave, LIBC_TIMED_WAIT, 0, 0);
        call(enclave, LIBC_CLOCK, 0, 0);
        call(enclave, LIBC_FILE, 0, 0);
        call(enclave, LIBC_NEWEST, 0, 0);
        call(enclave, LIBC_MALLOC, 100000, 8);
    }
    g_lie = LIE_NONE;
    call(enclave, LIBC_NOTHING, 0, 0);
    cella_enclave_destroy(enclave);
    close(null);
}

static void test_lies(void **state)
{
    (void)state;
    char root[] = "/tmp/cella-test-XXXXXX";
    assert_non_null(mkdtemp(root));
    for (enum lie lie = LIE_NONE; lie < LIE_COUNT; lie++) {
        g_told = 0;
        for (int image = 1; image <= 3; image++) {
            lie_to(g_images[image], lie, root);
        }
        assert_true(lie == LIE_NONE ? g_told == 0 : g_told > 0);
    }
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

/* A monotonic clock never goes back, whatever the host says. */
static void test_clock_goes_forward(void **state)
{
    (void)state;
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_DEBUG};
    cella_enclave *enclave = NULL;
    assert_true(cella_is_ok(cella_enclave_create(g_images[3], &options, &enclave, NULL)));
    g_lie = LIE_CLOCK;
    int64_t latest = 0;
    for (int i = 0; i < 500; i++) {
        int64_t now = 0;
        size_t size = 0;
        assert_true(cella_is_ok(cella_ecall(enclave, LIBC_CLOCK, NULL, 0, &now, 8, &size)));
        if (now < 0) {
            assert_int_equal(now, -EIO);
            continue;
        }
        assert_true(now >= latest);
        latest = now;
    }
    assert_true(latest > 0);
    g_lie = LIE_NONE;
    cella_enclave_destroy(enclave);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_clock_goes_forward),
    };
    if (argc != 4) {
        fprintf(stderr, "usage: %s MUSL GLIBC MODULES\n", argv[0]);
        return 2;
    }
    g_images = argv;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
