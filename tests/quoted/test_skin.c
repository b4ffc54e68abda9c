/*
 * Quotes through Intel's API: libsgx_dcap_ql in process and out of process, libsgx_quote_ex.
 * Side: tests. Arguments: the daemon, the enclave of quotes. Linked with libsgx_urts, as applications are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../quote/calls.h"
#include "../quote/layout.h"
#include "common/result.h"
#include "daemon.h"
#include "sgx_dcap_ql_wrapper.h"
#include "sgx_default_quote_provider.h"
#include "sgx_uae_quote_ex.h"
#include "sgx_urts.h"

/* Of the runtime in libsgx_urts; its headers and Intel's do not go together. */
struct cella_enclave;
struct cella_enclave *sgx_enclave_core(sgx_enclave_id_t eid);
cella_result cella_ecall(struct cella_enclave *enclave, uint32_t number, const void *in,
                         size_t in_size, void *out, size_t out_capacity, size_t *ret_size);

static const char *g_program, *g_image;
static struct daemon g_daemon;
static sgx_enclave_id_t g_enclave;

static void report_for(const sgx_target_info_t *target, sgx_report_t *ret_report)
{
    size_t size;
    assert_int_equal(cella_ecall(sgx_enclave_core(g_enclave), CALL_REPORT, target, sizeof(*target),
                                 ret_report, sizeof(*ret_report), &size)
                         .code,
                     CELLA_CODE_OK);
}

static void quote_through_dcap(sgx_target_info_t *ret_target)
{
    struct quote_layout layout;
    sgx_report_t report;
    uint32_t size = 0;
    assert_int_equal(sgx_qe_get_target_info(ret_target), SGX_QL_SUCCESS);
    report_for(ret_target, &report);
    assert_int_equal(sgx_qe_get_quote_size(&size), SGX_QL_SUCCESS);
    uint8_t *quote = malloc(size);
    assert_int_equal(sgx_qe_get_quote(&report, size, quote), SGX_QL_SUCCESS);
    assert_true(quote_layout_read(quote, size, &layout));
    assert_memory_equal(layout.body, &report.body, sizeof(report.body));
    assert_int_equal(sgx_qe_get_quote(&report, size - 1, quote), SGX_QL_ERROR_INVALID_PARAMETER);
    report.mac[3] ^= 4;
    assert_int_equal(sgx_qe_get_quote(&report, size, quote), SGX_QL_INVALID_REPORT);
    assert_int_equal(sgx_qe_get_quote(NULL, size, quote), SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_qe_get_quote(&report, size, NULL), SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_qe_get_quote_size(NULL), SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_qe_get_target_info(NULL), SGX_QL_ERROR_INVALID_PARAMETER);
    free(quote);
}

static char g_logged[256];
static void logger(sgx_ql_log_level_t level, const char *message)
{
    (void)level;
    snprintf(g_logged, sizeof(g_logged), "%s", message);
}

static void test_dcap(void **state)
{
    (void)state;
    sgx_target_info_t here, there;
    assert_int_equal(sgx_qe_set_enclave_load_policy(SGX_QL_PERSISTENT), SGX_QL_SUCCESS);
    quote_through_dcap(&here);
    setenv("SGX_AESM_ADDR", g_daemon.socket, 1);
    quote_through_dcap(&there);
    /* one platform, one quoting enclave, in whichever process */
    assert_memory_equal(&here, &there, sizeof(here));
    setenv("SGX_AESM_ADDR", "/nonexistent/aesm.socket", 1);
    assert_int_equal(sgx_ql_set_trace_callback(logger, SGX_QL_LOG_ERROR), SGX_QL_SUCCESS);
    assert_int_equal(sgx_qe_get_target_info(&here), SGX_QL_SERVICE_UNAVAILABLE);
    assert_string_equal(g_logged, "AESM socket");
    unsetenv("SGX_AESM_ADDR");
    assert_int_equal(sgx_qe_cleanup_by_policy(), SGX_QL_SUCCESS);
    assert_int_equal(sgx_ql_set_path(SGX_QL_QE3_PATH, "/usr/lib/libsgx_qe3.signed.so.1"),
                     SGX_QL_SUCCESS);
    assert_int_equal(sgx_ql_set_path(SGX_QL_QE3_PATH, ""), SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_ql_set_path(SGX_QL_QE3_PATH, NULL), SGX_QL_ERROR_INVALID_PARAMETER);
}

