/*
 * Enclaves with unmodified static libcs: start-up, threads, memory, modules, sealing.
 * Side: tests (host). Arguments: the images musl, glibc, libraries, libraries of SVN 2, of another signer, modules, C++.
 * Never timed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cella/host.h"
#include "tests/runtime/calls.h"
#include "tests/runtime/docs_hex.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

enum image {
    IMAGE_MUSL,
    IMAGE_GLIBC,
    IMAGE_LIBRARIES,
    IMAGE_LIBRARIES_SVN2,
    IMAGE_OTHER_SIGNER,
    IMAGE_MODULES,
    IMAGE_CXX,
    IMAGE_KEPT_SYSCALLS,
    IMAGE_COUNT,
};
static char **g_images;

static cella_enclave *enclave_new(enum image image, const struct cella_enclave_options *wanted)
{
    struct cella_enclave_options options = {0};
    if (wanted) {
        options = *wanted;
    }
    options.flags |= CELLA_ENCLAVE_DEBUG;
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(g_images[image], &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s: %s", g_images[image], cella_result_name(result), error.text);
    }
    return enclave;
}

/* What an enclave writes to its console goes through a pipe, and comes back as a string. */
struct console {
    int ends[2];
};

static void console_init(struct console *console, struct cella_enclave_options *options)
{
    assert_int_equal(pipe2(console->ends, O_NONBLOCK), 0);
    options->console[0] = console->ends[1];
    options->console[1] = console->ends[1];
}

static const char *console_text(struct console *console)
{
    static char text[4096];
    const ssize_t size = read(console->ends[0], text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

static void console_done(struct console *console)
{
    close(console->ends[0]);
    close(console->ends[1]);
}

static void check_hello(enum image image)
{
    struct console console;
    struct cella_enclave_options options = {0};
    char out[256] = {0};
    size_t size = 0;
    console_init(&console, &options);
    cella_enclave *enclave = enclave_new(image, &options);
    assert_code(cella_ecall(enclave, LIBC_HELLO, "world", 5, out, sizeof(out), &size), OK);
    assert_string_equal(out, "hello world, 3.250");
    assert_string_equal(console_text(&console), "hello world, 3.250\n");
    cella_enclave_destroy(enclave);
    assert_string_equal(console_text(&console), "exit handler\n");
    console_done(&console);
}

static void test_hello(void **state)
{
    (void)state;
    check_hello(IMAGE_MUSL);
    check_hello(IMAGE_GLIBC);
    check_hello(IMAGE_KEPT_SYSCALLS); /* every system call by way of an exception */
}

static void check_threads(enum image image)
{
    cella_enclave *enclave = enclave_new(image, NULL);
    uint32_t ran = 0;
    size_t size;
    for (uint32_t i = 0; i < 30; i++) {
        const uint32_t count = 1 + i % 4;
        assert_code(cella_ecall(enclave, LIBC_THREADS, &count, 4, &ran, 4, &size), OK);
        assert_int_equal(ran, 1);
    }
    const uint32_t too_many = 5;
    assert_code(cella_ecall(enclave, LIBC_THREADS, &too_many, 4, &ran, 4, &size), OUT_OF_THREADS);
    cella_enclave_destroy(enclave); /* with threads that wait for ever */
}

static void test_threads(void **state)
{
    (void)state;
    check_threads(IMAGE_MUSL);
    check_threads(IMAGE_GLIBC);
    check_threads(IMAGE_KEPT_SYSCALLS);
}

static void *caller(void *argument)
{
    size_t failures = 0;
    for (int i = 0; i < 2000; i++) {
        char out[64];
        size_t size;
        failures += !cella_is_ok(cella_ecall(argument, LIBC_NOTHING, NULL, 0, NULL, 0, NULL));
        failures += i % 64 == 0 && !cella_is_ok(cella_ecall(argument, LIBC_HELLO, "x", 1, out,
                                                            sizeof(out), &size));
    }
    return (void *)failures;
}

static void test_callers(void **state)
{
    (void)state;
    static const enum image images[] = {IMAGE_MUSL, IMAGE_GLIBC};
    for (size_t k = 0; k < 2; k++) {
        const int null = open("/dev/null", O_WRONLY);
        const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_WAIT,
                                                      .console = {null, null}};
        cella_enclave *enclave = enclave_new(images[k], &options);
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) {
            pthread_create(&threads[i], NULL, caller, enclave);
        }
        for (int i = 0; i < 8; i++) {
            void *failures;
            pthread_join(threads[i], &failures);
            assert_null(failures);
        }
        cella_enclave_destroy(enclave);
        close(null);
    }
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        const char *text;
    } rows[] = {{LIBC_ABORT, "abort"}, {LIBC_EXIT, "exit with code 3"}};
    static const enum image images[] = {IMAGE_MUSL, IMAGE_GLIBC};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 2; i++) {
            cella_enclave *enclave = enclave_new(images[k], NULL);
            assert_code(cella_ecall(enclave, rows[i].number, NULL, 0, NULL, 0, NULL),
                        ENCLAVE_ABORTED);
            assert_non_null(strstr(cella_enclave_abort_text(enclave), rows[i].text));
            assert_code(cella_ecall(enclave, LIBC_NOTHING, NULL, 0, NULL, 0, NULL),
                        ENCLAVE_ABORTED);
            cella_enclave_destroy(enclave);
        }
    }
}

