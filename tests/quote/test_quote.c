/*
 * Quotes and evidence of a real enclave, in this process: made by the quoting enclave on the software processor.
 * Side: tests. Arguments: the enclave of quotes.
 */
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../runtime/docs_hex.h"
#include "calls.h"
#include "cella/attest.h"
#include "cella/host.h"
#include "host/quote.h"
#include "layout.h"

static const char *g_image;
static char g_directory[] = "/tmp/cella-quote-XXXXXX";

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        const cella_result result_ = (expression);                                                 \
        if (!cella_is_ok(result_)) {                                                               \
            fail_msg("%s: %s %s", #expression, cella_result_name(result_), g_error.text);          \
        }                                                                                          \
    } while (0)
static struct cella_error g_error;

static cella_enclave *enclave_new(void)
{
    cella_enclave *enclave = NULL;
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE};
    assert_ok(cella_enclave_create(g_image, &options, &enclave, &g_error));
    return enclave;
}

static char *root_pem(void)
{
    struct cella_provision provision = {0};
    assert_ok(cella_provision_load(&provision, &g_error));
    char *pem = strdup((const char *)platform_pem(provision.platform, PLATFORM_ROOT)->data);
    cella_provision_done(&provision);
    return pem;
}

static size_t quote_of(cella_enclave *enclave, uint8_t quote[CELLA_QUOTE_MAX], uint8_t fill)
{
    uint8_t data[64];
    size_t size = 0;
    memset(data, fill, sizeof(data));
    assert_ok(cella_ecall(enclave, CALL_QUOTE, data, sizeof(data), quote, CELLA_QUOTE_MAX, &size));
    return size;
}

static void test_quote(void **state)
{
    (void)state;
    static uint8_t quote[CELLA_QUOTE_MAX];
    struct quote_layout layout;
    uint8_t mr_enclave[32], data[64];
    cella_enclave *enclave = enclave_new();
    char *root = root_pem();
    const size_t size = quote_of(enclave, quote, 0x5A);
    assert_true(quote_layout_read(quote, size, &layout));
    assert_true(quote_layout_verify(&layout, root));
    cella_enclave_identity(enclave, mr_enclave, NULL);
    assert_memory_equal(layout.body + 64, mr_enclave, 32);
    assert_int_equal(layout.body[256], 77);
    assert_int_equal(layout.body[258], 5);
    memset(data, 0x5A, sizeof(data));
    assert_memory_equal(layout.body + 320, data, sizeof(data));
    assert_int_equal(layout.auth_size, 32);
    assert_int_equal(layout.auth[31], 31);
    /* a quoting enclave as Intel's: product 1, provisioning key, no EXINFO */
    assert_int_equal(layout.qe_report[256], 1);
    assert_int_equal(layout.qe_report[48], 0x15);
    assert_int_equal(layout.qe_report[16], 0);
    /* and every bit of what is signed counts */
    for (size_t i = 0; i < 1012; i += 7) {
        if (i >= 432 && i < 436) {
            continue; /* the size of the rest: not signed */
        }
        quote[i] ^= 0x10;
        assert_false(quote_layout_verify(&layout, root));
        quote[i] ^= 0x10;
    }
    free(root);
    cella_enclave_destroy(enclave);
}

static void test_same_key_each_time(void **state)
{
    (void)state;
    static uint8_t first[CELLA_QUOTE_MAX], second[CELLA_QUOTE_MAX];
    cella_enclave *enclave = enclave_new();
    const size_t size = quote_of(enclave, first, 1);
    assert_int_equal(quote_of(enclave, second, 2), size);
    assert_memory_equal(first + 28, second + 28, 20);              /* id of the QE */
    assert_memory_equal(first + 500, second + 500, 64);            /* attestation key */
    assert_memory_equal(first + 1014, second + 1014, size - 1014); /* certificates */
    assert_memory_not_equal(first + 436, second + 436, 64);
    cella_enclave_destroy(enclave);
}

