/*
 * SEV-SNP attestation reports (AMD 56860, "SEV Secure Nested Paging Firmware ABI", ATTESTATION_REPORT), versions 2 to 5,
 * the certificate table that may follow one (AMD 56421, GHCB, SNP extended guest request), and the certificates that
 * AMD's KDS issues (AMD 57230, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification").
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the formats.
 */
#ifndef CELLA_EVIDENCE_SNP_H
#define CELLA_EVIDENCE_SNP_H

#include "cella/evidence.h"
#include "evidence/x509.h"

#define SNP_REPORT_SIZE 1184u
#define SNP_SIGNED_SIZE 0x2A0u

enum snp_signing_key {
    SNP_KEY_VCEK = 0,
    SNP_KEY_VLEK = 1,
    SNP_KEY_NONE = 7,
};

/* The report at the start of `bytes`. MALFORMED results. */
CELLA_MUST_USE cella_result ev_snp_report_parse(struct cella_bytes bytes, struct ev_place *place,
                                                struct cella_evidence_claims *ret_claims);

/* TCB_VERSION as `product` lays it out. */
struct cella_snp_tcb ev_snp_tcb_of(enum cella_snp_product product, uint64_t raw);

/* Certificates of the table behind a report; stops at the first thing that is not well-formed. */
struct snp_certificates {
    struct cella_bytes table;
    struct cella_cursor cursor;
};
struct snp_certificates ev_snp_certificates_of(struct cella_bytes evidence);
bool ev_snp_certificates_next(struct snp_certificates *certificates, struct cella_bytes *ret_der);

/* What a VCEK or VLEK says in AMD's extensions. */
struct snp_endorsement {
    bool is_vlek;
    enum cella_snp_product product; /* by the extension */
    struct cella_snp_tcb tcb;       /* `raw` unset */
    struct cella_bytes hwid;        /* VCEK: 64 bytes, 8 from Turin on */
};

/* BAD_FIELD: this is neither a VCEK nor a VLEK. */
CELLA_MUST_USE cella_result ev_snp_endorsement_parse(const struct x509_certificate *certificate,
                                                     struct ev_place *place,
                                                     struct snp_endorsement *ret_endorsement);

/* By the end of a common name as in SEV-Milan, SEV-VLEK-Genoa, ARK-Turin, or the start of a product name, Milan-B0. */
enum cella_snp_product ev_snp_product_of(struct cella_bytes name);

#endif
