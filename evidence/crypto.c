/*
 * Hashes and signatures, all by libcrypto.
 * Side: both. Called inside evidence/. Never holds private keys; what it makes, ev_crypto_done and ev_key_done free.
 */
#include "evidence/crypto.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/cleanup.h"

#define ECDSA_DER_MAX 112u /* two numbers of 49 bytes with their headers */
#define RSA_MAX 512u

static void pkey_context_done(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void digest_context_done(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

/* libcrypto's error queue is of the thread: what failed here must not surface elsewhere. */
static cella_result crypto_failed(cella_result result)
{
    ERR_clear_error();
    return result;
}

/* A key that has only its domain parameters. */
static EVP_PKEY *group_make(char *name)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
        OSSL_PARAM_construct_end(),
    };
    CELLA_CLEANUP(pkey_context_done)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    if (!context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEY_PARAMETERS, parameters) <= 0) {
        return NULL;
    }
    return pkey;
}

cella_result ev_crypto_init(struct ev_crypto *crypto)
{
    *crypto = (struct ev_crypto){
        .sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
        .sha384 = EVP_MD_fetch(NULL, "SHA384", NULL),
        .p256 = group_make((char[]){"P-256"}),
    };
    if (!crypto->sha256 || !crypto->sha384 || !crypto->p256) {
        ev_crypto_done(crypto);
        return crypto_failed(CELLA_RESULT(CRYPTO));
    }
    return CELLA_OK;
}

void ev_crypto_done(struct ev_crypto *crypto)
{
    EVP_MD_free(crypto->sha256);
    EVP_MD_free(crypto->sha384);
    EVP_PKEY_free(crypto->p256);
    *crypto = (struct ev_crypto){0};
}

cella_result ev_hash(const EVP_MD *digest, const struct cella_bytes *parts, size_t count,
                     uint8_t *out)
{
    CELLA_CLEANUP(digest_context_done) EVP_MD_CTX *context = EVP_MD_CTX_new();
    CELLA_ENSURE(context && EVP_DigestInit_ex2(context, digest, NULL) > 0, CRYPTO);
    for (size_t i = 0; i < count; i++) {
        CELLA_ENSURE(EVP_DigestUpdate(context, parts[i].data, parts[i].size) > 0, CRYPTO);
    }
    CELLA_ENSURE(EVP_DigestFinal_ex(context, out, NULL) > 0, CRYPTO);
    return CELLA_OK;
}

cella_result ev_sha256(const struct ev_crypto *crypto, struct cella_bytes bytes, uint8_t out[32])
{
    return ev_hash(crypto->sha256, &bytes, 1, out);
}

cella_result ev_key_point(const struct ev_crypto *crypto, enum ev_key_kind kind,
                          struct cella_bytes point, struct ev_key *ret_key)
{
    struct ev_key key = {.kind = kind};
    CELLA_ENSURE(point.size == (kind == EV_KEY_P256 ? 65 : 97) && point.data[0] == 4, BAD_FIELD);
    key.pkey = kind == EV_KEY_P256 ? EVP_PKEY_dup(crypto->p256) : group_make((char[]){"P-384"});
    if (!key.pkey) {
        return crypto_failed(CELLA_RESULT(CRYPTO));
    }
    if (EVP_PKEY_set1_encoded_public_key(key.pkey, point.data, point.size) <= 0) {
        ev_key_done(&key);
        return crypto_failed(CELLA_RESULT(BAD_FIELD));
    }
    *ret_key = key;
    return CELLA_OK;
}

/* OSSL_PARAM numbers are in the machine's order: little endian. */
static void reverse(uint8_t *out, struct cella_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        out[i] = bytes.data[bytes.size - 1 - i];
    }
}

cella_result ev_key_rsa(struct cella_bytes modulus, struct cella_bytes exponent,
                        struct ev_key *ret_key)
{
    uint8_t n[RSA_MAX];
    uint8_t e[8];
    CELLA_ENSURE(modulus.size >= 256 && modulus.size <= sizeof(n), BAD_FIELD);
    CELLA_ENSURE(exponent.size >= 1 && exponent.size <= sizeof(e), BAD_FIELD);
    reverse(n, modulus);
    reverse(e, exponent);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, modulus.size),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, exponent.size),
        OSSL_PARAM_construct_end(),
    };
    CELLA_CLEANUP(pkey_context_done)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    if (!context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) <= 0) {
        return crypto_failed(CELLA_RESULT(BAD_FIELD));
    }
    *ret_key = (struct ev_key){.kind = EV_KEY_RSA, .pkey = pkey};
    return CELLA_OK;
}

