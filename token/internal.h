/*
 * What services use of the relying party's checks.
 * Side: services. Called by services/ for the tokens of administrators.
 */
#ifndef CELLA_TOKEN_INTERNAL_H
#define CELLA_TOKEN_INTERNAL_H

#include "cella/token.h"
#include "token/jose.h"

/* Signature by the key that the header names; never an unsigned one. */
CELLA_MUST_USE cella_result token_check_signature(const struct jose_jws *jws,
                                                  const cella_token_keys *keys,
                                                  struct cella_error *error);
/* exp, nbf and iat at `time`, give or take `slack` seconds. */
CELLA_MUST_USE cella_result token_check_times(const json_t *claims, int64_t time, uint32_t slack,
                                              struct cella_error *error);
/* A claim that must be this string. */
CELLA_MUST_USE cella_result token_check_text(const json_t *claims, const char *name,
                                             const char *wanted, struct cella_error *error);

#endif
