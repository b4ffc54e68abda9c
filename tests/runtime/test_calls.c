/*
 * Ecalls, ocalls, memory and exceptions of the enclave without a libc.
 * Side: tests (host). Needs a processor: hardware, `cella soft`, or the one in libcella_host.
 * Never timed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/sgx.h"
#include "cella/host.h"
#include "tests/runtime/calls.h"

static const char *g_image, *g_growing;
static cella_enclave *g_enclave;

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static cella_result host_echo(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    *ret_size = in_size < out_capacity ? in_size : out_capacity;
    memcpy(out, in, *ret_size);
    return CELLA_OK;
}

static cella_result host_nested(void *context, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    (void)context;
    return cella_ecall(g_enclave, NONE_ADD, in, in_size, out, out_capacity, ret_size);
}

static cella_result host_fail(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_RESULT(BUSY);
}

static cella_result host_deep(void *context, const void *in, size_t in_size, void *out,
                              size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in_size;
    uint32_t n;
    memcpy(&n, in, sizeof(n));
    if (n == 0) {
        memset(out, 0x77, 4);
        *ret_size = 4;
        return CELLA_OK;
    }
    const uint32_t words[3] = {HOST_DEEP, 4, n - 1};
    return cella_ecall(g_enclave, NONE_FORWARD, words, sizeof(words), out, out_capacity, ret_size);
}

static const cella_ocall_function g_ocalls[HOST_OCALL_COUNT] = {
    [HOST_ECHO] = host_echo,
    [HOST_NESTED] = host_nested,
    [HOST_FAIL] = host_fail,
    [HOST_DEEP] = host_deep,
};

static cella_enclave *enclave_new(uint32_t flags)
{
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG | flags, .ocall_count = HOST_OCALL_COUNT, .ocalls = g_ocalls};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(g_image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), error.text);
    }
    return enclave;
}

static int setup(void **state)
{
    (void)state;
    g_enclave = enclave_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cella_enclave_destroy(g_enclave);
    return 0;
}

static void test_add(void **state)
{
    (void)state;
    const int32_t in[2] = {40, 2};
    int32_t out = 0;
    size_t size = 0;
    assert_code(cella_ecall(g_enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size), OK);
    assert_int_equal(out, 42);
    assert_int_equal(size, 4);
}

/* Every alignment of both buffers, sizes around the chunk and the small-call limits, then big ones. */
static void test_echo_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,   3,   7,   8,   9,    63,   64,   65,     127,
                                   255, 256, 257, 511, 4095, 4096, 4097, 1000003};
    uint8_t *in = malloc(1000100);
    uint8_t *out = malloc(1000100);
    for (size_t i = 0; i < 1000100; i++) {
        in[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t align = 0; align < 9; align++) {
            size_t size = 0;
            const size_t wanted = sizes[s];
            memset(out, 0xEE, wanted + 32);
            assert_code(cella_ecall(g_enclave, NONE_ECHO, in + align, wanted, out + 8 - align + 8,
                                    wanted, &size),
                        OK);
            assert_int_equal(size, wanted);
            assert_memory_equal(out + 16 - align, in + align, wanted);
            assert_int_equal(out[16 - align - 1], 0xEE);
            assert_int_equal(out[16 - align + wanted], 0xEE);
        }
    }
    free(in);
    free(out);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t buffer[128] = {0};
    uint64_t base, range;
    size_t size = 1234;
    cella_enclave_range(g_enclave, &base, &range);
    const struct {
        uint32_t number;
        const void *in;
        size_t in_size;
        void *out;
        size_t out_capacity;
        const char *expected;
    } rows[] = {
        {NONE_ECALL_COUNT, NULL, 0, NULL, 0, "NOT_FOUND"},
        {UINT32_MAX, NULL, 0, NULL, 0, "NOT_FOUND"},
        {NONE_ADD, buffer, 65, NULL, 0, "OUT_OF_RANGE"},
        {NONE_ADD, buffer, 7, buffer, 4, "INVALID_ARGUMENT"},
        {NONE_ADD, buffer, SIZE_MAX, buffer, 4, "OUT_OF_RANGE"},
        {NONE_ADD, (void *)base, 8, buffer, 4, "HOST_POINTER"},
        {NONE_ADD, buffer, 8, (void *)base, 4, "HOST_POINTER"},
        {NONE_ADD, (void *)(base - 4), 8, buffer, 4, "HOST_POINTER"},
        {NONE_ADD, buffer, 8, (void *)(base + range - 1), 4, "HOST_POINTER"},
        {NONE_ADD, (void *)UINT64_MAX, 8, buffer, 4, "HOST_POINTER"},
        {NONE_ADD, (void *)0x800000000000ull, 8, buffer, 4, "HOST_POINTER"},
        {NONE_ADD, buffer, 8, (void *)(UINT64_MAX - 2), 4, "HOST_POINTER"},
        {NONE_ADD, buffer, 8, (void *)(base - 16), SIZE_MAX, "HOST_POINTER"},
        {NONE_ADD, buffer, 8, (void *)(base - 16), 4096, "HOST_POINTER"},
        {NONE_LIE_SIZE, NULL, 0, buffer, 64, "INTERNAL"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cella_result result = cella_ecall(g_enclave, rows[i].number, rows[i].in, rows[i].in_size,
                                          rows[i].out, rows[i].out_capacity, &size);
        if (strcmp(cella_result_name(result), rows[i].expected) != 0) {
            fail_msg("row %zu: %s, expected %s", i, cella_result_name(result), rows[i].expected);
        }
        assert_int_equal(size, 1234);
    }
    test_add(state); /* the enclave is intact */
}

