/*
 * sgx_tcrypto.h: CMAC and HMAC, over libcrypto. A state is an EVP_MAC_CTX.
 * Side: enclave. Called by applications and dh.c.
 */
#include "sgx_tcrypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

static sgx_status_t mac_init(const char *algorithm, const char *parameter, const char *value,
                             const uint8_t *key, size_t key_size, EVP_MAC_CTX **ret_context)
{
    char name[16];
    strncpy(name, value, sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(parameter, name, 0),
                                     OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, algorithm, NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    if (EVP_MAC_init(context, key, key_size, parameters) != 1) {
        EVP_MAC_CTX_free(context);
        return SGX_ERROR_UNEXPECTED;
    }
    *ret_context = context;
    return SGX_SUCCESS;
}

static sgx_status_t mac_update(const uint8_t *at, size_t size, void *state)
{
    return EVP_MAC_update(state, at, size) == 1 ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

static sgx_status_t mac_final(void *state, uint8_t *ret_mac, size_t size)
{
    size_t written = 0;
    if (EVP_MAC_final(state, ret_mac, &written, size) != 1 || written != size) {
        OPENSSL_cleanse(ret_mac, size);
        return SGX_ERROR_UNEXPECTED;
    }
    return SGX_SUCCESS;
}

/* ------------------------------------------------------------------- CMAC */

sgx_status_t sgx_cmac128_init(const sgx_cmac_128bit_key_t *p_key,
                              sgx_cmac_state_handle_t *p_cmac_handle)
{
    EVP_MAC_CTX *context = NULL;
    if (!p_key || !p_cmac_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status = mac_init("CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC",
                                         (const uint8_t *)p_key, sizeof(*p_key), &context);
    if (status == SGX_SUCCESS) {
        *p_cmac_handle = context;
    }
    return status;
}

sgx_status_t sgx_cmac128_update(const uint8_t *p_src, uint32_t src_len,
                                sgx_cmac_state_handle_t cmac_handle)
{
    return p_src && cmac_handle ? mac_update(p_src, src_len, cmac_handle)
                                : SGX_ERROR_INVALID_PARAMETER;
}

sgx_status_t sgx_cmac128_final(sgx_cmac_state_handle_t cmac_handle, sgx_cmac_128bit_tag_t *p_hash)
{
    return cmac_handle && p_hash ? mac_final(cmac_handle, (uint8_t *)p_hash, sizeof(*p_hash))
                                 : SGX_ERROR_INVALID_PARAMETER;
}

sgx_status_t sgx_cmac128_close(sgx_cmac_state_handle_t cmac_handle)
{
    if (!cmac_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_MAC_CTX_free(cmac_handle);
    return SGX_SUCCESS;
}

sgx_status_t sgx_rijndael128_cmac_msg(const sgx_cmac_128bit_key_t *p_key, const uint8_t *p_src,
                                      uint32_t src_len, sgx_cmac_128bit_tag_t *p_mac)
{
    sgx_cmac_state_handle_t state = NULL;
    if (!p_key || !p_src || !p_mac) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = sgx_cmac128_init(p_key, &state);
    if (status != SGX_SUCCESS) {
        return status;
    }
    status = sgx_cmac128_update(p_src, src_len, state);
    if (status == SGX_SUCCESS) {
        status = sgx_cmac128_final(state, p_mac);
    }
    sgx_cmac128_close(state);
    return status;
}

/* ------------------------------------------------------------------- HMAC */

sgx_status_t sgx_hmac256_init(const unsigned char *p_key, int key_len,
                              sgx_hmac_state_handle_t *p_hmac_handle)
{
    EVP_MAC_CTX *context = NULL;
    if (!p_key || key_len <= 0 || !p_hmac_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status =
        mac_init("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", p_key, (size_t)key_len, &context);
    if (status == SGX_SUCCESS) {
        *p_hmac_handle = context;
    }
    return status;
}

sgx_status_t sgx_hmac256_update(const uint8_t *p_src, int src_len,
                                sgx_hmac_state_handle_t hmac_handle)
{
    return p_src && src_len > 0 && hmac_handle ? mac_update(p_src, (size_t)src_len, hmac_handle)
                                               : SGX_ERROR_INVALID_PARAMETER;
}

sgx_status_t sgx_hmac256_final(unsigned char *p_hash, int hash_len,
                               sgx_hmac_state_handle_t hmac_handle)
{
    return p_hash && hash_len > 0 && hmac_handle ? mac_final(hmac_handle, p_hash, (size_t)hash_len)
                                                 : SGX_ERROR_INVALID_PARAMETER;
}

sgx_status_t sgx_hmac256_close(sgx_hmac_state_handle_t hmac_handle)
{
    if (!hmac_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_MAC_CTX_free(hmac_handle);
    return SGX_SUCCESS;
}

sgx_status_t sgx_hmac_sha256_msg(const unsigned char *p_src, int src_len,
                                 const unsigned char *p_key, int key_len, unsigned char *p_mac,
                                 int mac_len)
{
    sgx_hmac_state_handle_t state = NULL;
    if (!p_src || src_len <= 0 || !p_mac || mac_len <= 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = sgx_hmac256_init(p_key, key_len, &state);
    if (status != SGX_SUCCESS) {
        return status;
    }
    status = sgx_hmac256_update(p_src, src_len, state);
    if (status == SGX_SUCCESS) {
        status = sgx_hmac256_final(p_mac, mac_len, state);
    }
    sgx_hmac256_close(state);
    return status;
}

sgx_status_t sgx_is_fips_approved_func(sgx_fips_func_t func, func_fips_approved_t *is_approved)
{
    (void)func;
    (void)is_approved;
    return SGX_ERROR_FEATURE_NOT_SUPPORTED;
}
