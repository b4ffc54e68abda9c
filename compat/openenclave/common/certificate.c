/*
 * Certificates that carry evidence: verifying them.
 * Side: both. Called by applications; the certificate comes from a peer.
 * Never believes a name or an issuer: the certificate's own key signs it, and the evidence names that key.
 */
#include "compat/openenclave/common/certificate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/verifier.h>

#ifdef OE_SKIN_ENCLAVE
#include <openenclave/enclave.h>
#else
#include <openenclave/host.h>
#include <openenclave/host_verify.h>
#endif

#include "common/no_compression.h"
#include "compat/openenclave/common/report.h"
#include "compat/openenclave/common/report_quote.h"

CELLA_NO_COMPRESSION;

struct looked {
    X509 *certificate;
    const uint8_t *evidence;
    size_t evidence_size;
    bool is_report;
    char *key; /* PEM, with a zero behind it, which the size counts */
    size_t key_size;
};

static void looked_done(struct looked *looked)
{
    X509_free(looked->certificate);
    OPENSSL_free(looked->key);
}

/* The one extension of that kind. OE_NOT_FOUND; OE_CRYPTO_ERROR: there are two. */
static oe_result_t extension_find(struct looked *looked, const char *identifier)
{
    ASN1_OBJECT *object = OBJ_txt2obj(identifier, 1);
    OE_ENSURE(object != NULL, OE_OUT_OF_MEMORY);
    const int at = X509_get_ext_by_OBJ(looked->certificate, object, -1);
    const bool again = at >= 0 && X509_get_ext_by_OBJ(looked->certificate, object, at) >= 0;
    ASN1_OBJECT_free(object);
    OE_ENSURE(at >= 0, OE_NOT_FOUND);
    OE_ENSURE(!again, OE_CRYPTO_ERROR);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(looked->certificate, at));
    looked->evidence = ASN1_STRING_get0_data(value);
    looked->evidence_size = (size_t)ASN1_STRING_length(value);
    return OE_OK;
}

static oe_result_t evidence_find(struct looked *looked, bool reports_only)
{
    static const struct {
        const char *identifier;
        bool is_report;
    } rows[] = {
        {OE_CERTIFICATE_REPORT_OLD, true},
        {OE_CERTIFICATE_REPORT, true},
        {OE_CERTIFICATE_EVIDENCE_OLD, false},
        {OE_CERTIFICATE_EVIDENCE, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (reports_only && !rows[i].is_report) {
            continue;
        }
        const oe_result_t result = extension_find(looked, rows[i].identifier);
        if (result != OE_NOT_FOUND) {
            looked->is_report = rows[i].is_report;
            return result;
        }
    }
    return reports_only ? OE_NOT_FOUND : OE_FAILURE;
}

static oe_result_t key_write(struct looked *looked, EVP_PKEY *key)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    OE_ENSURE(bio != NULL, OE_OUT_OF_MEMORY);
    if (PEM_write_bio_PUBKEY(bio, key) == 1 && BIO_write(bio, "", 1) == 1) {
        looked->key_size = (size_t)BIO_get_mem_data(bio, &text);
        looked->key = OPENSSL_memdup(text, looked->key_size);
    }
    BIO_free(bio);
    return looked->key ? OE_OK : OE_CRYPTO_ERROR;
}

/* Signed by its own key, and valid now. */
static oe_result_t look(const uint8_t *der, size_t size, bool reports_only, struct looked *looked)
{
    const uint8_t *at = der;
    OE_ENSURE(der != NULL && size > 0 && size <= OE_CERTIFICATE_MAX, OE_INVALID_PARAMETER);
    looked->certificate = d2i_X509(NULL, &at, (long)size);
    OE_ENSURE(looked->certificate != NULL && at == der + size, OE_CRYPTO_ERROR);
    EVP_PKEY *key = X509_get0_pubkey(looked->certificate);
    OE_ENSURE(key != NULL && X509_verify(looked->certificate, key) == 1, OE_VERIFY_FAILED);
    OE_ENSURE(X509_cmp_current_time(X509_get0_notBefore(looked->certificate)) < 0 &&
                  X509_cmp_current_time(X509_get0_notAfter(looked->certificate)) > 0,
              OE_VERIFY_FAILED);
    OE_TRY(evidence_find(looked, reports_only));
    return key_write(looked, key);
}

