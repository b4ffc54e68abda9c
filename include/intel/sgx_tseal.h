/*
 * Sealing: data that only this enclave, or enclaves of its signer, open again on this machine. Trusted library
 * sgx_tservice. Source compatible with the Intel SGX SDK, the layout of the sealed blob included.
 */
#ifndef _SGX_TSEAL_H_
#define _SGX_TSEAL_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_attributes.h"
#include "sgx_defs.h"
#include "sgx_error.h"
#include "sgx_key.h"
#include "sgx_tcrypto.h"

#define SGX_SEAL_TAG_SIZE SGX_AESGCM_MAC_SIZE
#define SGX_SEAL_IV_SIZE 12

typedef struct _aes_gcm_data_t {
    uint32_t payload_size;
    uint8_t reserved[12];
    uint8_t payload_tag[SGX_SEAL_TAG_SIZE];
    uint8_t payload[]; /* encrypted text, then the authenticated one */
} sgx_aes_gcm_data_t;

typedef struct _sealed_data_t {
    sgx_key_request_t key_request;
    uint32_t plain_text_offset;
    uint8_t reserved[12];
    sgx_aes_gcm_data_t aes_data;
} sgx_sealed_data_t; /* 560 bytes and the payload */

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the blob; UINT32_MAX when they do not fit 32 bits. */
uint32_t sgx_calc_sealed_data_size(const uint32_t add_mac_txt_size,
                                   const uint32_t txt_encrypt_size);

/* The sizes of a blob's two texts; UINT32_MAX for what is no blob. */
uint32_t sgx_get_add_mac_txt_len(const sgx_sealed_data_t *p_sealed_data);
uint32_t sgx_get_encrypt_txt_len(const sgx_sealed_data_t *p_sealed_data);

/* Seals for the enclave's signer (with KSS: and its configuration), product and SVN or a later one. */
sgx_status_t SGXAPI sgx_seal_data(const uint32_t additional_MACtext_length,
                                  const uint8_t *p_additional_MACtext,
                                  const uint32_t text2encrypt_length, const uint8_t *p_text2encrypt,
                                  const uint32_t sealed_data_size,
                                  sgx_sealed_data_t *p_sealed_data);

/* The same with policy (SGX_KEYPOLICY_*) and masks of one's own; INITTED and DEBUG must be in the mask. */
sgx_status_t SGXAPI sgx_seal_data_ex(const uint16_t key_policy,
                                     const sgx_attributes_t attribute_mask,
                                     const sgx_misc_select_t misc_mask,
                                     const uint32_t additional_MACtext_length,
                                     const uint8_t *p_additional_MACtext,
                                     const uint32_t text2encrypt_length,
                                     const uint8_t *p_text2encrypt, const uint32_t sealed_data_size,
                                     sgx_sealed_data_t *p_sealed_data);

/* Opens a blob. The lengths say how much room there is, then how much was written. MAC_MISMATCH: changed, or foreign. */
sgx_status_t SGXAPI sgx_unseal_data(const sgx_sealed_data_t *p_sealed_data,
                                    uint8_t *p_additional_MACtext,
                                    uint32_t *p_additional_MACtext_length,
                                    uint8_t *p_decrypted_text, uint32_t *p_decrypted_text_length);

/* Authenticated text alone. */
sgx_status_t sgx_mac_aadata(const uint32_t additional_MACtext_length,
                            const uint8_t *p_additional_MACtext, const uint32_t sealed_data_size,
                            sgx_sealed_data_t *p_sealed_data);
sgx_status_t sgx_mac_aadata_ex(const uint16_t key_policy, const sgx_attributes_t attribute_mask,
                               const sgx_misc_select_t misc_mask,
                               const uint32_t additional_MACtext_length,
                               const uint8_t *p_additional_MACtext, const uint32_t sealed_data_size,
                               sgx_sealed_data_t *p_sealed_data);
sgx_status_t sgx_unmac_aadata(const sgx_sealed_data_t *p_sealed_data, uint8_t *p_additional_MACtext,
                              uint32_t *p_additional_MACtext_length);

#ifdef __cplusplus
}
#endif
#endif
