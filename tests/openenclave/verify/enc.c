/*
 * An enclave that attests itself and verifies what it made: evidence, reports, certificates.
 * Side: enclave, tests. Each test gives 0 or the line that failed.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <openenclave/attestation/attester.h>
#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/verifier.h>
#include <openenclave/enclave.h>

#include "verify_t.h"

OE_SET_ENCLAVE_SGX(7, 3, true, 2048, 64, 2);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

static const oe_uuid_t ecdsa = {OE_FORMAT_UUID_SGX_ECDSA};
static const oe_uuid_t local = {OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION};
static const char custom[] = "custom";

static const oe_claim_t *claim(const oe_claim_t *claims, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(claims[i].name, name) == 0) {
            return &claims[i];
        }
    }
    return NULL;
}

int test_evidence(uint32_t trust)
{
    uint8_t *evidence, *endorsements;
    size_t size, endorsements_size, count;
    oe_claim_t *claims = NULL;
    CHECK(oe_attester_initialize() == OE_OK && oe_verifier_initialize() == OE_OK);
    CHECK(oe_get_evidence(&ecdsa, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, custom, sizeof(custom), NULL,
                          0, &evidence, &size, &endorsements, &endorsements_size) == OE_OK);
    CHECK(oe_verify_evidence(NULL, evidence, size, endorsements, endorsements_size, NULL, 0,
                             &claims, &count) == trust);
    if (trust == OE_OK) {
        const oe_claim_t *found = claim(claims, count, OE_CLAIM_CUSTOM_CLAIMS_BUFFER);
        CHECK(found && found->value_size == sizeof(custom));
        CHECK(memcmp(found->value, custom, sizeof(custom)) == 0);
        CHECK(claim(claims, count, OE_CLAIM_PRODUCT_ID)->value[0] == 7);
        CHECK(claim(claims, count, OE_CLAIM_TCB_STATUS)->value[0] == OE_SGX_TCB_STATUS_UP_TO_DATE);
        CHECK(count == OE_REQUIRED_CLAIMS_COUNT + OE_OPTIONAL_CLAIMS_COUNT +
                           OE_SGX_REQUIRED_CLAIMS_COUNT + OE_SGX_OPTIONAL_CLAIMS_COUNT + 1);
        oe_free_claims(claims, count);
    }
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) == trust);
    evidence[size - 2] ^= 1; /* the custom claims */
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) ==
          (trust == OE_OK ? OE_QUOTE_HASH_MISMATCH : trust));
    evidence[size - 2] ^= 1;
    evidence[32 + 48 + 64] ^= 1; /* MRENCLAVE */
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) ==
          (trust == OE_OK ? OE_VERIFY_FAILED : trust));
    endorsements[32 + 4] ^= 1; /* the type of the enclave */
    CHECK(oe_verify_evidence(NULL, evidence, size, endorsements, endorsements_size, NULL, 0, NULL,
                             NULL) == OE_INVALID_PARAMETER);
    oe_free_evidence(evidence);
    oe_free_endorsements(endorsements);
    return 0;
}

int test_report(uint32_t trust)
{
    uint8_t *report, data[OE_REPORT_DATA_SIZE] = "bound";
    size_t size;
    oe_report_t parsed;
    CHECK(oe_get_report(OE_REPORT_FLAGS_REMOTE_ATTESTATION, data, sizeof(data), NULL, 0, &report,
                        &size) == OE_OK);
    CHECK(oe_verify_report(report, size, &parsed) == trust);
    if (trust == OE_OK) {
        CHECK(memcmp(parsed.report_data, data, sizeof(data)) == 0);
        CHECK(parsed.identity.security_version == 3);
        report[size - 20] ^= 1; /* in the last certificate */
        CHECK(oe_verify_report(report, size, &parsed) != OE_OK);
    }
    oe_free_report(report);
    return 0;
}

/* A fresh pair, each PEM with its zero. */
static int keys_make(uint8_t secret[1024], size_t *secret_size, uint8_t public[1024],
                     size_t *public_size)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK(key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    *secret_size = (size_t)BIO_read(bio, secret, 1023) + 1;
    CHECK(PEM_write_bio_PUBKEY(bio, key) == 1);
    *public_size = (size_t)BIO_read(bio, public, 1023) + 1;
    BIO_free(bio);
    EVP_PKEY_free(key);
    return 0;
}

