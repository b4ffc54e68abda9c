/*
 * libsgx_dcap_quoteverify as programs call it: accepted, each refusal with its code, supplemental data, where collateral
 * and roots come from.
 * Side: tests. Linked with the library alone, as verifiers are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sgx_dcap_quoteverify.h"
#include "tests/skins/forge.h"

static char g_folder[] = "/tmp/cella-test-XXXXXX";
static char g_root[64];
static time_t g_now;

/* sgx_ql_qve_collateral_t with C strings, whose sizes count the zero, and lists in DER. */
static sgx_ql_qve_collateral_t collateral_of(const struct forge *forge)
{
    sgx_ql_qve_collateral_t out = {.version = 0x00010003};
    const struct {
        char **data;
        uint32_t *size;
        bool is_binary;
    } members[FORGE_DOCUMENTS] = {
        {&out.pck_crl_issuer_chain, &out.pck_crl_issuer_chain_size, false},
        {&out.root_ca_crl, &out.root_ca_crl_size, true},
        {&out.pck_crl, &out.pck_crl_size, true},
        {&out.tcb_info_issuer_chain, &out.tcb_info_issuer_chain_size, false},
        {&out.tcb_info, &out.tcb_info_size, false},
        {&out.qe_identity_issuer_chain, &out.qe_identity_issuer_chain_size, false},
        {&out.qe_identity, &out.qe_identity_size, false},
    };
    for (int i = 0; i < FORGE_DOCUMENTS; i++) {
        *members[i].data = (char *)forge->documents[i].data;
        *members[i].size = (uint32_t)forge->documents[i].size + !members[i].is_binary;
    }
    return out;
}

struct verdict {
    quote3_error_t error;
    sgx_ql_qv_result_t result;
    uint32_t expired;
    sgx_ql_qv_supplemental_t supplemental;
};

static struct verdict verify_at(const struct forge *forge, time_t time)
{
    const sgx_ql_qve_collateral_t collateral = collateral_of(forge);
    struct verdict verdict = {.result = 1, .expired = 7};
    tee_supp_data_descriptor_t descriptor = {.data_size = sizeof(verdict.supplemental),
                                             .p_data = (uint8_t *)&verdict.supplemental};
    verdict.error = tee_verify_quote(forge->quote.data, (uint32_t)forge->quote.size,
                                     (const uint8_t *)&collateral, time, &verdict.expired,
                                     &verdict.result, NULL, &descriptor);
    return verdict;
}

static struct verdict verify(const struct forge_options *options)
{
    struct forge forge;
    forge_make(options, &forge);
    const struct verdict verdict = verify_at(&forge, g_now);
    forge_done(&forge);
    return verdict;
}

static void test_accepts(void **state)
{
    (void)state;
    const struct forge_options options = {
        .now = g_now, .seed = 7, .status = "SWHardeningNeeded", .advisory = "INTEL-SA-00615"};
    const struct verdict verdict = verify(&options);
    const sgx_ql_qv_supplemental_t *data = &verdict.supplemental;
    assert_int_equal(verdict.error, SGX_QL_SUCCESS);
    assert_int_equal(verdict.result, SGX_QL_QV_RESULT_SW_HARDENING_NEEDED);
    assert_int_equal(verdict.expired, 0);
    assert_int_equal(data->major_version, 3);
    assert_int_equal(data->minor_version, 4);
    assert_string_equal(data->sa_list, "INTEL-SA-00615");
    assert_int_equal(data->earliest_issue_date, g_now - 90 * FORGE_DAY);
    assert_int_equal(data->latest_issue_date, g_now - FORGE_DAY);
    assert_int_equal(data->earliest_expiration_date, g_now + 29 * FORGE_DAY);
    assert_int_equal(data->platform_tcb_level_date_tag, g_now - 60 * FORGE_DAY);
    assert_int_equal(data->qe_iden_tcb_level_date_tag, g_now - 70 * FORGE_DAY);
    assert_int_equal(data->tcb_level_date_tag, g_now - 70 * FORGE_DAY);
    assert_int_equal(data->qe_iden_latest_issue_date, g_now - FORGE_DAY);
    assert_int_equal(data->qe_iden_status, SGX_QL_QV_RESULT_OK);
    assert_int_equal(data->tcb_eval_ref_num, 17);
    assert_int_equal(data->qe_iden_tcb_eval_ref_num, 17);
    assert_int_equal(data->pck_crl_num, 4242);
    assert_int_equal(data->root_ca_crl_num, 4242);
    assert_int_equal(data->tcb_cpusvn.svn[0], 3);
    assert_int_equal(data->tcb_pce_isvsvn, 11);
    assert_int_equal(data->sgx_type, 1);
    assert_int_equal(data->cached_keys, PCK_FLAG_TRUE);
    assert_int_equal(data->smt_enabled, PCK_FLAG_FALSE);
    assert_int_equal(data->tee_type, 0);
    assert_true(data->root_key_id[0] || data->root_key_id[1] || data->root_key_id[2]);
}

