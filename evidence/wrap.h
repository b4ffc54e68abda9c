/*
 * What evidence is wrapped in: nothing, Open Enclave's report header, Open Enclave's attestation header.
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the formats.
 */
#ifndef CELLA_EVIDENCE_WRAP_H
#define CELLA_EVIDENCE_WRAP_H

#include "cella/evidence.h"
#include "evidence/quote.h"

/* Evidence taken apart. `quote` is set for SGX and TDX. */
struct wrap {
    struct cella_evidence_claims claims;
    struct quote quote;
    bool
        binds_custom_claims; /* the first half of the report data is SHA-256 of the custom claims, even of none */
};

CELLA_MUST_USE cella_result ev_wrap_parse(struct cella_bytes evidence, struct ev_place *place,
                                          enum cella_evidence_step *ret_step,
                                          struct wrap *ret_wrap);

#endif
