/*
 * Certificates that carry evidence: making them, for a key pair of the caller's.
 * Side: enclave. Called by applications.
 * Never lets the private key out; a certificate whose key it is not is not made.
 */
#include "compat/openenclave/common/certificate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <openenclave/attestation/attester.h>
#include <openenclave/enclave.h>

#include "common/cleanup.h"
#include "common/no_compression.h"
#include "compat/openenclave/common/glue.h"

CELLA_NO_COMPRESSION;

#define NAME_MAX_SIZE 1024u
#define VALID_FROM "20190501000000" /* as Open Enclave's, for those who name no dates */
#define VALID_UNTIL "20501231235959"

struct identity {
    const char *subject;
    EVP_PKEY *secret, *public;
    const char *from, *until;
    const char *extension;
    const uint8_t *evidence;
    size_t evidence_size;
};

static void keys_done(struct identity *identity)
{
    EVP_PKEY_free(identity->secret);
    EVP_PKEY_free(identity->public);
}

static void free_certificate(X509 **certificate)
{
    X509_free(*certificate);
}

/* PEM, with or without a zero at its end. */
static BIO *text_open(const uint8_t *pem, size_t size)
{
    return BIO_new_mem_buf(pem, (int)strnlen((const char *)pem, size));
}

static oe_result_t keys_read(const uint8_t *secret, size_t secret_size, const uint8_t *public,
                             size_t public_size, struct identity *identity)
{
    OE_ENSURE(secret != NULL && secret_size > 0 && secret_size <= OE_CERTIFICATE_MAX &&
                  public != NULL && public_size > 0 && public_size <= OE_CERTIFICATE_MAX,
              OE_INVALID_PARAMETER);
    BIO *bio = text_open(secret, secret_size);
    identity->secret = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bio = text_open(public, public_size);
    identity->public = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    OE_ENSURE(identity->secret != NULL && identity->public != NULL &&
                  EVP_PKEY_eq(identity->secret, identity->public) == 1,
              OE_INVALID_PARAMETER);
    return OE_OK;
}

/* "CN=Enclave,O=Organisation,C=XX": a comma behind a backslash is part of the value. */
static bool name_fill(X509_NAME *name, const char *subject)
{
    char part[NAME_MAX_SIZE];
    while (*subject) {
        size_t used = 0;
        while (*subject && *subject != ',' && used + 1 < sizeof(part)) {
            subject += *subject == '\\' && subject[1];
            part[used++] = *subject++;
        }
        part[used] = 0;
        const char *start = part + strspn(part, " ");
        char *equals = strchr(start, '=');
        if (!equals || (*subject && *subject != ',')) {
            return false;
        }
        *equals = 0;
        if (X509_NAME_add_entry_by_txt(name, start, MBSTRING_UTF8, (const uint8_t *)equals + 1, -1,
                                       -1, 0) != 1) {
            return false;
        }
        subject += *subject == ',';
    }
    return true;
}

/* "YYYYMMDDHHMMSS". */
static bool date_set(ASN1_TIME *time, const char *date)
{
    char text[16];
    if (strlen(date) != 14) {
        return false;
    }
    memcpy(text, date, 14);
    text[14] = 'Z';
    text[15] = 0;
    return ASN1_TIME_set_string_X509(time, text) == 1;
}