static void test_quote_ex(void **state)
{
    (void)state;
    sgx_att_key_id_t key, other;
    sgx_att_key_id_ext_t keys[1];
    sgx_target_info_t target;
    sgx_report_t report;
    sgx_qe_report_info_t info = {0};
    struct quote_layout layout;
    uint32_t count = 0, quote_size = 0;
    uint8_t public_key[32];
    size_t public_size = 0;
    setenv("SGX_AESM_ADDR", g_daemon.socket, 1);
    assert_int_equal(sgx_get_supported_att_key_id_num(&count), SGX_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(sgx_get_supported_att_key_ids(keys, count), SGX_SUCCESS);
    assert_int_equal(keys[0].base.algorithm_id, 2);
    assert_int_equal(sgx_select_att_key_id(NULL, 0, &key), SGX_SUCCESS);
    assert_memory_equal(&key, &keys[0], sizeof(key));
    assert_int_equal(sgx_init_quote_ex(&key, &target, &public_size, NULL), SGX_SUCCESS);
    assert_int_equal(public_size, 32);
    assert_int_equal(sgx_init_quote_ex(&key, &target, &public_size, public_key), SGX_SUCCESS);
    report_for(&target, &report);
    assert_int_equal(sgx_get_quote_size_ex(&key, &quote_size), SGX_SUCCESS);
    uint8_t *quote = malloc(quote_size);
    memcpy(&info.app_enclave_target_info.mr_enclave, &report.body.mr_enclave, 32);
    info.app_enclave_target_info.attributes = report.body.attributes;
    info.app_enclave_target_info.misc_select = report.body.misc_select;
    assert_int_equal(sgx_get_quote_ex(&report, &key, &info, quote, quote_size), SGX_SUCCESS);
    assert_true(quote_layout_read(quote, quote_size, &layout));
    assert_memory_equal(layout.body, &report.body, sizeof(report.body));
    assert_memory_equal(layout.qe_report + 320, public_key, 32);
    assert_int_equal(cella_ecall(sgx_enclave_core(g_enclave), CALL_VERIFY, &info.qe_report,
                                 sizeof(info.qe_report), NULL, 0, NULL)
                         .code,
                     CELLA_CODE_OK);
    /* refusals have Intel's statuses */
    memset(&other, 0x77, sizeof(other));
    assert_int_equal(sgx_get_quote_size_ex(&other, &quote_size), SGX_ERROR_UNSUPPORTED_ATT_KEY_ID);
    assert_int_equal(sgx_get_quote_ex(&report, &key, NULL, quote, 100),
                     SGX_ERROR_INVALID_PARAMETER);
    report.body.isv_svn++;
    assert_int_equal(sgx_get_quote_ex(&report, &key, NULL, quote, quote_size),
                     SGX_ERROR_MAC_MISMATCH);
    assert_int_equal(sgx_select_att_key_id(quote, 0, &key), SGX_ERROR_INVALID_PARAMETER);
    free(quote);
    setenv("SGX_AESM_ADDR", "/nonexistent/aesm.socket", 1);
    assert_int_equal(sgx_get_quote_size_ex(&key, &quote_size), SGX_ERROR_SERVICE_UNAVAILABLE);
    unsetenv("SGX_AESM_ADDR");
}

/* The collateral of the platform's own quotes, as verifiers ask a provider for it. */
static void test_provider(void **state)
{
    (void)state;
    static const uint8_t software[6] = {0x00, 0xCE, 0x11, 0xA0, 0x00, 0x00}, other[6] = {1};
    sgx_ql_qve_collateral_t *set = NULL;
    sgx_ql_config_t *config = NULL;
    sgx_ql_pck_cert_id_t id = {0};
    sgx_cpu_svn_t cpu_svn = {{1}};
    sgx_isv_svn_t pce_svn = 1;
    uint8_t *crl;
    uint16_t crl_size;
    assert_int_equal(sgx_ql_set_logging_callback(logger, SGX_QL_LOG_ERROR), SGX_QL_SUCCESS);
    assert_int_equal(sgx_ql_get_quote_verification_collateral(software, 6, "platform", &set),
                     SGX_QL_SUCCESS);
    assert_int_equal(set->major_version, 3);
    assert_int_equal(set->minor_version, 1);
    assert_int_equal(set->tee_type, 0);
    assert_int_equal(strlen(set->tcb_info) + 1, set->tcb_info_size);
    assert_non_null(strstr(set->tcb_info, "\"fmspc\":\"00CE11A00000\""));
    assert_non_null(strstr(set->qe_identity, "\"id\":\"QE\""));
    assert_non_null(strstr(set->pck_crl_issuer_chain, "-----BEGIN CERTIFICATE-----"));
    assert_int_equal((uint8_t)set->pck_crl[0], 0x30);
    assert_int_equal(sgx_ql_get_root_ca_crl(&crl, &crl_size), SGX_QL_SUCCESS);
    assert_int_equal(crl_size, set->root_ca_crl_size);
    assert_memory_equal(crl, set->root_ca_crl, crl_size);
    assert_int_equal(sgx_ql_free_root_ca_crl(crl), SGX_QL_SUCCESS);
    assert_int_equal(sgx_ql_free_quote_verification_collateral(set), SGX_QL_SUCCESS);
    /* of a platform that is not here: nothing */
    assert_int_equal(sgx_ql_get_quote_verification_collateral(other, 6, "platform", &set),
                     SGX_QL_NO_QUOTE_COLLATERAL_DATA);
    assert_non_null(strstr(g_logged, "pck_crl_issuer_chain.pem"));
    assert_int_equal(sgx_ql_get_quote_verification_collateral(software, 5, "platform", &set),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    assert_int_equal(sgx_ql_get_quote_verification_collateral(software, 6, "p", &set),
                     SGX_QL_ERROR_INVALID_PARAMETER);
    setenv("CELLA_COLLATERAL_DIR", "/nonexistent", 1);
    assert_int_equal(sgx_ql_get_quote_verification_collateral(software, 6, "platform", &set),
                     SGX_QL_NO_QUOTE_COLLATERAL_DATA);
    unsetenv("CELLA_COLLATERAL_DIR");
    id.p_platform_cpu_svn = &cpu_svn;
    id.p_platform_pce_isv_svn = &pce_svn;
    assert_int_equal(sgx_ql_get_quote_config(&id, &config), SGX_QL_SUCCESS);
    assert_int_equal(config->cert_pce_isv_svn, 1);
    assert_int_equal(strncmp((char *)config->p_cert_data, "-----BEGIN CERTIFICATE-----", 27), 0);
    assert_int_equal(sgx_ql_free_quote_config(config), SGX_QL_SUCCESS);
}

static int start(void **state)
{
    static const char *const none[] = {NULL};
    char platform[96];
    (void)state;
    if (!daemon_start(&g_daemon, g_program, none)) {
        return -1;
    }
    snprintf(platform, sizeof(platform), "%s/platform", g_daemon.folder);
    setenv("CELLA_PLATFORM_DIR", platform, 1);
    return sgx_create_enclave(g_image, 0, NULL, NULL, &g_enclave, NULL) == SGX_SUCCESS ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    sgx_destroy_enclave(g_enclave);
    daemon_stop(&g_daemon);
    return daemon_clean(&g_daemon) ? 0 : -1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dcap),
        cmocka_unit_test(test_quote_ex),
        cmocka_unit_test(test_provider),
    };
    if (argc != 3) {
        return 2;
    }
    g_program = argv[1];
    g_image = argv[2];
    unsetenv("SGX_AESM_ADDR");
    unsetenv("CELLA_AESM_SOCKET");
    return cmocka_run_group_tests(tests, start, clean);
}
