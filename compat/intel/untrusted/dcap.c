/*
 * sgx_dcap_quoteverify.h: verification waits for evidence.
 * Side: host. Called by applications. Never pretends.
 */
#include "sgx_dcap_quoteverify.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT quote3_error_t sgx_qv_set_enclave_load_policy(sgx_ql_request_policy_t policy)
{
    return policy <= SGX_QL_PERSISTENT_QVE_MULTI_THREAD ? SGX_QL_SUCCESS
                                                        : SGX_QL_UNSUPPORTED_LOADING_POLICY;
}

EXPORT quote3_error_t sgx_qv_set_path(sgx_qv_path_type_t path_type, const char *p_path)
{
    return path_type <= SGX_QV_QPL_PATH && p_path ? SGX_QL_SUCCESS : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t sgx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size)
{
    if (!p_data_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_data_size = sizeof(sgx_ql_qv_supplemental_t);
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_qv_verify_quote(
    const uint8_t *p_quote, uint32_t quote_size, const sgx_ql_qve_collateral_t *p_quote_collateral,
    const time_t expiration_check_date, uint32_t *p_collateral_expiration_status,
    sgx_ql_qv_result_t *p_quote_verification_result, sgx_ql_qe_report_info_t *p_qve_report_info,
    uint32_t supplemental_data_size, uint8_t *p_supplemental_data)
{
    (void)p_quote_collateral;
    (void)expiration_check_date;
    (void)p_qve_report_info;
    (void)supplemental_data_size;
    (void)p_supplemental_data;
    if (!p_quote || !quote_size || !p_collateral_expiration_status ||
        !p_quote_verification_result) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_quote_verification_result = SGX_QL_QV_RESULT_UNSPECIFIED;
    return SGX_QL_INTERFACE_UNAVAILABLE;
}

EXPORT quote3_error_t sgx_qv_get_qve_identity(uint8_t **pp_qveid, uint32_t *p_qveid_size,
                                              uint8_t **pp_qveid_issue_chain,
                                              uint32_t *p_qveid_issue_chain_size,
                                              uint8_t **pp_root_ca_crl,
                                              uint16_t *p_root_ca_crl_size)
{
    return pp_qveid && p_qveid_size && pp_qveid_issue_chain && p_qveid_issue_chain_size &&
                   pp_root_ca_crl && p_root_ca_crl_size
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t sgx_qv_free_qve_identity(uint8_t *p_qveid, uint8_t *p_qveid_issue_chain,
                                               uint8_t *p_root_ca_crl)
{
    (void)p_qveid;
    (void)p_qveid_issue_chain;
    (void)p_root_ca_crl;
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t tdx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size)
{
    return sgx_qv_get_quote_supplemental_data_size(p_data_size);
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

EXPORT quote3_error_t tee_qv_get_collateral(const uint8_t *p_quote, uint32_t quote_size,
                                            uint8_t **pp_quote_collateral,
                                            uint32_t *p_collateral_size)
{
    return p_quote && quote_size && pp_quote_collateral && p_collateral_size
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t tee_qv_free_collateral(uint8_t *p_quote_collateral)
{
    return p_quote_collateral ? SGX_QL_INTERFACE_UNAVAILABLE : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t tee_get_supplemental_data_version_and_size(const uint8_t *p_quote,
                                                                 uint32_t quote_size,
                                                                 uint32_t *p_version,
                                                                 uint32_t *p_data_size)
{
    if (!p_quote || !quote_size || (!p_version && !p_data_size)) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (p_version) {
        *p_version = 3;
    }
    if (p_data_size) {
        *p_data_size = sizeof(sgx_ql_qv_supplemental_t);
    }
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t tee_verify_quote(const uint8_t *p_quote, uint32_t quote_size,
                                       const uint8_t *p_quote_collateral,
                                       const time_t expiration_check_date,
                                       uint32_t *p_collateral_expiration_status,
                                       sgx_ql_qv_result_t *p_quote_verification_result,
                                       sgx_ql_qe_report_info_t *p_qve_report_info,
                                       tee_supp_data_descriptor_t *p_supp_data_descriptor)
{
    (void)p_supp_data_descriptor;
    return sgx_qv_verify_quote(p_quote, quote_size,
                               (const sgx_ql_qve_collateral_t *)p_quote_collateral,
                               expiration_check_date, p_collateral_expiration_status,
                               p_quote_verification_result, p_qve_report_info, 0, NULL);
}

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

EXPORT quote3_error_t tee_get_fmspc_from_quote(const uint8_t *p_quote, uint32_t quote_size,
                                               uint8_t *p_fmspc_from_quote,
                                               uint32_t fmspc_from_quote_size)
{
    return p_quote && quote_size && p_fmspc_from_quote && fmspc_from_quote_size >= 6
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}
