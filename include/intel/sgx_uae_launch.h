/*
 * The launch enclave's white list, which no machine has any more: the functions say so. Library sgx_launch.
 */
#ifndef _SGX_UAE_LAUNCH_H_
#define _SGX_UAE_LAUNCH_H_

#include <stdint.h>

#include "sgx_error.h"
#include "sgx_urts.h"

#ifdef __cplusplus
extern "C" {
#endif

sgx_status_t SGXAPI sgx_get_whitelist_size(uint32_t *p_whitelist_size);
sgx_status_t SGXAPI sgx_get_whitelist(uint8_t *p_whitelist, uint32_t whitelist_size);
sgx_status_t SGXAPI sgx_register_wl_cert_chain(uint8_t *p_wl_cert_chain,
                                               uint32_t wl_cert_chain_size);

#ifdef __cplusplus
}
#endif
#endif
