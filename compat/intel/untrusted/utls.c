/*
 * sgx_utls.h, and the ocalls of sgx_ttls.edl for code that makes them itself: sgx_ttls here needs none.
 * Side: host. Called by applications and generated bridges. Linked with libsgx_dcap_ql and libsgx_dcap_quoteverify.
 * Never calls anything verified that is not.
 */
#include "sgx_utls.h"

#include <stdlib.h>

#include "compat/intel/tls_look.h"
#include "sgx_dcap_ql_wrapper.h"
#include "sgx_dcap_quoteverify.h"

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
               ? sgx_qe_get_target_info(p_target_info)
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

quote3_error_t sgx_tls_get_quote_size_ocall(uint32_t *p_quote_size)
{
    return sgx_qe_get_quote_size(p_quote_size);
}

quote3_error_t sgx_tls_get_quote_ocall(sgx_report_t *p_report, size_t report_size, uint8_t *p_quote,
                                       uint32_t quote_size)
{
    return p_report && report_size == sizeof(*p_report)
               ? sgx_qe_get_quote(p_report, quote_size, p_quote)
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
    uint32_t expired;
    (void)qve_report_info_size;
    return sgx_qv_verify_quote(p_quote, quote_size, NULL, expiration_check_date, &expired,
                               p_quote_verification_result, p_qve_report_info,
                               supplemental_data_size, p_supplemental_data);
}

quote3_error_t tee_verify_certificate_with_evidence_host(const uint8_t *p_cert_in_der,
                                                         size_t cert_in_der_len,
                                                         const time_t expiration_check_date,
                                                         sgx_ql_qv_result_t *p_qv_result,
                                                         uint8_t **pp_supplemental_data,
                                                         uint32_t *p_supplemental_data_size)
{
    struct intel_tls_look look;
    sgx_ql_qv_supplemental_t supplemental;
    tee_supp_data_descriptor_t descriptor = {.data_size = sizeof(supplemental),
                                             .p_data = (uint8_t *)&supplemental};
    uint32_t expired;
    if (!p_cert_in_der || cert_in_der_len == 0 || expiration_check_date <= 0 || !p_qv_result ||
        !pp_supplemental_data != !p_supplemental_data_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_qv_result = SGX_QL_QV_RESULT_UNSPECIFIED;
    quote3_error_t error =
        intel_tls_look(p_cert_in_der, cert_in_der_len, expiration_check_date, &look);
    if (error != SGX_QL_SUCCESS) {
        return error;
    }
    error = tee_verify_quote(look.quote.data, (uint32_t)look.quote.size, NULL,
                             expiration_check_date, &expired, p_qv_result, NULL, &descriptor);
    intel_tls_look_done(&look);
    return error == SGX_QL_SUCCESS ? intel_tls_supplemental(&supplemental, pp_supplemental_data,
                                                            p_supplemental_data_size)
                                   : error;
}

quote3_error_t tee_free_supplemental_data_host(uint8_t *p_supplemental_data)
{
    free(p_supplemental_data);
    return SGX_QL_SUCCESS;
}
