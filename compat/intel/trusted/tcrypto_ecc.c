/*
 * sgx_tcrypto.h: NIST P-256, over libcrypto. Numbers are little endian at this interface. A context is nothing but a
 * proof that one was opened.
 * Side: enclave. Called by applications and dh.c.
 */
#include "sgx_tcrypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#define SIZE SGX_ECP256_KEY_SIZE
#define GROUP "P-256"

struct context {
    uint32_t magic;
};
#define MAGIC 0x43434543u

sgx_status_t sgx_ecc256_open_context(sgx_ecc_state_handle_t *p_ecc_handle)
{
    if (!p_ecc_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    struct context *context = malloc(sizeof(*context));
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    context->magic = MAGIC;
    *p_ecc_handle = context;
    return SGX_SUCCESS;
}

sgx_status_t sgx_ecc256_close_context(sgx_ecc_state_handle_t ecc_handle)
{
    if (!ecc_handle) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    free(ecc_handle);
    return SGX_SUCCESS;
}

static void reverse(uint8_t *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = ((const uint8_t *)from)[size - 1 - i];
    }
}

/* 04 | x | y, big endian. */
static void point_encode(const sgx_ec256_public_t *point, uint8_t out[1 + 2 * SIZE])
{
    out[0] = 4;
    reverse(out + 1, point->gx, SIZE);
    reverse(out + 1 + SIZE, point->gy, SIZE);
}

static EVP_PKEY *key_build(OSSL_PARAM_BLD *builder, int selection)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, selection, parameters) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

/* NULL unless the point is on the curve. */
static EVP_PKEY *key_of_public(const sgx_ec256_public_t *point)
{
    uint8_t encoded[1 + 2 * SIZE];
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    point_encode(point, encoded);
    EVP_PKEY *key = NULL;
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, GROUP, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, encoded,
                                         sizeof(encoded)) == 1) {
        key = key_build(builder, EVP_PKEY_PUBLIC_KEY);
    }
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* k G, for 0 < k < order. */
static int public_of_private(const BIGNUM *k, sgx_ec256_public_t *ret_point)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BIGNUM *x = BN_new();
    BIGNUM *y = BN_new();
    const int good = point && x && y && !BN_is_zero(k) && !BN_is_negative(k) &&
                     BN_cmp(k, EC_GROUP_get0_order(group)) < 0 &&
                     EC_POINT_mul(group, point, k, NULL, NULL, NULL) == 1 &&
                     EC_POINT_get_affine_coordinates(group, point, x, y, NULL) == 1 &&
                     BN_bn2lebinpad(x, ret_point->gx, SIZE) == SIZE &&
                     BN_bn2lebinpad(y, ret_point->gy, SIZE) == SIZE;
    BN_free(x);
    BN_free(y);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return good;
}

static EVP_PKEY *key_of_private(const sgx_ec256_private_t *private_key)
{
    BIGNUM *k = BN_secure_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    sgx_ec256_public_t point;
    uint8_t encoded[1 + 2 * SIZE];
    EVP_PKEY *key = NULL;
    if (k && builder && BN_lebin2bn(private_key->r, SIZE, k) && public_of_private(k, &point)) {
        point_encode(&point, encoded);
        if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, GROUP, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, encoded,
                                             sizeof(encoded)) == 1 &&
            OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, k) == 1) {
            key = key_build(builder, EVP_PKEY_KEYPAIR);
        }
    }
    OSSL_PARAM_BLD_free(builder);
    BN_clear_free(k);
    return key;
}