/* Host addresses that are plausible, and where nothing is: refused, and the enclave goes on. */
static void test_no_memory_there(void **state)
{
    (void)state;
    uint8_t *pages = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t buffer[512] = {0};
    size_t size = 0;
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages, 4096, PROT_READ | PROT_WRITE), 0);
    static const size_t sizes[] = {1, 8, 60, 200, 4000, 5000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t align = 0; align < 2; align++) {
            uint8_t *nothing = pages + 4096 + align;
            assert_code(cella_ecall(g_enclave, NONE_ECHO, nothing, sizes[i], buffer, 512, &size),
                        HOST_POINTER);
        }
        uint8_t *edge = pages + 4096 - sizes[i] / 2; /* the first half is there */
        if (sizes[i] > 16) {
            assert_code(cella_ecall(g_enclave, NONE_ECHO, edge, sizes[i], buffer, 512, &size),
                        HOST_POINTER);
        }
        if (sizes[i] <= 512 && sizes[i] > 16) {
            assert_code(cella_ecall(g_enclave, NONE_ECHO, buffer, sizes[i], edge, sizes[i], &size),
                        HOST_POINTER);
        }
    }
    munmap(pages, 3 * 4096);
    test_add(state);
}

/* An output that the function did not write is zeros, not what an earlier call left there. */
static void test_output_is_cleared(void **state)
{
    (void)state;
    uint8_t secret[64], out[64];
    static const uint8_t zeros[64];
    size_t size = 0;
    memset(secret, 0x5A, sizeof(secret));
    for (int i = 0; i < 3; i++) {
        assert_code(cella_ecall(g_enclave, NONE_ECHO, secret, 64, out, 64, &size), OK);
        assert_code(cella_ecall(g_enclave, NONE_PEEK, NULL, 0, out, 64, &size), OK);
        assert_int_equal(size, 64);
        assert_memory_equal(out, zeros, 64);
    }
}

static void test_results_pass(void **state)
{
    (void)state;
    static const uint32_t codes[] = {1, 7, 46, 85, 101, 12345};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        cella_result result =
            cella_ecall(g_enclave, NONE_RESULT, &codes[i], sizeof(codes[i]), NULL, 0, NULL);
        assert_int_equal(result.code, codes[i]);
    }
}

static void test_ocall(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 13, 1000, 60000, 200000, 2000000};
    uint8_t *in = malloc(2000008), *out = malloc(2000008);
    for (size_t i = 0; i < 2000008; i++) {
        in[i] = (uint8_t)(i ^ i >> 9);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint32_t head[2] = {HOST_ECHO, 2000000};
        size_t size = 99;
        memcpy(in, head, sizeof(head));
        assert_code(cella_ecall(g_enclave, NONE_FORWARD, in, 8 + sizes[i], out, 2000000, &size),
                    OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(out, in + 8, size);
    }
    free(in);
    free(out);
}

