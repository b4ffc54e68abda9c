/*
 * sgx_dcap_ql_wrapper.h: quotes in process by the runtime's own quoting enclave, or out of process where SGX_AESM_ADDR is
 * set, as with Intel's library of this name.
 * Side: host. Called by applications.
 * Never brings a second runtime into the process: it uses the one of libsgx_urts that is there, and the socket where
 * there is none.
 */
#include "sgx_dcap_ql_wrapper.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compat/intel/untrusted/runtime_quotes.h"
#include "sgx_uae_quote_ex.h"

#define EXPORT __attribute__((visibility("default")))
#define PATH_MAX_SIZE 260u /* as Intel's MAX_PATH */

/* By this host/quote_dcap.c tells this library from Intel's of the same name. */
EXPORT const char cella_dcap_skin = 1;

static sgx_ql_logging_callback_t g_logger;
static sgx_ql_log_level_t g_level;

static quote3_error_t failed(quote3_error_t code, const char *text)
{
    if (g_logger && g_level >= SGX_QL_LOG_ERROR) {
        g_logger(SGX_QL_LOG_ERROR, text);
    }
    return code;
}

/* The runtime's two functions, where libsgx_urts or libsgx_urts_sim is loaded and nobody asked for the daemon. */
static const struct runtime_quotes *runtime(void)
{
    static const char symbol[] = "cella_runtime_quotes";
    return getenv("SGX_AESM_ADDR") ? NULL : dlsym(RTLD_DEFAULT, symbol);
}

static quote3_error_t code_of_result(uint32_t result, const char *text)
{
    switch (result) {
    case CELLA_CODE_OK:
        return SGX_QL_SUCCESS;
    case CELLA_CODE_AUTH_FAILED:
        return failed(SGX_QL_INVALID_REPORT, text);
    case CELLA_CODE_INVALID_ARGUMENT:
    case CELLA_CODE_BUFFER_TOO_SMALL:
        return failed(SGX_QL_ERROR_INVALID_PARAMETER, text);
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_NO_DEVICE:
        return failed(SGX_QL_ENCLAVE_LOAD_ERROR, text);
    case CELLA_CODE_OUT_OF_MEMORY:
        return failed(SGX_QL_ERROR_OUT_OF_MEMORY, text);
    case CELLA_CODE_OUT_OF_EPC:
        return failed(SGX_QL_OUT_OF_EPC, text);
    case CELLA_CODE_ENCLAVE_LOST:
        return failed(SGX_QL_ENCLAVE_LOST, text);
    case CELLA_CODE_BUSY:
        return failed(SGX_QL_ERROR_BUSY, text);
    default:
        return failed(SGX_QL_ERROR_UNEXPECTED, text);
    }
}

static quote3_error_t code_of_status(sgx_status_t status)
{
    static const char text[] = "AESM socket";
    switch (status) {
    case SGX_SUCCESS:
        return SGX_QL_SUCCESS;
    case SGX_ERROR_INVALID_PARAMETER:
        return failed(SGX_QL_ERROR_INVALID_PARAMETER, text);
    case SGX_ERROR_MAC_MISMATCH:
        return failed(SGX_QL_INVALID_REPORT, text);
    case SGX_ERROR_OUT_OF_MEMORY:
        return failed(SGX_QL_ERROR_OUT_OF_MEMORY, text);
    case SGX_ERROR_OUT_OF_EPC:
        return failed(SGX_QL_OUT_OF_EPC, text);
    case SGX_ERROR_UNSUPPORTED_ATT_KEY_ID:
        return failed(SGX_QL_UNSUPPORTED_ATT_KEY_ID, text);
    case SGX_ERROR_ATT_KEY_UNINITIALIZED:
        return failed(SGX_QL_ATT_KEY_NOT_INITIALIZED, text);
    case SGX_ERROR_ATT_KEY_CERTIFICATION_FAILURE:
        return failed(SGX_QL_KEY_CERTIFCATION_ERROR, text);
    case SGX_ERROR_PLATFORM_CERT_UNAVAILABLE:
        return failed(SGX_QL_NO_PLATFORM_CERT_DATA, text);
    case SGX_ERROR_SERVICE_UNAVAILABLE:
        return failed(SGX_QL_SERVICE_UNAVAILABLE, text);
    case SGX_ERROR_SERVICE_TIMEOUT:
        return failed(SGX_QL_SERVICE_TIMEOUT, text);
    case SGX_ERROR_BUSY:
        return failed(SGX_QL_ERROR_BUSY, text);
    case SGX_ERROR_NETWORK_FAILURE:
        return failed(SGX_QL_NETWORK_ERROR, text);
    default:
        return failed(SGX_QL_ERROR_UNEXPECTED, text);
    }
}

