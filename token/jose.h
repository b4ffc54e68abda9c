/*
 * JSON Web Signatures and Keys (RFC 7515, 7517, 7518): RS256 and ES256 over libcrypto.
 * Side: relying party, services. Called by token/token.c and services/. Never decides what may be trusted.
 */
#ifndef CELLA_TOKEN_JOSE_H
#define CELLA_TOKEN_JOSE_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/error.h"

#define JOSE_TEXT_MAX (1u << 20)
#define JOSE_CHAIN_MAX 8u
#define JOSE_RSA_BITS_MIN 2048
#define JOSE_RSA_BITS_MAX 8192

enum jose_algorithm {
    JOSE_NONE,
    JOSE_RS256,
    JOSE_ES256,
};

/* A signature in compact form, taken apart. Zero-initialise; jose_done frees. */
struct jose_jws {
    json_t *header;
    enum jose_algorithm algorithm;
    uint8_t *payload; /* with a zero byte behind it */
    size_t payload_size;
    uint8_t *signature;
    size_t signature_size;
    struct cella_bytes signed_part; /* of the text */
};

/*
 * Takes `text` apart. The header must be an object without repeated names and without "crit"; `alg` one of none, RS256
 * and ES256 (with `quirks` also "RSA256", which one client writes for RS256). With "none" the signature must be empty.
 */
CELLA_MUST_USE cella_result jose_parse(const char *text, size_t size, bool quirks,
                                       struct jose_jws *ret_jws, struct cella_error *error);
void jose_done(struct jose_jws *jws);

/* BAD_SIGNATURE; WRONG_KEY when the key is not of the algorithm's kind or too small. */
CELLA_MUST_USE cella_result jose_verify(const struct jose_jws *jws, EVP_PKEY *key);

/* What a key signs with; JOSE_NONE for keys that are of no use here. */
enum jose_algorithm jose_key_algorithm(EVP_PKEY *key);
const char *jose_algorithm_name(enum jose_algorithm algorithm);

/*
 * Signs. `header` gets "alg" set. A key of NULL makes an unsigned one. The text is the caller's, from malloc.
 */
CELLA_MUST_USE cella_result jose_sign(EVP_PKEY *key, json_t *header, struct cella_bytes payload,
                                      char **ret_text);

/* The certificates of an "x5c" member of `object`, first the one with the key. *ret_chain is NULL when there is none. */
CELLA_MUST_USE cella_result jose_chain(const json_t *object, STACK_OF(X509) * *ret_chain,
                                       struct cella_error *error);

/* The public key of a JWK: of its parameters, of its first certificate, or of both when they agree. */
CELLA_MUST_USE cella_result jose_key_read(const json_t *jwk, EVP_PKEY **ret_key,
                                          struct cella_error *error);

/* A JWK with kty, use, alg, kid, the parameters, and x5c when `certificate` is given. New reference. */
json_t *jose_key_write(EVP_PKEY *key, const char *kid, X509 *certificate);

/* base64url(SHA-256) of the DER certificate. `out` has room for 44 bytes. */
CELLA_MUST_USE cella_result jose_certificate_id(X509 *certificate, char *out);

static inline void jose_key_done(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static inline void jose_json_done(json_t **json)
{
    json_decref(*json);
}

static inline void jose_chain_done(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}

#endif
