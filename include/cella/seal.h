/*
 * Sealing, inside the enclave: data that only this enclave, or enclaves of the same signer, can open again, on this machine.
 * Public header: plain C11, C++-safe; for enclave code only. Library: libcella_enclave_seal with libcrypto.
 * Format: docs/formats/sealed.md. Never protects against an old copy being put back: keep a counter if that matters.
 */
#ifndef CELLA_SEAL_H
#define CELLA_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cella_seal_policy {
    CELLA_SEAL_MRENCLAVE = 1, /* this very enclave */
    CELLA_SEAL_MRSIGNER =
        2, /* enclaves of the same signer and product id, with this SVN or a newer one */
};

#define CELLA_SEAL_OVERHEAD 144u /* bytes of header and tag */

/* Bytes that sealing takes; 0 when the sum does not fit. */
size_t cella_seal_size(size_t additional_size, size_t data_size);

/*
 * Seals data_size bytes (AES-256-GCM). `additional` is authenticated and stored in the clear. `out` takes
 * cella_seal_size() bytes of enclave memory and must not overlap the inputs. BUFFER_TOO_SMALL, CRYPTO, ENTROPY,
 * INVALID_ARGUMENT. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_seal(enum cella_seal_policy policy, const void *additional,
                                       size_t additional_size, const void *data, size_t data_size,
                                       void *out, size_t out_capacity, size_t *ret_size);

/* What a sealed blob says about itself; authenticated only once cella_unseal has succeeded. */
struct cella_sealed_info {
    enum cella_seal_policy policy;
    uint16_t isv_svn;       /* of the enclave that sealed */
    const void *additional; /* inside the blob */
    size_t additional_size;
    size_t data_size;
};

/* BAD_MAGIC, UNSUPPORTED_VERSION, BAD_FIELD, TRUNCATED, TRAILING_BYTES. */
CELLA_MUST_USE cella_result cella_sealed_inspect(const void *sealed, size_t size,
                                                 struct cella_sealed_info *ret_info);

/*
 * Opens a blob into `out` (info.data_size bytes, not overlapping). AUTH_FAILED: another enclave, signer or machine sealed
 * it, or it was altered; SVN_TOO_OLD: a newer enclave or processor microcode sealed it. On failure `out` is cleared.
 * `sealed` must be enclave memory. `ret_info` may be NULL. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_unseal(const void *sealed, size_t size, void *out,
                                         size_t out_capacity, struct cella_sealed_info *ret_info);

#ifdef __cplusplus
}
#endif
#endif
