/*
 * P-256 keys derived from seal keys: HMAC-SHA-256 of a counter and the user data under the seal key, until the number is
 * a private key; as PEM.
 * Side: enclave. Called by applications and key_service.c. Library: libcrypto.
 * Never lets a private key out but to enclave code that asks for it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <openenclave/enclave.h>

#include "common/no_compression.h"
#include "compat/openenclave/enclave/keys.h"
#include "compat/openenclave/enclave/skin.h"

CELLA_NO_COMPRESSION;

#define SCALAR_SIZE 32
#define TRIES_MAX 64u

static const char label[] = "Cella Open Enclave P-256";

/* SCALAR_SIZE bytes; a new candidate for each `counter`. */
static bool scalar_candidate(const sgx_key_t *key, const oe_asymmetric_key_params_t *params,
                             uint32_t counter, uint8_t *ret_scalar)
{
    unsigned size = SCALAR_SIZE;
    uint8_t head[sizeof(label) + sizeof(counter)];
    HMAC_CTX *context = HMAC_CTX_new();
    memcpy(head, label, sizeof(label));
    memcpy(head + sizeof(label), &counter, sizeof(counter));
    const bool done = context &&
                      HMAC_Init_ex(context, key->buf, sizeof(key->buf), EVP_sha256(), NULL) == 1 &&
                      HMAC_Update(context, head, sizeof(head)) == 1 &&
                      (params->user_data_size == 0 ||
                       HMAC_Update(context, params->user_data, params->user_data_size) == 1) &&
                      HMAC_Final(context, ret_scalar, &size) == 1;
    HMAC_CTX_free(context);
    return done;
}

/* A private key in [1, order - 1]; NULL: libcrypto failed. */
static BIGNUM *scalar_derive(const sgx_key_t *key, const oe_asymmetric_key_params_t *params,
                             const EC_GROUP *group)
{
    uint8_t bytes[SCALAR_SIZE];
    BIGNUM *scalar = NULL;
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        if (!scalar_candidate(key, params, i, bytes)) {
            break;
        }
        scalar = BN_bin2bn(bytes, sizeof(bytes), scalar);
        if (!scalar || (!BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0)) {
            break;
        }
    }
    explicit_bzero(bytes, sizeof(bytes));
    return scalar;
}

static EVP_PKEY *pkey_build(const EC_GROUP *group, const BIGNUM *scalar)
{
    EVP_PKEY *pkey = NULL;
    uint8_t point_bytes[1 + 2 * SCALAR_SIZE];
    EC_POINT *point = EC_POINT_new(group);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *list = NULL;
    if (point && builder && context && EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1 &&
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, point_bytes,
                           sizeof(point_bytes), NULL) == sizeof(point_bytes) &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
            1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point_bytes,
                                         sizeof(point_bytes)) == 1 &&
        (list = OSSL_PARAM_BLD_to_param(builder)) != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, list) != 1) {
        pkey = NULL;
    }
    OSSL_PARAM_free(list);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_BLD_free(builder);
    EC_POINT_free(point);
    return pkey;
}

/* PEM with its zero. */
static oe_result_t pem_write(EVP_PKEY *pkey, bool is_public, uint8_t **ret_pem, size_t *ret_size)
{
    oe_result_t result = OE_CRYPTO_ERROR;
    char *text;
    BIO *bio = BIO_new(BIO_s_secmem());
    const int written =
        !bio        ? 0
        : is_public ? PEM_write_bio_PUBKEY(bio, pkey)
                    : PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
    const long size = written == 1 ? BIO_get_mem_data(bio, &text) : 0;
    if (size > 0) {
        uint8_t *pem = calloc(1, (size_t)size + 1);
        result = pem ? OE_OK : OE_OUT_OF_MEMORY;
        if (pem) {
            memcpy(pem, text, (size_t)size);
            *ret_pem = pem;
            *ret_size = (size_t)size + 1;
        }
    }
    BIO_free(bio);
    return result;
}