static void test_reports(void **state)
{
    (void)state;
    static uint8_t quote[CELLA_QUOTE_MAX];
    struct sgx_targetinfo target;
    struct sgx_report report;
    struct sgx_qe_report_info info = {.nonce = {9}};
    struct quote_layout layout;
    uint32_t quote_size;
    uint8_t hash[32];
    size_t size;
    cella_enclave *enclave = enclave_new();
    assert_ok(cella_quotes_use(CELLA_QUOTE_IN_PROCESS, NULL));
    assert_ok(cella_quote_target(1, &target, &quote_size, &g_error));
    assert_ok(
        cella_ecall(enclave, CALL_REPORT, &target, sizeof(target), &report, sizeof(report), &size));
    /* the quoting enclave's report goes to our enclave, which can check it */
    struct sgx_report own = {0};
    memcpy(info.target.measurement, report.body.mr_enclave, 32);
    info.target.attributes = report.body.attributes;
    info.target.misc_select = report.body.misc_select;
    assert_ok(cella_quote_of_report(1, &report, &info, quote, sizeof(quote), &size, &g_error));
    assert_int_equal(size, quote_size);
    assert_true(quote_layout_read(quote, size, &layout));
    assert_ok(cella_ecall(enclave, CALL_VERIFY, &info.report, sizeof(info.report), NULL, 0, NULL));
    uint8_t *bound = malloc(16 + size);
    memcpy(bound, info.nonce, 16);
    memcpy(bound + 16, quote, size);
    SHA256(bound, 16 + size, hash);
    free(bound);
    assert_memory_equal(info.report.body.report_data, hash, 32);
    /* reports for somebody else, or changed, get none */
    assert_int_equal(cella_quote_of_report(1, &report, NULL, quote, 100, &size, NULL).code,
                     CELLA_CODE_BUFFER_TOO_SMALL);
    report.body.isv_svn++;
    assert_int_equal(
        cella_quote_of_report(1, &report, NULL, quote, sizeof(quote), &size, NULL).code,
        CELLA_CODE_AUTH_FAILED);
    assert_int_equal(cella_quote_of_report(1, &own, NULL, quote, sizeof(quote), &size, NULL).code,
                     CELLA_CODE_AUTH_FAILED);
    assert_ok(cella_quotes_use(CELLA_QUOTE_AUTO, NULL));
    cella_enclave_destroy(enclave);
}

/* Head, quote, claims; the quote binds the claims. */
static const uint8_t *evidence_open(const uint8_t *evidence, size_t size, size_t *ret_claims)
{
    static const uint8_t format[16] = {0xa3, 0xa2, 0x1e, 0x87, 0x1b, 0x4d, 0x40, 0x14,
                                       0xb7, 0x0a, 0xa1, 0x25, 0xd2, 0xfb, 0xcd, 0x8c};
    uint32_t version, rest;
    uint64_t body;
    uint8_t hash[64] = {0};
    memcpy(&version, evidence, 4);
    memcpy(&body, evidence + 24, 8);
    assert_int_equal(version, 3);
    assert_memory_equal(evidence + 4, format, 16);
    assert_int_equal(body, size - 32);
    memcpy(&rest, evidence + 32 + 432, 4);
    const uint8_t *claims = evidence + 32 + 436 + rest;
    *ret_claims = size - (size_t)(claims - evidence);
    SHA256(claims, *ret_claims, hash);
    assert_memory_equal(evidence + 32 + 48 + 320, hash, 64);
    return claims;
}

