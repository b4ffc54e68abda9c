/*
 * sgx_tcrypto.h: AES-GCM and AES-CTR, over libcrypto.
 * Side: enclave. Called by applications, tseal.c and dh.c. Never gives out plaintext that was not authenticated.
 */
#include "sgx_tcrypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "sgx_trts.h"

static const EVP_CIPHER *gcm_of(uint32_t key_size)
{
    return key_size == SGX_AESGCM_KEY256_SIZE ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
}

static int gcm_arguments(const uint8_t *key, uint32_t key_size, const uint8_t *from, uint32_t size,
                         const uint8_t *to, const uint8_t *iv, uint32_t iv_size,
                         const uint8_t *additional, uint32_t additional_size, const void *tag)
{
    return key && (key_size == SGX_AESGCM_KEY_SIZE || key_size == SGX_AESGCM_KEY256_SIZE) &&
           size < INT_MAX && additional_size < INT_MAX && (size == 0 || (from && to)) && tag &&
           iv && iv_size == SGX_AESGCM_IV_SIZE && (additional_size == 0 || additional) &&
           (from || additional);
}

/* Everything but the tag. */
static int gcm_run(EVP_CIPHER_CTX *context, const uint8_t *key, uint32_t key_size,
                   const uint8_t *iv, const uint8_t *additional, uint32_t additional_size,
                   const uint8_t *from, uint32_t size, uint8_t *to, int encrypts)
{
    int done;
    return EVP_CipherInit_ex(context, gcm_of(key_size), NULL, key, iv, encrypts) == 1 &&
           (additional_size == 0 ||
            EVP_CipherUpdate(context, NULL, &done, additional, (int)additional_size) == 1) &&
           (size == 0 || EVP_CipherUpdate(context, to, &done, from, (int)size) == 1);
}

