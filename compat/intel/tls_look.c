/*
 * A certificate with a quote, before the quote is verified. tls_look.h is the manual.
 * Side: both. Called by trusted/ttls.c and untrusted/utls.c; the certificate comes from a peer.
 * Never believes its names or its issuer.
 */
#include "compat/intel/tls_look.h"

#include <stdlib.h>
#include <string.h>

#define CERTIFICATE_MAX ((size_t)1 << 20)

static quote3_error_t check(struct intel_tls_look *look, time_t time)
{
    enum cella_tls_form form;
    EVP_PKEY *key = X509_get0_pubkey(look->certificate);
    if (!key || X509_verify(look->certificate, key) != 1) {
        return SGX_QL_RESULT_INVALID_SIGNATURE;
    }
    if (X509_cmp_time(X509_get0_notBefore(look->certificate), &time) > 0 ||
        X509_cmp_time(X509_get0_notAfter(look->certificate), &time) < 0) {
        return SGX_QL_SGX_PCK_CERT_CHAIN_EXPIRED;
    }
    const cella_result result = cella_tls_certificate_evidence(
        look->certificate, CELLA_TLS_INTEROPERABLE | CELLA_TLS_GRAMINE, &form, &look->quote, NULL);
    switch (result.code) {
    case CELLA_CODE_OK:
        return SGX_QL_SUCCESS;
    case CELLA_CODE_WRONG_KEY:
        return SGX_QL_ERROR_PUB_KEY_ID_MISMATCH;
    case CELLA_CODE_OUT_OF_MEMORY:
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    default:
        return SGX_QL_QUOTE_FORMAT_UNSUPPORTED;
    }
}

quote3_error_t intel_tls_look(const uint8_t *der, size_t size, time_t time,
                              struct intel_tls_look *ret_look)
{
    const uint8_t *at = der;
    if (size > CERTIFICATE_MAX) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *ret_look = (struct intel_tls_look){.certificate = d2i_X509(NULL, &at, (long)size)};
    quote3_error_t error = SGX_QL_ERROR_INVALID_PARAMETER;
    if (ret_look->certificate && at == der + size) {
        error = check(ret_look, time);
    }
    if (error != SGX_QL_SUCCESS) {
        intel_tls_look_done(ret_look);
    }
    return error;
}

void intel_tls_look_done(struct intel_tls_look *look)
{
    X509_free(look->certificate);
    look->certificate = NULL;
}

quote3_error_t intel_tls_supplemental(const sgx_ql_qv_supplemental_t *supplemental,
                                      uint8_t **ret_data, uint32_t *ret_size)
{
    if (!ret_data) {
        return SGX_QL_SUCCESS;
    }
    *ret_data = malloc(sizeof(*supplemental));
    if (!*ret_data) {
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    memcpy(*ret_data, supplemental, sizeof(*supplemental));
    *ret_size = sizeof(*supplemental);
    return SGX_QL_SUCCESS;
}
