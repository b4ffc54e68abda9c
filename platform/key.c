/*
 * Keys of a software platform: P-256 pairs derived from its seed, signatures as Intel's formats write them.
 * Side: host. Called by platform.c, certificates.c, documents.c, forge.c. Over libcrypto.
 * Never keeps a derived secret: buffers are wiped on every way out.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <string.h>

#include "platform/internal.h"

#define SECRET_SIZE 48u /* 128 bits more than the order: FIPS 186-4, B.4.1 */

PLATFORM_FREE(kdf, EVP_KDF, EVP_KDF_free)
PLATFORM_FREE(kdf_context, EVP_KDF_CTX, EVP_KDF_CTX_free)
PLATFORM_FREE(group, EC_GROUP, EC_GROUP_free)
PLATFORM_FREE(point, EC_POINT, EC_POINT_free)
PLATFORM_FREE(build, OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
PLATFORM_FREE(params, OSSL_PARAM, OSSL_PARAM_free)
PLATFORM_FREE(key_context, EVP_PKEY_CTX, EVP_PKEY_CTX_free)
PLATFORM_FREE(digest, EVP_MD_CTX, EVP_MD_CTX_free)
PLATFORM_FREE(signature, ECDSA_SIG, ECDSA_SIG_free)

cella_result platform_crypto_error(struct cella_error *error, const char *what)
{
    char reason[256] = "no reason given";
    const unsigned long code = ERR_peek_last_error();
    if (code) {
        ERR_error_string_n(code, reason, sizeof(reason));
    }
    ERR_clear_error();
    return cella_error_set(error, CELLA_RESULT(CRYPTO), "%s: %s", what, reason);
}

cella_result platform_bytes_derive(const uint8_t seed[PLATFORM_SEED_SIZE], const char *label,
                                   uint8_t *ret_bytes, size_t size, struct cella_error *error)
{
    CELLA_CLEANUP(platform_kdf_done) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    PLATFORM_CHECK(kdf, error, "HKDF");
    CELLA_CLEANUP(platform_kdf_context_done) EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    static const char salt[] = "cella software platform 1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)seed, PLATFORM_SEED_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, sizeof(salt) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    PLATFORM_CHECK(context && EVP_KDF_derive(context, ret_bytes, size, params) == 1, error, "HKDF");
    return CELLA_OK;
}

/* The key of a private number, or with `scalar` NULL of a point. */
static cella_result key_build(const BIGNUM *scalar, const uint8_t point[65], EVP_PKEY **ret_key,
                              struct cella_error *error)
{
    CELLA_CLEANUP(platform_build_done) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    PLATFORM_CHECK(
        build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 65) &&
            (!scalar || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar)),
        error, "P-256 key");
    CELLA_CLEANUP(platform_params_done) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    CELLA_CLEANUP(platform_key_context_done)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    PLATFORM_CHECK(params && context && EVP_PKEY_fromdata_init(context) == 1 &&
                       EVP_PKEY_fromdata(context, &key,
                                         scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                         params) == 1,
                   error, "P-256 key");
    *ret_key = key;
    return CELLA_OK;
}

static cella_result key_of_secret(const uint8_t secret[SECRET_SIZE], EVP_PKEY **ret_key,
                                  struct cella_error *error)
{
    uint8_t encoded[65];
    CELLA_CLEANUP(platform_group_done)
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    PLATFORM_CHECK(group, error, "P-256");
    CELLA_CLEANUP(platform_point_done) EC_POINT *point = EC_POINT_new(group);
    CELLA_CLEANUP(platform_bn_done) BIGNUM *scalar = BN_bin2bn(secret, SECRET_SIZE, NULL);
    CELLA_CLEANUP(platform_bn_done) BIGNUM *limit = BN_dup(EC_GROUP_get0_order(group));
    BN_CTX *context = BN_CTX_secure_new();
    const bool done =
        point && scalar && limit && context && BN_sub_word(limit, 1) &&
        BN_mod(scalar, scalar, limit, context) && BN_add_word(scalar, 1) &&
        EC_POINT_mul(group, point, scalar, NULL, NULL, context) &&
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded, 65, context) == 65;
    BN_CTX_free(context);
    PLATFORM_CHECK(done, error, "P-256 key");
    return key_build(scalar, encoded, ret_key, error);
}

cella_result platform_key_derive(const uint8_t seed[PLATFORM_SEED_SIZE], const char *label,
                                 EVP_PKEY **ret_key, struct cella_error *error)
{
    uint8_t secret[SECRET_SIZE];
    CELLA_TRY(platform_bytes_derive(seed, label, secret, sizeof(secret), error));
    const cella_result result = key_of_secret(secret, ret_key, error);
    OPENSSL_cleanse(secret, sizeof(secret));
    return result;
}

cella_result platform_key_public(const uint8_t point[PLATFORM_KEY_SIZE], EVP_PKEY **ret_key,
                                 struct cella_error *error)
{
    uint8_t encoded[65] = {4};
    memcpy(encoded + 1, point, PLATFORM_KEY_SIZE);
    return key_build(NULL, encoded, ret_key, error);
}

cella_result platform_key_point(EVP_PKEY *key, uint8_t ret_point[PLATFORM_KEY_SIZE],
                                struct cella_error *error)
{
    uint8_t encoded[65];
    size_t size = 0;
    PLATFORM_CHECK(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, encoded,
                                                   sizeof(encoded), &size) == 1 &&
                       size == sizeof(encoded) && encoded[0] == 4,
                   error, "public key");
    memcpy(ret_point, encoded + 1, PLATFORM_KEY_SIZE);
    return CELLA_OK;
}

cella_result platform_sign(EVP_PKEY *key, const void *data, size_t size, uint8_t ret_signature[64],
                           struct cella_error *error)
{
    uint8_t der[80];
    size_t der_size = sizeof(der);
    CELLA_CLEANUP(platform_digest_done) EVP_MD_CTX *context = EVP_MD_CTX_new();
    PLATFORM_CHECK(context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                       EVP_DigestSign(context, der, &der_size, data, size) == 1,
                   error, "signing");
    const uint8_t *at = der;
    CELLA_CLEANUP(platform_signature_done)
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_size);
    PLATFORM_CHECK(signature &&
                       BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_signature, 32) == 32 &&
                       BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_signature + 32, 32) == 32,
                   error, "signing");
    return CELLA_OK;
}
