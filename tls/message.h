/*
 * The CBOR inside attested certificates: evidence with its claims, and endorsements. Source: CCC Attestation SIG,
 * "Interoperable RA-TLS X.509 Cert and Evidence Formats" and "Interoperable RA-TLS SGX / TDX Evidence Tags and Formats".
 * Side: both. Called inside tls/. Allocates nothing.
 */
#ifndef CELLA_TLS_MESSAGE_H
#define CELLA_TLS_MESSAGE_H

#include "cella/tls.h"
#include "common/bytes.h"

#define TLS_TAG_TEE_QUOTE 60000u /* SGX and TDX quotes */
#define TLS_CLAIMS_MAX                                                                             \
    512u /* bytes that tls_claims_make writes at most, with a nonce of CELLA_TLS_NONCE_MAX */

/* Numbers of the IANA named information hash algorithm registry. */
enum tls_hash {
    TLS_SHA256 = 1,
    TLS_SHA384 = 7,
    TLS_SHA512 = 8,
};

/* Borrowed from the extension. */
struct tls_message {
    struct cella_bytes quote;
    struct cella_bytes claims; /* their SHA-256 is the quote's report data */
    uint64_t hash;             /* enum tls_hash, or another registered number */
    struct cella_bytes key_hash;
    struct cella_bytes nonce;
    bool has_nonce;
};

/*
 * BAD_SYNTAX (not CBOR of that form), UNSUPPORTED (another tag), NOT_FOUND (no pubkey-hash), BAD_FIELD (a claim twice),
 * LIMIT_EXCEEDED (too many claims), TRUNCATED, TRAILING_BYTES.
 */
CELLA_MUST_USE cella_result tls_message_parse(struct cella_bytes extension,
                                              struct tls_message *ret_message);

/* { "pubkey-hash": [1, SHA-256], "nonce": … }. `out` has TLS_CLAIMS_MAX bytes. */
size_t tls_claims_make(const uint8_t key_sha256[32], const void *nonce, size_t nonce_size,
                       uint8_t *out);

/* 60000([quote, claims]). BUFFER_TOO_SMALL. */
CELLA_MUST_USE cella_result tls_message_make(struct cella_bytes quote, struct cella_bytes claims,
                                             uint8_t *out, size_t capacity, size_t *ret_size);

/* The order of Open Enclave's oe_sgx_endorsements_fields_t, which the form takes over, without version and date. */
#define TLS_ENDORSEMENTS 7u

CELLA_MUST_USE cella_result tls_endorsements_parse(struct cella_bytes extension,
                                                   struct cella_bytes ret_items[TLS_ENDORSEMENTS]);
CELLA_MUST_USE cella_result tls_endorsements_make(const struct cella_tls_endorsements *endorsements,
                                                  uint8_t *out, size_t capacity, size_t *ret_size);

#endif
