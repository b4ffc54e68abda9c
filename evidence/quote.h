/*
 * DCAP quotes (Intel SGX ECDSA QuoteLibReference DCAP API, appendix A; TDX DCAP Quoting Library API, A.3 and A.4),
 * versions 3, 4 and 5, as spans.
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the format.
 */
#ifndef CELLA_EVIDENCE_QUOTE_H
#define CELLA_EVIDENCE_QUOTE_H

#include "cella/evidence.h"
#include "evidence/place.h"

#define QUOTE_HEADER_SIZE 48u
#define QUOTE_SGX_BODY_SIZE 384u
#define QUOTE_TDX10_BODY_SIZE 584u
#define QUOTE_TDX15_BODY_SIZE 648u

enum quote_certification {
    QUOTE_PPID_CLEAR = 1,
    QUOTE_PPID_RSA2048 = 2,
    QUOTE_PPID_RSA3072 = 3,
    QUOTE_PCK_CERTIFICATE = 4,
    QUOTE_PCK_CHAIN = 5,
    QUOTE_QE_REPORT = 6,
    QUOTE_PLATFORM_MANIFEST = 7,
};

struct quote {
    struct cella_bytes bytes; /* from header to the end of the authentication data */
    uint16_t version;
    enum cella_tee tee;
    struct cella_bytes body;           /* report body or TD report */
    struct cella_bytes signed_part;    /* header, (body descriptor,) body */
    struct cella_bytes signature, key; /* 64 bytes each */
    struct cella_bytes qe_report, qe_signature, qe_authentication;
    uint16_t certification_type;
    struct cella_bytes certification;
};

/* A quote at the start of `bytes`; what is behind it is the caller's. MALFORMED results. */
CELLA_MUST_USE cella_result ev_quote_parse(struct cella_bytes bytes, struct ev_place *place,
                                           struct quote *ret_quote);

void ev_quote_claims(const struct quote *quote, struct cella_evidence_claims *claims);

#endif
