/*
 * Attestation tokens for those who rely on them: reading the service's keys, checking a token, reading its claims.
 * Public header: plain C11, C++-safe. Library: libcella_token with libcrypto and jansson.
 * Never fetches anything and has no clock: keys and time come from the caller.
 *
 * What is refused unless told otherwise is refused always: tokens without a signature (`alg: none`) or signed by other
 * algorithms than RS256 and ES256, of another issuer than the one named, by a key that is not in the set, of another
 * attestation type than the one named, without an expiry, and outside their times.
 *
 *     CELLA_TRY(cella_token_keys_read(jwks, jwks_size, &keys, &error));
 *     const struct cella_token_rules rules = {.issuer = "https://attest.example", .attestation_type = "sgx", .time = now};
 *     CELLA_TRY(cella_token_check(text, text_size, keys, &rules, &token, &error));
 *     const char *signer = cella_token_text(token, "x-ms-sgx-mrsigner");
 */
#ifndef CELLA_TOKEN_H
#define CELLA_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"
#include "common/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define CELLA_TOKEN_SIZE_MAX (1u << 20)

/* Public keys of a service: what its /certs gives. Read once, then shared by threads. */
typedef struct cella_token_keys cella_token_keys;
typedef struct cella_token cella_token;

struct cella_token_rules {
    const char *issuer;           /* the "iss" it must have, exactly; required */
    const char *attestation_type; /* the "x-ms-attestation-type", as "sgx"; required */
    const char *nonce;            /* the "nonce"; NULL: not looked at */
    int64_t time;                 /* seconds since 1970; required */
    uint32_t slack;               /* seconds that clocks may differ by */
    uint32_t age_max;             /* seconds since "iat"; 0: not looked at */
    bool insecure_unsigned;       /* takes `alg: none` too: for trying out policies only */
};

/*
 * A JSON Web Key Set. RSA keys from 2048 bits and P-256 keys are taken, keys of other kinds passed over; of "x5c" the first
 * certificate counts, and must hold the same key as n and e or x and y where both are there. Keys without a kid and two
 * keys of one kid are refused. BAD_SYNTAX, BAD_FIELD, NOT_FOUND (no usable key), LIMIT_EXCEEDED, OUT_OF_MEMORY.
 */
CELLA_MUST_USE cella_result cella_token_keys_read(const char *jwks, size_t size,
                                                  cella_token_keys **ret_keys,
                                                  struct cella_error *error);
void cella_token_keys_free(cella_token_keys *keys);

/*
 * Checks a token in compact form. BAD_SYNTAX, BAD_FIELD and the like for what is no token; BAD_SIGNATURE; NOT_FOUND for
 * an unknown key; NAME_MISMATCH for another issuer, type or nonce; ROLLED_BACK for one that is too old or not valid yet;
 * ATTRIBUTE_REFUSED for an algorithm that is not allowed. `error` says which.
 */
CELLA_MUST_USE cella_result cella_token_check(const char *text, size_t size,
                                              const cella_token_keys *keys,
                                              const struct cella_token_rules *rules,
                                              cella_token **ret_token, struct cella_error *error);
void cella_token_free(cella_token *token);

/* Claims; owned by the token. NULL, or NOT_FOUND, when absent or of another kind. */
const char *cella_token_text(const cella_token *token, const char *claim);
CELLA_MUST_USE cella_result cella_token_integer(const cella_token *token, const char *claim,
                                                int64_t *ret_value);
CELLA_MUST_USE cella_result cella_token_boolean(const cella_token *token, const char *claim,
                                                bool *ret_value);
/* A claim of any kind, as JSON text. */
const char *cella_token_json(cella_token *token, const char *claim);
/* Whether a signature was checked; false only with insecure_unsigned. */
bool cella_token_is_signed(const cella_token *token);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