static void test_ocall_results(void **state)
{
    (void)state;
    uint32_t words[2] = {HOST_FAIL, 0};
    size_t size = 0;
    assert_code(cella_ecall(g_enclave, NONE_FORWARD, words, 8, NULL, 0, &size), BUSY);
    words[0] = HOST_OCALL_COUNT;
    assert_code(cella_ecall(g_enclave, NONE_FORWARD, words, 8, NULL, 0, &size), NOT_FOUND);
    words[0] = 0x80000001u; /* the kernel's own are not for applications */
    assert_code(cella_ecall(g_enclave, NONE_FORWARD, words, 8, NULL, 0, &size), OUT_OF_RANGE);
}

static void test_nested(void **state)
{
    (void)state;
    const uint32_t words[4] = {HOST_NESTED, 4, 30, 12};
    int32_t out = 0;
    size_t size = 0;
    assert_code(cella_ecall(g_enclave, NONE_FORWARD, words, sizeof(words), &out, 4, &size), OK);
    assert_int_equal(out, 42);
    for (uint32_t depth = 0; depth < 60; depth += 7) {
        const uint32_t deep[3] = {HOST_DEEP, 4, depth};
        uint32_t answer = 0;
        assert_code(cella_ecall(g_enclave, NONE_FORWARD, deep, sizeof(deep), &answer, 4, &size),
                    OK);
        assert_int_equal(answer, 0x77777777);
    }
    const uint32_t too_deep[3] = {HOST_DEEP, 4, 1000};
    uint32_t answer;
    assert_code(cella_ecall(g_enclave, NONE_FORWARD, too_deep, sizeof(too_deep), &answer, 4, &size),
                LIMIT_EXCEEDED);
    test_add(state);
}

static void test_random(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    size_t size;
    assert_code(cella_ecall(g_enclave, NONE_RANDOM, NULL, 0, a, 32, &size), OK);
    assert_code(cella_ecall(g_enclave, NONE_RANDOM, NULL, 0, b, 32, &size), OK);
    assert_memory_not_equal(a, b, 32);
}

static void test_report(void **state)
{
    (void)state;
    struct sgx_report self, other;
    uint8_t mr_enclave[32], mr_signer[32];
    size_t size;
    assert_code(cella_ecall(g_enclave, NONE_IDENTITY, NULL, 0, &self, sizeof(self), &size), OK);
    cella_enclave_identity(g_enclave, mr_enclave, mr_signer);
    assert_memory_equal(self.body.mr_enclave, mr_enclave, 32);
    assert_memory_equal(self.body.mr_signer, mr_signer, 32);
    struct sgx_targetinfo target = {.attributes = self.body.attributes,
                                    .misc_select = self.body.misc_select};
    memcpy(target.measurement, self.body.mr_enclave, 32);
    cella_enclave *peer = enclave_new(0);
    assert_code(
        cella_ecall(peer, NONE_TARGET, &target, sizeof(target), &other, sizeof(other), &size), OK);
    cella_enclave_destroy(peer);
    assert_code(cella_ecall(g_enclave, NONE_VERIFY, &other, sizeof(other), NULL, 0, &size), OK);
    assert_string_equal((char *)other.body.report_data, "bound");
    for (size_t at = 0; at < sizeof(other); at += 37) {
        struct sgx_report bad = other;
        if (at == 388) {
            continue;
        }
        ((uint8_t *)&bad)[at] ^= 1;
        assert_code(cella_ecall(g_enclave, NONE_VERIFY, &bad, sizeof(bad), NULL, 0, &size),
                    AUTH_FAILED);
    }
}

