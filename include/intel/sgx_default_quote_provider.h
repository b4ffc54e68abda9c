/*
 * The quote provider library: collateral for quotes from a caching service. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_DCAP_QPL_H_
#define _SGX_DCAP_QPL_H_

#include <stddef.h>

#include "sgx_ql_lib_common.h"

#ifdef __cplusplus
#define CELLA_QPL_DEFAULT(value) = value
extern "C" {
#else
#define CELLA_QPL_DEFAULT(value)
#endif

quote3_error_t sgx_ql_get_quote_config(const sgx_ql_pck_cert_id_t *p_pck_cert_id,
                                       sgx_ql_config_t **pp_quote_config);
quote3_error_t sgx_ql_free_quote_config(sgx_ql_config_t *p_quote_config);
quote3_error_t
sgx_ql_get_quote_verification_collateral(const uint8_t *fmspc, uint16_t fmspc_size,
                                         const char *pck_ca,
                                         sgx_ql_qve_collateral_t **pp_quote_collateral);
quote3_error_t sgx_ql_get_quote_verification_collateral_with_params(
    const uint8_t *fmspc, const uint16_t fmspc_size, const char *pck_ca, const void *custom_param,
    const uint16_t custom_param_length, sgx_ql_qve_collateral_t **pp_quote_collateral);
quote3_error_t
sgx_ql_free_quote_verification_collateral(sgx_ql_qve_collateral_t *p_quote_collateral);
quote3_error_t
tdx_ql_get_quote_verification_collateral(const uint8_t *fmspc, uint16_t fmspc_size,
                                         const char *pck_ca,
                                         tdx_ql_qv_collateral_t **pp_quote_collateral);
quote3_error_t tdx_ql_get_quote_verification_collateral_with_params(
    const uint8_t *fmspc, const uint16_t fmspc_size, const char *pck_ca, const void *custom_param,
    const uint16_t custom_param_length, tdx_ql_qv_collateral_t **pp_quote_collateral);
quote3_error_t
tdx_ql_free_quote_verification_collateral(tdx_ql_qv_collateral_t *p_quote_collateral);
quote3_error_t sgx_ql_get_qve_identity(char **pp_qve_identity, uint32_t *p_qve_identity_size,
                                       char **pp_qve_identity_issuer_chain,
                                       uint32_t *p_qve_identity_issuer_chain_size);
quote3_error_t sgx_ql_free_qve_identity(char *p_qve_identity, char *p_qve_identity_issuer_chain);
quote3_error_t sgx_ql_get_root_ca_crl(uint8_t **pp_root_ca_crl, uint16_t *p_root_ca_crl_size);
quote3_error_t sgx_ql_free_root_ca_crl(uint8_t *p_root_ca_crl);
quote3_error_t
sgx_ql_set_logging_callback(sgx_ql_logging_callback_t logger,
                            sgx_ql_log_level_t loglevel CELLA_QPL_DEFAULT(SGX_QL_LOG_ERROR));
quote3_error_t sgx_qpl_clear_cache(uint32_t cache_type);
quote3_error_t sgx_qpl_global_init(void);
quote3_error_t sgx_qpl_global_cleanup(void);
quote3_error_t tee_get_default_platform_policy(const uint8_t *fmspc, const uint16_t fmspc_size,
                                               uint8_t **pp_platform_policy,
                                               uint32_t *p_platform_policy_size);
quote3_error_t tee_free_platform_policy(uint8_t *p_platform_policy);

#ifdef __cplusplus
}
#endif
#undef CELLA_QPL_DEFAULT
#endif
