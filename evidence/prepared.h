/*
 * Collateral, parsed and its signatures checked: what cella_evidence_prepare makes and verifiers only read.
 * Side: both. Called inside evidence/. Dates are looked at later, at verification.
 */
#ifndef CELLA_EVIDENCE_PREPARED_H
#define CELLA_EVIDENCE_PREPARED_H

#include "evidence/pool.h"
#include "evidence/tcb_info.h"

#define PREPARED_CERTIFICATE_MAX 48u
#define PREPARED_CRL_MAX 24u
#define PREPARED_DOCUMENT_MAX 32u
#define PREPARED_FAULT_MAX 16u

/* Why something is not usable. */
struct ev_fault {
    cella_result result;
    enum cella_evidence_step step;
    struct ev_object object;
    struct ev_place place;
};

struct ev_crl {
    struct x509_crl x509;
    struct ev_object object;
    const struct ev_certificate *issuer; /* signed by it, and it is trusted; NULL: not */
    enum ev_distrust distrust;           /* where issuer is NULL */
};

/* TCB info or QE identity. */
struct ev_document {
    enum cella_collateral_kind kind;
    struct ev_object object;
    struct cella_bytes body;             /* what is signed: the inner object's very bytes */
    uint8_t signature[64];               /* r, s */
    const struct ev_certificate *signer; /* NULL: not verified, `fault` says why */
    const struct ev_certificate *blame; /* a TCB signing certificate that is not trusted; or NULL */
    struct ev_fault fault;
    union {
        struct tcb_info tcb_info;
        struct qe_identity qe_identity;
    };
};

struct cella_prepared {
    struct ev_arena arena;
    struct ev_crypto crypto;
    struct cella_roots roots;
    struct ev_pool pool;
    struct ev_certificate certificates[PREPARED_CERTIFICATE_MAX];
    struct ev_crl crls[PREPARED_CRL_MAX];
    size_t crl_count;
    struct ev_document documents[PREPARED_DOCUMENT_MAX];
    size_t document_count;
    struct ev_fault faults[PREPARED_FAULT_MAX]; /* of items that could not be read at all */
    size_t fault_count;
};

/* The CRL of `issuer` (by name and key): of those valid at `time` the newest, else the newest of then. NULL: none. */
const struct ev_crl *ev_prepared_crl(const struct cella_prepared *prepared,
                                     const struct ev_certificate *issuer, int64_t time);

#endif
