/*
 * What the platform's services answer: quotes wait for evidence, EPID and white lists are of the past.
 * Side: host. Called by applications and ukey_exchange.c. Never pretends.
 */
#include "sgx_uae_service.h"

#define EXPORT __attribute__((visibility("default")))

/* ------------------------------------------------------------------- quotes by a chosen key */

EXPORT sgx_status_t sgx_select_att_key_id(const uint8_t *p_att_key_id_list,
                                          uint32_t att_key_id_list_size,
                                          sgx_att_key_id_t *p_selected_key_id)
{
    (void)p_att_key_id_list;
    (void)att_key_id_list_size;
    return p_selected_key_id ? SGX_ERROR_UNSUPPORTED_ATT_KEY_ID : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_init_quote_ex(const sgx_att_key_id_t *p_att_key_id,
                                      sgx_target_info_t *p_qe_target_info,
                                      size_t *p_pub_key_id_size, uint8_t *p_pub_key_id)
{
    (void)p_pub_key_id;
    return p_att_key_id && p_qe_target_info && p_pub_key_id_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                                                 : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_get_quote_size_ex(const sgx_att_key_id_t *p_att_key_id,
                                          uint32_t *p_quote_size)
{
    return p_att_key_id && p_quote_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                        : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_get_quote_ex(const sgx_report_t *p_app_report,
                                     const sgx_att_key_id_t *p_att_key_id,
                                     sgx_qe_report_info_t *p_qe_report_info, uint8_t *p_quote,
                                     uint32_t quote_size)
{
    (void)p_qe_report_info;
    return p_app_report && p_att_key_id && p_quote && quote_size ? SGX_ERROR_SERVICE_UNAVAILABLE
                                                                 : SGX_ERROR_INVALID_PARAMETER;
}

EXPORT sgx_status_t sgx_get_supported_att_key_id_num(uint32_t *p_att_key_id_num)
{
    if (!p_att_key_id_num) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *p_att_key_id_num = 0;
    return SGX_ERROR_SERVICE_UNAVAILABLE;
}

EXPORT sgx_status_t sgx_get_supported_att_key_ids(sgx_att_key_id_ext_t *p_att_key_id_list,
                                                  uint32_t att_key_id_num)
{
    return p_att_key_id_list && att_key_id_num ? SGX_ERROR_SERVICE_UNAVAILABLE
                                               : SGX_ERROR_INVALID_PARAMETER;
}

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