EXPORT quote3_error_t sgx_qe_set_enclave_load_policy(sgx_ql_request_policy_t policy)
{
    return policy <= SGX_QL_EPHEMERAL ? SGX_QL_SUCCESS : SGX_QL_UNSUPPORTED_LOADING_POLICY;
}

EXPORT quote3_error_t sgx_qe_get_target_info(sgx_target_info_t *p_qe_target_info)
{
    const struct runtime_quotes *here = runtime();
    sgx_att_key_id_t key;
    uint8_t public_key[32];
    size_t size = sizeof(public_key);
    char text[RUNTIME_QUOTES_TEXT] = "";
    if (!p_qe_target_info) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (here) {
        return code_of_result(here->target(p_qe_target_info, NULL, text), text);
    }
    sgx_status_t status = sgx_select_att_key_id(NULL, 0, &key);
    if (status == SGX_SUCCESS) {
        status = sgx_init_quote_ex(&key, p_qe_target_info, &size, public_key);
    }
    return code_of_status(status);
}

EXPORT quote3_error_t sgx_qe_get_quote_size(uint32_t *p_quote_size)
{
    const struct runtime_quotes *here = runtime();
    sgx_att_key_id_t key;
    char text[RUNTIME_QUOTES_TEXT] = "";
    if (!p_quote_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (here) {
        return code_of_result(here->target(NULL, p_quote_size, text), text);
    }
    sgx_status_t status = sgx_select_att_key_id(NULL, 0, &key);
    if (status == SGX_SUCCESS) {
        status = sgx_get_quote_size_ex(&key, p_quote_size);
    }
    return code_of_status(status);
}

EXPORT quote3_error_t sgx_qe_get_quote(const sgx_report_t *p_app_report, uint32_t quote_size,
                                       uint8_t *p_quote)
{
    const struct runtime_quotes *here = runtime();
    sgx_att_key_id_t key;
    char text[RUNTIME_QUOTES_TEXT] = "";
    if (!p_app_report || !p_quote || quote_size == 0) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (here) {
        return code_of_result(here->quote(p_app_report, p_quote, quote_size, text), text);
    }
    sgx_status_t status = sgx_select_att_key_id(NULL, 0, &key);
    if (status == SGX_SUCCESS) {
        status = sgx_get_quote_ex(p_app_report, &key, NULL, p_quote, quote_size);
    }
    return code_of_status(status);
}

/* The quoting enclave stays loaded: it is small, and loading it is what costs. */
EXPORT quote3_error_t sgx_qe_cleanup_by_policy(void)
{
    return SGX_QL_SUCCESS;
}

/*
 * Intel's enclaves and provider are not used, so that a path to one need not lead anywhere: applications name Intel's
 * places as a matter of course.
 */
EXPORT quote3_error_t sgx_ql_set_path(sgx_ql_path_type_t path_type, const char *p_path)
{
    if (getenv("SGX_AESM_ADDR")) {
        return SGX_QL_UNSUPPORTED_MODE;
    }
    if (path_type > SGX_QL_IDE_PATH || !p_path || !p_path[0] || strlen(p_path) >= PATH_MAX_SIZE) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_ql_set_trace_callback(sgx_ql_logging_callback_t logger,
                                                sgx_ql_log_level_t loglevel)
{
    g_logger = logger;
    g_level = loglevel;
    return SGX_QL_SUCCESS;
}