static void test_memory(void **state)
{
    (void)state;
    static const enum image images[] = {IMAGE_MUSL, IMAGE_GLIBC};
    for (size_t k = 0; k < 2; k++) {
        cella_enclave *enclave = enclave_new(images[k], NULL);
        for (uint64_t wanted = 100; wanted < 5 << 20; wanted *= 3) {
            uint32_t had = 0;
            size_t size;
            assert_code(cella_ecall(enclave, LIBC_MALLOC, &wanted, 8, &had, 4, &size), OK);
            assert_int_equal(had, 1);
        }
        const uint64_t too_much = 1ull << 33;
        uint32_t had = 1;
        size_t size;
        assert_code(cella_ecall(enclave, LIBC_MALLOC, &too_much, 8, &had, 4, &size), OK);
        assert_int_equal(had, 0);
        cella_enclave_destroy(enclave);
    }
}

static void test_waiting(void **state)
{
    (void)state;
    static const enum image images[] = {IMAGE_MUSL, IMAGE_GLIBC};
    for (size_t k = 0; k < 2; k++) {
        cella_enclave *enclave = enclave_new(images[k], NULL);
        uint32_t code = 0;
        size_t size;
        assert_code(cella_ecall(enclave, LIBC_NEWEST, NULL, 0, NULL, 0, NULL), OK);
        assert_code(cella_ecall(enclave, LIBC_TIMED_WAIT, NULL, 0, &code, 4, &size), OK);
        /* musl asks the clock first, and there is none */
        assert_int_equal(code, images[k] == IMAGE_GLIBC ? ETIMEDOUT : EINVAL);
        cella_enclave_destroy(enclave);
    }
}

/* Not linked means not present, and no time is no time: neither libc makes one up. */
static void test_no_modules(void **state)
{
    (void)state;
    static const enum image images[] = {IMAGE_GLIBC, IMAGE_MUSL};
    for (size_t i = 0; i < 2; i++) {
        cella_enclave *enclave = enclave_new(images[i], NULL);
        int64_t time = 0;
        int32_t file = 0;
        size_t size;
        assert_code(cella_ecall(enclave, LIBC_CLOCK, NULL, 0, &time, 8, &size), OK);
        assert_int_equal(time, -EINVAL);
        assert_code(cella_ecall(enclave, LIBC_FILE, NULL, 0, &file, 4, &size), OK);
        assert_int_equal(file, -ENOSYS);
        cella_enclave_destroy(enclave);
    }
}