static void test_key_refused(void **state)
{
    (void)state;
    struct sgx_keyrequest request = {.key_name = SGX_KEY_SEAL,
                                     .key_policy = SGX_KEYPOLICY_MRENCLAVE};
    uint8_t key[16], again[16];
    size_t size;
    assert_code(cella_ecall(g_enclave, NONE_KEY, &request, 512, key, 16, &size), OK);
    assert_code(cella_ecall(g_enclave, NONE_KEY, &request, 512, again, 16, &size), OK);
    assert_memory_equal(key, again, 16);
    request.isv_svn = 9;
    assert_code(cella_ecall(g_enclave, NONE_KEY, &request, 512, key, 16, &size), SVN_TOO_OLD);
    request.isv_svn = 0;
    request.key_name = SGX_KEY_PROVISION;
    assert_code(cella_ecall(g_enclave, NONE_KEY, &request, 512, key, 16, &size), ATTRIBUTE_REFUSED);
    request.key_name = 99;
    assert_code(cella_ecall(g_enclave, NONE_KEY, &request, 512, key, 16, &size), INVALID_ARGUMENT);
}

static void test_pages(void **state)
{
    (void)state;
    uint32_t zero;
    size_t size;
    uint64_t wanted = 3 << 20;
    for (int i = 0; i < 4; i++) {
        assert_code(cella_ecall(g_enclave, NONE_BUFFER, &wanted, 8, &zero, 4, &size), OK);
        assert_int_equal(zero, 1);
    }
    wanted = 1ull << 40;
    assert_code(cella_ecall(g_enclave, NONE_BUFFER, &wanted, 8, &zero, 4, &size), OUT_OF_MEMORY);
}

/* A heap whose pages are added when they are wanted, as on an SGX2 processor. */
static void test_growing_heap(void **state)
{
    (void)state;
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_DEBUG};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(g_growing, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), error.text);
    }
    for (uint64_t wanted = 4096; wanted < 12 << 20; wanted *= 3) {
        for (int i = 0; i < 2; i++) {
            uint32_t zero = 0;
            size_t size;
            assert_code(cella_ecall(enclave, NONE_BUFFER, &wanted, 8, &zero, 4, &size), OK);
            assert_int_equal(zero, 1);
        }
    }
    const uint64_t too_much = 64 << 20;
    uint32_t zero;
    size_t size;
    assert_code(cella_ecall(enclave, NONE_BUFFER, &too_much, 8, &zero, 4, &size), OUT_OF_MEMORY);
    cella_enclave_destroy(enclave);
}

static void test_cpuid(void **state)
{
    (void)state;
    uint32_t inside[4];
    const uint32_t leaf = 0;
    size_t size;
    assert_code(cella_ecall(g_enclave, NONE_CPUID, &leaf, 4, inside, 16, &size), OK);
    assert_true(inside[0] >= 0xD);
    assert_true(inside[1] != 0);
}

static void test_traps_handled(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind, vector, error;
    } rows[] = {
        {TRAP_DIVIDE, SGX_VECTOR_DE, 0},
        {TRAP_UD2, SGX_VECTOR_UD, 0},
        {TRAP_WRITE_NULL, SGX_VECTOR_PF, SGX_PF_WRITE | SGX_PF_USER},
        {TRAP_WRITE_TEXT, SGX_VECTOR_PF, SGX_PF_PRESENT | SGX_PF_WRITE | SGX_PF_USER},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint32_t in[2] = {rows[i].kind, 1};
        uint32_t out[4] = {0};
        size_t size = 0;
        assert_code(cella_ecall(g_enclave, NONE_TRAP, in, 8, out, 16, &size), OK);
        assert_int_equal(out[0], 0x600D);
        assert_int_equal(out[1], rows[i].vector);
        assert_int_equal(out[2] & ~SGX_PF_SGX, rows[i].error);
    }
    test_add(state);
}

static void test_traps_end(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        const char *text;
    } rows[] = {
        {TRAP_DIVIDE, "vector 0"},
        {TRAP_UD2, "vector 6"},
        {TRAP_WRITE_NULL, "vector 14"},
        {TRAP_STACK_OVERFLOW, "vector 14"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint32_t in[2] = {rows[i].kind, 0};
        uint32_t out[4];
        size_t size;
        cella_enclave *enclave = enclave_new(0);
        assert_code(cella_ecall(enclave, NONE_TRAP, in, 8, out, 16, &size), ENCLAVE_ABORTED);
        assert_non_null(strstr(cella_enclave_abort_text(enclave), rows[i].text));
        assert_code(cella_ecall(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), ENCLAVE_ABORTED);
        cella_enclave_destroy(enclave);
    }
}

