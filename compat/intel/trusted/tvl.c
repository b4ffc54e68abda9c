/*
 * sgx_dcap_tvl.h: what a verification enclave has said of a quote. There is no such enclave (ADR 0132).
 * Side: enclave. Called by applications. Never pretends: every call says TEE_UNSUPPORTED_MODE.
 */
#include "sgx_dcap_tvl.h"

#include "sgx_dcap_qae_tvl.h"

/* Declared by the code generated of sgx_dcap_tvl.edl only. */
quote3_error_t tee_verify_qae_report_and_identity(qae_verification_input_t *input,
                                                  sgx_ql_qe_report_info_t qae_report_info,
                                                  sgx_isv_svn_t qae_isvsvn_threshold);

quote3_error_t sgx_tvl_verify_qve_report_and_identity(
    const uint8_t *p_quote, uint32_t quote_size, const sgx_ql_qe_report_info_t *p_qve_report_info,
    time_t expiration_check_date, uint32_t collateral_expiration_status,
    sgx_ql_qv_result_t quote_verification_result, const uint8_t *p_supplemental_data,
    uint32_t supplemental_data_size, sgx_isv_svn_t qve_isvsvn_threshold)
{
    (void)expiration_check_date;
    (void)collateral_expiration_status;
    (void)quote_verification_result;
    (void)p_supplemental_data;
    (void)supplemental_data_size;
    (void)qve_isvsvn_threshold;
    return p_quote && quote_size && p_qve_report_info ? TEE_UNSUPPORTED_MODE
                                                      : TEE_ERROR_INVALID_PARAMETER;
}

quote3_error_t tee_verify_qae_report_and_identity(qae_verification_input_t *input,
                                                  sgx_ql_qe_report_info_t qae_report_info,
                                                  sgx_isv_svn_t qae_isvsvn_threshold)
{
    (void)qae_report_info;
    (void)qae_isvsvn_threshold;
    return input ? TEE_UNSUPPORTED_MODE : TEE_ERROR_INVALID_PARAMETER;
}