static void test_modules(void **state)
{
    (void)state;
    char root[] = "/tmp/cella-test-XXXXXX";
    assert_non_null(mkdtemp(root));
    const struct cella_enclave_options options = {.file_root = root};
    cella_enclave *enclave = enclave_new(IMAGE_MODULES, &options);
    int64_t first = 0, second = 0;
    int32_t file = 0;
    size_t size;
    assert_code(cella_ecall(enclave, LIBC_CLOCK, NULL, 0, &first, 8, &size), OK);
    assert_code(cella_ecall(enclave, LIBC_CLOCK, NULL, 0, &second, 8, &size), OK);
    assert_true(first > 0 && second >= first);
    assert_code(cella_ecall(enclave, LIBC_FILE, NULL, 0, &file, 4, &size), OK);
    assert_int_equal(file, 1);
    cella_enclave_destroy(enclave);
    assert_int_equal(rmdir(root), 0);
    enclave = enclave_new(IMAGE_MODULES, NULL); /* a host that has no files */
    assert_code(cella_ecall(enclave, LIBC_FILE, NULL, 0, &file, 4, &size), OK);
    assert_int_equal(file, -EACCES);
    cella_enclave_destroy(enclave);
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const environment[] = {"CELLA_TEST=value", "LD_PRELOAD=evil",
                                              "GLIBC_TUNABLES=evil", NULL};
    const struct cella_enclave_options options = {.environment = environment};
    cella_enclave *enclave = enclave_new(IMAGE_GLIBC, &options);
    char out[256] = {0};
    size_t size = 0;
    assert_code(cella_ecall(enclave, LIBC_GETENV, "CELLA_TEST", 10, out, 256, &size), OK);
    assert_string_equal(out, "value");
    assert_code(cella_ecall(enclave, LIBC_GETENV, "LD_PRELOAD", 10, out, 256, &size), NOT_FOUND);
    assert_code(cella_ecall(enclave, LIBC_GETENV, "GLIBC_TUNABLES", 14, out, 256, &size),
                NOT_FOUND);
    cella_enclave_destroy(enclave);
}

static void test_libraries(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new(IMAGE_LIBRARIES, NULL);
    uint32_t good = 0;
    size_t size;
    assert_code(cella_ecall(enclave, LIBC_ZLIB, NULL, 0, &good, 4, &size), OK);
    assert_int_equal(good, 1);
    cella_enclave_destroy(enclave);
}

static void test_seal_altered(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new(IMAGE_LIBRARIES, NULL);
    const uint8_t in[24] = {1, 0, 0, 0, 's', 'e', 'c', 'r', 'e', 't'};
    uint8_t sealed[512], out[512];
    size_t size = 0, opened = 0;
    assert_code(cella_ecall(enclave, LIBC_SEAL, in, sizeof(in), sealed, sizeof(sealed), &size), OK);
    assert_int_equal(size, 144 + 5 + 20);
    assert_code(cella_ecall(enclave, LIBC_UNSEAL, sealed, size, out, sizeof(out), &opened), OK);
    assert_int_equal(opened, 20);
    assert_memory_equal(out, in + 4, 20);
    for (size_t at = 0; at < size; at++) {
        sealed[at] ^= 0x40;
        cella_result result =
            cella_ecall(enclave, LIBC_UNSEAL, sealed, size, out, sizeof(out), &opened);
        assert_false(cella_is_ok(result));
        if (at >= 128) {
            assert_code(result, AUTH_FAILED);
        }
        sealed[at] ^= 0x40;
    }
    for (size_t cut = 1; cut < size; cut += 13) {
        assert_code(cella_ecall(enclave, LIBC_UNSEAL, sealed, cut, out, sizeof(out), &opened),
                    TRUNCATED);
    }
    assert_code(cella_ecall(enclave, LIBC_UNSEAL, sealed, size + 1, out, sizeof(out), &opened),
                TRAILING_BYTES);
    cella_enclave_destroy(enclave);
}

