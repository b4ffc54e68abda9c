/*
 * The SGX extensions of PCK certificates (Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
 * Side: both; freestanding. Called inside evidence/. Never verifies.
 */
#ifndef CELLA_EVIDENCE_PCK_H
#define CELLA_EVIDENCE_PCK_H

#include "cella/evidence.h"
#include "evidence/x509.h"

/* BAD_FIELD: no such extension, one of its values is missing or twice. */
CELLA_MUST_USE cella_result ev_pck_parse(const struct x509_certificate *certificate,
                                         struct ev_place *place,
                                         struct cella_platform_claims *ret_platform);

#endif
