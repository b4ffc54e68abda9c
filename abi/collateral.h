/*
 * What a host gives an enclave that verifies evidence: the head of the answer. docs/formats/collateral-answer.md.
 * Side: both. Called by evidence/. Little endian, no pointers.
 */
#ifndef CELLA_ABI_COLLATERAL_H
#define CELLA_ABI_COLLATERAL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CELLA_COLLATERAL_DOCUMENTS 7u
#define CELLA_COLLATERAL_ROOTS 8u

/* The documents follow, in the order of enum cella_document, each with a zero byte behind it that its size does not count. */
struct cella_collateral_head {
    uint32_t sizes[CELLA_COLLATERAL_DOCUMENTS];
    uint32_t root_count;
    uint8_t roots[CELLA_COLLATERAL_ROOTS][32]; /* SHA-256 of SubjectPublicKeyInfo */
};
static_assert(sizeof(struct cella_collateral_head) == 288, "collateral head");
static_assert(offsetof(struct cella_collateral_head, roots) == 32, "collateral head");

#endif
