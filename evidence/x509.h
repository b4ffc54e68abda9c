/*
 * X.509 certificates and CRLs (RFC 5280): what the chains of Intel and AMD use, and nothing else.
 * Side: both; freestanding but for key kinds. Called inside evidence/. Never verifies, never copies: spans of the DER.
 */
#ifndef CELLA_EVIDENCE_X509_H
#define CELLA_EVIDENCE_X509_H

#include "evidence/crypto.h"
#include "evidence/der.h"

struct x509_signature {
    enum ev_signature_kind kind;
    struct cella_bytes bytes;
};

struct x509_certificate {
    struct cella_bytes der, tbs;
    struct cella_bytes serial;          /* content of the INTEGER */
    struct cella_bytes issuer, subject; /* whole Name */
    struct cella_bytes common_name;     /* of the subject; empty: none */
    int64_t not_before, not_after;
    struct cella_bytes spki; /* whole SubjectPublicKeyInfo */
    enum ev_key_kind key_kind;
    struct cella_bytes key, exponent; /* point; or modulus and exponent */
    bool is_ca, has_path_length, has_key_usage, may_sign_certificates;
    uint64_t path_length;
    struct cella_bytes extensions; /* content of the SEQUENCE OF; empty: none */
    struct x509_signature signature;
};

/* Exactly one certificate. MALFORMED results. */
CELLA_MUST_USE cella_result ev_x509_certificate_parse(struct cella_bytes der,
                                                      struct ev_place *place,
                                                      struct x509_certificate *ret_certificate);

/* The extension with this OID (content bytes); its value is the OCTET STRING's content. */
bool ev_x509_extension_find(const struct x509_certificate *certificate, struct cella_bytes oid,
                            struct cella_bytes *ret_value);

/* "SHA-256 of the SubjectPublicKeyInfo" is how roots are named. Makes a key for verification. */
CELLA_MUST_USE cella_result ev_x509_key(const struct ev_crypto *crypto,
                                        const struct x509_certificate *certificate,
                                        struct ev_key *ret_key);

struct x509_crl {
    struct cella_bytes der, tbs, issuer;
    int64_t this_update, next_update;
    uint32_t number;            /* CRL number; 0: none, or beyond 32 bits */
    struct cella_bytes revoked; /* content of the SEQUENCE OF; empty: none */
    struct x509_signature signature;
};

CELLA_MUST_USE cella_result ev_x509_crl_parse(struct cella_bytes der, struct ev_place *place,
                                              struct x509_crl *ret_crl);
bool ev_x509_crl_has(const struct x509_crl *crl, struct cella_bytes serial);

/* Is this SEQUENCE a CRL rather than a certificate? Only a look at its shape. */
bool ev_x509_looks_like_crl(struct cella_bytes der);

#endif
