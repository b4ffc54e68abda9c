/*
 * sgx_tcrypto.h: hashes, over libcrypto. A state is an EVP_MD_CTX.
 * Side: enclave. Called by applications. Never implements a primitive.
 */
#include "sgx_tcrypto.h"

#include <openssl/evp.h>

#include "common/no_compression.h"

CELLA_NO_COMPRESSION;

static sgx_status_t hash_message(const EVP_MD *algorithm, const uint8_t *at, uint32_t size,
                                 void *ret_hash)
{
    if (!at || !ret_hash) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return EVP_Digest(at, size, ret_hash, NULL, algorithm, NULL) == 1 ? SGX_SUCCESS
                                                                      : SGX_ERROR_UNEXPECTED;
}

static sgx_status_t hash_init(const EVP_MD *algorithm, sgx_sha_state_handle_t *ret_state)
{
    if (!ret_state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    if (EVP_DigestInit_ex(context, algorithm, NULL) != 1) {
        EVP_MD_CTX_free(context);
        return SGX_ERROR_UNEXPECTED;
    }
    *ret_state = context;
    return SGX_SUCCESS;
}

static sgx_status_t hash_update(const uint8_t *at, size_t size, sgx_sha_state_handle_t state)
{
    if (!at || !state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return EVP_DigestUpdate(state, at, size) == 1 ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

/* Of what was given so far: the state goes on, as in the original. */
static sgx_status_t hash_get(sgx_sha_state_handle_t state, void *ret_hash)
{
    if (!state || !ret_hash) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (!copy) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    const int done =
        EVP_MD_CTX_copy_ex(copy, state) == 1 && EVP_DigestFinal_ex(copy, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(copy);
    return done ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

static sgx_status_t hash_close(sgx_sha_state_handle_t state)
{
    if (!state) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_MD_CTX_free(state);
    return SGX_SUCCESS;
}

/* The five functions of a hash. `length`: the type of update's size, which SHA-1's prototype has wider. */
#define HASH(bits, length)                                                                         \
    sgx_status_t sgx_sha##bits##_msg(const uint8_t *p_src, uint32_t src_len,                       \
                                     sgx_sha##bits##_hash_t *p_hash)                               \
    {                                                                                              \
        return hash_message(EVP_sha##bits(), p_src, src_len, p_hash);                              \
    }                                                                                              \
    sgx_status_t sgx_sha##bits##_init(sgx_sha_state_handle_t *p_sha_handle)                        \
    {                                                                                              \
        return hash_init(EVP_sha##bits(), p_sha_handle);                                           \
    }                                                                                              \
    sgx_status_t sgx_sha##bits##_update(const uint8_t *p_src, length src_len,                      \
                                        sgx_sha_state_handle_t sha_handle)                         \
    {                                                                                              \
        return hash_update(p_src, src_len, sha_handle);                                            \
    }                                                                                              \
    sgx_status_t sgx_sha##bits##_get_hash(sgx_sha_state_handle_t sha_handle,                       \
                                          sgx_sha##bits##_hash_t *p_hash)                          \
    {                                                                                              \
        return hash_get(sha_handle, p_hash);                                                       \
    }                                                                                              \
    sgx_status_t sgx_sha##bits##_close(sgx_sha_state_handle_t sha_handle)                          \
    {                                                                                              \
        return hash_close(sha_handle);                                                             \
    }

HASH(1, size_t)
HASH(256, uint32_t)
HASH(384, uint32_t)
