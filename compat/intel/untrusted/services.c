/*
 * What the platform's services answer: EPID and white lists are of the past. Quotes are quote_ex.c's.
 * Side: host. Called by applications and ukey_exchange.c. Never pretends.
 */
#include "sgx_uae_service.h"

#define EXPORT __attribute__((visibility("default")))

/* ------------------------------------------------------------------- EPID */

EXPORT sgx_status_t sgx_init_quote(sgx_target_info_t *p_target_info, sgx_epid_group_id_t *p_gid)
{
    return p_target_info && p_gid ? SGX_ERROR_SERVICE_UNAVAILABLE : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_calc_quote_size(const uint8_t *p_sig_rl, uint32_t sig_rl_size,
                                        uint32_t *p_quote_size)
{
    (void)p_sig_rl;
    (void)sig_rl_size;
    return p_quote_size ? SGX_ERROR_SERVICE_UNAVAILABLE : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_get_quote_size(const uint8_t *p_sig_rl, uint32_t *p_quote_size)
{
    return sgx_calc_quote_size(p_sig_rl, 0, p_quote_size);
}

EXPORT sgx_status_t sgx_get_quote(const sgx_report_t *p_report, sgx_quote_sign_type_t quote_type,
                                  const sgx_spid_t *p_spid, const sgx_quote_nonce_t *p_nonce,
                                  const uint8_t *p_sig_rl, uint32_t sig_rl_size,
                                  sgx_report_t *p_qe_report, sgx_quote_t *p_quote,
                                  uint32_t quote_size)
{
    (void)quote_type;
    (void)p_nonce;
    (void)p_sig_rl;
    (void)sig_rl_size;
    (void)p_qe_report;
    return p_report && p_spid && p_quote && quote_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                                       : SGX_ERROR_INVALID_PARAMETER;
}

/* Group 0 is what machines that never spoke to the EPID service say. */
EXPORT sgx_status_t sgx_get_extended_epid_group_id(uint32_t *p_extended_epid_group_id)
{
    if (!p_extended_epid_group_id) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *p_extended_epid_group_id = 0;
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_report_attestation_status(const sgx_platform_info_t *p_platform_info,
                                                  int attestation_status,
                                                  sgx_update_info_bit_t *p_update_info)
{
    (void)attestation_status;
    return p_platform_info && p_update_info ? SGX_ERROR_SERVICE_UNAVAILABLE
                                            : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_check_update_status(const sgx_platform_info_t *p_platform_info,
                                            sgx_update_info_bit_t *p_update_info, uint32_t config,
                                            uint32_t *p_status)
{
    (void)p_platform_info;
    (void)p_update_info;
    (void)config;
    return p_status ? SGX_ERROR_SERVICE_UNAVAILABLE : SGX_ERROR_INVALID_PARAMETER;
}

/* ------------------------------------------------------------------- launch control */

EXPORT sgx_status_t sgx_get_whitelist_size(uint32_t *p_whitelist_size)
{
    return p_whitelist_size ? SGX_ERROR_SERVICE_UNAVAILABLE : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_get_whitelist(uint8_t *p_whitelist, uint32_t whitelist_size)
{
    return p_whitelist && whitelist_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                         : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_register_wl_cert_chain(uint8_t *p_wl_cert_chain,
                                               uint32_t wl_cert_chain_size)
{
    return p_wl_cert_chain && wl_cert_chain_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                                 : SGX_ERROR_INVALID_PARAMETER;
}
