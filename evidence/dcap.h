/*
 * The parts of verifying a DCAP quote.
 * Side: both. Called by evidence/dcap.c. Never looks at policy.
 */
#ifndef CELLA_EVIDENCE_DCAP_H
#define CELLA_EVIDENCE_DCAP_H

#include "evidence/verify.h"

struct dcap {
    struct ev_verify *verify;
    const struct quote *quote;
    const struct ev_certificate *pck;
    const struct ev_document *tcb_info, *qe_identity;
    const struct ev_certificate *tcb_signer, *qe_signer; /* of these, valid at the time if one is */
    enum cella_tcb_status qe_status;
    int64_t qe_tcb_date;
};

/* The PCK certificate: out of the quote, or out of collateral where the quote has none. Sets dcap->pck. */
CELLA_MUST_USE cella_result ev_dcap_pck(struct dcap *dcap);

/* TCB info and QE identity for this TEE and platform, signed. Sets them. */
CELLA_MUST_USE cella_result ev_dcap_documents(struct dcap *dcap);

/* The quoting enclave against its identity. Sets qe_status. */
CELLA_MUST_USE cella_result ev_dcap_qe_identity(struct dcap *dcap);

/* The TDX module's signer and attributes. Hard. */
CELLA_MUST_USE cella_result ev_dcap_tdx_module(struct dcap *dcap);

/* TCB levels and how the statuses converge. Soft: NOT_SUPPORTED is a status. */
void ev_dcap_status(struct dcap *dcap);

/* Dates, numbers and the root of what was used, for result->details. */
void ev_dcap_details(struct dcap *dcap);

/* The module identity for version `version` (TEE_TCB_SVN[1]); NULL: none. */
const struct tcb_module *ev_dcap_module_find(const struct tcb_info *info, uint8_t version);

#endif
