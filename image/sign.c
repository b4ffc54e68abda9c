/*
 * SIGSTRUCT: filling, RSA-3072 signing with exponent 3, attaching a signature made elsewhere,
 * verifying. Side: tools (hosted; libcrypto). Called by cli/ and the skins' signers. Never keeps a
 * private key beyond its caller's.
 */
#include "image/sign.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

/* SDM 35.13, table 35-19: the two constant headers. */
static const uint8_t g_header[16] = {6, 0, 0, 0, 0xE1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
static const uint8_t g_header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0};

#define SIGSTRUCT_EXPONENT 3u
#define SIGSTRUCT_VENDOR_INTEL 0x8086u

static void bn_cleanup(BIGNUM **number)
{
    BN_free(*number);
}

static void bn_context_cleanup(BN_CTX **context)
{
    BN_CTX_free(*context);
}

static void pkey_cleanup(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void pkey_context_cleanup(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void param_cleanup(OSSL_PARAM **parameters)
{
    OSSL_PARAM_free(*parameters);
}

static void param_builder_cleanup(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

uint32_t cella_sigstruct_date(int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;

    if (seconds < 0 || !gmtime_r(&time, &parts) || parts.tm_year + 1900 > 9999) {
        return 0;
    }
    uint32_t decimal =
        (uint32_t)((parts.tm_year + 1900) * 10000 + (parts.tm_mon + 1) * 100 + parts.tm_mday);
    uint32_t bcd = 0;
    for (unsigned shift = 0; shift < 32; shift += 4) {
        bcd |= (decimal % 10) << shift;
        decimal /= 10;
    }
    return bcd;
}

void cella_sigstruct_fill(const struct cella_image_config *config, const uint8_t mr_enclave[32],
                          uint32_t date, struct sgx_sigstruct *ret_sigstruct)
{
    struct sgx_sigstruct *s = ret_sigstruct;

    memset(s, 0, sizeof(*s));
    memcpy(s->header, g_header, sizeof(g_header));
    memcpy(s->header2, g_header2, sizeof(g_header2));
    s->date = date;
    s->exponent = SIGSTRUCT_EXPONENT;
    s->misc_select = config->exinfo == CELLA_CONFIG_EXINFO_YES ? SGX_MISC_EXINFO : 0;
    s->misc_mask = UINT32_MAX;
    if (config->exinfo == CELLA_CONFIG_EXINFO_AUTO) {
        s->misc_mask &= ~SGX_MISC_EXINFO;
    }
    s->attributes.flags = SGX_FLAGS_MODE64BIT;
    s->attributes.xfrm = config->xfrm;
    s->attribute_mask.flags = UINT64_MAX;
    s->attribute_mask.xfrm = config->xfrm_mask;
    if (config->debug) {
        /* The same file may then run as a debug enclave or not: its loader says which. */
        s->attributes.flags |= SGX_FLAGS_DEBUG;
        s->attribute_mask.flags &= ~SGX_FLAGS_DEBUG;
    }
    if (config->kss) {
        s->attributes.flags |= SGX_FLAGS_KSS;
    } else if (config->kss_by_loader) {
        s->attribute_mask.flags &= ~SGX_FLAGS_KSS;
    }
    if (config->provision_key) {
        s->attributes.flags |= SGX_FLAGS_PROVISIONKEY;
    }
    memcpy(s->enclave_hash, mr_enclave, sizeof(s->enclave_hash));
    memcpy(s->isv_family_id, config->family_id, sizeof(s->isv_family_id));
    memcpy(s->isv_ext_prod_id, config->ext_product_id, sizeof(s->isv_ext_prod_id));
    s->isv_prod_id = (uint16_t)config->product_id;
    s->isv_svn = (uint16_t)config->svn;
}

static CELLA_MUST_USE cella_result message_digest(const struct sgx_sigstruct *sigstruct,
                                                  uint8_t ret_digest[32])
{
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    cella_sigstruct_message(sigstruct, message);
    CELLA_ENSURE(EVP_Digest(message, sizeof(message), ret_digest, NULL, EVP_sha256(), NULL) == 1,
                 CRYPTO);
    return CELLA_OK;
}

/* Q1 = floor(s^2 / n), Q2 = floor((s^3 - Q1 s n) / n) = floor(s (s^2 mod n) / n). */
static CELLA_MUST_USE cella_result quotients(const struct sgx_sigstruct *sigstruct,
                                             uint8_t ret_q1[SGX_RSA_SIZE],
                                             uint8_t ret_q2[SGX_RSA_SIZE])
{
    CELLA_CLEANUP(bn_context_cleanup) BN_CTX *context = BN_CTX_new();
    CELLA_CLEANUP(bn_cleanup) BIGNUM *n = BN_lebin2bn(sigstruct->modulus, SGX_RSA_SIZE, NULL);
    CELLA_CLEANUP(bn_cleanup) BIGNUM *s = BN_lebin2bn(sigstruct->signature, SGX_RSA_SIZE, NULL);
    CELLA_CLEANUP(bn_cleanup) BIGNUM *product = BN_new();
    CELLA_CLEANUP(bn_cleanup) BIGNUM *remainder = BN_new();
    CELLA_CLEANUP(bn_cleanup) BIGNUM *quotient = BN_new();

    CELLA_ENSURE(context && n && s && product && remainder && quotient, OUT_OF_MEMORY);
    CELLA_ENSURE(!BN_is_zero(n), BAD_SIGNATURE);
    /* s < n, so both quotients are below n too and fit. */
    CELLA_ENSURE(BN_cmp(s, n) < 0, BAD_SIGNATURE);
    CELLA_ENSURE(BN_sqr(product, s, context) == 1 &&
                     BN_div(quotient, remainder, product, n, context) == 1 &&
                     BN_bn2lebinpad(quotient, ret_q1, SGX_RSA_SIZE) == SGX_RSA_SIZE,
                 CRYPTO);
    CELLA_ENSURE(BN_mul(product, remainder, s, context) == 1 &&
                     BN_div(quotient, NULL, product, n, context) == 1 &&
                     BN_bn2lebinpad(quotient, ret_q2, SGX_RSA_SIZE) == SGX_RSA_SIZE,
                 CRYPTO);
    return CELLA_OK;
}

/* The public key of a SIGSTRUCT as libcrypto's object. */
static CELLA_MUST_USE cella_result public_key(const struct sgx_sigstruct *sigstruct,
                                              EVP_PKEY **ret_key)
{
    CELLA_CLEANUP(bn_cleanup) BIGNUM *n = BN_lebin2bn(sigstruct->modulus, SGX_RSA_SIZE, NULL);
    CELLA_CLEANUP(bn_cleanup) BIGNUM *e = BN_new();
    CELLA_CLEANUP(param_builder_cleanup) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    CELLA_CLEANUP(param_cleanup) OSSL_PARAM *parameters = NULL;
    CELLA_CLEANUP(pkey_context_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);

    CELLA_ENSURE(n && e && builder && context, OUT_OF_MEMORY);
    CELLA_ENSURE(BN_set_word(e, SIGSTRUCT_EXPONENT) == 1 &&
                     OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                     OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1,
                 CRYPTO);
    parameters = OSSL_PARAM_BLD_to_param(builder);
    CELLA_ENSURE(parameters != NULL, CRYPTO);
    /* A modulus that is no RSA modulus (even, zero) is the file's fault, not libcrypto's. */
    CELLA_ENSURE(EVP_PKEY_fromdata_init(context) == 1 &&
                     EVP_PKEY_fromdata(context, ret_key, EVP_PKEY_PUBLIC_KEY, parameters) == 1,
                 BAD_SIGNATURE);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result rsa_verify(const struct sgx_sigstruct *sigstruct)
{
    CELLA_CLEANUP(pkey_cleanup) EVP_PKEY *key = NULL;
    CELLA_CLEANUP(pkey_context_cleanup) EVP_PKEY_CTX *context = NULL;
    uint8_t signature[SGX_RSA_SIZE];
    uint8_t digest[32];

    CELLA_TRY(message_digest(sigstruct, digest));
    CELLA_TRY(public_key(sigstruct, &key));
    for (size_t i = 0; i < SGX_RSA_SIZE; i++) {
        signature[i] = sigstruct->signature[SGX_RSA_SIZE - 1 - i];
    }
    context = EVP_PKEY_CTX_new(key, NULL);
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    CELLA_ENSURE(EVP_PKEY_verify_init(context) == 1 &&
                     EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1,
                 CRYPTO);
    CELLA_ENSURE(EVP_PKEY_verify(context, signature, sizeof(signature), digest, sizeof(digest)) ==
                     1,
                 BAD_SIGNATURE);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result modulus_set(struct sgx_sigstruct *sigstruct,
                                               const struct cella_key *key)
{
    CELLA_CLEANUP(bn_cleanup) BIGNUM *n = NULL;
    CELLA_ENSURE(EVP_PKEY_get_bn_param(key->handle, OSSL_PKEY_PARAM_RSA_N, &n) == 1, CRYPTO);
    CELLA_ENSURE(BN_bn2lebinpad(n, sigstruct->modulus, SGX_RSA_SIZE) == SGX_RSA_SIZE, CRYPTO);
    return CELLA_OK;
}

cella_result cella_sigstruct_attach(struct sgx_sigstruct *sigstruct, const struct cella_key *key,
                                    struct cella_bytes signature, struct cella_error *error)
{
    if (signature.size != SGX_RSA_SIZE) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "signature: %zu bytes; expected 384 (raw RSA-3072, big endian)",
                               signature.size);
    }
    CELLA_TRY(modulus_set(sigstruct, key));
    for (size_t i = 0; i < SGX_RSA_SIZE; i++) {
        sigstruct->signature[i] = signature.data[SGX_RSA_SIZE - 1 - i];
    }
    cella_result result = rsa_verify(sigstruct);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               "signature: does not verify with this public key over this image's "
                               "signing bytes");
    }
    return quotients(sigstruct, sigstruct->q1, sigstruct->q2);
}

cella_result cella_sigstruct_sign(struct sgx_sigstruct *sigstruct, const struct cella_key *key,
                                  struct cella_error *error)
{
    CELLA_CLEANUP(pkey_context_cleanup) EVP_PKEY_CTX *context = NULL;
    uint8_t digest[32];
    uint8_t signature[SGX_RSA_SIZE];
    size_t size = sizeof(signature);

    CELLA_TRY(modulus_set(sigstruct, key));
    CELLA_TRY(message_digest(sigstruct, digest));
    context = EVP_PKEY_CTX_new(key->handle, NULL);
    CELLA_ENSURE(context != NULL, OUT_OF_MEMORY);
    if (EVP_PKEY_sign_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1 ||
        EVP_PKEY_sign(context, signature, &size, digest, sizeof(digest)) != 1 ||
        size != sizeof(signature)) {
        return cella_error_set(error, CELLA_RESULT(CRYPTO), "libcrypto cannot sign with this key");
    }
    return cella_sigstruct_attach(sigstruct, key, cella_bytes_of(signature, size), error);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

cella_result cella_sigstruct_verify(const struct sgx_sigstruct *s, struct cella_error *error)
{
    uint8_t q1[SGX_RSA_SIZE];
    uint8_t q2[SGX_RSA_SIZE];

    if (memcmp(s->header, g_header, 16) != 0 || memcmp(s->header2, g_header2, 16) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "SIGSTRUCT: a header (bytes 0..15, 24..39) is not the constant");
    }
    if (s->vendor != 0 && s->vendor != SIGSTRUCT_VENDOR_INTEL) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "SIGSTRUCT: vendor 0x%x (byte 16); expected 0 or 0x8086", s->vendor);
    }
    if (s->exponent != SIGSTRUCT_EXPONENT) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "SIGSTRUCT: exponent %u (byte 512); expected 3", s->exponent);
    }
    if (!is_zero(s->reserved1, sizeof(s->reserved1)) ||
        !is_zero(s->reserved2, sizeof(s->reserved2)) ||
        !is_zero(s->reserved3, sizeof(s->reserved3)) ||
        !is_zero(s->reserved4, sizeof(s->reserved4))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "SIGSTRUCT: a reserved byte is not zero");
    }
    cella_result result = rsa_verify(s);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "SIGSTRUCT: the RSA signature does not verify");
    }
    CELLA_TRY(quotients(s, q1, q2));
    if (memcmp(q1, s->q1, SGX_RSA_SIZE) != 0 || memcmp(q2, s->q2, SGX_RSA_SIZE) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE),
                               "SIGSTRUCT: Q1 or Q2 (bytes 1040, 1424) does not belong to the "
                               "signature");
    }
    return CELLA_OK;
}
