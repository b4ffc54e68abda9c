/*
 * A certificate with a quote, before the quote is verified.
 * Side: both. Called by trusted/ttls.c and untrusted/utls.c.
 */
#ifndef CELLA_COMPAT_INTEL_TLS_LOOK_H
#define CELLA_COMPAT_INTEL_TLS_LOOK_H

#include <openssl/x509.h>

#include "cella/tls.h"
#include "sgx_ql_quote.h"
#include "sgx_qve_header.h"

struct intel_tls_look {
    X509 *certificate;
    struct cella_span quote; /* in the certificate; it names the certificate's key */
};

/* Signed by its own key, begun at that time, with a quote that names the key. Whether it is over is the caller's matter. */
quote3_error_t intel_tls_look(const uint8_t *der, size_t size, time_t time,
                              struct intel_tls_look *ret_look);
void intel_tls_look_done(struct intel_tls_look *look);

/* A copy for the caller to free; nothing where the pointers are NULL. */
quote3_error_t intel_tls_supplemental(const sgx_ql_qv_supplemental_t *supplemental,
                                      uint8_t **ret_data, uint32_t *ret_size);

#endif