static oe_result_t certificate_make(bool report, uint8_t **ret, size_t *ret_size)
{
    static const unsigned char name[] = "CN=Test,O=Tests,C=US";
    uint8_t secret[1024] = {0}, public[1024] = {0};
    size_t secret_size, public_size;
    if (keys_make(secret, &secret_size, public, &public_size) != 0) {
        return OE_CRYPTO_ERROR;
    }
    return report ? oe_generate_attestation_certificate(name, secret, secret_size, public,
                                                        public_size, ret, ret_size)
                  : oe_get_attestation_certificate_with_evidence(
                        &ecdsa, name, secret, secret_size, public, public_size, ret, ret_size);
}

static oe_result_t on_claims(oe_claim_t *claims, size_t count, void *arg)
{
    ++*(int *)arg;
    return claim(claims, count, OE_CLAIM_UNIQUE_ID) ? OE_OK : OE_FAILURE;
}

static oe_result_t on_identity(oe_identity_t *identity, void *arg)
{
    ++*(int *)arg;
    return identity->security_version == 3 ? OE_CONSTRAINT_FAILED : OE_OK; /* its word counts */
}

int test_certificate(uint32_t trust)
{
    uint8_t *certificate, secret[1024] = {0}, other[1024] = {0}, public[1024] = {0};
    size_t size, secret_size, public_size;
    int calls = 0;
    CHECK(oe_attester_initialize() == OE_OK && oe_verifier_initialize() == OE_OK);
    CHECK(certificate_make(false, &certificate, &size) == OE_OK);
    CHECK(oe_verify_attestation_certificate_with_evidence(certificate, size, on_claims, &calls) ==
          trust);
    CHECK(calls == (trust == OE_OK));
    CHECK(oe_verify_attestation_certificate(certificate, size, NULL, NULL) == OE_NOT_FOUND);
    certificate[size - 10] ^= 1; /* the signature */
    CHECK(oe_verify_attestation_certificate_with_evidence(certificate, size, NULL, NULL) != OE_OK);
    oe_free_attestation_certificate(certificate);
    CHECK(certificate_make(true, &certificate, &size) == OE_OK);
    CHECK(oe_verify_attestation_certificate_with_evidence(certificate, size, NULL, NULL) == trust);
    CHECK(oe_verify_attestation_certificate(certificate, size, NULL, NULL) == trust);
    calls = 0;
    CHECK(oe_verify_attestation_certificate(certificate, size, on_identity, &calls) ==
          (trust == OE_OK ? OE_CONSTRAINT_FAILED : trust));
    oe_free_attestation_certificate(certificate);
    /* a key pair that is none */
    CHECK(keys_make(secret, &secret_size, public, &public_size) == 0);
    CHECK(keys_make(other, &secret_size, public, &public_size) == 0);
    CHECK(oe_get_attestation_certificate_with_evidence(
              &ecdsa, (const unsigned char *)"CN=x", secret, secret_size, public, public_size,
              &certificate, &size) == OE_INVALID_PARAMETER);
    return 0;
}

int test_local(void)
{
    uint8_t *settings, *evidence;
    size_t settings_size, size, count;
    oe_uuid_t *formats;
    CHECK(oe_attester_initialize() == OE_OK && oe_verifier_initialize() == OE_OK);
    CHECK(oe_verifier_get_formats(&formats, &count) == OE_OK && count == 4);
    oe_verifier_free_formats(formats);
    CHECK(oe_verifier_get_format_settings(&local, &settings, &settings_size) == OE_OK);
    CHECK(oe_get_evidence(&local, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, custom, sizeof(custom),
                          settings, settings_size, &evidence, &size, NULL, NULL) == OE_OK);
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) == OE_OK);
    evidence[size - 1] ^= 1;
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) ==
          OE_QUOTE_HASH_MISMATCH);
    oe_free_evidence(evidence);
    oe_verifier_free_format_settings(settings);
    return 0;
}

int make(int kind, uint8_t *buffer, size_t capacity, size_t *size)
{
    uint8_t *made = NULL;
    CHECK(oe_attester_initialize() == OE_OK);
    if (kind == 0) {
        CHECK(oe_get_evidence(&ecdsa, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, custom, sizeof(custom),
                              NULL, 0, &made, size, NULL, NULL) == OE_OK);
    } else if (kind == 1) {
        CHECK(oe_get_report(OE_REPORT_FLAGS_REMOTE_ATTESTATION, NULL, 0, NULL, 0, &made, size) ==
              OE_OK);
    } else {
        CHECK(certificate_make(kind == 3, &made, size) == OE_OK);
    }
    CHECK(*size <= capacity);
    memcpy(buffer, made, *size);
    free(made);
    return 0;
}
