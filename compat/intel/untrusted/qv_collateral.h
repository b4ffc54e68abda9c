/*
 * Collateral in the structure of Intel's DCAP libraries, and where it comes from.
 * Side: host. Called by untrusted/qv.c only.
 */
#ifndef CELLA_COMPAT_INTEL_QV_COLLATERAL_H
#define CELLA_COMPAT_INTEL_QV_COLLATERAL_H

#include <stdbool.h>

#include "cella/collateral.h"
#include "common/error.h"
#include "sgx_ql_lib_common.h"

/* The provider library instead of the one that is found by name. Copied. False: the path is too long. */
bool qv_provider_set(const char *path);

/* For the platform of the quote, from wherever this machine has it. */
quote3_error_t qv_collateral_fetch(struct cella_span quote,
                                   struct cella_quote_documents *ret_documents);

/* The caller's own. */
quote3_error_t qv_collateral_items(const sgx_ql_qve_collateral_t *collateral,
                                   struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT]);

quote3_error_t qv_platform_read(struct cella_span quote, struct cella_platform_claims *ret);

#endif
