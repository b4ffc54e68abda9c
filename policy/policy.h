/*
 * Attestation policies: the claim-rule language of Azure Attestation, versions 1.0, 1.1 and 1.2.
 * Side: relying party, services (hosted). Called by services/ and cli/. docs/policy.md describes the language.
 * Never opens a file, prints, or looks at a clock.
 *
 *     claims in -> configuration rules -> authorization rules (permit or not) -> issuance rules -> claims out
 */
#ifndef CELLA_POLICY_POLICY_H
#define CELLA_POLICY_POLICY_H

#include <stdbool.h>

#include "common/bytes.h"

#define CELLA_POLICY_TEXT_MAX (256u << 10)
#define CELLA_POLICY_PROBLEMS 16
#define CELLA_POLICY_PROBLEM_SIZE 256

enum cella_policy_type {
    CELLA_POLICY_STRING,
    CELLA_POLICY_INTEGER,
    CELLA_POLICY_BOOLEAN,
};

enum cella_policy_issuer {
    CELLA_POLICY_BY_SERVICE, /* "AttestationService" */
    CELLA_POLICY_BY_POLICY,  /* "AttestationPolicy" */
    CELLA_POLICY_BY_CUSTOM,  /* "CustomClaim" */
};

struct cella_policy_value {
    enum cella_policy_type type;
    bool read_only;   /* may be tested, not issued; goes over to what is computed from it */
    int64_t integer;  /* also 0 or 1 of a boolean */
    const char *text; /* of a string: `size` bytes and a zero byte */
    size_t size;
};

struct cella_policy_claim {
    const char *type;
    struct cella_policy_value value;
    enum cella_policy_issuer issuer;
};

/* One finding of the reader. Lines and columns (in characters) count from 1. */
struct cella_policy_problem {
    unsigned line;
    unsigned column;
    bool warning;
    char text[CELLA_POLICY_PROBLEM_SIZE];
};

/* Zero-initialise. What does not fit any more is counted only. */
struct cella_policy_problems {
    struct cella_policy_problem items[CELLA_POLICY_PROBLEMS];
    unsigned count;
};

struct cella_policy;

/*
 * Reads a policy. Strict: the first departure from the grammar is an error (BAD_SYNTAX, UNSUPPORTED_VERSION,
 * LIMIT_EXCEEDED), the last of `problems`. With `compatible`, the slips of published examples are mended, each
 * with a warning: one '=' in a condition, a missing ';', typographic quotes, section names in other cases, a
 * claim's type without `type=`, unknown escapes in strings.
 */
CELLA_MUST_USE cella_result cella_policy_parse(struct cella_bytes text, bool compatible,
                                               struct cella_policy **ret_policy,
                                               struct cella_policy_problems *problems);
void cella_policy_free(struct cella_policy *policy);

/* 10, 11 or 12. */
unsigned cella_policy_version(const struct cella_policy *policy);

/* The value a configuration rule sets for `name`; false when none does. */
bool cella_policy_setting(const struct cella_policy *policy, const char *name,
                          struct cella_policy_value *ret_value);

/* What a run gives; all memory is the run's. */
struct cella_policy_outcome {
    bool permitted;
    unsigned line;                        /* of the rule that denied; 0 when none permitted */
    const char *reason;                   /* when not permitted */
    const struct cella_policy_claim *out; /* in the order issued */
    size_t out_count;
    const struct cella_policy_claim *properties;
    size_t property_count;
    const char *const *notes; /* issuance rules that did nothing because of an error */
    size_t note_count;
};

struct cella_policy_run;

/*
 * Runs the rules over `claims`. Not being permitted is CELLA_OK with `permitted` false; failures are of
 * resources. Thread-safe on one policy.
 */
CELLA_MUST_USE cella_result cella_policy_evaluate(const struct cella_policy *policy,
                                                  const struct cella_policy_claim *claims,
                                                  size_t claim_count,
                                                  struct cella_policy_run **ret_run);
const struct cella_policy_outcome *cella_policy_outcome(const struct cella_policy_run *run);
void cella_policy_run_free(struct cella_policy_run *run);

static inline struct cella_policy_value cella_policy_integer(int64_t value)
{
    return (struct cella_policy_value){.type = CELLA_POLICY_INTEGER, .integer = value};
}

static inline struct cella_policy_value cella_policy_boolean(bool value)
{
    return (struct cella_policy_value){.type = CELLA_POLICY_BOOLEAN, .integer = value};
}

/* Borrows `text`. */
struct cella_policy_value cella_policy_string(const char *text);
bool cella_policy_value_equal(const struct cella_policy_value *a,
                              const struct cella_policy_value *b);

#endif
