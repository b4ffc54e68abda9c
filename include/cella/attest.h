/*
 * Remote attestation on both sides: quotes of enclaves, and evidence that carries claims.
 * Public header: plain C11, C++-safe. Enclave: libcella_enclave (quotes), libcella_enclave_attest with libcrypto (evidence).
 * Host: libcella_host. Local attestation between enclaves is cella/report.h.
 *
 * Quotes come from the AESM socket (cella-quoted, or Intel's daemon) or from a quoting enclave that the host loads into
 * its own process: docs/attestation.md. A quote proves to a verifier only what the verifier's trusted root says.
 */
#ifndef CELLA_ATTEST_H
#define CELLA_ATTEST_H

#include <stddef.h>
#include <stdint.h>

#include "abi/quote.h"
#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CELLA_QUOTE_MAX (128u << 10) /* bytes; a longer one is refused */

/* ------------------------------------------------------------------- inside the enclave */

/*
 * A quote v3 of this enclave that binds `data` (64 bytes, NULL: zeros). The host brings it: it is checked to be about
 * this enclave and this data, its signature is the verifier's matter. BUFFER_TOO_SMALL with the size in *ret_size
 * (`out` NULL and 0: asks for the size); HOST_VALUE, HOST_REFUSED and RESOURCE codes as the host fails. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_quote_create(const uint8_t *data, void *out, size_t out_capacity,
                                               size_t *ret_size);

/* A custom claim. `name` ends with a zero. */
struct cella_claim {
    const char *name;
    const void *value;
    size_t value_size;
};

/* Names of the claims that `nonce` and `user_data` become. */
#define CELLA_CLAIM_NONCE "nonce"
#define CELLA_CLAIM_USER_DATA "user_data"
/* Of those that the host chose (cella_enclave_evidence): they say nothing of what the enclave wants to be bound. */
#define CELLA_CLAIM_HOST_NONCE "host_nonce"
#define CELLA_CLAIM_HOST_USER_DATA "host_user_data"

struct cella_evidence_request {
    const void *nonce; /* the verifier's; NULL: no such claim */
    size_t nonce_size;
    const void *user_data; /* NULL: no such claim */
    size_t user_data_size;
    const struct cella_claim *claims;
    size_t claim_count;
};

/*
 * Evidence about this enclave: a quote, and the claims, which the quote binds by their SHA-256. Format: Open Enclave's
 * SGX ECDSA evidence with its header (docs/formats/evidence.md), which its verifiers and Azure Attestation take.
 * Errors as cella_quote_create. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_evidence_get(const struct cella_evidence_request *request,
                                               void *out, size_t out_capacity, size_t *ret_size);

/* ------------------------------------------------------------------- on the host */

struct cella_error;

#pragma GCC visibility push(default)

/* How the host gets quotes. */
enum cella_quote_way {
    CELLA_QUOTE_AUTO,   /* SGX_AESM_ADDR in the environment: SOCKET; else IN_PROCESS, else SOCKET */
    CELLA_QUOTE_SOCKET, /* from the daemon */
    CELLA_QUOTE_IN_PROCESS, /* software: loads the quoting enclave; hardware: libsgx_dcap_ql.so.1 */
};

/*
 * For all that follows in this process. `socket` NULL: $CELLA_AESM_SOCKET, or $SGX_AESM_ADDR where that is a path, or
 * /var/run/aesmd/aesm.socket. Copied. INVALID_ARGUMENT: path too long for a socket.
 */
CELLA_MUST_USE cella_result cella_quotes_use(enum cella_quote_way way, const char *socket);

/* Instead of 1 (software) or 0 (hardware): the processor that enclaves of this process get when nobody chooses. */
#define CELLA_QUOTE_ANY_PROCESSOR (-1)

/*
 * Whom a report is to be made for, and how long a quote is; either may be NULL. `software`: 1 for enclaves on the
 * software processor. NO_DEVICE, IO, NOT_FOUND (no quoting enclave, no socket), BUSY (timeout). Thread-safe.
 */
CELLA_MUST_USE cella_result cella_quote_target(int software, struct sgx_targetinfo *ret_target,
                                               uint32_t *ret_quote_size, struct cella_error *error);

/*
 * The quote of a report for that target. `info` may be NULL; else nonce and target go in, and the quoting enclave's
 * report comes back in it. AUTH_FAILED: the report was not made on this processor for that target. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_quote_of_report(int software, const struct sgx_report *report,
                                                  struct sgx_qe_report_info *info, void *out,
                                                  size_t out_capacity, size_t *ret_size,
                                                  struct cella_error *error);

struct cella_enclave;

/*
 * Evidence from an enclave that links libcella_enclave_attest, at the host's request, with `nonce` and `user_data`,
 * which the host chose, as the claims host_nonce and host_user_data: never what an enclave gets from its own
 * cella_evidence_get. NOT_FOUND: the enclave does not link it.
 */
CELLA_MUST_USE cella_result cella_enclave_evidence(struct cella_enclave *enclave, const void *nonce,
                                                   size_t nonce_size, const void *user_data,
                                                   size_t user_data_size, void *out,
                                                   size_t out_capacity, size_t *ret_size,
                                                   struct cella_error *error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
