/*
 * Inside an enclave: a signing key's certificate carries evidence of the enclave, and the key leaves it sealed only.
 * Side: enclave. Called by services/attestd/keys.c.
 */
#include "services/attestd/place.h"

#include <openssl/crypto.h>
#include <string.h>

#include "cella/attest.h"
#include "cella/seal.h"
#include "cella/tls.h"

static cella_result quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)context;
    return cella_quote_create(data, out, out_capacity, ret_size);
}

cella_result place_certify(const char *issuer, EVP_PKEY *key, int64_t from, int64_t until,
                           X509 **ret_certificate)
{
    const struct cella_tls_identity_options options = {
        .quote = quote,
        .forms = CELLA_TLS_INTEROPERABLE | CELLA_TLS_OPEN_ENCLAVE,
        .subject = issuer,
        .valid_from = from,
        .valid_until = until,
    };
    return cella_tls_certificate_new(&options, key, ret_certificate);
}

cella_result place_keep(struct cella_bytes pem, const char *kid, uint8_t **ret_kept,
                        size_t *ret_size)
{
    size_t size = cella_seal_size(strlen(kid), pem.size);
    uint8_t *kept = size ? OPENSSL_secure_malloc(size) : NULL;
    CELLA_ENSURE(kept, OUT_OF_MEMORY);
    cella_result result = cella_seal(CELLA_SEAL_MRENCLAVE, kid, strlen(kid), pem.data, pem.size,
                                     kept, size, ret_size);
    if (!cella_is_ok(result)) {
        OPENSSL_secure_free(kept);
        return result;
    }
    *ret_kept = kept;
    return CELLA_OK;
}

cella_result place_open(struct cella_bytes kept, const char *kid, uint8_t **ret_pem,
                        size_t *ret_size)
{
    struct cella_sealed_info info;
    cella_result result = cella_sealed_inspect(kept.data, kept.size, &info);
    CELLA_ENSURE(cella_is_ok(result) && info.additional_size == strlen(kid) &&
                     memcmp(info.additional, kid, info.additional_size) == 0,
                 AUTH_FAILED);
    uint8_t *pem = OPENSSL_secure_malloc(info.data_size + 1);
    CELLA_ENSURE(pem, OUT_OF_MEMORY);
    result = cella_unseal(kept.data, kept.size, pem, info.data_size, NULL);
    if (!cella_is_ok(result)) {
        OPENSSL_secure_free(pem);
        return CELLA_RESULT(AUTH_FAILED);
    }
    *ret_pem = pem;
    *ret_size = info.data_size;
    return CELLA_OK;
}
