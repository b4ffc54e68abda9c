/*
 * Attacks of a host that knows the kernel's code: entries where no entry belongs, state that is left behind.
 * Side: tests (host). Arguments: enclave_none.signed, then images with a libc, then one of some MiB.
 * Never only a fuzz: each test is one attack, and fails without the check that stops it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host.h"
#include "tests/runtime/calls.h"
#include "tests/runtime/raw.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static char **g_images;
static char *g_big_image; /* more than the host reads whole */
static int g_image_count;

static cella_enclave *enclave_new(const char *image)
{
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_DEBUG};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), error.text);
    }
    return enclave;
}

static void start_workers(cella_enclave *enclave, uint32_t count)
{
    const struct cella_switchless_options options = {.workers = count, .spins = 1000};
    assert_code(cella_switchless_start(enclave, &options), OK);
}

/* A worker on a TCS that has never served an ecall: its thread-local variables must be there all the same. */
static void test_worker_first(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new(g_images[0]);
    start_workers(enclave, 3); /* the first has the TCS of INIT, the others have fresh ones */
    for (int round = 0; round < 200; round++) {
        uint32_t counter = 0;
        size_t size = 0;
        assert_code(cella_ecall_switchless(enclave, NONE_TLS, NULL, 0, &counter, 4, &size), OK);
        assert_in_range(counter, 101, 300);
    }
    cella_enclave_destroy(enclave);
}

/* The same where a libc has the threads: its errno, its locks and its stdio all hang on FS. */
static void test_worker_first_libc(void **state)
{
    (void)state;
    for (int i = 1; i < g_image_count; i++) {
        cella_enclave *enclave = enclave_new(g_images[i]);
        char text[256] = {0};
        size_t size = 0;
        start_workers(enclave, 2);
        for (int round = 0; round < 4; round++) {
            assert_code(cella_ecall_switchless(enclave, LIBC_HELLO, "ring", 4, text, 255, &size),
                        OK);
            text[size] = 0;
            assert_string_equal(text, "hello ring, 3.250");
        }
        cella_enclave_destroy(enclave);
    }
}

static void answer(struct raw *raw, uint64_t size)
{
    raw->rdi = CELLA_ENTER_RETURN | raw->out[4] << 32;
    raw->rsi = CELLA_CODE_OK;
    raw->rdx = size;
    raw_enter(raw);
}

/*
 * An ecall in the middle of a system call of the libc, which holds its own recursive locks: refused, as is a worker.
 * The interrupted call then goes on as if nothing had been.
 */
static void test_ecall_on_system_call(void **state)
{
    (void)state;
    for (int i = 1; i < g_image_count; i++) {
        cella_enclave *enclave = enclave_new(g_images[i]);
        char text[256] = {0};
        struct raw *raw = raw_new(enclave, 1);
        raw->rdi = CELLA_ENTER_ECALL | (uint64_t)LIBC_HELLO << 32;
        raw->rsi = (uint64_t) "you";
        raw->rdx = 3;
        raw->r8 = (uint64_t)text;
        raw->r9 = sizeof(text);
        raw_enter(raw);
        while (raw->out[0] != (CELLA_EXIT_OCALL | (uint64_t)CELLA_OCALL_WRITE << 32)) {
            assert_int_equal(raw->out[0] & 0xFF, CELLA_EXIT_OCALL);
            answer(raw, 0);
        }
        const struct raw before = *raw;
        raw->rdi = CELLA_ENTER_ECALL | (uint64_t)LIBC_HELLO << 32;
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_equal(raw->out[1], CELLA_CODE_WRONG_STATE);
        raw->rdi = CELLA_ENTER_WORKER;
        raw->rsi = (uint64_t)enclave->arenas;
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_equal(raw->out[1], CELLA_CODE_WRONG_STATE);
        memcpy(raw->out, before.out, sizeof(raw->out));
        while (raw->out[0] == (CELLA_EXIT_OCALL | (uint64_t)CELLA_OCALL_WRITE << 32)) {
            const int64_t written = (int64_t)raw->out[2] - 8; /* all of it */
            memcpy((char *)raw->out[1] + CELLA_CALL_OUTPUT_AT(raw->out[2]), &written, 8);
            answer(raw, 8);
        }
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_equal(raw->out[1], CELLA_CODE_OK);
        assert_string_equal(text, "hello you, 3.250");
        raw_free(raw);
        cella_enclave_destroy(enclave);
    }
}

