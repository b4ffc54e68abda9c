/*
 * Open Enclave and Intel images that the tests write: computed MRENCLAVE against the oracle, and
 * damaged ones. Side: tests. Run by meson. Needs no other file than the test key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "image/foreign.h"
#include "tests/image/samples.h"

static void open_enclave_matches(void **state)
{
    (void)state;
    for (int zero_base = 0; zero_base < 2; zero_base++) {
        struct cella_buffer file;
        struct cella_oe_image image;
        struct cella_error error = {0};
        uint8_t expected[32];
        uint8_t computed[32];

        sample_open_enclave(&file, expected, zero_base);
        assert_true(cella_is_ok(cella_oe_parse(cella_buffer_bytes(&file), &image, &error)));
        assert_int_equal(image.product_id, 7);
        assert_int_equal(image.svn, 3);
        assert_int_equal(image.tls_pages, 1);
        assert_true(cella_is_ok(cella_oe_measure(&image, computed)));
        assert_memory_equal(computed, expected, 32);
        assert_memory_equal(image.sigstruct.enclave_hash, expected, 32);
        assert_true(cella_is_ok(cella_sigstruct_verify(&image.sigstruct, &error)));
        cella_buffer_done(&file);
    }
}

static void intel_matches(void **state)
{
    struct cella_buffer file;
    struct cella_intel_image image;
    struct cella_error error = {0};
    uint8_t expected[32];
    uint8_t computed[32];

    (void)state;
    sample_intel(&file, expected);
    assert_true(cella_is_ok(cella_intel_parse(cella_buffer_bytes(&file), 0, &image, &error)));
    assert_true(image.version == 0x300000003ull);
    assert_true(cella_is_ok(cella_intel_measure(&image, computed)));
    assert_memory_equal(computed, expected, 32);
    assert_true(cella_is_ok(cella_sigstruct_verify(&image.sigstruct, &error)));
    assert_int_equal(cella_intel_parse(cella_buffer_bytes(&file), 1, &image, &error).code,
                     CELLA_CODE_NOT_FOUND);
    cella_buffer_done(&file);
}

/* A change of `size` bytes at `at` of the .oeinfo object or of the metadata, and the verdict. */
struct damage {
    const char *what;
    uint64_t at;
    uint64_t value;
    unsigned size;
    enum cella_code code;
};

static const struct damage g_oe_damages[] = {
    {"size of the object", 0, 1959, 4, CELLA_CODE_UNSUPPORTED_VERSION},
    {"type of the enclave", 4, 3, 4, CELLA_CODE_UNSUPPORTED_VERSION},
    {"heap pages", 8, 1ull << 40, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"stack pages", 16, 1ull << 29, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"threads", 24, 1025, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"threads times stack", 16, 1ull << 28, 8, CELLA_CODE_LIMIT_EXCEEDED},
};

static void open_enclave_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_oe_damages) / sizeof(g_oe_damages[0]); i++) {
        const struct damage *damage = &g_oe_damages[i];
        struct cella_buffer file;
        struct cella_oe_image image;
        struct cella_error error = {0};
        uint8_t expected[32];

        sample_open_enclave(&file, expected, false);
        memcpy(file.data + 0x400 + damage->at, &damage->value, damage->size);
        cella_result result = cella_oe_parse(cella_buffer_bytes(&file), &image, &error);
        print_message("%s: %s\n", damage->what, error.text);
        assert_int_equal(result.code, damage->code);
        assert_true(error.text[0] != 0);
        cella_buffer_done(&file);
    }
}

