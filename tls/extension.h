/*
 * The extensions that hold evidence: their object identifiers, finding them, adding them.
 * Side: both. Called inside tls/.
 */
#ifndef CELLA_TLS_EXTENSION_H
#define CELLA_TLS_EXTENSION_H

#include "cella/tls.h"
#include "common/bytes.h"

enum tls_extension {
    TLS_EXTENSION_EVIDENCE,     /* tcg-dice-conceptual-message-wrapper */
    TLS_EXTENSION_ENDORSEMENTS, /* tcg-dice-endorsement-manifest */
    TLS_EXTENSION_QUOTE,        /* as Gramine writes it: the identifier's DER twice */
    TLS_EXTENSION_QUOTE_PLAIN,  /* the same as it was meant */
    TLS_EXTENSION_OE_EVIDENCE,
    TLS_EXTENSION_OE_EVIDENCE_OLD,
    TLS_EXTENSION_OE_REPORT,
    TLS_EXTENSION_OE_REPORT_OLD,
    TLS_EXTENSION_COUNT,
};

/* The value, in the certificate. NOT_FOUND; BAD_FIELD: there is more than one. */
CELLA_MUST_USE cella_result tls_extension_find(const X509 *certificate, enum tls_extension which,
                                               struct cella_bytes *ret_value);

/* Not critical: TLS libraries refuse critical extensions that they do not know. CRYPTO. */
CELLA_MUST_USE cella_result tls_extension_add(X509 *certificate, enum tls_extension which,
                                              struct cella_bytes value);

#endif
