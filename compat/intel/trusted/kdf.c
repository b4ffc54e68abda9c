/*
 * The key derivation of Intel's key exchanges.
 * Side: enclave. Called by dh.c and tkey_exchange.c.
 */
#include "compat/intel/trusted/kdf.h"

#include <openssl/crypto.h>
#include <string.h>

sgx_status_t intel_derive_key(const sgx_ec256_dh_shared_t *shared, const char *label,
                              sgx_ec_key_128bit_t *ret_key)
{
    static const sgx_cmac_128bit_key_t zero;
    sgx_cmac_128bit_tag_t extracted;
    uint8_t text[24] = {1};
    const size_t length = strlen(label);
    if (length > 16) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    memcpy(text + 1, label, length);
    text[1 + length + 1] = 0x80;
    sgx_status_t status = sgx_rijndael128_cmac_msg(&zero, shared->s, sizeof(shared->s), &extracted);
    if (status == SGX_SUCCESS) {
        status = sgx_rijndael128_cmac_msg((const sgx_cmac_128bit_key_t *)&extracted, text,
                                          (uint32_t)length + 4, ret_key);
    }
    OPENSSL_cleanse(extracted, sizeof(extracted));
    return status == SGX_SUCCESS || status == SGX_ERROR_OUT_OF_MEMORY ? status
                                                                      : SGX_ERROR_UNEXPECTED;
}
