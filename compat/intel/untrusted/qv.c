/*
 * sgx_dcap_quoteverify.h: verification of quotes, outside of any enclave.
 * Side: host. Called by applications. Trusts Intel's root, and others only where the environment names them (ADR 0130).
 * Never gives a verification enclave's report: there is none (ADR 0132), and asking for one is an error.
 */
#include "sgx_dcap_quoteverify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compat/intel/untrusted/qv_collateral.h"
#include "compat/intel/verify.h"

#define EXPORT __attribute__((visibility("default")))
#define FMSPC_SIZE 6u

static _Atomic bool g_policy_set;

EXPORT quote3_error_t sgx_qv_set_enclave_load_policy(sgx_ql_request_policy_t policy)
{
    if (policy > SGX_QL_PERSISTENT_QVE_MULTI_THREAD || atomic_exchange(&g_policy_set, true)) {
        return SGX_QL_UNSUPPORTED_LOADING_POLICY;
    }
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_qv_set_path(sgx_qv_path_type_t path_type, const char *p_path)
{
    struct stat status;
    if (!p_path || stat(p_path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    switch (path_type) {
    case SGX_QV_QVE_PATH: /* no such enclave is loaded */
        return SGX_QL_SUCCESS;
    case SGX_QV_QPL_PATH:
        return qv_provider_set(p_path) ? SGX_QL_SUCCESS : SGX_QL_ERROR_INVALID_PARAMETER;
    default:
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
}

/* ------------------------------------------------------------------------- supplemental data */

EXPORT quote3_error_t sgx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size)
{
    if (!p_data_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_data_size = sizeof(sgx_ql_qv_supplemental_t);
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t tdx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size)
{
    return sgx_qv_get_quote_supplemental_data_size(p_data_size);
}

EXPORT quote3_error_t tee_get_supplemental_data_version_and_size(const uint8_t *p_quote,
                                                                 uint32_t quote_size,
                                                                 uint32_t *p_version,
                                                                 uint32_t *p_data_size)
{
    if (!p_quote || quote_size < INTEL_QUOTE_MIN || !p_data_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (p_version) {
        *p_version = INTEL_SUPPLEMENTAL_MAJOR | INTEL_SUPPLEMENTAL_MINOR << 16;
    }
    *p_data_size = sizeof(sgx_ql_qv_supplemental_t);
    return SGX_QL_SUCCESS;
}

/* ------------------------------------------------------------------------- verification */

static pthread_once_t g_notice = PTHREAD_ONCE_INIT;

static void notice(void)
{
    fputs("libsgx_dcap_quoteverify: CELLA_INSECURE_ROOTS is set: quotes of other roots than "
          "Intel's are accepted\n",
          stderr);
}

static quote3_error_t roots_set(struct cella_roots *roots)
{
    struct cella_error error = {0};
    size_t count = 0;
    if (!cella_is_ok(cella_roots_add_environment(roots, &count, &error))) {
        fprintf(stderr, "libsgx_dcap_quoteverify: %s\n", error.text);
        return SGX_QL_FILE_ACCESS_ERROR;
    }
    if (count > 0) {
        pthread_once(&g_notice, notice);
    }
    return SGX_QL_SUCCESS;
}

/* A call: what goes in, and where the answers go. */
struct call {
    struct cella_span quote;
    const sgx_ql_qve_collateral_t *collateral;
    time_t time;
    uint32_t *expired;
    sgx_ql_qv_result_t *result;
    sgx_ql_qe_report_info_t *report_info;
    uint32_t supplemental_size;
    uint8_t *supplemental;
};

static bool is_complete(const struct call *call)
{
    return call->quote.data && call->quote.size >= INTEL_QUOTE_MIN && call->time > 0 &&
           (call->supplemental ? call->supplemental_size == sizeof(sgx_ql_qv_supplemental_t)
                               : call->supplemental_size == 0);
}

static quote3_error_t verify_with(const struct call *call,
                                  const struct cella_collateral_item items[CELLA_DOCUMENT_COUNT],
                                  sgx_ql_qv_supplemental_t *supplemental)
{
    struct cella_roots roots = {0};
    const quote3_error_t error = roots_set(&roots);
    if (error != SGX_QL_SUCCESS) {
        return error;
    }
    const struct intel_verification verification = {.quote = call->quote,
                                                    .items = items,
                                                    .item_count = CELLA_DOCUMENT_COUNT,
                                                    .roots = &roots,
                                                    .time = call->time};
    return intel_verify(&verification, call->expired, call->result, supplemental);
}

static quote3_error_t verify_fetched(const struct call *call,
                                     sgx_ql_qv_supplemental_t *supplemental)
{
    struct cella_quote_documents documents;
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    quote3_error_t error = qv_collateral_fetch(call->quote, &documents);
    if (error == SGX_QL_SUCCESS) {
        cella_quote_documents_items(&documents, items);
        error = verify_with(call, items, supplemental);
        cella_quote_documents_done(&documents);
    }
    return error;
}

/* The application's structures may be anywhere: the supplemental data is made aside and copied. */
static quote3_error_t verify(const struct call *call)
{
    sgx_ql_qv_supplemental_t supplemental = {0};
    sgx_ql_qv_supplemental_t *wanted = call->supplemental ? &supplemental : NULL;
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    quote3_error_t error;
    if (call->expired) {
        *call->expired = 1;
    }
    if (call->result) {
        *call->result = SGX_QL_QV_RESULT_UNSPECIFIED;
    }
    if (!call->expired || !call->result || !is_complete(call)) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (call->report_info) {
        return SGX_QL_ENCLAVE_LOAD_ERROR;
    }
    if (wanted) {
        memcpy(&supplemental.version, call->supplemental, sizeof(supplemental.version));
    }
    if (call->collateral) {
        error = qv_collateral_items(call->collateral, items);
        error = error == SGX_QL_SUCCESS ? verify_with(call, items, wanted) : error;
    } else {
        error = verify_fetched(call, wanted);
    }
    if (error == SGX_QL_SUCCESS && wanted) {
        memcpy(call->supplemental, &supplemental, sizeof(supplemental));
    }
    return error;
}

EXPORT quote3_error_t sgx_qv_verify_quote(
    const uint8_t *p_quote, uint32_t quote_size, const sgx_ql_qve_collateral_t *p_quote_collateral,
    const time_t expiration_check_date, uint32_t *p_collateral_expiration_status,
    sgx_ql_qv_result_t *p_quote_verification_result, sgx_ql_qe_report_info_t *p_qve_report_info,
    uint32_t supplemental_data_size, uint8_t *p_supplemental_data)
{
    const struct call call = {.quote = {p_quote, quote_size},
                              .collateral = p_quote_collateral,
                              .time = expiration_check_date,
                              .expired = p_collateral_expiration_status,
                              .result = p_quote_verification_result,
                              .report_info = p_qve_report_info,
                              .supplemental_size = supplemental_data_size,
                              .supplemental = p_supplemental_data};
    const uint32_t version = INTEL_SUPPLEMENTAL_MAJOR;
    const bool has_room = p_supplemental_data && supplemental_data_size >= sizeof(version);
    if (has_room) {
        memcpy(p_supplemental_data, &version, sizeof(version));
    }
    const quote3_error_t error = verify(&call);
    if (error != SGX_QL_SUCCESS && has_room) {
        memset(p_supplemental_data, 0, sizeof(version));
    }
    return error;
}

EXPORT quote3_error_t tdx_qv_verify_quote(
    const uint8_t *p_quote, uint32_t quote_size, const tdx_ql_qv_collateral_t *p_quote_collateral,
    const time_t expiration_check_date, uint32_t *p_collateral_expiration_status,
    sgx_ql_qv_result_t *p_quote_verification_result, sgx_ql_qe_report_info_t *p_qve_report_info,
    uint32_t supplemental_data_size, uint8_t *p_supplemental_data)
{
    return sgx_qv_verify_quote(p_quote, quote_size, p_quote_collateral, expiration_check_date,
                               p_collateral_expiration_status, p_quote_verification_result,
                               p_qve_report_info, supplemental_data_size, p_supplemental_data);
}

/* Version 0 stands for the newest; there is one. */
static quote3_error_t descriptor_check(const tee_supp_data_descriptor_t *descriptor)
{
    if (!descriptor->p_data) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (descriptor->major_version > INTEL_SUPPLEMENTAL_MAJOR) {
        return SGX_QL_SUPPLEMENTAL_DATA_VERSION_NOT_SUPPORTED;
    }
    return (descriptor->major_version == 0 ||
            descriptor->major_version == INTEL_SUPPLEMENTAL_MAJOR) &&
                   descriptor->data_size == sizeof(sgx_ql_qv_supplemental_t)
               ? SGX_QL_SUCCESS
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t tee_verify_quote(const uint8_t *p_quote, uint32_t quote_size,
                                       const uint8_t *p_quote_collateral,
                                       const time_t expiration_check_date,
                                       uint32_t *p_collateral_expiration_status,
                                       sgx_ql_qv_result_t *p_quote_verification_result,
                                       sgx_ql_qe_report_info_t *p_qve_report_info,
                                       tee_supp_data_descriptor_t *p_supp_data_descriptor)
{
    struct call call = {.quote = {p_quote, quote_size},
                        .collateral = (const sgx_ql_qve_collateral_t *)p_quote_collateral,
                        .time = expiration_check_date,
                        .expired = p_collateral_expiration_status,
                        .result = p_quote_verification_result,
                        .report_info = p_qve_report_info};
    const uint32_t version = INTEL_SUPPLEMENTAL_MAJOR | INTEL_SUPPLEMENTAL_MINOR << 16;
    if (!p_quote || quote_size < INTEL_QUOTE_MIN) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (p_supp_data_descriptor) {
        const quote3_error_t error = descriptor_check(p_supp_data_descriptor);
        if (error != SGX_QL_SUCCESS) {
            return error;
        }
        call.supplemental = p_supp_data_descriptor->p_data;
        call.supplemental_size = p_supp_data_descriptor->data_size;
        memset(call.supplemental, 0, call.supplemental_size);
        memcpy(call.supplemental, &version, sizeof(version));
    }
    const quote3_error_t error = verify(&call);
    if (error != SGX_QL_SUCCESS && call.supplemental) {
        memset(call.supplemental, 0, call.supplemental_size);
    }
    return error;
}

/* ------------------------------------------------------------------------- what a quote says */

EXPORT quote3_error_t tee_get_fmspc_from_quote(const uint8_t *p_quote, uint32_t quote_size,
                                               uint8_t *p_fmspc_from_quote,
                                               uint32_t fmspc_from_quote_size)
{
    struct cella_platform_claims platform;
    if (!p_quote || quote_size < INTEL_QUOTE_MIN || !p_fmspc_from_quote ||
        fmspc_from_quote_size < FMSPC_SIZE) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    const quote3_error_t error =
        qv_platform_read((struct cella_span){p_quote, quote_size}, &platform);
    if (error == SGX_QL_SUCCESS) {
        memcpy(p_fmspc_from_quote, platform.fmspc, FMSPC_SIZE);
    }
    return error;
}

/* ------------------------------------------------------------------------- tokens */

/* A token is worth what the verification enclave's report over it is worth; without one there is none. */
EXPORT quote3_error_t tee_verify_quote_qvt(const uint8_t *p_quote, uint32_t quote_size,
                                           const sgx_ql_qve_collateral_t *p_quote_collateral,
                                           sgx_ql_qe_report_info_t *p_qve_report_info,
                                           const uint8_t *p_user_data,
                                           uint32_t *p_verification_result_token_buffer_size,
                                           uint8_t **p_verification_result_token)
{
    (void)p_quote_collateral;
    (void)p_qve_report_info;
    (void)p_user_data;
    return p_quote && quote_size && p_verification_result_token_buffer_size &&
                   p_verification_result_token
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t tee_free_verify_quote_qvt(uint8_t *p_verification_result_token,
                                                uint32_t *p_verification_result_token_buffer_size)
{
    return p_verification_result_token && p_verification_result_token_buffer_size
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}
