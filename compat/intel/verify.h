/*
 * Verification of quotes in the words of Intel's DCAP libraries, over cella/evidence.h.
 * Side: both. Called by untrusted/qv.c (libsgx_dcap_quoteverify) and trusted/ttls.c.
 * Never fetches anything, never chooses a root.
 */
#ifndef CELLA_COMPAT_INTEL_VERIFY_H
#define CELLA_COMPAT_INTEL_VERIFY_H

#include "cella/collateral.h"
#include "sgx_ql_quote.h"
#include "sgx_qve_header.h"

#define INTEL_QUOTE_MIN 1020u /* as Intel's */
#define INTEL_SUPPLEMENTAL_MAJOR 3
#define INTEL_SUPPLEMENTAL_MINOR 4

struct intel_verification {
    struct cella_span quote;
    const struct cella_collateral_item *items;
    size_t item_count;
    const struct cella_roots *roots;
    time_t time;
    const uint8_t *report_data; /* NULL, or 64 bytes that it must be */
};

/*
 * On success a result that does not end the matter (OK, OUT_OF_DATE …) and whether something had expired at the time.
 * Else TEE_QV_RESULT_UNSPECIFIED and what is wrong. `ret_supplemental` may be NULL; its version is the caller's.
 */
quote3_error_t intel_verify(const struct intel_verification *verification, uint32_t *ret_expired,
                            sgx_ql_qv_result_t *ret_result,
                            sgx_ql_qv_supplemental_t *ret_supplemental);

/* What a call that failed before that is called. */
quote3_error_t intel_error_of(cella_result result);

#endif
