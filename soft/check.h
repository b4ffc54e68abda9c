/*
 * Outcomes of leaves, and the macro that every architectural check of a leaf is written with.
 * Side: soft (untrusted; it plays the processor). Included by the leaves and the transitions.
 * scripts/sdm-checks reads every SOFT_CHECK in soft/ and makes docs/sdm-checks.md from them.
 */
#ifndef CELLA_SOFT_CHECK_H
#define CELLA_SOFT_CHECK_H

#include "soft/soft.h"

static inline struct soft_outcome soft_done(void)
{
    return (struct soft_outcome){.kind = SOFT_DONE};
}

/* An error code in RAX; SGX_SUCCESS is the same as soft_done(). */
static inline struct soft_outcome soft_code(enum sgx_error code)
{
    return (struct soft_outcome){.kind = code == SGX_SUCCESS ? SOFT_DONE : SOFT_CODE,
                                 .code = (uint32_t)code};
}

static inline struct soft_outcome soft_gp(void)
{
    return (struct soft_outcome){.kind = SOFT_FAULT, .vector = SGX_VECTOR_GP};
}

/* #PF at `address`; `error` is made of SGX_PF_* bits. */
static inline struct soft_outcome soft_pf(uint64_t address, uint32_t error)
{
    return (struct soft_outcome){
        .kind = SOFT_FAULT, .vector = SGX_VECTOR_PF, .error = error, .address = address};
}

/* Identifier of the check that failed last, for tests; written on failure only. */
extern const char *volatile soft_last_check;

/*
 * SOFT_CHECK(LEAF_NN, condition that must hold, outcome when it does not);
 * Identifiers are stable: append a number, never renumber. The check that comes first in the source
 * is the one that is reported first.
 */
#define SOFT_CHECK(identifier, condition, outcome)                                                 \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            soft_last_check = #identifier;                                                         \
            return (outcome);                                                                      \
        }                                                                                          \
    } while (0)

#endif