/* Statuses that do not end the matter are results. */
static void test_results(void **state)
{
    (void)state;
    static const struct {
        const char *status, *qe_status;
        sgx_ql_qv_result_t result;
    } rows[] = {
        {"UpToDate", "UpToDate", SGX_QL_QV_RESULT_OK},
        {"ConfigurationNeeded", "UpToDate", SGX_QL_QV_RESULT_CONFIG_NEEDED},
        {"OutOfDate", "UpToDate", SGX_QL_QV_RESULT_OUT_OF_DATE},
        {"OutOfDateConfigurationNeeded", "UpToDate", SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED},
        {"ConfigurationAndSWHardeningNeeded", "UpToDate",
         SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED},
        {"UpToDate", "OutOfDate", SGX_QL_QV_RESULT_OUT_OF_DATE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct forge_options options = {
            .now = g_now, .seed = 7, .status = rows[i].status, .qe_status = rows[i].qe_status};
        const struct verdict verdict = verify(&options);
        assert_int_equal(verdict.error, SGX_QL_SUCCESS);
        assert_int_equal(verdict.result, rows[i].result);
    }
}

/* What does end it is an error, and the result says nothing. */
static void test_refusals(void **state)
{
    (void)state;
    const struct {
        struct forge_options options;
        quote3_error_t error;
    } rows[] = {
        {{.seed = 8}, SGX_QL_PCK_CERT_CHAIN_ERROR}, /* another platform's root */
        {{.seed = 7, .status = "Revoked"}, SGX_QL_TCB_REVOKED},
        {{.seed = 7, .revoke_pck = true}, SGX_QL_PCK_REVOKED},
        {{.seed = 7, .revoke_pck_ca = true}, SGX_QL_PCK_REVOKED},
        {{.seed = 7, .revoke_tcb_signing = true}, SGX_QL_PCK_REVOKED},
        {{.seed = 7, .other_fmspc = true}, SGX_QL_TCBINFO_MISMATCH},
        {{.seed = 7, .other_qe = true}, SGX_QL_QEIDENTITY_MISMATCH},
        {{.seed = 7, .below_levels = true}, SGX_QL_TCB_NOT_SUPPORTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct forge_options options = rows[i].options;
        options.now = g_now;
        const struct verdict verdict = verify(&options);
        assert_int_equal(verdict.error, rows[i].error);
        assert_int_equal(verdict.result, SGX_QL_QV_RESULT_UNSPECIFIED);
        assert_int_equal(verdict.supplemental.version, 0);
    }
}

/* What has expired is said, and refuses nothing; what is not valid yet does. */
static void test_dates(void **state)
{
    (void)state;
    const struct forge_options options = {.now = g_now, .seed = 7};
    struct forge forge;
    forge_make(&options, &forge);
    struct verdict verdict = verify_at(&forge, g_now + 40 * FORGE_DAY);
    assert_int_equal(verdict.error, SGX_QL_SUCCESS);
    assert_int_equal(verdict.result, SGX_QL_QV_RESULT_OK);
    assert_int_equal(verdict.expired, 1);
    verdict = verify_at(&forge, g_now + 20000 * FORGE_DAY); /* every certificate is past */
    assert_int_equal(verdict.error, SGX_QL_SUCCESS);
    assert_int_equal(verdict.expired, 1);
    verdict = verify_at(&forge, g_now - 2 * FORGE_DAY);
    assert_int_not_equal(verdict.error, SGX_QL_SUCCESS);
    verdict = verify_at(&forge, 0);
    assert_int_equal(verdict.error, SGX_QL_ERROR_INVALID_PARAMETER);
    forge_done(&forge);
}

/* One bit of each part. */
static void test_tampered(void **state)
{
    (void)state;
    static const struct {
        int document; /* -1: the quote */
        size_t offset;
        quote3_error_t error;
    } rows[] = {
        {-1, 48 + 64, SGX_QL_RESULT_INVALID_SIGNATURE},           /* MRENCLAVE */
        {-1, 436 + 3, SGX_QL_RESULT_INVALID_SIGNATURE},           /* the signature */
        {-1, 436 + 128 + 70, SGX_QL_QE_REPORT_INVALID_SIGNATURE}, /* the QE report */
        {-1, 0, SGX_QL_QUOTE_FORMAT_UNSUPPORTED},                 /* the version */
        {FORGE_TCB_INFO, 60, SGX_QL_TCBINFO_CHAIN_ERROR},
        {FORGE_QE_IDENTITY, 330, SGX_QL_QEIDENTITY_CHAIN_ERROR},
        {FORGE_PCK_CRL, 280, SGX_QL_RESULT_INVALID_SIGNATURE},
        {FORGE_TCB_INFO, 0, SGX_QL_TCBINFO_UNSUPPORTED_FORMAT},
        {FORGE_QE_IDENTITY, 0, SGX_QL_QEIDENTITY_UNSUPPORTED_FORMAT},
        {FORGE_ROOT_CRL, 0, SGX_QL_CRL_UNSUPPORTED_FORMAT},
    };
    const struct forge_options options = {.now = g_now, .seed = 7};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct forge forge;
        forge_make(&options, &forge);
        struct forge_bytes *bytes =
            rows[i].document < 0 ? &forge.quote : &forge.documents[rows[i].document];
        bytes->data[rows[i].offset] ^= 1;
        const struct verdict verdict = verify_at(&forge, g_now);
        if (verdict.error != rows[i].error) {
            print_error("row %zu: 0x%x\n", i, (unsigned)verdict.error);
        }
        assert_int_equal(verdict.error, rows[i].error);
        assert_int_equal(verdict.result, SGX_QL_QV_RESULT_UNSPECIFIED);
        forge_done(&forge);
    }
}

static void test_parameters(void **state)
{
    (void)state;
    const struct forge_options options = {.now = g_now, .seed = 7};
    struct forge forge;
    uint32_t expired = 0, size = 0, version = 0;
    sgx_ql_qv_result_t result;
    sgx_ql_qv_supplemental_t supplemental;
    sgx_ql_qe_report_info_t info;
    uint8_t fmspc[6];
    forge_make(&options, &forge);
    sgx_ql_qve_collateral_t collateral = collateral_of(&forge);
    const uint8_t *quote = forge.quote.data;
    const uint32_t quote_size = (uint32_t)forge.quote.size;
    assert_int_equal(sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         NULL, sizeof(supplemental), (uint8_t *)&supplemental),
                     SGX_QL_SUCCESS);
    assert_int_equal(supplemental.major_version, 3);
    assert_int_equal(tdx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         NULL, 0, NULL),
                     SGX_QL_SUCCESS);
    assert_int_equal(
        sgx_qv_verify_quote(NULL, quote_size, &collateral, g_now, &expired, &result, NULL, 0, NULL),
        SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(
        sgx_qv_verify_quote(quote, 1019, &collateral, g_now, &expired, &result, NULL, 0, NULL),
        SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(
        sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, NULL, &result, NULL, 0, NULL),
        SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         NULL, sizeof(supplemental) - 1, (uint8_t *)&supplemental),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    /* nobody vouches for the answer but this process */
    assert_int_equal(sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         &info, 0, NULL),
                     SGX_QL_ENCLAVE_LOAD_ERROR);
    assert_int_equal(result, SGX_QL_QV_RESULT_UNSPECIFIED);
    collateral.version = 2;
    assert_int_equal(sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         NULL, 0, NULL),
                     SGX_QL_COLLATERAL_VERSION_NOT_SUPPORTED);
    collateral.version = 3;
    collateral.pck_crl = NULL;
    assert_int_equal(sgx_qv_verify_quote(quote, quote_size, &collateral, g_now, &expired, &result,
                                         NULL, 0, NULL),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(tee_get_fmspc_from_quote(quote, quote_size, fmspc, sizeof(fmspc)),
                     SGX_QL_SUCCESS);
    assert_int_equal(fmspc[1], 0xCE);
    assert_int_equal(tee_get_fmspc_from_quote(quote, quote_size, fmspc, 5),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(tee_get_supplemental_data_version_and_size(quote, quote_size, &version, &size),
                     SGX_QL_SUCCESS);
    assert_int_equal(version, 3 | 4 << 16);
    assert_int_equal(size, sizeof(supplemental));
    assert_int_equal(sgx_qv_set_enclave_load_policy(SGX_QL_PERSISTENT), SGX_QL_SUCCESS);
    assert_int_equal(sgx_qv_set_enclave_load_policy(SGX_QL_EPHEMERAL),
                     SGX_QL_UNSUPPORTED_LOADING_POLICY);
    assert_int_equal(sgx_qv_set_path(SGX_QV_QPL_PATH, "/nonexistent"),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    forge_done(&forge);
}

/* Without collateral of the caller's: from the directory, or nothing. */
static void test_fetch(void **state)
{
    (void)state;
    const struct forge_options options = {.now = g_now, .seed = 7};
    struct forge forge;
    uint32_t expired, size = 0;
    sgx_ql_qv_result_t result;
    uint8_t *given = NULL;
    forge_make(&options, &forge);
    const uint8_t *quote = forge.quote.data;
    const uint32_t quote_size = (uint32_t)forge.quote.size;
    setenv("CELLA_COLLATERAL_DIR", g_folder, 1);
    assert_int_equal(
        sgx_qv_verify_quote(quote, quote_size, NULL, g_now, &expired, &result, NULL, 0, NULL),
        SGX_QL_SUCCESS);
    assert_int_equal(tee_qv_get_collateral(quote, quote_size, &given, &size), SGX_QL_SUCCESS);
    const sgx_ql_qve_collateral_t *collateral = (const sgx_ql_qve_collateral_t *)given;
    assert_int_equal(collateral->version, 0x00010003);
    assert_int_equal(collateral->tcb_info_size, forge.documents[FORGE_TCB_INFO].size + 1);
    assert_true(size > sizeof(*collateral) + collateral->tcb_info_size);
    assert_int_equal(
        tee_verify_quote(quote, quote_size, given, g_now, &expired, &result, NULL, NULL),
        SGX_QL_SUCCESS);
    assert_int_equal(tee_qv_get_collateral(quote, quote_size, &given, &size),
                     SGX_QL_ERROR_INVALID_PARAMETER); /* it holds something already */
    assert_int_equal(tee_qv_free_collateral(given), SGX_QL_SUCCESS);
    assert_int_equal(tee_qv_free_collateral(NULL), SGX_QL_ERROR_INVALID_PARAMETER);
    setenv("CELLA_COLLATERAL_DIR", "/nonexistent", 1);
    assert_int_equal(
        sgx_qv_verify_quote(quote, quote_size, NULL, g_now, &expired, &result, NULL, 0, NULL),
        SGX_QL_NO_QUOTE_COLLATERAL_DATA);
    unsetenv("CELLA_COLLATERAL_DIR");
    assert_int_equal(
        sgx_qv_verify_quote(quote, quote_size, NULL, g_now, &expired, &result, NULL, 0, NULL),
        SGX_QL_PLATFORM_LIB_UNAVAILABLE);
    forge_done(&forge);
}

/* Nothing but Intel's root is trusted unless the environment names it. */
static void test_roots(void **state)
{
    (void)state;
    const struct forge_options options = {.now = g_now, .seed = 7};
    unsetenv("CELLA_INSECURE_ROOTS");
    assert_int_equal(verify(&options).error, SGX_QL_PCK_CERT_CHAIN_ERROR);
    setenv("CELLA_INSECURE_ROOTS", "/nonexistent.pem", 1);
    assert_int_equal(verify(&options).error, SGX_QL_FILE_ACCESS_ERROR);
    setenv("CELLA_INSECURE_ROOTS", g_root, 1);
    assert_int_equal(verify(&options).error, SGX_QL_SUCCESS);
}

static int setup(void **state)
{
    (void)state;
    struct forge forge;
    g_now = time(NULL) / FORGE_DAY * FORGE_DAY;
    const struct forge_options options = {.now = g_now, .seed = 7};
    if (!mkdtemp(g_folder)) {
        return -1;
    }
    forge_make(&options, &forge);
    forge_write(&forge, g_folder);
    forge_done(&forge);
    snprintf(g_root, sizeof(g_root), "%s/root_ca.pem", g_folder);
    setenv("CELLA_INSECURE_ROOTS", g_root, 1);
    setenv("CELLA_PLATFORM_DIR", "/nonexistent", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", g_folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),  cmocka_unit_test(test_results),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_tampered), cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_fetch),    cmocka_unit_test(test_roots),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
