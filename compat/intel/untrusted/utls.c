/*
 * sgx_utls.h and the ocalls of sgx_ttls.edl: they wait for evidence.
 * Side: host. Called by applications and generated bridges. Never pretends.
 */
#include "sgx_utls.h"

#include <stdlib.h>

quote3_error_t sgx_tls_get_qe_target_info_ocall(sgx_target_info_t *p_target_info,
                                                size_t target_info_size);
quote3_error_t sgx_tls_get_quote_size_ocall(uint32_t *p_quote_size);
quote3_error_t sgx_tls_get_quote_ocall(sgx_report_t *p_report, size_t report_size, uint8_t *p_quote,
                                       uint32_t quote_size);
quote3_error_t sgx_tls_get_supplemental_data_size_ocall(uint32_t *p_supplemental_data_size);
quote3_error_t sgx_tls_verify_quote_ocall(const uint8_t *p_quote, uint32_t quote_size,
                                          time_t expiration_check_date,
                                          sgx_ql_qv_result_t *p_quote_verification_result,
                                          sgx_ql_qe_report_info_t *p_qve_report_info,
                                          size_t qve_report_info_size, uint8_t *p_supplemental_data,
                                          uint32_t supplemental_data_size);

quote3_error_t sgx_tls_get_qe_target_info_ocall(sgx_target_info_t *p_target_info,
                                                size_t target_info_size)
{
    return p_target_info && target_info_size == sizeof(*p_target_info)
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t sgx_tls_get_quote_size_ocall(uint32_t *p_quote_size)
{
    return p_quote_size ? SGX_QL_INTERFACE_UNAVAILABLE : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t sgx_tls_get_quote_ocall(sgx_report_t *p_report, size_t report_size, uint8_t *p_quote,
                                       uint32_t quote_size)
{
    return p_report && report_size == sizeof(*p_report) && p_quote && quote_size
               ? SGX_QL_INTERFACE_UNAVAILABLE
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t sgx_tls_get_supplemental_data_size_ocall(uint32_t *p_supplemental_data_size)
{
    if (!p_supplemental_data_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_supplemental_data_size = sizeof(sgx_ql_qv_supplemental_t);
    return SGX_QL_SUCCESS;
}

quote3_error_t sgx_tls_verify_quote_ocall(const uint8_t *p_quote, uint32_t quote_size,
                                          time_t expiration_check_date,
                                          sgx_ql_qv_result_t *p_quote_verification_result,
                                          sgx_ql_qe_report_info_t *p_qve_report_info,
                                          size_t qve_report_info_size, uint8_t *p_supplemental_data,
                                          uint32_t supplemental_data_size)
{
    (void)expiration_check_date;
    (void)p_qve_report_info;
    (void)qve_report_info_size;
    (void)p_supplemental_data;
    (void)supplemental_data_size;
    return p_quote && quote_size && p_quote_verification_result ? SGX_QL_INTERFACE_UNAVAILABLE
                                                                : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t tee_verify_certificate_with_evidence_host(const uint8_t *p_cert_in_der,
                                                         size_t cert_in_der_len,
                                                         const time_t expiration_check_date,
                                                         sgx_ql_qv_result_t *p_qv_result,
                                                         uint8_t **pp_supplemental_data,
                                                         uint32_t *p_supplemental_data_size)
{
    (void)expiration_check_date;
    (void)pp_supplemental_data;
    (void)p_supplemental_data_size;
    return p_cert_in_der && cert_in_der_len && p_qv_result ? SGX_QL_INTERFACE_UNAVAILABLE
                                                           : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t tee_free_supplemental_data_host(uint8_t *p_supplemental_data)
{
    free(p_supplemental_data);
    return SGX_QL_SUCCESS;
}
