/*
 * The inside of platform/: the platform's keys and what its files share.
 * Side: host. Included by platform/ only. Never gives out a private key.
 */
#ifndef CELLA_PLATFORM_INTERNAL_H
#define CELLA_PLATFORM_INTERNAL_H

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/cleanup.h"
#include "platform/platform.h"

struct platform {
    struct platform_options options;
    char *url;
    uint8_t pck_public[PLATFORM_KEY_SIZE];
    uint8_t ppid[16];
    uint8_t instance_id[16];
    EVP_PKEY *keys[PLATFORM_CERTIFICATES];
    X509 *certificates[PLATFORM_CERTIFICATES];
    struct platform_blob der[PLATFORM_CERTIFICATES];
    struct platform_blob pem[PLATFORM_CERTIFICATES];
    struct platform_blob pck_chain, pck_ca_chain, tcb_chain;
};

#define PLATFORM_CHECK(condition, error, what)                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return platform_crypto_error(error, what);                                             \
        }                                                                                          \
    } while (0)

/* CRYPTO, with the library's own reason. */
cella_result platform_crypto_error(struct cella_error *error, const char *what);

/* A P-256 key pair that only the seed and the label determine. */
cella_result platform_key_derive(const uint8_t seed[PLATFORM_SEED_SIZE], const char *label,
                                 EVP_PKEY **ret_key, struct cella_error *error);
cella_result platform_key_public(const uint8_t point[PLATFORM_KEY_SIZE], EVP_PKEY **ret_key,
                                 struct cella_error *error);
cella_result platform_key_point(EVP_PKEY *key, uint8_t ret_point[PLATFORM_KEY_SIZE],
                                struct cella_error *error);
/* `size` bytes of the seed for a label. */
cella_result platform_bytes_derive(const uint8_t seed[PLATFORM_SEED_SIZE], const char *label,
                                   uint8_t *ret_bytes, size_t size, struct cella_error *error);
/* ECDSA with SHA-256 as r and s, 32 bytes each, big endian. */
cella_result platform_sign(EVP_PKEY *key, const void *data, size_t size, uint8_t ret_signature[64],
                           struct cella_error *error);

cella_result platform_certify(struct platform *platform, struct cella_error *error);
cella_result platform_blob_of(const void *data, size_t size, struct platform_blob *ret_blob);
cella_result platform_blob_join(const struct platform_blob *const *parts, size_t count,
                                struct platform_blob *ret_blob);

cella_result platform_crls_make(const struct platform *platform,
                                const struct platform_collateral_options *options,
                                struct platform_collateral *collateral, struct cella_error *error);
cella_result platform_documents_make(const struct platform *platform,
                                     const struct platform_collateral_options *options,
                                     struct platform_collateral *collateral,
                                     struct cella_error *error);

#define PLATFORM_FREE(name, type, function)                                                        \
    static inline void platform_##name##_done(type **value)                                        \
    {                                                                                              \
        function(*value);                                                                          \
    }
PLATFORM_FREE(bn, BIGNUM, BN_clear_free)
PLATFORM_FREE(key, EVP_PKEY, EVP_PKEY_free)
PLATFORM_FREE(x509, X509, X509_free)
PLATFORM_FREE(crl, X509_CRL, X509_CRL_free)
PLATFORM_FREE(bio, BIO, BIO_free_all)

#endif
