/*
 * P-256 keys from EGETKEY, and signing with them. key.h is the manual.
 * Side: enclave. Called by quoting.c and provisioning.c. The low-level calls of libcrypto: they are what is linked
 * smallest and what signs quickest (ADR 0101).
 * Never leaves a private number behind.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "key.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/objects.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/no_compression.h"

CELLA_NO_COMPRESSION;

#define SECRET_SIZE 48u

/* What must not differ between two enclaves that share the key: not initialised, debug; reserved flags. */
#define FLAGS_MASK 0xFF0000000000000Bull
#define MISC_MASK 0xF0000000u

static void bn_done(BIGNUM **number)
{
    BN_clear_free(*number);
}

static void point_done(EC_POINT **point)
{
    EC_POINT_free(*point);
}

static void key_done(EC_KEY **key)
{
    EC_KEY_free(*key);
}

static void context_done(BN_CTX **context)
{
    BN_CTX_free(*context);
}

static void signature_done(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

cella_result quote_key_request(uint16_t key_name, struct sgx_keyrequest *ret_request)
{
    struct sgx_report self;
    CELLA_TRY(cella_report_self(&self));
    *ret_request = (struct sgx_keyrequest){
        .key_name = key_name,
        .key_policy = key_name == SGX_KEY_SEAL ? SGX_KEYPOLICY_MRSIGNER : 0,
        .isv_svn = self.body.isv_svn,
        .attribute_mask = {.flags = FLAGS_MASK, .xfrm = 0},
        .misc_mask = MISC_MASK,
    };
    memcpy(ret_request->cpu_svn, self.body.cpu_svn, sizeof(ret_request->cpu_svn));
    return CELLA_OK;
}

/* HMAC-SHA-256 (FIPS 198-1) with a 16-byte key. */
static void hmac(const uint8_t key[16], const uint8_t *data, size_t size, uint8_t ret_mac[32])
{
    uint8_t pad[64];
    SHA256_CTX hash;
    memset(pad, 0x36, sizeof(pad));
    for (size_t i = 0; i < 16; i++) {
        pad[i] ^= key[i];
    }
    SHA256_Init(&hash);
    SHA256_Update(&hash, pad, sizeof(pad));
    SHA256_Update(&hash, data, size);
    SHA256_Final(ret_mac, &hash);
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36 ^ 0x5C;
    }
    SHA256_Init(&hash);
    SHA256_Update(&hash, pad, sizeof(pad));
    SHA256_Update(&hash, ret_mac, 32);
    SHA256_Final(ret_mac, &hash);
    OPENSSL_cleanse(pad, sizeof(pad));
    OPENSSL_cleanse(&hash, sizeof(hash));
}

cella_result quote_secret(const struct sgx_keyrequest *request, const char *label,
                          uint8_t ret_secret[48])
{
    uint8_t key[16];
    uint8_t block[64] = {0};
    uint8_t mac[32];
    const size_t size = strlen(label);
    CELLA_ENSURE(size < sizeof(block), INVALID_ARGUMENT);
    CELLA_TRY(cella_key_get(request, key));
    memcpy(block + 1, label, size);
    for (uint8_t i = 0; i < 2; i++) { /* SP 800-108, counter mode */
        block[0] = (uint8_t)(i + 1);
        hmac(key, block, size + 1, mac);
        memcpy(ret_secret + i * 32, mac, i == 0 ? 32 : SECRET_SIZE - 32);
    }
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(mac, sizeof(mac));
    return CELLA_OK;
}

static cella_result key_of_secret(const uint8_t secret[SECRET_SIZE], EC_KEY **ret_key,
                                  uint8_t ret_point[QUOTE_POINT_SIZE])
{
    uint8_t encoded[1 + QUOTE_POINT_SIZE];
    CELLA_CLEANUP(key_done) EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    CELLA_ENSURE(key != NULL, CRYPTO);
    const EC_GROUP *group = EC_KEY_get0_group(key);
    CELLA_CLEANUP(point_done) EC_POINT *point = EC_POINT_new(group);
    CELLA_CLEANUP(bn_done) BIGNUM *scalar = BN_bin2bn(secret, SECRET_SIZE, NULL);
    CELLA_CLEANUP(bn_done) BIGNUM *limit = BN_dup(EC_GROUP_get0_order(group));
    CELLA_CLEANUP(context_done) BN_CTX *context = BN_CTX_new();
    CELLA_ENSURE(point && scalar && limit && context && BN_sub_word(limit, 1) &&
                     BN_mod(scalar, scalar, limit, context) && BN_add_word(scalar, 1),
                 CRYPTO);
    BN_set_flags(scalar, BN_FLG_CONSTTIME);
    CELLA_ENSURE(EC_POINT_mul(group, point, scalar, NULL, NULL, context) == 1 &&
                     EC_KEY_set_private_key(key, scalar) == 1 &&
                     EC_KEY_set_public_key(key, point) == 1 &&
                     EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded,
                                        sizeof(encoded), context) == sizeof(encoded),
                 CRYPTO);
    memcpy(ret_point, encoded + 1, QUOTE_POINT_SIZE);
    *ret_key = CELLA_TAKE(key);
    return CELLA_OK;
}

cella_result quote_key_derive(const struct sgx_keyrequest *request, const char *label,
                              EC_KEY **ret_key, uint8_t ret_point[QUOTE_POINT_SIZE])
{
    uint8_t secret[SECRET_SIZE];
    CELLA_TRY(quote_secret(request, label, secret));
    const cella_result result = key_of_secret(secret, ret_key, ret_point);
    OPENSSL_cleanse(secret, sizeof(secret));
    return result;
}

cella_result quote_sign(EC_KEY *key, const void *data, size_t size,
                        uint8_t ret_signature[QUOTE_SIGNATURE_SIZE])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256(data, size, hash);
    CELLA_CLEANUP(signature_done) ECDSA_SIG *signature = ECDSA_do_sign(hash, sizeof(hash), key);
    CELLA_ENSURE(signature != NULL, CRYPTO);
    CELLA_ENSURE(BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_signature, 32) == 32 &&
                     BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_signature + 32, 32) == 32,
                 CRYPTO);
    return CELLA_OK;
}