static const struct damage g_intel_damages[] = {
    {"magic", 0, 0, 8, CELLA_CODE_NOT_FOUND},
    {"block size too small", 16, 100, 4, CELLA_CODE_BAD_FIELD},
    {"block size past the note", 16, 5000, 4, CELLA_CODE_BAD_FIELD},
    {"enclave size", 40, 1ull << 41, 8, CELLA_CODE_LIMIT_EXCEEDED},
    {"rows outside the enclave", 40, 16 * 4096, 8, CELLA_CODE_BAD_FIELD},
    {"patch directory", 1872, 4090, 4, CELLA_CODE_TRUNCATED},
    {"layout size not of rows", 1884, 33, 4, CELLA_CODE_BAD_FIELD},
    {"patch behind the file", 1904, 1ull << 30, 8, CELLA_CODE_TRUNCATED},
    {"patch source behind the block", 1912, 4095, 4, CELLA_CODE_TRUNCATED},
    {"row not on a page", 1968 + 8, 5 * 4096 + 1, 8, CELLA_CODE_BAD_FIELD},
    {"pages of a row", 1968 + 4, 0xFFFFFFFF, 4, CELLA_CODE_BAD_FIELD},
    {"group larger than the rows before", 1968 + 6 * 32 + 2, 7, 2, CELLA_CODE_BAD_FIELD},
    {"repetitions outside the enclave", 1968 + 6 * 32 + 4, 60000, 4, CELLA_CODE_BAD_FIELD},
    {"group in a group", 1968 + 5 * 32, 0x1005, 2, CELLA_CODE_BAD_FIELD},
    {"TCS template too small", 1968 + 3 * 32 + 16, 8, 4, CELLA_CODE_BAD_FIELD},
    {"content behind the block", 1968 + 7 * 32 + 20, 4090, 4, CELLA_CODE_TRUNCATED},
    {"ELRANGE missing", 8, 0xD00000003ull, 8, CELLA_CODE_TRUNCATED},
};

static void intel_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_intel_damages) / sizeof(g_intel_damages[0]); i++) {
        const struct damage *damage = &g_intel_damages[i];
        struct cella_buffer file;
        struct cella_intel_image image;
        struct cella_error error = {0};
        uint8_t expected[32];
        uint64_t magic = 0x86A80294635D0E4Cull;

        sample_intel(&file, expected);
        uint8_t *metadata = memmem(file.data, file.size, &magic, sizeof(magic));
        assert_non_null(metadata);
        memcpy(metadata + damage->at, &damage->value, damage->size);
        cella_result result = cella_intel_parse(cella_buffer_bytes(&file), 0, &image, &error);
        print_message("%s: %s\n", damage->what, error.text);
        assert_int_equal(result.code, damage->code);
        assert_true(error.text[0] != 0);
        cella_buffer_done(&file);
    }
}

/* Any one byte of a loaded page changed: another MRENCLAVE, or an error; never the same. */
static void every_loaded_byte_counts(void **state)
{
    struct cella_buffer file;
    struct cella_oe_image image;
    struct cella_error error = {0};
    uint8_t expected[32];
    uint8_t computed[32];

    (void)state;
    sample_open_enclave(&file, expected, false);
    for (size_t at = 0x1000; at < 0x1040; at++) {
        file.data[at] ^= 1;
        assert_true(cella_is_ok(cella_oe_parse(cella_buffer_bytes(&file), &image, &error)));
        assert_true(cella_is_ok(cella_oe_measure(&image, computed)));
        assert_memory_not_equal(computed, expected, 32);
        file.data[at] ^= 1;
    }
    cella_buffer_done(&file);
}

/* Every truncation is an error or still a whole image; none reads outside (run under ASan). */
static void truncated(void **state)
{
    struct cella_buffer file;
    struct cella_error error = {0};
    uint8_t expected[32];

    (void)state;
    sample_intel(&file, expected);
    for (size_t size = 0; size < file.size; size += 13) {
        struct cella_intel_image image;
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, file.data, size);
        assert_false(cella_is_ok(cella_intel_parse(cella_bytes_of(copy, size), 0, &image, &error)));
        free(copy);
    }
    cella_buffer_done(&file);
    sample_open_enclave(&file, expected, false);
    for (size_t size = 0; size < file.size; size += 13) {
        struct cella_oe_image image;
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, file.data, size);
        assert_false(cella_is_ok(cella_oe_parse(cella_bytes_of(copy, size), &image, &error)));
        free(copy);
    }
    cella_buffer_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_enclave_matches),     cmocka_unit_test(intel_matches),
        cmocka_unit_test(open_enclave_damaged),     cmocka_unit_test(intel_damaged),
        cmocka_unit_test(every_loaded_byte_counts), cmocka_unit_test(truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