void ev_key_done(struct ev_key *key)
{
    ev_key_close(key);
    EVP_PKEY_free(key->pkey);
    *key = (struct ev_key){0};
}

static bool pss_set(EVP_PKEY_CTX *context, const struct ev_crypto *crypto)
{
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(context, crypto->sha384) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, crypto->sha384) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, 48) > 0;
}

void ev_key_open(struct ev_key *key)
{
    if (key->pkey && key->kind != EV_KEY_RSA && !key->context) {
        key->context = EVP_PKEY_CTX_new(key->pkey, NULL);
        if (key->context && EVP_PKEY_verify_init(key->context) <= 0) {
            ev_key_close(key);
        }
    }
}

void ev_key_close(struct ev_key *key)
{
    EVP_PKEY_CTX_free(key->context);
    key->context = NULL;
}

static cella_result digest_verify(const struct ev_crypto *crypto, const struct ev_key *key,
                                  bool is_pss, struct cella_bytes digest,
                                  struct cella_bytes signature)
{
    CELLA_CLEANUP(pkey_context_done) EVP_PKEY_CTX *own = NULL;
    EVP_PKEY_CTX *context = key->context;
    if (!context) {
        context = own = EVP_PKEY_CTX_new(key->pkey, NULL);
        if (!own || EVP_PKEY_verify_init(own) <= 0 || (is_pss && !pss_set(own, crypto))) {
            return crypto_failed(CELLA_RESULT(CRYPTO));
        }
    }
    if (EVP_PKEY_verify(context, signature.data, signature.size, digest.data, digest.size) != 1) {
        return crypto_failed(CELLA_RESULT(BAD_SIGNATURE));
    }
    return CELLA_OK;
}

cella_result ev_verify(const struct ev_crypto *crypto, const struct ev_key *key,
                       enum ev_signature_kind kind, struct cella_bytes signed_bytes,
                       struct cella_bytes signature)
{
    uint8_t digest[48];
    bool is_sha256 = kind == EV_SIGNATURE_ECDSA_SHA256;
    bool is_pss = kind == EV_SIGNATURE_PSS_SHA384;
    CELLA_ENSURE(kind != EV_SIGNATURE_NONE && key->pkey, BAD_SIGNATURE);
    CELLA_ENSURE((key->kind == EV_KEY_RSA) == is_pss, BAD_SIGNATURE);
    CELLA_TRY(ev_hash(is_sha256 ? crypto->sha256 : crypto->sha384, &signed_bytes, 1, digest));
    return digest_verify(crypto, key, is_pss, cella_bytes_of(digest, is_sha256 ? 32 : 48),
                         signature);
}

/* One INTEGER of a big-endian number; gives back the bytes written. */
static size_t number_write(uint8_t *out, const uint8_t *number, size_t size)
{
    while (size > 1 && *number == 0) {
        number++;
        size--;
    }
    size_t pad = *number >> 7;
    out[0] = 0x02;
    out[1] = (uint8_t)(size + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, number, size);
    return 2 + pad + size;
}

cella_result ev_verify_digest(const struct ev_key *key, struct cella_bytes digest, const uint8_t *r,
                              const uint8_t *s, size_t size)
{
    uint8_t der[ECDSA_DER_MAX];
    CELLA_ENSURE(size >= 1 && size <= 48 && key->kind != EV_KEY_RSA, INVALID_ARGUMENT);
    size_t used = 2;
    used += number_write(der + used, r, size);
    used += number_write(der + used, s, size);
    der[0] = 0x30;
    der[1] = (uint8_t)(used - 2);
    return digest_verify(NULL, key, false, digest, cella_bytes_of(der, used));
}

cella_result ev_verify_raw(const struct ev_crypto *crypto, const struct ev_key *key,
                           struct cella_bytes signed_bytes, struct cella_bytes signature)
{
    uint8_t digest[32];
    CELLA_ENSURE(signature.size == 64 && key->kind == EV_KEY_P256, BAD_SIGNATURE);
    CELLA_TRY(ev_sha256(crypto, signed_bytes, digest));
    return ev_verify_digest(key, cella_bytes_of(digest, 32), signature.data, signature.data + 32,
                            32);
}
