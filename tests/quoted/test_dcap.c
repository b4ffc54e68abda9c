/*
 * Quotes for hardware, from a library in the place of Intel's; and that this project's own is not taken for it.
 * Side: tests. Arguments: "intel" or "own", which library LD_LIBRARY_PATH leads to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/quote.h"

static void test_intel(void **state)
{
    (void)state;
    uint8_t quote[2048], key_id[32], expected[1200];
    struct cella_error error = {0};
    struct sgx_targetinfo target;
    struct sgx_report report = {0};
    struct sgx_qe_report_info info = {0};
    uint32_t quote_size;
    size_t size = 0;
    assert_true(cella_is_ok(cella_quote_target(0, &target, &quote_size, &error)));
    assert_int_equal(quote_size, 1200);
    assert_int_equal(target.measurement[0], 0xA1);
    assert_true(
        cella_is_ok(cella_quote_of_report(0, &report, NULL, quote, sizeof(quote), &size, &error)));
    memset(expected, 0xB2, sizeof(expected));
    assert_int_equal(size, 1200);
    assert_memory_equal(quote, expected, size);
    assert_int_equal(cella_quote_of_report(0, &report, NULL, quote, 1199, &size, &error).code,
                     CELLA_CODE_BUFFER_TOO_SMALL);
    /* with a report of the quoting enclave, by the lower library's function */
    assert_true(
        cella_is_ok(cella_quote_of_report(0, &report, &info, quote, sizeof(quote), &size, &error)));
    assert_int_equal(quote[0], 0xC3);
    assert_int_equal(info.report.mac[15], 0xC4);
    assert_true(cella_is_ok(cella_quote_dcap()->key_id(key_id, &error)));
    assert_int_equal(key_id[31], 0xD5);
    report.mac[0] = 0xEE;
    assert_int_equal(
        cella_quote_of_report(0, &report, NULL, quote, sizeof(quote), &size, &error).code,
        CELLA_CODE_AUTH_FAILED);
    report.mac[0] = 0xDD;
    assert_int_equal(
        cella_quote_of_report(0, &report, NULL, quote, sizeof(quote), &size, &error).code,
        CELLA_CODE_HOST_REFUSED);
    assert_non_null(strstr(error.text, "0xe019"));
}

static void test_own(void **state)
{
    (void)state;
    struct cella_error error = {0};
    struct sgx_targetinfo target;
    assert_true(cella_is_ok(cella_quotes_use(CELLA_QUOTE_IN_PROCESS, NULL)));
    assert_int_equal(cella_quote_target(0, &target, NULL, &error).code, CELLA_CODE_NOT_FOUND);
    assert_non_null(strstr(error.text, "libsgx_dcap_ql.so.1"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest intel[] = {cmocka_unit_test(test_intel)};
    const struct CMUnitTest own[] = {cmocka_unit_test(test_own)};
    unsetenv("SGX_AESM_ADDR");
    if (argc == 2 && strcmp(argv[1], "intel") == 0) {
        return cmocka_run_group_tests(intel, NULL, NULL);
    }
    return argc == 2 && strcmp(argv[1], "own") == 0 ? cmocka_run_group_tests(own, NULL, NULL) : 2;
}
