/*
 * The two certificate revocation lists: the root's, of CAs and the TCB signing certificate; the PCK CA's, of PCK
 * certificates.
 * Side: host. Called by platform.c. Source: Intel SGX PCK certificate and CRL profile specification 1.5, chapter 3.
 * Never revokes what nobody asked for.
 */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "platform/internal.h"

PLATFORM_FREE(time, ASN1_TIME, ASN1_TIME_free)
PLATFORM_FREE(integer, ASN1_INTEGER, ASN1_INTEGER_free)
PLATFORM_FREE(enumerated, ASN1_ENUMERATED, ASN1_ENUMERATED_free)
PLATFORM_FREE(revoked, X509_REVOKED, X509_REVOKED_free)
PLATFORM_FREE(extension, X509_EXTENSION, X509_EXTENSION_free)

static cella_result revoke(X509_CRL *crl, X509 *certificate, int64_t when,
                           struct cella_error *error)
{
    CELLA_CLEANUP(platform_revoked_done) X509_REVOKED *entry = X509_REVOKED_new();
    CELLA_CLEANUP(platform_time_done) ASN1_TIME *time = ASN1_TIME_set(NULL, when);
    CELLA_CLEANUP(platform_enumerated_done) ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
    PLATFORM_CHECK(
        entry && time && reason && ASN1_ENUMERATED_set(reason, CRL_REASON_KEY_COMPROMISE) == 1 &&
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)) == 1 &&
            X509_REVOKED_set_revocationDate(entry, time) == 1 &&
            X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1 &&
            X509_CRL_add0_revoked(crl, entry) == 1,
        error, "revocation");
    entry = NULL;
    return CELLA_OK;
}

static cella_result extensions_add(X509_CRL *crl, X509 *issuer, uint32_t number,
                                   struct cella_error *error)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    CELLA_CLEANUP(platform_extension_done)
    X509_EXTENSION *key =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    CELLA_CLEANUP(platform_integer_done) ASN1_INTEGER *value = ASN1_INTEGER_new();
    PLATFORM_CHECK(value && ASN1_INTEGER_set_uint64(value, number ? number : 1) == 1 &&
                       X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1 && key &&
                       X509_CRL_add_ext(crl, key, -1) == 1,
                   error, "CRL extensions");
    return CELLA_OK;
}

static cella_result encode(X509_CRL *crl, struct platform_blob *ret_der,
                           struct platform_blob *ret_pem, struct cella_error *error)
{
    uint8_t *der = NULL;
    const int size = i2d_X509_CRL(crl, &der);
    PLATFORM_CHECK(size > 0, error, "CRL");
    const cella_result result = platform_blob_of(der, (size_t)size, ret_der);
    OPENSSL_free(der);
    CELLA_TRY(result);
    CELLA_CLEANUP(platform_bio_done) BIO *text = BIO_new(BIO_s_mem());
    char *pem;
    PLATFORM_CHECK(text && PEM_write_bio_X509_CRL(text, crl) == 1, error, "CRL");
    const long pem_size = BIO_get_mem_data(text, &pem);
    return platform_blob_of(pem, (size_t)pem_size, ret_pem);
}

/* The CRL of one CA; `revoked` lists certificates, NULL where one is good. */
static cella_result crl_make(const struct platform *platform,
                             const struct platform_collateral_options *options,
                             enum platform_certificate issuer, X509 *const revoked[2],
                             struct platform_blob *ret_der, struct platform_blob *ret_pem,
                             struct cella_error *error)
{
    X509 *certificate = platform->certificates[issuer];
    CELLA_CLEANUP(platform_crl_done) X509_CRL *crl = X509_CRL_new();
    CELLA_CLEANUP(platform_time_done) ASN1_TIME *from = ASN1_TIME_set(NULL, options->issued);
    CELLA_CLEANUP(platform_time_done) ASN1_TIME *until = ASN1_TIME_set(NULL, options->next_update);
    PLATFORM_CHECK(crl && from && until && X509_CRL_set_version(crl, 1) == 1 &&
                       X509_CRL_set_issuer_name(crl, X509_get_subject_name(certificate)) == 1 &&
                       X509_CRL_set1_lastUpdate(crl, from) == 1 &&
                       X509_CRL_set1_nextUpdate(crl, until) == 1,
                   error, "CRL");
    for (size_t i = 0; i < 2; i++) {
        if (revoked[i]) {
            CELLA_TRY(revoke(crl, revoked[i], options->issued, error));
        }
    }
    CELLA_TRY(extensions_add(crl, certificate, options->crl_number, error));
    PLATFORM_CHECK(X509_CRL_sort(crl) == 1 &&
                       X509_CRL_sign(crl, platform->keys[issuer], EVP_sha256()) > 0,
                   error, "CRL");
    return encode(crl, ret_der, ret_pem, error);
}

cella_result platform_crls_make(const struct platform *platform,
                                const struct platform_collateral_options *options,
                                struct platform_collateral *collateral, struct cella_error *error)
{
    X509 *const *all = platform->certificates;
    X509 *const by_root[2] = {options->revoke_pck_ca ? all[PLATFORM_PCK_CA] : NULL,
                              options->revoke_tcb_signing ? all[PLATFORM_TCB_SIGNING] : NULL};
    X509 *const by_ca[2] = {options->revoke_pck ? all[PLATFORM_PCK] : NULL, NULL};
    CELLA_TRY(crl_make(platform, options, PLATFORM_ROOT, by_root, &collateral->root_ca_crl_der,
                       &collateral->root_ca_crl_pem, error));
    return crl_make(platform, options, PLATFORM_PCK_CA, by_ca, &collateral->pck_crl_der,
                    &collateral->pck_crl_pem, error);
}
