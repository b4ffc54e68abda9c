/*
 * Verification of quotes. Library sgx_dcap_quoteverify. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_DCAP_QV_H_
#define _SGX_DCAP_QV_H_

#include "sgx_ql_quote.h"
#include "sgx_qve_header.h"

typedef enum { SGX_QV_QVE_PATH, SGX_QV_QPL_PATH } sgx_qv_path_type_t;

#ifdef __cplusplus
extern "C" {
#endif

quote3_error_t sgx_qv_set_enclave_load_policy(sgx_ql_request_policy_t policy);
quote3_error_t sgx_qv_set_path(sgx_qv_path_type_t path_type, const char *p_path);
quote3_error_t sgx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size);
quote3_error_t sgx_qv_verify_quote(const uint8_t *p_quote, uint32_t quote_size,
                                   const sgx_ql_qve_collateral_t *p_quote_collateral,
                                   const time_t expiration_check_date,
                                   uint32_t *p_collateral_expiration_status,
                                   sgx_ql_qv_result_t *p_quote_verification_result,
                                   sgx_ql_qe_report_info_t *p_qve_report_info,
                                   uint32_t supplemental_data_size, uint8_t *p_supplemental_data);
quote3_error_t sgx_qv_get_qve_identity(uint8_t **pp_qveid, uint32_t *p_qveid_size,
                                       uint8_t **pp_qveid_issue_chain,
                                       uint32_t *p_qveid_issue_chain_size, uint8_t **pp_root_ca_crl,
                                       uint16_t *p_root_ca_crl_size);
quote3_error_t sgx_qv_free_qve_identity(uint8_t *p_qveid, uint8_t *p_qveid_issue_chain,
                                        uint8_t *p_root_ca_crl);

quote3_error_t tdx_qv_get_quote_supplemental_data_size(uint32_t *p_data_size);
quote3_error_t tdx_qv_verify_quote(const uint8_t *p_quote, uint32_t quote_size,
                                   const tdx_ql_qv_collateral_t *p_quote_collateral,
                                   const time_t expiration_check_date,
                                   uint32_t *p_collateral_expiration_status,
                                   sgx_ql_qv_result_t *p_quote_verification_result,
                                   sgx_ql_qe_report_info_t *p_qve_report_info,
                                   uint32_t supplemental_data_size, uint8_t *p_supplemental_data);

quote3_error_t tee_qv_get_collateral(const uint8_t *p_quote, uint32_t quote_size,
                                     uint8_t **pp_quote_collateral, uint32_t *p_collateral_size);
quote3_error_t tee_qv_free_collateral(uint8_t *p_quote_collateral);
quote3_error_t tee_get_supplemental_data_version_and_size(const uint8_t *p_quote,
                                                          uint32_t quote_size, uint32_t *p_version,
                                                          uint32_t *p_data_size);
quote3_error_t tee_verify_quote(const uint8_t *p_quote, uint32_t quote_size,
                                const uint8_t *p_quote_collateral,
                                const time_t expiration_check_date,
                                uint32_t *p_collateral_expiration_status,
                                sgx_ql_qv_result_t *p_quote_verification_result,
                                sgx_ql_qe_report_info_t *p_qve_report_info,
                                tee_supp_data_descriptor_t *p_supp_data_descriptor);
quote3_error_t tee_verify_quote_qvt(const uint8_t *p_quote, uint32_t quote_size,
                                    const sgx_ql_qve_collateral_t *p_quote_collateral,
                                    sgx_ql_qe_report_info_t *p_qve_report_info,
                                    const uint8_t *p_user_data,
                                    uint32_t *p_verification_result_token_buffer_size,
                                    uint8_t **p_verification_result_token);
quote3_error_t tee_free_verify_quote_qvt(uint8_t *p_verification_result_token,
                                         uint32_t *p_verification_result_token_buffer_size);
quote3_error_t tee_get_fmspc_from_quote(const uint8_t *p_quote, uint32_t quote_size,
                                        uint8_t *p_fmspc_from_quote,
                                        uint32_t fmspc_from_quote_size);

#ifdef __cplusplus
}
#endif
#endif
