/*
 * Attested TLS: certificates that carry evidence of the enclave that has their key, and TLS 1.3 contexts that check it.
 * Public header: C11, C++-safe; over OpenSSL 3. Library: libcella_tls, for enclaves with a libc (sockets module),
 * their hosts, and ordinary programs.
 *
 * The certificate is self-signed. What is trusted is not its issuer but the evidence in an extension, which names the
 * certificate's key; TLS proves that the peer has that key. Forms (docs/formats/attested-tls.md): the interoperable
 * RA-TLS one of the Confidential Computing Consortium, which Gramine, Intel's SDK and rats-tls speak; Gramine's older
 * one; Open Enclave's two.
 */
#ifndef CELLA_TLS_H
#define CELLA_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/evidence.h"
#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the certificate holds evidence; bits. */
enum cella_tls_form {
    CELLA_TLS_INTEROPERABLE =
        1, /* 2.23.133.5.4.9: CBOR 60000([quote, claims]), report data SHA-256(claims) */
    CELLA_TLS_GRAMINE =
        2, /* 1.2.840.113741.1337.6: quote, report data SHA-256(SubjectPublicKeyInfo) */
    CELLA_TLS_OPEN_ENCLAVE =
        4, /* 1.3.6.1.4.1.311.105.2: OE evidence, the PEM public key as custom claims */
    CELLA_TLS_OPEN_ENCLAVE_REPORT =
        8, /* 1.3.6.1.4.1.311.105.1: OE report over SHA-256 of the PEM public key */
    CELLA_TLS_ANY = 15,
};

/* ------------------------------------------------------------------------- who one is */

/*
 * Makes a quote that binds `data`. cella_quote_create of cella/attest.h fits with a line around it; BUFFER_TOO_SMALL
 * with the size in *ret_size when `out` is too small.
 */
typedef cella_result (*cella_tls_quote_fn)(void *context, const uint8_t data[64], void *out,
                                           size_t out_capacity, size_t *ret_size);

/* What is behind the evidence of a certificate, for verifiers without collateral of their own. All may be empty. */
struct cella_tls_endorsements {
    struct cella_span tcb_info, tcb_info_chain, pck_crl, root_ca_crl, pck_crl_chain, qe_identity,
        qe_identity_chain;
};

/* Zero what is not wanted. */
struct cella_tls_identity_options {
    cella_tls_quote_fn quote; /* required */
    void *quote_context;
    uint32_t forms;      /* 0: CELLA_TLS_INTEROPERABLE. One quote is made for each */
    const char *subject; /* common name; NULL: "Cella enclave" */
    int64_t valid_from;  /* seconds since 1970; required with valid_until */
    int64_t valid_until;
    const void *nonce; /* the verifier's, INTEROPERABLE only; at most CELLA_TLS_NONCE_MAX bytes */
    size_t nonce_size;
    const struct cella_tls_endorsements *endorsements; /* INTEROPERABLE only */
};
#define CELLA_TLS_NONCE_MAX 256u

/* A new key on P-256, which stays where it was made. CRYPTO, OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_tls_key_new(EVP_PKEY **ret_key);

/*
 * The self-signed certificate of a key, with evidence. Results of `quote`; INVALID_ARGUMENT, CRYPTO, OUT_OF_MEMORY.
 * The caller frees it.
 */
CELLA_MUST_USE cella_result cella_tls_certificate_new(
    const struct cella_tls_identity_options *options, EVP_PKEY *key, X509 **ret_certificate);

/* ------------------------------------------------------------------------- who the other is */

/* Gives collateral for a piece of evidence, prepared; it stays the giver's, and is not changed while the context lives. */
typedef cella_result (*cella_tls_collateral_fn)(void *context, struct cella_span evidence,
                                                const struct cella_prepared **ret_prepared);

/* Borrowed by contexts and must outlive them; read by many threads. Zero what is not wanted. */
struct cella_tls_verifier {
    const struct cella_evidence_policy *policy; /* required */
    const struct cella_prepared *prepared;      /* collateral, or: */
    cella_tls_collateral_fn collateral; /* or neither: the certificate's own endorsements, under: */
    void *collateral_context;
    const struct cella_roots *roots; /* NULL: those that are built in */
    uint32_t forms;                  /* accepted; 0: CELLA_TLS_ANY */
    const void *nonce; /* the interoperable claims must have this one; NULL: any or none */
    size_t nonce_size;
    uint32_t max_age;  /* seconds since the certificate's notBefore; 0: any */
    bool allow_issued; /* also certificates that their own key has not signed, but an authority */
    int64_t (*time)(void); /* seconds since 1970; NULL: time() */
};

#define CELLA_TLS_REASON_SIZE 384u

/* What a certificate proved, or why not. Spans are there while the certificate is, and only when it was accepted. */
struct cella_tls_peer {
    cella_result result;
    char reason[CELLA_TLS_REASON_SIZE]; /* one line; empty when result is OK */
    enum cella_tls_form form;
    struct cella_span nonce;               /* in the certificate; empty: none */
    struct cella_evidence_result evidence; /* spans point into the certificate */
};

/*
 * Checks a certificate: evidence of an accepted form, that it names this certificate's key, dates, policy. Says nothing
 * about who has the key: TLS does. `ret_peer` is always written; its spans live as long as `certificate`. Thread-safe.
 * BAD_SYNTAX and other MALFORMED results, NOT_FOUND (no evidence), POLICY results.
 */
CELLA_MUST_USE cella_result cella_tls_certificate_verify(X509 *certificate,
                                                         const struct cella_tls_verifier *verifier,
                                                         struct cella_tls_peer *ret_peer);

/*
 * The evidence in a certificate, and its form: the first of those accepted (0: any). It names the certificate's key;
 * nothing else of it is verified. Errors as cella_tls_certificate_verify. `reason` (CELLA_TLS_REASON_SIZE) may be NULL.
 */
CELLA_MUST_USE cella_result cella_tls_certificate_evidence(X509 *certificate, uint32_t forms,
                                                           enum cella_tls_form *ret_form,
                                                           struct cella_span *ret_evidence,
                                                           char *reason);

/* ------------------------------------------------------------------------- connections */

enum cella_tls_side {
    CELLA_TLS_CLIENT,
    CELLA_TLS_SERVER,
};

struct cella_tls_context_options {
    enum cella_tls_side side;
    EVP_PKEY *key; /* with `certificate`, or NULL for a client that has no evidence */
    X509 *certificate;
    const struct cella_tls_verifier *verifier; /* NULL, for servers only: the client is not asked */
};

/*
 * A context for SSL_new: TLS 1.3 only, no resumption (each connection is verified), the peer's certificate checked by
 * `verifier`. Everything else is OpenSSL's to set. The caller frees it. INVALID_ARGUMENT, CRYPTO, OUT_OF_MEMORY.
 */
CELLA_MUST_USE cella_result cella_tls_context_new(const struct cella_tls_context_options *options,
                                                  SSL_CTX **ret_context);

/* What the peer's certificate proved, or why it was refused; NULL before that. Owned by the connection. */
const struct cella_tls_peer *cella_tls_peer(const SSL *connection);

#ifdef __cplusplus
}
#endif
#endif
