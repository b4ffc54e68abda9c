/*
 * One round: who may take part, what they have sent, and when it is told.
 * Side: enclave. Called by serve.c. Knows no network. Never gives out a single value, or a sum of fewer than `quorum`.
 *
 * The roster is text. Lines: "quorum N", then "party NAME KEY" with the SHA-256 of the party's public key
 * (SubjectPublicKeyInfo, DER) in hexadecimal; '#' starts a comment. Every party has the same file: its digest is in the
 * enclave's evidence.
 */
#ifndef AGGREGATE_ROUND_H
#define AGGREGATE_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#define ROUND_PARTIES_MAX 64u
#define ROUND_QUORUM_MIN 3u             /* of two, each would know the other's by subtracting */
#define ROUND_VALUE_MAX 1000000000000ll /* 64 of them do not overflow */

struct round_party {
    char name[32];
    uint8_t key[32];
    bool has_sent;
};

struct round {
    struct round_party parties[ROUND_PARTIES_MAX];
    unsigned party_count, quorum, sent;
    int64_t sum;
};

/* `why` says which line is wrong. BAD_SYNTAX. */
CELLA_MUST_USE cella_result round_read(const char *text, size_t size, struct round *ret_round,
                                       char *why, size_t room);
/* NULL: nobody of the roster. */
struct round_party *round_party_of(struct round *round, const uint8_t key[32]);
/* ALREADY_EXISTS: a second number. WRONG_STATE: the round is over. OUT_OF_RANGE. */
CELLA_MUST_USE cella_result round_submit(struct round *round, struct round_party *party,
                                         int64_t value);
bool round_is_over(const struct round *round);

#endif
