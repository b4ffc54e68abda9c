/*
 * Enclave signing keys: RSA-3072 with exponent 3, as PEM.
 * Side: tools (hosted; libcrypto). Called by cli/ and image/sign.c. Never writes a file, never asks
 * for a passphrase.
 */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "image/sign.h"

#define KEY_BITS 3072
#define KEY_EXPONENT 3

static void bio_cleanup(BIO **bio)
{
    BIO_free(*bio);
}

static void bn_cleanup(BIGNUM **number)
{
    BN_free(*number);
}

/* An encrypted key is refused: the signer never prompts. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

static CELLA_MUST_USE cella_result key_check(EVP_PKEY *key, const char *name,
                                             struct cella_error *error)
{
    CELLA_CLEANUP(bn_cleanup) BIGNUM *exponent = NULL;

    if (!EVP_PKEY_is_a(key, "RSA")) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "key %s: not an RSA key; expected RSA-3072 with exponent 3", name);
    }
    CELLA_ENSURE(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1, CRYPTO);
    if (EVP_PKEY_get_bits(key) != KEY_BITS || !BN_is_word(exponent, KEY_EXPONENT)) {
        return cella_error_set(
            error, CELLA_RESULT(UNSUPPORTED),
            "key %s: RSA-%d with exponent %lu; expected RSA-3072 with exponent 3 "
            "(openssl genrsa -3 3072)",
            name, EVP_PKEY_get_bits(key), (unsigned long)BN_get_word(exponent));
    }
    return CELLA_OK;
}

cella_result cella_key_read(struct cella_bytes pem, bool is_private, const char *name,
                            struct cella_key *ret_key, struct cella_error *error)
{
    CELLA_ENSURE(pem.size <= INT32_MAX, LIMIT_EXCEEDED);
    CELLA_CLEANUP(bio_cleanup) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};

    CELLA_ENSURE(bio != NULL, OUT_OF_MEMORY);
    key.handle = is_private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
                            : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    if (!key.handle) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "key %s: not an unencrypted PEM %s key", name,
                               is_private ? "private" : "public");
    }
    CELLA_TRY(key_check(key.handle, name, error));
    ret_key->handle = CELLA_TAKE(key.handle);
    return CELLA_OK;
}

static void context_cleanup(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

cella_result cella_key_generate(struct cella_key *ret_key, struct cella_error *error)
{
    CELLA_CLEANUP(context_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    CELLA_CLEANUP(bn_cleanup) BIGNUM *exponent = BN_new();
    EVP_PKEY *key = NULL;

    if (!context || !exponent || BN_set_word(exponent, KEY_EXPONENT) != 1 ||
        EVP_PKEY_keygen_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, KEY_BITS) != 1 ||
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) != 1 ||
        EVP_PKEY_generate(context, &key) != 1) {
        return cella_error_set(error, CELLA_RESULT(CRYPTO),
                               "libcrypto cannot make an RSA-3072 key with exponent 3");
    }
    ret_key->handle = key;
    return CELLA_OK;
}

cella_result cella_key_write(const struct cella_key *key, char **ret_pem, size_t *ret_size)
{
    CELLA_CLEANUP(bio_cleanup) BIO *bio = BIO_new(BIO_s_mem());
    char *data;

    CELLA_ENSURE(bio != NULL, OUT_OF_MEMORY);
    CELLA_ENSURE(PEM_write_bio_PrivateKey(bio, key->handle, NULL, NULL, 0, NULL, NULL) == 1,
                 CRYPTO);
    long size = BIO_get_mem_data(bio, &data);
    CELLA_ENSURE(size > 0, CRYPTO);
    char *copy = malloc((size_t)size);
    CELLA_ENSURE(copy != NULL, OUT_OF_MEMORY);
    memcpy(copy, data, (size_t)size);
    *ret_pem = copy;
    *ret_size = (size_t)size;
    return CELLA_OK;
}

void cella_key_done(struct cella_key *key)
{
    EVP_PKEY_free(key->handle);
    key->handle = NULL;
}