static void test_abort(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *text;
    } rows[] = {{NONE_ABORT, "abort"}, {NONE_SMASH, "abort"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cella_enclave *enclave = enclave_new(0);
        assert_string_equal(cella_enclave_abort_text(enclave), "");
        assert_code(cella_ecall(enclave, rows[i].number, NULL, 0, NULL, 0, NULL), ENCLAVE_ABORTED);
        assert_non_null(strstr(cella_enclave_abort_text(enclave), rows[i].text));
        assert_code(cella_ecall(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), ENCLAVE_ABORTED);
        cella_enclave_destroy(enclave);
    }
}

/* Flags, MXCSR and x87 that a host sets do not reach the enclave, and are the host's own again afterwards. */
static void test_state_is_ordered(void **state)
{
    (void)state;
    struct none_state inside = {0};
    size_t size;
    const uint32_t wild_mxcsr = 0x7F80 | 0x8040;
    const uint32_t usual = 0x1F80;
    const uint16_t wild_fcw = 0x0C7F, usual_fcw = 0x37F;
    uint32_t after;
    uint16_t after_fcw;
    __asm__ volatile("ldmxcsr %0" : : "m"(wild_mxcsr));
    __asm__ volatile("fldcw %0\n\tfld1\n\tfld1\n\tfld1" : : "m"(wild_fcw));
    cella_result result =
        cella_ecall(g_enclave, NONE_STATE, NULL, 0, &inside, sizeof(inside), &size);
    __asm__ volatile("stmxcsr %0" : "=m"(after));
    __asm__ volatile("fnstcw %0" : "=m"(after_fcw));
    __asm__ volatile("fninit\n\tldmxcsr %0\n\tfldcw %1" : : "m"(usual), "m"(usual_fcw));
    assert_code(result, OK);
    assert_int_equal(inside.mxcsr & ~0x3Fu, 0x1F80);
    assert_int_equal(inside.fcw, 0x37F);
    assert_int_equal(inside.x87_full, 0);
    assert_int_equal(inside.rflags & 0x44400, 0);
    assert_int_equal(after, wild_mxcsr);
    assert_int_equal(after_fcw, wild_fcw);
}

static void *threads_run(void *argument)
{
    size_t *failures = argument;
    for (int i = 0; i < 3000; i++) {
        const int32_t in[2] = {i, 1};
        int32_t out = 0;
        size_t size = 0;
        cella_result result = cella_ecall(g_enclave, NONE_ADD, in, sizeof(in), &out, 4, &size);
        *failures += !cella_is_ok(result) || out != i + 1;
        const uint32_t words[4] = {HOST_NESTED, 4, (uint32_t)i, 2};
        result = cella_ecall(g_enclave, NONE_FORWARD, words, sizeof(words), &out, 4, &size);
        *failures += !cella_is_ok(result) || out != i + 2;
    }
    return NULL;
}

/* More threads than TCSs, each call waits for one. */
static void test_many_threads(void **state)
{
    (void)state;
    pthread_t threads[12];
    size_t failures[12] = {0};
    cella_enclave *shared = g_enclave;
    g_enclave = enclave_new(CELLA_ENCLAVE_WAIT);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, threads_run, &failures[i]), 0);
    }
    for (int i = 0; i < 12; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
    cella_enclave_destroy(g_enclave);
    g_enclave = shared;
}

static pthread_barrier_t g_barrier;

static cella_result host_barrier(void *context, const void *in, size_t in_size, void *out,
                                 size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    pthread_barrier_wait(&g_barrier); /* all TCSs are taken */
    pthread_barrier_wait(&g_barrier); /* and may go on */
    return CELLA_OK;
}

static void *wait_run(void *argument)
{
    *(cella_result *)argument = cella_ecall(g_enclave, NONE_WAIT, NULL, 0, NULL, 0, NULL);
    return NULL;
}

static void test_out_of_threads(void **state)
{
    (void)state;
    static const cella_ocall_function ocalls[] = {host_barrier};
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG, .ocall_count = 1, .ocalls = ocalls};
    cella_enclave *shared = g_enclave;
    pthread_t threads[4];
    cella_result results[4];
    assert_code(cella_enclave_create(g_image, &options, &g_enclave, NULL), OK);
    pthread_barrier_init(&g_barrier, NULL, 5);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, wait_run, &results[i]);
    }
    pthread_barrier_wait(&g_barrier);
    assert_code(cella_ecall(g_enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), OUT_OF_THREADS);
    pthread_barrier_wait(&g_barrier);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_code(results[i], OK);
    }
    assert_code(cella_ecall(g_enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), OK);
    cella_enclave_destroy(g_enclave);
    g_enclave = shared;
}