/* The PEM text with or without its zero. */
static bool is_key(const struct looked *looked, const uint8_t *data, size_t size)
{
    return (size == looked->key_size || size + 1 == looked->key_size) &&
           memcmp(data, looked->key, size) == 0;
}

static bool is_key_hash(const struct looked *looked, const uint8_t *data)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    return SHA256((const uint8_t *)looked->key, looked->key_size, hash) != NULL &&
           memcmp(hash, data, sizeof(hash)) == 0;
}

/* One of the claims names the certificate's key. */
static bool names_key(const struct looked *looked, const oe_claim_t *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const oe_claim_t *claim = &claims[i];
        if (strcmp(claim->name, OE_CLAIM_CUSTOM_CLAIMS_BUFFER) == 0) {
            return is_key(looked, claim->value, claim->value_size);
        }
        if (strcmp(claim->name, OE_CLAIM_SGX_REPORT_DATA) == 0) {
            return is_key_hash(looked, claim->value);
        }
    }
    return false;
}

static oe_result_t verify_looked(const struct looked *looked, const uint8_t *endorsements,
                                 size_t endorsements_size, const oe_policy_t *policies,
                                 size_t policy_count, oe_claim_t **ret_claims, size_t *ret_count)
{
    static const oe_uuid_t report = {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE};
    oe_claim_t *claims = NULL;
    size_t count = 0;
    const oe_result_t result = oe_verify_evidence(
        looked->is_report ? &report : NULL, looked->evidence, looked->evidence_size, endorsements,
        endorsements_size, policies, policy_count, &claims, &count);
    if (result != OE_OK && result != OE_TCB_LEVEL_INVALID) {
        return result;
    }
    if (!names_key(looked, claims, count)) {
        oe_free_claims(claims, count);
        return OE_VERIFY_FAILED;
    }
    *ret_claims = claims;
    *ret_count = count;
    return result;
}

oe_result_t oe_verify_attestation_certificate_with_evidence_v2(
    uint8_t *certificate_in_der, size_t certificate_in_der_size, uint8_t *endorsements_buffer,
    size_t endorsements_buffer_size, oe_policy_t *policies, size_t policies_size,
    oe_claim_t **claims, size_t *claims_length)
{
    struct looked looked = {.certificate = NULL};
    OE_ENSURE(claims != NULL && claims_length != NULL, OE_INVALID_PARAMETER);
    *claims = NULL;
    *claims_length = 0;
    oe_result_t result = look(certificate_in_der, certificate_in_der_size, false, &looked);
    if (result == OE_OK) {
        result = verify_looked(&looked, endorsements_buffer, endorsements_buffer_size, policies,
                               policies_size, claims, claims_length);
    }
    looked_done(&looked);
    return result;
}

oe_result_t oe_verify_attestation_certificate_with_evidence(
    uint8_t *certificate_in_der, size_t certificate_in_der_size,
    oe_verify_claims_callback_t claim_verify_callback, void *arg)
{
    oe_claim_t *claims;
    size_t count;
    oe_result_t result = oe_verify_attestation_certificate_with_evidence_v2(
        certificate_in_der, certificate_in_der_size, NULL, 0, NULL, 0, &claims, &count);
    if (result == OE_OK && claim_verify_callback) {
        result = claim_verify_callback(claims, count, arg);
    }
    oe_free_claims(claims, count);
    return result;
}

oe_result_t
oe_verify_attestation_certificate(uint8_t *cert_in_der, size_t cert_in_der_len,
                                  oe_identity_verify_callback_t enclave_identity_callback,
                                  void *arg)
{
    struct looked looked = {.certificate = NULL};
    oe_report_t parsed;
    oe_result_t result = look(cert_in_der, cert_in_der_len, true, &looked);
    if (result == OE_OK) {
        result = oe_parse_report(looked.evidence, looked.evidence_size, &parsed);
    }
    if (result == OE_OK) {
        result = oe_report_quote_verify(looked.evidence, looked.evidence_size, NULL, 0,
                                        &parsed.verification_result);
    }
    if (result == OE_OK && !is_key_hash(&looked, parsed.report_data)) {
        result = OE_VERIFY_FAILED;
    }
    if (result == OE_OK && enclave_identity_callback) {
        result = enclave_identity_callback(&parsed.identity, arg);
    }
    looked_done(&looked);
    return result;
}