static sgx_status_t gcm_encrypt(const uint8_t *key, uint32_t key_size, const uint8_t *from,
                                uint32_t size, uint8_t *to, const uint8_t *iv, uint32_t iv_size,
                                const uint8_t *additional, uint32_t additional_size, void *ret_tag)
{
    if (!gcm_arguments(key, key_size, from, size, to, iv, iv_size, additional, additional_size,
                       ret_tag)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t rest[16];
    int done = 0;
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    const int good =
        gcm_run(context, key, key_size, iv, additional, additional_size, from, size, to, 1) &&
        EVP_CipherFinal_ex(context, rest, &done) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SGX_AESGCM_MAC_SIZE, ret_tag) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

static sgx_status_t gcm_decrypt(const uint8_t *key, uint32_t key_size, const uint8_t *from,
                                uint32_t size, uint8_t *to, const uint8_t *iv, uint32_t iv_size,
                                const uint8_t *additional, uint32_t additional_size,
                                const void *tag)
{
    if (!gcm_arguments(key, key_size, from, size, to, iv, iv_size, additional, additional_size,
                       tag)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t wanted[SGX_AESGCM_MAC_SIZE];
    uint8_t rest[16];
    int done = 0;
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    memcpy(wanted, tag, sizeof(wanted));
    sgx_status_t status = SGX_ERROR_UNEXPECTED;
    if (gcm_run(context, key, key_size, iv, additional, additional_size, from, size, to, 0) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof(wanted), wanted) == 1) {
        status =
            EVP_CipherFinal_ex(context, rest, &done) == 1 ? SGX_SUCCESS : SGX_ERROR_MAC_MISMATCH;
    }
    EVP_CIPHER_CTX_free(context);
    if (status != SGX_SUCCESS && size > 0) {
        OPENSSL_cleanse(to, size);
    }
    return status;
}

sgx_status_t sgx_rijndael128GCM_encrypt(const sgx_aes_gcm_128bit_key_t *p_key, const uint8_t *p_src,
                                        uint32_t src_len, uint8_t *p_dst, const uint8_t *p_iv,
                                        uint32_t iv_len, const uint8_t *p_aad, uint32_t aad_len,
                                        sgx_aes_gcm_128bit_tag_t *p_out_mac)
{
    return gcm_encrypt((const uint8_t *)p_key, SGX_AESGCM_KEY_SIZE, p_src, src_len, p_dst, p_iv,
                       iv_len, p_aad, aad_len, p_out_mac);
}

sgx_status_t sgx_rijndael128GCM_decrypt(const sgx_aes_gcm_128bit_key_t *p_key, const uint8_t *p_src,
                                        uint32_t src_len, uint8_t *p_dst, const uint8_t *p_iv,
                                        uint32_t iv_len, const uint8_t *p_aad, uint32_t aad_len,
                                        const sgx_aes_gcm_128bit_tag_t *p_in_mac)
{
    return gcm_decrypt((const uint8_t *)p_key, SGX_AESGCM_KEY_SIZE, p_src, src_len, p_dst, p_iv,
                       iv_len, p_aad, aad_len, p_in_mac);
}

sgx_status_t sgx_aes_gcm_encrypt(const uint8_t *p_key, uint32_t key_len, const uint8_t *p_src,
                                 uint32_t src_len, uint8_t *p_dst, uint8_t *p_iv, uint32_t iv_len,
                                 const uint8_t *p_aad, uint32_t aad_len,
                                 sgx_aes_gcm_128bit_tag_t *p_out_mac)
{
    if (!p_iv || iv_len != SGX_AESGCM_IV_SIZE) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status = sgx_read_rand(p_iv, iv_len);
    return status == SGX_SUCCESS ? gcm_encrypt(p_key, key_len, p_src, src_len, p_dst, p_iv, iv_len,
                                               p_aad, aad_len, p_out_mac)
                                 : status;
}

sgx_status_t sgx_aes_gcm_decrypt(const uint8_t *p_key, uint32_t key_len, const uint8_t *p_src,
                                 uint32_t src_len, uint8_t *p_dst, const uint8_t *p_iv,
                                 uint32_t iv_len, const uint8_t *p_aad, uint32_t aad_len,
                                 const sgx_aes_gcm_128bit_tag_t *p_in_mac)
{
    return gcm_decrypt(p_key, key_len, p_src, src_len, p_dst, p_iv, iv_len, p_aad, aad_len,
                       p_in_mac);
}

/* ------------------------------------------------------------------- GCM in parts */

sgx_status_t sgx_aes_gcm128_enc_init(const uint8_t *p_key, const uint8_t *p_iv, uint32_t iv_len,
                                     const uint8_t *p_aad, uint32_t aad_len,
                                     sgx_aes_state_handle_t *aes_gcm_state)
{
    if (!p_key || !p_iv || iv_len != SGX_AESGCM_IV_SIZE || aad_len >= INT_MAX ||
        (aad_len > 0 && !p_aad) || !aes_gcm_state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    if (!gcm_run(context, p_key, SGX_AESGCM_KEY_SIZE, p_iv, p_aad, aad_len, NULL, 0, NULL, 1)) {
        EVP_CIPHER_CTX_free(context);
        return SGX_ERROR_UNEXPECTED;
    }
    *aes_gcm_state = context;
    return SGX_SUCCESS;
}

sgx_status_t sgx_aes_gcm128_enc_update(uint8_t *p_src, uint32_t src_len, uint8_t *p_dst,
                                       sgx_aes_state_handle_t aes_gcm_state)
{
    int done;
    if (!aes_gcm_state || !p_src || !p_dst || src_len == 0 || src_len >= INT_MAX) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return EVP_CipherUpdate(aes_gcm_state, p_dst, &done, p_src, (int)src_len) == 1
               ? SGX_SUCCESS
               : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_aes_gcm128_enc_get_mac(uint8_t *mac, sgx_aes_state_handle_t aes_gcm_state)
{
    uint8_t rest[16];
    int done;
    if (!mac || !aes_gcm_state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return EVP_CipherFinal_ex(aes_gcm_state, rest, &done) == 1 &&
                   EVP_CIPHER_CTX_ctrl(aes_gcm_state, EVP_CTRL_AEAD_GET_TAG, SGX_AESGCM_MAC_SIZE,
                                       mac) == 1
               ? SGX_SUCCESS
               : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_aes_gcm_close(sgx_aes_state_handle_t aes_gcm_state)
{
    if (!aes_gcm_state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_CIPHER_CTX_free(aes_gcm_state);
    return SGX_SUCCESS;
}

/* ------------------------------------------------------------------- CTR */

#define BLOCK 16u
#define PART (1u << 30)

/* The counter is the low `bits` bits, big endian; libcrypto's is always 128 bits. Blocks until those bits wrap. */
static uint64_t blocks_to_wrap(const uint8_t counter[BLOCK], uint32_t bits)
{
    uint64_t low = 0;
    if (bits > 32) {
        for (unsigned i = 0; i < 12; i++) { /* far from a wrap unless all of it is ones */
            const uint32_t place = 127 - 8 * i;
            const uint32_t width = place < bits ? 8 : place - 7 < bits ? bits - (place - 7) : 0;
            const uint8_t mask = (uint8_t)((1u << width) - 1);
            if ((counter[i] & mask) != mask) {
                return UINT64_MAX;
            }
        }
        bits = 32;
    }
    for (unsigned i = 12; i < BLOCK; i++) {
        low = low << 8 | counter[i];
    }
    const uint64_t whole = 1ull << bits;
    return whole - (low & (whole - 1));
}

static void counter_add(uint8_t counter[BLOCK], uint32_t bits, uint64_t blocks)
{
    for (unsigned i = 0; i < BLOCK && 8 * i < bits; i++) {
        uint8_t *byte = &counter[BLOCK - 1 - i];
        const uint32_t width = bits - 8 * i < 8 ? bits - 8 * i : 8;
        const uint8_t mask = (uint8_t)((1u << width) - 1);
        const uint64_t sum = (*byte & mask) + (blocks & 0xFF);
        *byte = (uint8_t)((*byte & ~mask) | (sum & mask));
        blocks = (blocks >> 8) + (sum >> 8);
    }
}

static int ctr_part(EVP_CIPHER_CTX *context, const uint8_t *key, const uint8_t *counter,
                    const uint8_t *from, uint32_t size, uint8_t *to)
{
    int done;
    return EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), NULL, key, counter) == 1 &&
           EVP_EncryptUpdate(context, to, &done, from, (int)size) == 1;
}

sgx_status_t sgx_aes_ctr_encrypt(const sgx_aes_ctr_128bit_key_t *p_key, const uint8_t *p_src,
                                 const uint32_t src_len, uint8_t *p_ctr,
                                 const uint32_t ctr_inc_bits, uint8_t *p_dst)
{
    if (!p_key || !p_src || !p_ctr || !p_dst || ctr_inc_bits == 0 || ctr_inc_bits > 128) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    sgx_status_t status = SGX_SUCCESS;
    for (uint32_t at = 0; at < src_len && status == SGX_SUCCESS;) {
        const uint64_t room = blocks_to_wrap(p_ctr, ctr_inc_bits);
        uint32_t part = src_len - at < PART ? src_len - at : PART;
        part = room < PART / BLOCK && part > room * BLOCK ? (uint32_t)(room * BLOCK) : part;
        if (!ctr_part(context, (const uint8_t *)p_key, p_ctr, p_src + at, part, p_dst + at)) {
            status = SGX_ERROR_UNEXPECTED;
        }
        counter_add(p_ctr, ctr_inc_bits, (part + BLOCK - 1) / BLOCK);
        at += part;
    }
    EVP_CIPHER_CTX_free(context);
    return status;
}

sgx_status_t sgx_aes_ctr_decrypt(const sgx_aes_ctr_128bit_key_t *p_key, const uint8_t *p_src,
                                 const uint32_t src_len, uint8_t *p_ctr,
                                 const uint32_t ctr_inc_bits, uint8_t *p_dst)
{
    return sgx_aes_ctr_encrypt(p_key, p_src, src_len, p_ctr, ctr_inc_bits, p_dst);
}
