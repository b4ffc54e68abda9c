/*
 * What the readers of certificates and of CRLs share.
 * Side: both; freestanding. Called by evidence/x509.c and x509_crl.c. Never verifies.
 */
#ifndef CELLA_EVIDENCE_X509_INTERNAL_H
#define CELLA_EVIDENCE_X509_INTERNAL_H

#include "evidence/x509.h"

struct x509_extension {
    struct cella_bytes oid, value;
    bool is_critical;
};

CELLA_MUST_USE cella_result ev_x509_extension_read(struct der *extensions,
                                                   struct x509_extension *ret_extension);
CELLA_MUST_USE cella_result ev_x509_algorithm_read(struct der *der,
                                                   enum ev_signature_kind *ret_kind,
                                                   struct cella_bytes *ret_whole);
/* SEQUENCE { to be signed, algorithm, signature }. */
CELLA_MUST_USE cella_result ev_x509_signed_read(struct cella_bytes der, struct ev_place *place,
                                                struct der *ret_tbs,
                                                struct cella_bytes *ret_tbs_whole,
                                                struct cella_bytes *ret_algorithm,
                                                struct x509_signature *ret_signature);

#endif