static void test_evidence(void **state)
{
    (void)state;
    static uint8_t evidence[CELLA_QUOTE_MAX];
    static const uint8_t request[] = {5, 0, 0, 0, 'n', 'o', 'n', 'c', 'e', 'r', 'e', 'd'};
    uint8_t expected[256];
    const size_t expected_size = docs_hex("evidence.md", expected, sizeof(expected));
    size_t size = 0, claims_size;
    cella_enclave *enclave = enclave_new();
    assert_ok(cella_ecall(enclave, CALL_EVIDENCE, request, sizeof(request), evidence,
                          sizeof(evidence), &size));
    const uint8_t *claims = evidence_open(evidence, size, &claims_size);
    assert_int_equal(claims_size, expected_size);
    assert_memory_equal(claims, expected, claims_size);
    /* at the host's wish: its nonce and its data, under names that the enclave's own never have */
    assert_int_equal(
        cella_enclave_evidence(enclave, "abc", 3, "data", 4, evidence, 100, &size, &g_error).code,
        CELLA_CODE_BUFFER_TOO_SMALL);
    assert_true(size > 4000);
    assert_ok(cella_enclave_evidence(enclave, "abc", 3, "data", 4, evidence, sizeof(evidence),
                                     &size, &g_error));
    claims = evidence_open(evidence, size, &claims_size);
    assert_int_equal(claims_size, 16 + 2 * 16 + 11 + 3 + 15 + 4);
    assert_memory_equal(claims + 32, "host_nonce\0abc", 14);
    assert_memory_equal(claims + claims_size - 19, "host_user_data\0data", 19);
    /* no claims at all: nothing behind the quote, and the hash of nothing in it */
    assert_ok(cella_enclave_evidence(enclave, NULL, 0, NULL, 0, evidence, sizeof(evidence), &size,
                                     &g_error));
    evidence_open(evidence, size, &claims_size);
    assert_int_equal(claims_size, 0);
    cella_enclave_destroy(enclave);
}

/* The certificates stay the same when the process does not; another CPUSVN has another key and certificate. */
static void test_provisioning_is_kept(void **state)
{
    (void)state;
    struct cella_provision first = {0}, second = {0};
    assert_ok(cella_provision_load(&first, &g_error));
    assert_ok(cella_provision_load(&second, &g_error));
    for (int i = 0; i < PLATFORM_CERTIFICATES; i++) {
        const struct platform_blob *one = platform_der(first.platform, i);
        const struct platform_blob *two = platform_der(second.platform, i);
        assert_int_equal(one->size, two->size);
        assert_memory_equal(one->data, two->data, one->size);
    }
    assert_int_equal(first.qe.isv_prod_id, 1);
    struct platform_collateral collateral;
    assert_ok(cella_provision_collateral(&first, 1800000000, &collateral, &g_error));
    assert_non_null(strstr((char *)collateral.qe_identity.data,
                           "\"attributes\":\"11000000000000000000000000000000\""));
    platform_collateral_done(&collateral);
    cella_provision_done(&first);
    cella_provision_done(&second);
}

static void test_no_source(void **state)
{
    (void)state;
    const struct cella_quote_source *source;
    const char *images = getenv("CELLA_QUOTE_ENCLAVES");
    char *kept = strdup(images ? images : "");
    struct cella_error error = {0};
    struct sgx_targetinfo target;
    assert_ok(cella_quotes_use(CELLA_QUOTE_SOCKET, "/nonexistent/aesm.socket"));
    assert_int_equal(cella_quote_target(1, &target, NULL, &error).code, CELLA_CODE_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/aesm.socket"));
    assert_ok(cella_quotes_use(CELLA_QUOTE_AUTO, "/nonexistent/aesm.socket"));
    assert_ok(cella_quote_source_find(1, &source, &error));
    assert_ptr_equal(source, cella_quote_local());
    setenv("SGX_AESM_ADDR", "1", 1);
    assert_ok(cella_quote_source_find(1, &source, &error));
    assert_ptr_equal(source, cella_quote_aesm());
    unsetenv("SGX_AESM_ADDR");
    char long_path[200];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = 0;
    assert_int_equal(cella_quotes_use(CELLA_QUOTE_SOCKET, long_path).code,
                     CELLA_CODE_INVALID_ARGUMENT);
    assert_ok(cella_quotes_use(CELLA_QUOTE_AUTO, NULL));
    free(kept);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_same_key_each_time),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_provisioning_is_kept),
        cmocka_unit_test(test_no_source),
    };
    if (argc != 2 || !mkdtemp(g_directory)) {
        return 2;
    }
    g_image = argv[1];
    setenv("CELLA_PLATFORM_DIR", g_directory, 1);
    unsetenv("SGX_AESM_ADDR");
    unsetenv("CELLA_AESM_SOCKET");
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", g_directory);
    return system(command) == 0 ? failed : 1;
}
