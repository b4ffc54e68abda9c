/*
 * Hashes and signatures, all by libcrypto.
 * Side: both. Called inside evidence/. Never holds private keys; what it makes, ev_crypto_done and ev_key_done free.
 */
#ifndef CELLA_EVIDENCE_CRYPTO_H
#define CELLA_EVIDENCE_CRYPTO_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "common/bytes.h"

enum ev_key_kind {
    EV_KEY_NONE,
    EV_KEY_P256, /* key: 65 bytes, 4 || x || y */
    EV_KEY_P384, /* 97 bytes */
    EV_KEY_RSA,  /* modulus and exponent */
};

enum ev_signature_kind {
    EV_SIGNATURE_NONE,
    EV_SIGNATURE_ECDSA_SHA256,
    EV_SIGNATURE_ECDSA_SHA384,
    EV_SIGNATURE_PSS_SHA384, /* MGF1 with SHA-384, salt of 48 bytes */
};

/* What is fetched once. Only read after ev_crypto_init: threads may share it. */
struct ev_crypto {
    EVP_MD *sha256, *sha384;
    EVP_PKEY
    *p256; /* domain parameters, to be copied: making them anew takes as long as a signature */
};

CELLA_MUST_USE cella_result ev_crypto_init(struct ev_crypto *crypto);
void ev_crypto_done(struct ev_crypto *crypto);

/* `parts` one behind the other. CRYPTO. */
CELLA_MUST_USE cella_result ev_hash(const EVP_MD *digest, const struct cella_bytes *parts,
                                    size_t count, uint8_t *out);
CELLA_MUST_USE cella_result ev_sha256(const struct ev_crypto *crypto, struct cella_bytes bytes,
                                      uint8_t out[32]);

struct ev_key {
    enum ev_key_kind kind;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *context; /* for several signatures by one thread; else NULL */
};

/* Keeps what ECDSA verifications with this key share; for keys that one thread uses until ev_key_close. */
void ev_key_open(struct ev_key *key);
void ev_key_close(struct ev_key *key);

/* A public point, uncompressed, with its leading 4. BAD_FIELD: not on the curve. */
CELLA_MUST_USE cella_result ev_key_point(const struct ev_crypto *crypto, enum ev_key_kind kind,
                                         struct cella_bytes point, struct ev_key *ret_key);
/* Big-endian numbers; at most 4096 bits. BAD_FIELD. */
CELLA_MUST_USE cella_result ev_key_rsa(struct cella_bytes modulus, struct cella_bytes exponent,
                                       struct ev_key *ret_key);
void ev_key_done(struct ev_key *key);

/* `signature` as in certificates: DER for ECDSA, a number for RSA. BAD_SIGNATURE. */
CELLA_MUST_USE cella_result ev_verify(const struct ev_crypto *crypto, const struct ev_key *key,
                                      enum ev_signature_kind kind, struct cella_bytes signed_bytes,
                                      struct cella_bytes signature);
/* ECDSA over P-256 and SHA-256, signature r || s, big endian. */
CELLA_MUST_USE cella_result ev_verify_raw(const struct ev_crypto *crypto, const struct ev_key *key,
                                          struct cella_bytes signed_bytes,
                                          struct cella_bytes signature);
/* A digest that is there already; r and s of `size` bytes each, big endian. */
CELLA_MUST_USE cella_result ev_verify_digest(const struct ev_key *key, struct cella_bytes digest,
                                             const uint8_t *r, const uint8_t *s, size_t size);

#endif
