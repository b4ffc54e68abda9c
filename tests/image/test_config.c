/*
 * The configuration file: what is read, and every error with its line and column.
 * Side: tests. Run by meson.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "image/config.h"

static cella_result parse(const char *text, struct cella_image_config *config,
                          struct cella_error *error)
{
    return cella_config_parse(cella_bytes_of(text, strlen(text)), "f.conf", config, error);
}

static void all_keys(void **state)
{
    struct cella_image_config config;
    struct cella_error error = {0};
    const uint8_t family[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF,
                                0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

    (void)state;
    assert_true(cella_is_ok(parse("# all of them\n"
                                  "name = vault of gold\n"
                                  "  heap_size=64M # comment\r\n"
                                  "heap_initial\t=\t1M\n"
                                  "stack_size = 0x10000\n"
                                  "threads = 8\n"
                                  "enclave_threads = 2\n"
                                  "\n"
                                  "nssa = 4\n"
                                  "product_id = 65535\n"
                                  "svn = 12\n"
                                  "debug = yes\n"
                                  "kss = yes\n"
                                  "family_id = 01234567-89AB-CDEF-0123-456789abcdef\n"
                                  "ext_product_id = 00000000000000000000000000000001\n"
                                  "provision_key = yes\n"
                                  "exinfo = no\n"
                                  "xfrm = 0x7\n"
                                  "xfrm_mask = 0xFFFFFFFFFFFFFFFF",
                                  &config, &error)));
    assert_string_equal(config.name, "vault of gold");
    assert_int_equal(config.heap_size, 64 << 20);
    assert_int_equal(config.heap_initial, 1 << 20);
    assert_int_equal(config.stack_size, 0x10000);
    assert_int_equal(config.threads, 8);
    assert_int_equal(config.enclave_threads, 2);
    assert_int_equal(config.nssa, 4);
    assert_int_equal(config.product_id, 65535);
    assert_int_equal(config.svn, 12);
    assert_true(config.debug && config.kss && config.provision_key);
    assert_memory_equal(config.family_id, family, 16);
    assert_int_equal(config.ext_product_id[15], 1);
    assert_int_equal(config.exinfo, CELLA_CONFIG_EXINFO_NO);
    assert_int_equal(config.xfrm, 7);
    assert_true(config.xfrm_mask == UINT64_MAX);
}

static void empty_is_defaults(void **state)
{
    struct cella_image_config config;
    struct cella_image_config defaults;

    (void)state;
    cella_config_defaults(&defaults);
    assert_true(cella_is_ok(parse("", &config, NULL)));
    assert_memory_equal(&config, &defaults, sizeof(config));
    assert_true(cella_is_ok(parse("\n\n  # only this\n", &config, NULL)));
    assert_memory_equal(&config, &defaults, sizeof(config));
}

static const struct {
    const char *text;
    enum cella_code code;
    const char *error; /* its beginning */
} g_errors[] = {
    {"heap", CELLA_CODE_BAD_SYNTAX, "f.conf:1:1: expected `key = value`"},
    {"\n  svn 3", CELLA_CODE_BAD_SYNTAX, "f.conf:2:3: expected `key = value`"},
    {"svn =", CELLA_CODE_BAD_SYNTAX, "f.conf:1:5: no value"},
    {"svn = # 3", CELLA_CODE_BAD_SYNTAX, "f.conf:1:5: no value"},
    {"= 3", CELLA_CODE_NOT_FOUND, "f.conf:1:1: unknown key ''"},
    {"Svn = 3", CELLA_CODE_NOT_FOUND, "f.conf:1:1: unknown key 'Svn'"},
    {"svn = 1\nsvn = 1", CELLA_CODE_ALREADY_EXISTS, "f.conf:2:1: svn is given twice"},
    {"svn = 65536", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:7: svn is 65536; expected 0 to 65535"},
    {"svn = -1", CELLA_CODE_BAD_SYNTAX, "f.conf:1:7: svn: '-1' is not a number"},
    {"svn = 1x", CELLA_CODE_BAD_SYNTAX, "f.conf:1:7: svn: '1x' is not a number"},
    {"svn = 0x", CELLA_CODE_BAD_SYNTAX, "f.conf:1:7: svn: '0x' is not a number"},
    {"xfrm = 18446744073709551616", CELLA_CODE_BAD_SYNTAX, "f.conf:1:8: xfrm: "},
    {"xfrm = 0x10000000000000000", CELLA_CODE_BAD_SYNTAX, "f.conf:1:8: xfrm: "},
    {"heap_size = 1T", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: heap_size: '1T' is not a size"},
    {"heap_size = K", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: heap_size: 'K' is not a size"},
    {"heap_size = 99999999999999G", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: heap_size: "},
    {"heap_size = 4097", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:13: heap_size is 4097; expected a mul"},
    {"heap_size = 512G", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:13: heap_size is 549755813888"},
    {"stack_size = 4K", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:14: stack_size is 4096"},
    {"threads = 0", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:11: threads is 0"},
    {"threads = 1025", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:11: threads is 1025"},
    {"threads = 1024\nenclave_threads = 1", CELLA_CODE_OUT_OF_RANGE, "f.conf: threads + enclave"},
    {"debug = true", CELLA_CODE_BAD_SYNTAX, "f.conf:1:9: debug: 'true'; expected yes or no"},
    {"exinfo = maybe", CELLA_CODE_BAD_SYNTAX, "f.conf:1:10: exinfo: 'maybe'"},
    {"family_id = 12", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: family_id: '12'; expected 32"},
    {"family_id = 0123456789abcdef0123456789abcdeg", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: "},
    {"family_id = 0123456789abcdef0123456789abcdef0", CELLA_CODE_BAD_SYNTAX, "f.conf:1:13: "},
    {"family_id = 0123456789abcdef0123456789abcdef", CELLA_CODE_OUT_OF_RANGE,
     "f.conf: family_id and ext_product_id need kss = yes"},
    {"heap_size = 1M\nheap_initial = 2M", CELLA_CODE_OUT_OF_RANGE, "f.conf: heap_initial"},
    {"xfrm = 1", CELLA_CODE_OUT_OF_RANGE, "f.conf: xfrm is 0x1"},
    {"xfrm = 0x60003", CELLA_CODE_OUT_OF_RANGE, "f.conf: xfrm is 0x60003"},
    {"xfrm_mask = 0", CELLA_CODE_OUT_OF_RANGE, "f.conf: xfrm_mask is 0x0"},
    {"name = \x01", CELLA_CODE_OUT_OF_RANGE, "f.conf:1:8: name: expected at most 63 printable"},
    {"name = 0123456789012345678901234567890123456789012345678901234567890123",
     CELLA_CODE_OUT_OF_RANGE, "f.conf:1:8: name: expected at most 63 printable"},
};

static void errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_errors) / sizeof(g_errors[0]); i++) {
        struct cella_image_config config;
        struct cella_error error = {0};
        cella_result result = parse(g_errors[i].text, &config, &error);
        print_message("%s\n", error.text);
        assert_int_equal(result.code, g_errors[i].code);
        assert_memory_equal(error.text, g_errors[i].error, strlen(g_errors[i].error));
    }
}

static void limits(void **state)
{
    static char text[(1 << 20) + 1];
    struct cella_image_config config;
    struct cella_error error = {0};

    (void)state;
    memset(text, '\n', sizeof(text));
    assert_true(cella_is_ok(
        cella_config_parse(cella_bytes_of(text, sizeof(text) - 1), "f", &config, &error)));
    assert_int_equal(
        cella_config_parse(cella_bytes_of(text, sizeof(text)), "f", &config, &error).code,
        CELLA_CODE_LIMIT_EXCEEDED);
    memset(text, ' ', 1025);
    assert_int_equal(cella_config_parse(cella_bytes_of(text, 2000), "f", &config, &error).code,
                     CELLA_CODE_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_keys),
        cmocka_unit_test(empty_is_defaults),
        cmocka_unit_test(errors),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