static oe_result_t key_make(const oe_asymmetric_key_params_t *params, bool is_public,
                            const sgx_key_request_t *request, uint8_t **ret_pem, size_t *ret_size)
{
    sgx_key_t key;
    oe_result_t result = OE_CRYPTO_ERROR;
    OE_ENSURE(params->type == OE_ASYMMETRIC_KEY_EC_SECP256P1 &&
                  params->format == OE_ASYMMETRIC_KEY_PEM &&
                  (params->user_data != NULL || params->user_data_size == 0),
              OE_INVALID_PARAMETER);
    OE_TRY(oe_key_of(request, &key));
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *scalar = group ? scalar_derive(&key, params, group) : NULL;
    EVP_PKEY *pkey = scalar ? pkey_build(group, scalar) : NULL;
    if (pkey) {
        result = pem_write(pkey, is_public, ret_pem, ret_size);
    }
    EVP_PKEY_free(pkey);
    BN_clear_free(scalar);
    EC_GROUP_free(group);
    explicit_bzero(&key, sizeof(key));
    return result;
}

static oe_result_t key_by_info(const oe_asymmetric_key_params_t *params, bool is_public,
                               const uint8_t *info, size_t info_size, uint8_t **ret_pem,
                               size_t *ret_size)
{
    sgx_key_request_t request;
    OE_ENSURE(params != NULL && info != NULL && info_size == sizeof(request) && ret_pem != NULL &&
                  ret_size != NULL,
              OE_INVALID_PARAMETER);
    memcpy(&request, info, sizeof(request));
    return key_make(params, is_public, &request, ret_pem, ret_size);
}

static oe_result_t key_by_policy(oe_seal_policy_t policy, const oe_asymmetric_key_params_t *params,
                                 bool is_public, uint8_t **ret_pem, size_t *ret_size,
                                 uint8_t **ret_info, size_t *ret_info_size)
{
    sgx_key_request_t *request = NULL;
    OE_ENSURE(params != NULL && ret_pem != NULL && ret_size != NULL &&
                  (ret_info == NULL) == (ret_info_size == NULL),
              OE_INVALID_PARAMETER);
    request = calloc(1, sizeof(*request));
    OE_ENSURE(request != NULL, OE_OUT_OF_MEMORY);
    oe_result_t result = oe_key_request(policy, request);
    if (result == OE_OK) {
        result = key_make(params, is_public, request, ret_pem, ret_size);
    }
    if (result != OE_OK || ret_info == NULL) {
        free(request);
        return result;
    }
    *ret_info = (uint8_t *)request;
    *ret_info_size = sizeof(*request);
    return OE_OK;
}

oe_result_t oe_get_public_key_by_policy(oe_seal_policy_t seal_policy,
                                        const oe_asymmetric_key_params_t *key_params,
                                        uint8_t **key_buffer, size_t *key_buffer_size,
                                        uint8_t **key_info, size_t *key_info_size)
{
    return key_by_policy(seal_policy, key_params, true, key_buffer, key_buffer_size, key_info,
                         key_info_size);
}

oe_result_t oe_get_private_key_by_policy(oe_seal_policy_t seal_policy,
                                         const oe_asymmetric_key_params_t *key_params,
                                         uint8_t **key_buffer, size_t *key_buffer_size,
                                         uint8_t **key_info, size_t *key_info_size)
{
    return key_by_policy(seal_policy, key_params, false, key_buffer, key_buffer_size, key_info,
                         key_info_size);
}

oe_result_t oe_get_public_key(const oe_asymmetric_key_params_t *key_params, const uint8_t *key_info,
                              size_t key_info_size, uint8_t **key_buffer, size_t *key_buffer_size)
{
    return key_by_info(key_params, true, key_info, key_info_size, key_buffer, key_buffer_size);
}

oe_result_t oe_get_private_key(const oe_asymmetric_key_params_t *key_params,
                               const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                               size_t *key_buffer_size)
{
    return key_by_info(key_params, false, key_info, key_info_size, key_buffer, key_buffer_size);
}