/* Who can open what: rows are the sealing policy and the two images. */
static void test_seal_policies(void **state)
{
    (void)state;
    static const struct {
        uint32_t policy;
        enum image from, to;
        const char *expected;
    } rows[] = {
        {1, IMAGE_LIBRARIES, IMAGE_LIBRARIES, "OK"},
        {2, IMAGE_LIBRARIES, IMAGE_LIBRARIES, "OK"},
        {1, IMAGE_LIBRARIES, IMAGE_LIBRARIES_SVN2, "AUTH_FAILED"}, /* another measurement */
        {2, IMAGE_LIBRARIES, IMAGE_LIBRARIES_SVN2, "OK"},          /* newer reads old */
        {2, IMAGE_LIBRARIES_SVN2, IMAGE_LIBRARIES, "SVN_TOO_OLD"}, /* not the other way */
        {1, IMAGE_LIBRARIES_SVN2, IMAGE_LIBRARIES, "SVN_TOO_OLD"},
        {1, IMAGE_LIBRARIES, IMAGE_OTHER_SIGNER, "OK"}, /* the same code, whoever signed it */
        {2, IMAGE_LIBRARIES, IMAGE_OTHER_SIGNER, "AUTH_FAILED"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t in[12] = {(uint8_t)rows[i].policy, 0, 0, 0, 'd', 'a', 't', 'a'};
        uint8_t sealed[512], out[512];
        size_t size = 0, opened = 0;
        cella_enclave *from = enclave_new(rows[i].from, NULL);
        assert_code(cella_ecall(from, LIBC_SEAL, in, sizeof(in), sealed, sizeof(sealed), &size),
                    OK);
        cella_enclave_destroy(from);
        cella_enclave *to = enclave_new(rows[i].to, NULL);
        cella_result result = cella_ecall(to, LIBC_UNSEAL, sealed, size, out, sizeof(out), &opened);
        cella_enclave_destroy(to);
        if (strcmp(cella_result_name(result), rows[i].expected) != 0) {
            fail_msg("row %zu: %s, expected %s", i, cella_result_name(result), rows[i].expected);
        }
    }
}

/* The example of docs/formats/sealed.md is what an enclave of SVN 2 writes. */
static void test_seal_document(void **state)
{
    (void)state;
    const uint8_t in[8] = {2, 0, 0, 0, 1, 2, 3, 4};
    uint8_t sealed[512], example[64];
    size_t size = 0;
    const size_t count = docs_hex("sealed.md", example, sizeof(example));
    assert_int_equal(count, 24);
    cella_enclave *enclave = enclave_new(IMAGE_LIBRARIES_SVN2, NULL);
    assert_code(cella_ecall(enclave, LIBC_SEAL, in, sizeof(in), sealed, sizeof(sealed), &size), OK);
    assert_memory_equal(sealed, example, count);
    cella_enclave_destroy(enclave);
}

static void test_cxx(void **state)
{
    (void)state;
    struct console console;
    struct cella_enclave_options options = {0};
    char out[257] = {0};
    size_t size = 0;
    console_init(&console, &options);
    cella_enclave *enclave = enclave_new(IMAGE_CXX, &options);
    assert_code(cella_ecall(enclave, 0, NULL, 0, out, 256, &size), OK);
    assert_string_equal(out, "constructed thrown from 0 118 2 2.5");
    assert_int_equal(strncmp(console_text(&console), out, size), 0);
    cella_enclave_destroy(enclave);
    assert_string_equal(console_text(&console), "destructed\n");
    enclave = enclave_new(IMAGE_CXX, &options);
    assert_code(cella_ecall(enclave, 1, NULL, 0, NULL, 0, NULL), ENCLAVE_ABORTED);
    cella_enclave_destroy(enclave);
    assert_non_null(strstr(console_text(&console), "terminate"));
    console_done(&console);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),         cmocka_unit_test(test_threads),
        cmocka_unit_test(test_callers),       cmocka_unit_test(test_ends),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_no_modules),    cmocka_unit_test(test_modules),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_libraries),
        cmocka_unit_test(test_seal_altered),  cmocka_unit_test(test_seal_policies),
        cmocka_unit_test(test_seal_document), cmocka_unit_test(test_cxx),
    };
    if (argc != 1 + IMAGE_COUNT) {
        fprintf(stderr, "usage: %s IMAGE...\n", argv[0]);
        return 2;
    }
    g_images = argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