static void *tls_run(void *argument)
{
    size_t size;
    cella_ignore(cella_ecall(g_enclave, NONE_TLS, NULL, 0, argument, 4, &size));
    return NULL;
}

static void test_tls(void **state)
{
    (void)state;
    uint32_t first = 0, second = 0;
    tls_run(&first);
    tls_run(&second);
    assert_int_equal(first, 101);
    assert_int_equal(second, 102);
}

static void test_create_refused(void **state)
{
    (void)state;
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    assert_code(cella_enclave_create("/nonexistent/image", NULL, &enclave, &error), NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/image"));
    assert_code(cella_enclave_create("/dev/null", NULL, &enclave, &error), LIMIT_EXCEEDED);
    assert_code(cella_enclave_create_bytes("not an image", 12, "x", NULL, &enclave, &error),
                TRUNCATED);
    setenv("CELLA_PROCESSOR", "abacus", 1);
    assert_code(cella_enclave_create(g_image, NULL, &enclave, &error), INVALID_ARGUMENT);
    unsetenv("CELLA_PROCESSOR");
    assert_null(enclave);
}

/* Any byte of the measured pages that changes is noticed, by EINIT if by nobody else. */
static void test_altered_image(void **state)
{
    (void)state;
    FILE *file = fopen(g_image, "rb");
    assert_non_null(file);
    static uint8_t bytes[4 << 20];
    const size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_DEBUG};
    assert_code(cella_enclave_create_bytes(bytes, size, "good", &options, &enclave, &error), OK);
    cella_enclave_destroy(enclave);
    enclave = NULL;
    bytes[0x1100] ^= 0x10; /* code */
    assert_code(cella_enclave_create_bytes(bytes, size, "code", &options, &enclave, &error),
                MEASUREMENT_MISMATCH);
    bytes[0x1100] ^= 0x10;
    bytes[size - 1500] ^= 0x10; /* in the modulus or the signature */
    assert_code(cella_enclave_create_bytes(bytes, size, "signature", &options, &enclave, &error),
                BAD_SIGNATURE);
    bytes[size - 1500] ^= 0x10;
    cella_result result =
        cella_enclave_create_bytes(bytes, size - 1, "short", &options, &enclave, &error);
    assert_false(cella_is_ok(result));
    assert_null(enclave);
}

/* A thread of a pool that blocked every signal long before there was an enclave. */
static void *all_blocked(void *argument)
{
    const uint64_t all = ~0ull;
    const uint32_t in[2] = {TRAP_UD2, 1};
    uint32_t out[4] = {0};
    size_t size = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
    if (cella_is_ok(cella_ecall(g_enclave, NONE_TRAP, in, 8, out, 16, &size))) {
        *(uint32_t *)argument = out[0];
    }
    return NULL;
}

static void test_all_blocked(void **state)
{
    (void)state;
    uint32_t after = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, all_blocked, &after), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(after, 0x600D);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls), /* first: it counts */
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_echo_sizes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory_there),
        cmocka_unit_test(test_output_is_cleared),
        cmocka_unit_test(test_results_pass),
        cmocka_unit_test(test_ocall),
        cmocka_unit_test(test_ocall_results),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_key_refused),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_growing_heap),
        cmocka_unit_test(test_cpuid),
        cmocka_unit_test(test_traps_handled),
        cmocka_unit_test(test_all_blocked),
        cmocka_unit_test(test_traps_end),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_state_is_ordered),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_out_of_threads),
        cmocka_unit_test(test_create_refused),
        cmocka_unit_test(test_altered_image),
    };
    if (argc != 3) {
        fprintf(stderr, "usage: %s IMAGE GROWING\n", argv[0]);
        return 2;
    }
    g_image = argv[1];
    g_growing = argv[2];
    return cmocka_run_group_tests(tests, setup, teardown);
}