/* A secret in the upper halves of ZMM0 … 15 alone, which the processor's own bookkeeping lists apart. */
static void test_upper_halves(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new(g_images[0]);
    struct raw *raw = raw_new(enclave, 1);
    uint32_t offset = 0, size = 0, ecx, edx;
    __cpuid_count(0xD, 6, size, offset, ecx, edx);
    raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_UPPER << 32;
    raw->rsi = (uint64_t)&offset;
    raw->rdx = sizeof(offset);
    raw_enter(raw);
    assert_int_equal(raw->run->function, SGX_EEXIT);
    const uint64_t code = raw->out[1];
    for (size_t at = 0; at + 8 <= 2816; at++) {
        uint64_t word;
        memcpy(&word, raw->xsave + at, 8);
        assert_int_not_equal(word, 0x5EC12E75EC12E700ull);
    }
    raw_free(raw);
    cella_enclave_destroy(enclave);
    if (code == CELLA_CODE_UNSUPPORTED) {
        skip(); /* a processor without AVX-512 */
    }
    assert_int_equal(code, CELLA_CODE_OK);
}

static bool g_denies_aes;

uint32_t __real_cella_processor_cpuid(struct cella_call_cpuid *rows, uint32_t capacity);
uint32_t __wrap_cella_processor_cpuid(struct cella_call_cpuid *rows, uint32_t capacity);
uint32_t __wrap_cella_processor_cpuid(struct cella_call_cpuid *rows, uint32_t capacity)
{
    uint32_t count = __real_cella_processor_cpuid(rows, capacity);
    for (uint32_t i = 0; i < count && g_denies_aes; i++) {
        rows[i].ecx = rows[i].leaf == 1 ? 0 : rows[i].ecx;
    }
    return count;
}

/* A host that says the processor has no AES instructions, to make libraries use tables whose cache lines it watches. */
static void test_denied_aes(void **state)
{
    (void)state;
    const uint32_t leaf = 1, base = bit_AES | bit_PCLMUL | bit_SSSE3 | bit_RDRND | bit_OSXSAVE;
    uint32_t inside[4] = {0};
    size_t size = 0;
    g_denies_aes = true;
    cella_enclave *enclave = enclave_new(g_images[0]);
    g_denies_aes = false;
    assert_code(cella_ecall(enclave, NONE_CPUID, &leaf, 4, inside, 16, &size), OK);
    assert_int_equal(inside[2] & base, base);
    cella_enclave_destroy(enclave);
}

static const char *g_shortens; /* a file that loses its pages while its image is loaded */

void __real_cella_processor_offers(struct cella_image_processor *ret_offers, uint32_t *ret_flags);
void __wrap_cella_processor_offers(struct cella_image_processor *ret_offers, uint32_t *ret_flags);
void __wrap_cella_processor_offers(struct cella_image_processor *ret_offers, uint32_t *ret_flags)
{
    __real_cella_processor_offers(ret_offers, ret_flags);
    if (g_shortens) {
        assert_int_equal(truncate(g_shortens, 0), 0);
    }
}

static void copy_image(const char *image, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    FILE *from = fopen(image, "rbe");
    assert_non_null(from);
    char block[4096];
    for (size_t got; (got = fread(block, 1, sizeof(block), from)) > 0;) {
        assert_int_equal(write(fd, block, got), got);
    }
    fclose(from);
    close(fd);
}

/* Whoever may write to the file does not end the host: what was read is what is loaded. */
static void test_shortened_image(void **state)
{
    (void)state;
    char path[] = "/tmp/cella-test-XXXXXX";
    close(mkstemp(path));
    copy_image(g_images[0], path);
    g_shortens = path;
    cella_enclave *enclave = enclave_new(path);
    g_shortens = NULL;
    const int32_t in[2] = {2, 3};
    int32_t out = 0;
    size_t size = 0;
    assert_true(
        cella_is_ok(cella_ecall(enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size)));
    assert_int_equal(out, 5);
    cella_enclave_destroy(enclave);
    assert_int_equal(unlink(path), 0);
}

/* Of a big image only the processor reads the bulk: an error, and the host lives. Also where it measures what EINIT refused. */
static void test_shortened_big_image(void **state)
{
    (void)state;
    char path[] = "/tmp/cella-test-XXXXXX";
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    struct stat status;
    close(mkstemp(path));
    copy_image(g_big_image, path);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size > 2 * 1024 * 1024);
    g_shortens = path;
    assert_code(cella_enclave_create(path, &options, &enclave, &error), IO);
    g_shortens = NULL;
    assert_non_null(strstr(error.text, "EADD of the page at offset 0x"));

    copy_image(g_big_image, path);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, status.st_size / 2), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, status.st_size / 2), 1);
    close(fd);
    assert_code(cella_enclave_create(path, &options, &enclave, &error), MEASUREMENT_MISMATCH);
    assert_int_equal(unlink(path), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_first),         cmocka_unit_test(test_worker_first_libc),
        cmocka_unit_test(test_ecall_on_system_call), cmocka_unit_test(test_upper_halves),
        cmocka_unit_test(test_denied_aes),           cmocka_unit_test(test_shortened_image),
        cmocka_unit_test(test_shortened_big_image),
    };
    if (argc < 4) {
        fprintf(stderr, "usage: %s IMAGE LIBC-IMAGE... BIG-IMAGE\n", argv[0]);
        return 2;
    }
    g_images = argv + 1;
    g_image_count = argc - 2;
    g_big_image = argv[argc - 1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
