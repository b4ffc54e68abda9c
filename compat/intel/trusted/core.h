/*
 * The core's reports, keys and copies for files that include the skin's headers: the two give different contents to the
 * same names, so no file includes both.
 * Side: enclave. Called inside compat/intel/trusted only. Structures are the processor's, byte for byte.
 */
#ifndef COMPAT_INTEL_TRUSTED_CORE_H
#define COMPAT_INTEL_TRUSTED_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

/* `target` 512 bytes, `data` 64 or NULL, `ret_report` 432. */
CELLA_MUST_USE cella_result intel_core_report(const void *target, const void *data,
                                              void *ret_report);
CELLA_MUST_USE cella_result intel_core_report_verify(const void *report);
/* `request` 512 bytes. */
CELLA_MUST_USE cella_result intel_core_key(const void *request, void *ret_key);
/* The XSAVE area of an exception that is being handled (struct cella_exception). */
void *intel_core_xsave(const void *exception, size_t *ret_size);
/* The report of a trust domain (256 bytes); UNSUPPORTED where the processor has no EVERIFYREPORT2. */
CELLA_MUST_USE cella_result intel_core_report2_verify(const void *report);

/* From and to host memory, checked; for buffers that an API lets lie outside. */
CELLA_MUST_USE cella_result intel_core_copy_in(void *to, const void *host, size_t size);
CELLA_MUST_USE cella_result intel_core_copy_out(void *host, const void *from, size_t size);

/* cella_quote_create. */
CELLA_MUST_USE cella_result intel_core_quote(const uint8_t data[64], void *out, size_t out_capacity,
                                             size_t *ret_size);
/* INTEL_OCALL_COLLATERAL. */
CELLA_MUST_USE cella_result intel_core_collateral(const void *quote, size_t quote_size, void *out,
                                                  size_t out_capacity, size_t *ret_size);
/* Whether this enclave is open to debuggers, and so to its host. */
int intel_core_is_debug(void);

#endif
