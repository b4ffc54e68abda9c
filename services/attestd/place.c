/*
 * An ordinary process: certificates without evidence, keys protected by the database file's mode.
 * Side: services. Called by keys.c.
 */
#include "services/attestd/place.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

static bool fill(X509 *certificate, const char *issuer, EVP_PKEY *key, int64_t from, int64_t until)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    BIGNUM *serial = BN_new();
    bool good = serial && X509_set_version(certificate, 2) == 1 &&
                BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) &&
                ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from) &&
                ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until) &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)issuer,
                                           -1, -1, 0) == 1 &&
                X509_set_issuer_name(certificate, name) == 1 &&
                X509_set_pubkey(certificate, key) == 1 &&
                X509_sign(certificate, key, EVP_sha256()) > 0;
    BN_free(serial);
    return good;
}

cella_result place_certify(const char *issuer, EVP_PKEY *key, int64_t from, int64_t until,
                           X509 **ret_certificate)
{
    X509 *certificate = X509_new();
    CELLA_ENSURE(certificate, OUT_OF_MEMORY);
    if (!fill(certificate, issuer, key, from, until)) {
        X509_free(certificate);
        return CELLA_RESULT(CRYPTO);
    }
    *ret_certificate = certificate;
    return CELLA_OK;
}

static cella_result copy(struct cella_bytes bytes, uint8_t **ret_copy, size_t *ret_size)
{
    uint8_t *made = OPENSSL_secure_malloc(bytes.size + 1);
    CELLA_ENSURE(made, OUT_OF_MEMORY);
    memcpy(made, bytes.data, bytes.size);
    *ret_copy = made;
    *ret_size = bytes.size;
    return CELLA_OK;
}

cella_result place_keep(struct cella_bytes pem, const char *kid, uint8_t **ret_kept,
                        size_t *ret_size)
{
    (void)kid;
    return copy(pem, ret_kept, ret_size);
}

cella_result place_open(struct cella_bytes kept, const char *kid, uint8_t **ret_pem,
                        size_t *ret_size)
{
    (void)kid;
    return copy(kept, ret_pem, ret_size);
}
