/*
 * MRSIGNER of a public key in PEM.
 * Side: both. Called by applications. Library: libcrypto.
 * Never accepts a key that SGX would not: RSA-3072 with exponent 3.
 */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <openenclave/attestation/sgx/report.h>

#include "compat/openenclave/common/glue.h"
#include "common/no_compression.h"

CELLA_NO_COMPRESSION;

#define MODULUS_SIZE 384
#define ID_SIZE 32

static oe_result_t modulus_get(EVP_PKEY *key, uint8_t *ret_modulus)
{
    BIGNUM *n = NULL, *e = NULL;
    oe_result_t result = OE_INVALID_PARAMETER;
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, 3) &&
        BN_num_bytes(n) == MODULUS_SIZE) {
        result =
            BN_bn2lebinpad(n, ret_modulus, MODULUS_SIZE) == MODULUS_SIZE ? OE_OK : OE_CRYPTO_ERROR;
    }
    BN_free(n);
    BN_free(e);
    return result;
}

oe_result_t oe_sgx_get_signer_id_from_public_key(const char *pem, size_t pem_size,
                                                 uint8_t *signer_id, size_t *signer_id_size)
{
    uint8_t modulus[MODULUS_SIZE];
    unsigned size = ID_SIZE;
    OE_ENSURE(pem != NULL && pem_size > 0 && pem_size <= INT32_MAX && signer_id_size != NULL,
              OE_INVALID_PARAMETER);
    if (signer_id == NULL || *signer_id_size < ID_SIZE) {
        *signer_id_size = ID_SIZE;
        return OE_BUFFER_TOO_SMALL;
    }
    BIO *bio = BIO_new_mem_buf(pem, (int)strnlen(pem, pem_size));
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    oe_result_t result = key ? modulus_get(key, modulus) : OE_INVALID_PARAMETER;
    EVP_PKEY_free(key);
    if (result == OE_OK &&
        EVP_Digest(modulus, sizeof(modulus), signer_id, &size, EVP_sha256(), NULL) != 1) {
        result = OE_CRYPTO_ERROR;
    }
    *signer_id_size = ID_SIZE;
    return result;
}
