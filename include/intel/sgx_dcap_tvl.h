/*
 * An enclave checks that a quote verification enclave has verified a quote. Trusted library sgx_dcap_tvl.
 * Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_DCAP_TVL_H_
#define _SGX_DCAP_TVL_H_

#include "sgx_ql_quote.h"
#include "sgx_qve_header.h"

#define SGX_TVL_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

SGX_TVL_API quote3_error_t sgx_tvl_verify_qve_report_and_identity(
    const uint8_t *p_quote, uint32_t quote_size, const sgx_ql_qe_report_info_t *p_qve_report_info,
    time_t expiration_check_date, uint32_t collateral_expiration_status,
    sgx_ql_qv_result_t quote_verification_result, const uint8_t *p_supplemental_data,
    uint32_t supplemental_data_size, sgx_isv_svn_t qve_isvsvn_threshold);

#ifdef __cplusplus
}
#endif
#endif