static bool serial_set(X509 *certificate)
{
    BIGNUM *number = BN_new();
    const bool good = number && BN_rand(number, 127, BN_RAND_TOP_ONE, 0) == 1 &&
                      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool evidence_add(X509 *certificate, const struct identity *identity)
{
    ASN1_OBJECT *object = OBJ_txt2obj(identity->extension, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    bool good = object && value &&
                ASN1_OCTET_STRING_set(value, identity->evidence, (int)identity->evidence_size) == 1;
    if (good) {
        extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
        good = extension && X509_add_ext(certificate, extension, -1) == 1;
    }
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
    return good;
}

static bool basic_constraints_add(X509 *certificate)
{
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:FALSE");
    const bool good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool fill(X509 *certificate, const struct identity *identity)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
           name_fill(name, identity->subject) && X509_set_issuer_name(certificate, name) == 1 &&
           date_set(X509_getm_notBefore(certificate), identity->from) &&
           date_set(X509_getm_notAfter(certificate), identity->until) &&
           X509_set_pubkey(certificate, identity->public) == 1 &&
           basic_constraints_add(certificate) && evidence_add(certificate, identity) &&
           X509_sign(certificate, identity->secret, EVP_sha256()) > 0;
}

static oe_result_t certificate_make(const struct identity *identity, uint8_t **ret_certificate,
                                    size_t *ret_size)
{
    CELLA_CLEANUP(free_certificate) X509 *certificate = X509_new();
    OE_ENSURE(certificate != NULL, OE_OUT_OF_MEMORY);
    OE_ENSURE(fill(certificate, identity), OE_CRYPTO_ERROR);
    const int size = i2d_X509(certificate, NULL);
    OE_ENSURE(size > 0, OE_CRYPTO_ERROR);
    uint8_t *out = malloc((size_t)size), *at = out;
    OE_ENSURE(out != NULL, OE_OUT_OF_MEMORY);
    i2d_X509(certificate, &at);
    *ret_certificate = out;
    *ret_size = (size_t)size;
    return OE_OK;
}

oe_result_t oe_generate_attestation_certificate_v2(
    const unsigned char *subject_name, uint8_t *private_key, size_t private_key_size,
    uint8_t *public_key, size_t public_key_size, const char *date_not_valid_before,
    const char *date_not_valid_after, uint8_t **output_certificate, size_t *output_certificate_size)
{
    struct identity identity = {.subject = (const char *)subject_name,
                                .from = date_not_valid_before,
                                .until = date_not_valid_after,
                                .extension = OE_CERTIFICATE_REPORT};
    uint8_t hash[SHA256_DIGEST_LENGTH], *report = NULL;
    OE_ENSURE(subject_name != NULL && date_not_valid_before != NULL &&
                  date_not_valid_after != NULL && output_certificate != NULL &&
                  output_certificate_size != NULL,
              OE_INVALID_PARAMETER);
    oe_result_t result =
        keys_read(private_key, private_key_size, public_key, public_key_size, &identity);
    if (result == OE_OK && !SHA256(public_key, public_key_size, hash)) {
        result = OE_CRYPTO_ERROR;
    }
    if (result == OE_OK) {
        result = oe_get_report_v2(OE_REPORT_FLAGS_REMOTE_ATTESTATION, hash, sizeof(hash), NULL, 0,
                                  &report, &identity.evidence_size);
    }
    if (result == OE_OK) {
        identity.evidence = report;
        result = certificate_make(&identity, output_certificate, output_certificate_size);
    }
    oe_free_report(report);
    keys_done(&identity);
    return result;
}

oe_result_t oe_generate_attestation_certificate(const unsigned char *subject_name,
                                                uint8_t *private_key, size_t private_key_size,
                                                uint8_t *public_key, size_t public_key_size,
                                                uint8_t **output_certificate,
                                                size_t *output_certificate_size)
{
    return oe_generate_attestation_certificate_v2(
        subject_name, private_key, private_key_size, public_key, public_key_size, VALID_FROM,
        VALID_UNTIL, output_certificate, output_certificate_size);
}

void oe_free_attestation_certificate(uint8_t *cert)
{
    free(cert);
}

oe_result_t oe_get_attestation_certificate_with_evidence_v2(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    const void *optional_parameters, size_t optional_parameters_size, uint8_t **output_certificate,
    size_t *output_certificate_size)
{
    struct identity identity = {.subject = (const char *)subject_name,
                                .from = VALID_FROM,
                                .until = VALID_UNTIL,
                                .extension = OE_CERTIFICATE_EVIDENCE};
    uint8_t *evidence = NULL;
    OE_ENSURE(format_id != NULL && subject_name != NULL && output_certificate != NULL &&
                  output_certificate_size != NULL,
              OE_INVALID_PARAMETER);
    oe_result_t result =
        keys_read(private_key, private_key_size, public_key, public_key_size, &identity);
    if (result == OE_OK) {
        result = oe_get_evidence(format_id, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, public_key,
                                 public_key_size, optional_parameters, optional_parameters_size,
                                 &evidence, &identity.evidence_size, NULL, NULL);
    }
    if (result == OE_OK) {
        identity.evidence = evidence;
        result = certificate_make(&identity, output_certificate, output_certificate_size);
    }
    oe_free_evidence(evidence);
    keys_done(&identity);
    return result;
}

oe_result_t oe_get_attestation_certificate_with_evidence(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    uint8_t **output_certificate, size_t *output_certificate_size)
{
    return oe_get_attestation_certificate_with_evidence_v2(
        format_id, subject_name, private_key, private_key_size, public_key, public_key_size, NULL,
        0, output_certificate, output_certificate_size);
}

oe_result_t oe_sgx_eeid_attester_initialize(void);
oe_result_t oe_sgx_eeid_attester_initialize(void)
{
    return OE_UNSUPPORTED;
}

oe_result_t oe_sgx_eeid_attester_shutdown(void);
oe_result_t oe_sgx_eeid_attester_shutdown(void)
{
    return OE_OK;
}