sgx_status_t sgx_ecc256_create_key_pair(sgx_ec256_private_t *p_private,
                                        sgx_ec256_public_t *p_public,
                                        sgx_ecc_state_handle_t ecc_handle)
{
    if (!ecc_handle || !p_private || !p_public) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY *key = EVP_EC_gen(GROUP);
    BIGNUM *k = NULL, *x = NULL, *y = NULL;
    const int good = key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &k) == 1 &&
                     EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
                     EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
                     BN_bn2lebinpad(k, p_private->r, SIZE) == SIZE &&
                     BN_bn2lebinpad(x, p_public->gx, SIZE) == SIZE &&
                     BN_bn2lebinpad(y, p_public->gy, SIZE) == SIZE;
    BN_clear_free(k);
    BN_free(x);
    BN_free(y);
    EVP_PKEY_free(key);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_ecc256_calculate_pub_from_priv(const sgx_ec256_private_t *p_att_priv_key,
                                                sgx_ec256_public_t *p_att_pub_key)
{
    if (!p_att_priv_key || !p_att_pub_key) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    BIGNUM *k = BN_secure_new();
    const int good =
        k && BN_lebin2bn(p_att_priv_key->r, SIZE, k) && public_of_private(k, p_att_pub_key);
    BN_clear_free(k);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_ecc256_check_point(const sgx_ec256_public_t *p_point,
                                    const sgx_ecc_state_handle_t ecc_handle, int *p_valid)
{
    if (!ecc_handle || !p_point || !p_valid) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY *key = key_of_public(p_point);
    *p_valid = key != NULL;
    EVP_PKEY_free(key);
    return SGX_SUCCESS;
}

sgx_status_t sgx_ecc256_compute_shared_dhkey(const sgx_ec256_private_t *p_private_b,
                                             const sgx_ec256_public_t *p_public_ga,
                                             sgx_ec256_dh_shared_t *p_shared_key,
                                             sgx_ecc_state_handle_t ecc_handle)
{
    if (!ecc_handle || !p_private_b || !p_public_ga || !p_shared_key) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY *own = key_of_private(p_private_b);
    EVP_PKEY *peer = key_of_public(p_public_ga);
    EVP_PKEY_CTX *context = own && peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    uint8_t secret[SIZE];
    size_t size = sizeof(secret);
    sgx_status_t status = SGX_ERROR_UNEXPECTED;
    if (!own || !peer) {
        status = SGX_ERROR_INVALID_PARAMETER;
    } else if (context && EVP_PKEY_derive_init(context) == 1 &&
               EVP_PKEY_derive_set_peer(context, peer) == 1 &&
               EVP_PKEY_derive(context, secret, &size) == 1 && size == sizeof(secret)) {
        reverse(p_shared_key->s, secret, sizeof(secret));
        status = SGX_SUCCESS;
    }
    if (status != SGX_SUCCESS) {
        memset(p_shared_key, 0, sizeof(*p_shared_key));
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return status;
}

sgx_status_t sgx_calculate_ecdsa_priv_key(const unsigned char *hash_drg, int hash_drg_len,
                                          const unsigned char *sgx_nistp256_r_m1,
                                          int sgx_nistp256_r_m1_len, unsigned char *out_key,
                                          int out_key_len)
{
    if (!hash_drg || hash_drg_len <= 0 || !sgx_nistp256_r_m1 || sgx_nistp256_r_m1_len <= 0 ||
        !out_key || out_key_len <= 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *number = BN_secure_new();
    BIGNUM *modulus = BN_new();
    const int good = context && number && modulus && BN_lebin2bn(hash_drg, hash_drg_len, number) &&
                     BN_lebin2bn(sgx_nistp256_r_m1, sgx_nistp256_r_m1_len, modulus) &&
                     BN_mod(number, number, modulus, context) == 1 && BN_add_word(number, 1) == 1 &&
                     BN_bn2lebinpad(number, out_key, out_key_len) == out_key_len;
    BN_clear_free(number);
    BN_free(modulus);
    BN_CTX_free(context);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

/* ------------------------------------------------------------------- ECDSA */

sgx_status_t sgx_ecdsa_sign(const uint8_t *p_data, uint32_t data_size,
                            const sgx_ec256_private_t *p_private,
                            sgx_ec256_signature_t *p_signature, sgx_ecc_state_handle_t ecc_handle)
{
    if (!ecc_handle || !p_private || !p_signature || !p_data || data_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY *key = key_of_private(p_private);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t der[80];
    const uint8_t *at = der;
    size_t size = sizeof(der);
    ECDSA_SIG *signature = NULL;
    if (key && context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, der, &size, p_data, data_size) == 1) {
        signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    }
    const int good =
        signature &&
        BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), (uint8_t *)p_signature->x, SIZE) == SIZE &&
        BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), (uint8_t *)p_signature->y, SIZE) == SIZE;
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

/* DER of the two numbers; the caller frees it. */
static int signature_encode(const sgx_ec256_signature_t *signature, uint8_t **ret_der)
{
    ECDSA_SIG *object = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn((const uint8_t *)signature->x, SIZE, NULL);
    BIGNUM *s = BN_lebin2bn((const uint8_t *)signature->y, SIZE, NULL);
    int size = -1;
    if (object && r && s && ECDSA_SIG_set0(object, r, s) == 1) {
        r = s = NULL; /* the object's now */
        size = i2d_ECDSA_SIG(object, ret_der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(object);
    return size;
}

sgx_status_t sgx_ecdsa_verify_hash(const uint8_t *p_data, const sgx_ec256_public_t *p_public,
                                   const sgx_ec256_signature_t *p_signature, uint8_t *p_result,
                                   sgx_ecc_state_handle_t ecc_handle)
{
    if (!ecc_handle || !p_public || !p_signature || !p_data || !p_result) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *p_result = SGX_EC_INVALID_SIGNATURE;
    EVP_PKEY *key = key_of_public(p_public);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    uint8_t *der = NULL;
    const int size = signature_encode(p_signature, &der);
    if (context && size > 0 && EVP_PKEY_verify_init(context) == 1 &&
        EVP_PKEY_verify(context, der, (size_t)size, p_data, SGX_SHA256_HASH_SIZE) == 1) {
        *p_result = SGX_EC_VALID;
    }
    OPENSSL_free(der);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return SGX_SUCCESS;
}

sgx_status_t sgx_ecdsa_verify(const uint8_t *p_data, uint32_t data_size,
                              const sgx_ec256_public_t *p_public,
                              const sgx_ec256_signature_t *p_signature, uint8_t *p_result,
                              sgx_ecc_state_handle_t ecc_handle)
{
    sgx_sha256_hash_t hash;
    if (!p_data || data_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status = sgx_sha256_msg(p_data, data_size, &hash);
    return status == SGX_SUCCESS
               ? sgx_ecdsa_verify_hash(hash, p_public, p_signature, p_result, ecc_handle)
               : status;
}
