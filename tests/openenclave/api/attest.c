/*
 * Reports, keys, sealing, claims and local evidence of the Open Enclave API.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/attester.h>
#include <openenclave/attestation/custom_claims.h>
#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/verifier.h>
#include <openenclave/bits/attestation.h>
#include <openenclave/enclave.h>
#include <openenclave/sgx/seal.h>

#include "api_t.h"
#include "check.h"

int test_report(const uint8_t *report, size_t size)
{
    uint8_t data[OE_REPORT_DATA_SIZE] = "bound", *mine, *copy;
    size_t mine_size;
    oe_report_t parsed;
    CHECK(oe_verify_report(report, size, &parsed) ==
          OE_OK); /* the host asked this enclave for it */
    CHECK(oe_get_report(0, data, sizeof(data), NULL, 0, &mine, &mine_size) == OE_OK);
    CHECK(oe_verify_report(mine, mine_size, &parsed) == OE_OK);
    CHECK(parsed.type == OE_ENCLAVE_TYPE_SGX && parsed.report_data_size == sizeof(data));
    CHECK(memcmp(parsed.report_data, data, sizeof(data)) == 0);
    CHECK(parsed.identity.product_id[0] == 7 && parsed.identity.security_version == 3);
    CHECK(parsed.identity.attributes == OE_REPORT_ATTRIBUTES_DEBUG);
    copy = malloc(mine_size);
    memcpy(copy, mine, mine_size);
    copy[mine_size - 1] ^= 1; /* the MAC */
    CHECK(oe_parse_report(copy, mine_size, &parsed) == OE_OK);
    CHECK(oe_verify_report(copy, mine_size, &parsed) == OE_VERIFY_FAILED);
    CHECK(oe_verify_report(mine, mine_size - 1, NULL) == OE_INCORRECT_REPORT_SIZE);
    CHECK(oe_get_report(0, data, 65, NULL, 0, &mine, &mine_size) == OE_INVALID_PARAMETER);
    free(copy);
    oe_free_report(mine);
    CHECK(oe_get_report(OE_REPORT_FLAGS_REMOTE_ATTESTATION, data, sizeof(data), NULL, 0, &mine,
                        &mine_size) == OE_OK);
    CHECK(oe_parse_report(mine, mine_size, &parsed) == OE_OK);
    CHECK(parsed.identity.attributes == (OE_REPORT_ATTRIBUTES_DEBUG | OE_REPORT_ATTRIBUTES_REMOTE));
    CHECK(memcmp(parsed.report_data, data, sizeof(data)) == 0);
    CHECK(mine[16] == 3 && mine[18] == 2); /* quote version 3, ECDSA with P-256 */
    CHECK(oe_get_report(OE_REPORT_FLAGS_REMOTE_ATTESTATION, NULL, 0, mine, 512, &copy,
                        &mine_size) == OE_INVALID_PARAMETER);
    return 0;
}

int test_seal_keys(void)
{
    uint8_t *key, *info, *same, *product;
    size_t key_size, info_size, same_size, product_size;
    CHECK(oe_get_seal_key_by_policy(OE_SEAL_POLICY_UNIQUE, &key, &key_size, &info, &info_size) ==
          OE_OK);
    CHECK(key_size == 16 && info_size == sizeof(sgx_key_request_t));
    CHECK(oe_get_seal_key(info, info_size, &same, &same_size) == OE_OK);
    CHECK(same_size == 16 && memcmp(key, same, 16) == 0);
    CHECK(oe_get_seal_key_by_policy(OE_SEAL_POLICY_PRODUCT, &product, &product_size, NULL, NULL) ==
          OE_OK);
    CHECK(memcmp(key, product, 16) != 0);
    sgx_key_request_t *request = (sgx_key_request_t *)info;
    request->isv_svn++;
    CHECK(oe_get_seal_key(info, info_size, &same, &same_size) == OE_INVALID_ISVSVN);
    request->isv_svn--;
    request->cpu_svn[0] ^= 0xFF;
    memset(request->cpu_svn, 0xFF, sizeof(request->cpu_svn));
    CHECK(oe_get_seal_key(info, info_size, &same, &same_size) == OE_INVALID_CPUSVN);
    request->reserved1 = 1;
    CHECK(oe_get_seal_key(info, info_size, &same, &same_size) == OE_INVALID_PARAMETER);
    CHECK(oe_get_seal_key_by_policy((oe_seal_policy_t)9, &same, &same_size, NULL, NULL) ==
          OE_INVALID_PARAMETER);
    oe_free_seal_key(key, info);
    oe_free_seal_key(product, NULL);
    return 0;
}

int test_private_key(const uint8_t *public_key, size_t size, const uint8_t *info, size_t info_size)
{
    static char user_data[] = "user data";
    oe_asymmetric_key_params_t params = {OE_ASYMMETRIC_KEY_EC_SECP256P1, OE_ASYMMETRIC_KEY_PEM,
                                         user_data, sizeof(user_data)};
    uint8_t *again, *secret, *other;
    size_t again_size, secret_size, other_size;
    CHECK(oe_get_public_key(&params, info, info_size, &again, &again_size) == OE_OK);
    CHECK(again_size == size && memcmp(again, public_key, size) == 0);
    CHECK(strstr((char *)again, "BEGIN PUBLIC KEY") && again[size - 1] == 0);
    CHECK(oe_get_private_key(&params, info, info_size, &secret, &secret_size) == OE_OK);
    CHECK(strstr((char *)secret, "BEGIN EC PRIVATE KEY") != NULL);
    user_data[0] = 'U';
    CHECK(oe_get_public_key(&params, info, info_size, &other, &other_size) == OE_OK);
    CHECK(memcmp(other, public_key, size) != 0);
    user_data[0] = 'u';
    oe_free_key(again, again_size, NULL, 0);
    oe_free_key(secret, secret_size, NULL, 0);
    oe_free_key(other, other_size, NULL, 0);
    return 0;
}

static oe_result_t plain_seal(const oe_seal_setting_t *settings, size_t settings_count,
                              const uint8_t *plaintext, size_t plaintext_size,
                              const uint8_t *additional_data, size_t additional_data_size,
                              uint8_t **blob, size_t *blob_size)
{
    (void)settings, (void)settings_count, (void)additional_data, (void)additional_data_size;
    *blob = malloc(plaintext_size);
    memcpy(*blob, plaintext, plaintext_size);
    *blob_size = plaintext_size;
    return OE_OK;
}

static oe_result_t plain_unseal(const uint8_t *blob, size_t blob_size,
                                const uint8_t *additional_data, size_t additional_data_size,
                                uint8_t **plaintext, size_t *plaintext_size)
{
    return plain_seal(NULL, 0, blob, blob_size, additional_data, additional_data_size, plaintext,
                      plaintext_size);
}

static const oe_seal_plugin_definition_t plain = {{{1, 2, 3}}, plain_seal, plain_unseal};

int test_seal(void)
{
    static const uint8_t text[] = "what nobody else may read", more[] = "additional";
    const oe_seal_setting_t settings[] = {OE_SEAL_SET_POLICY(OE_SEAL_POLICY_UNIQUE)};
    const oe_seal_setting_t wrong[] = {OE_SEAL_SET_IV(more, 3)};
    uint8_t *blob, *out;
    size_t blob_size, out_size;
    CHECK(oe_seal(NULL, settings, 1, text, sizeof(text), more, sizeof(more), &blob, &blob_size) ==
          OE_OK);
    for (size_t i = 0; i + 8 < blob_size; i++) {
        CHECK(memcmp(blob + i, text, 8) != 0);
    }
    CHECK(oe_unseal(blob, blob_size, more, sizeof(more), &out, &out_size) == OE_OK);
    CHECK(out_size == sizeof(text) && memcmp(out, text, out_size) == 0);
    free(out);
    CHECK(oe_unseal(blob, blob_size, more, sizeof(more) - 1, &out, &out_size) == OE_CRYPTO_ERROR);
    blob[blob_size - 1] ^= 1;
    CHECK(oe_unseal(blob, blob_size, more, sizeof(more), &out, &out_size) == OE_CRYPTO_ERROR);
    blob[0] ^= 1; /* the plug-in's id */
    CHECK(oe_unseal(blob, blob_size, more, sizeof(more), &out, &out_size) == OE_NOT_FOUND);
    CHECK(oe_unseal(blob, 10, NULL, 0, &out, &out_size) == OE_INVALID_PARAMETER);
    free(blob);
    CHECK(oe_seal(NULL, wrong, 1, text, sizeof(text), NULL, 0, &blob, &blob_size) ==
          OE_INVALID_PARAMETER);
    CHECK(oe_seal(&plain.id, NULL, 0, text, sizeof(text), NULL, 0, &blob, &blob_size) ==
          OE_NOT_FOUND);
    CHECK(oe_register_seal_plugin(&plain, false) == OE_OK);
    CHECK(oe_seal(&plain.id, NULL, 0, text, sizeof(text), NULL, 0, &blob, &blob_size) == OE_OK);
    CHECK(oe_unseal(blob, blob_size, NULL, 0, &out, &out_size) == OE_OK);
    CHECK(out_size == sizeof(text) && memcmp(out, text, out_size) == 0);
    free(blob);
    free(out);
    CHECK(oe_unregister_seal_plugin(&plain.id) == OE_OK);
    CHECK(oe_unregister_seal_plugin(&plain.id) == OE_NOT_FOUND);
    return 0;
}

int test_claims(void)
{
    oe_claim_t claims[2] = {{"one", (uint8_t *)"1", 1}, {"empty", NULL, 0}}, *read;
    uint8_t *bytes;
    size_t size, count;
    CHECK(oe_serialize_custom_claims(claims, 2, &bytes, &size) == OE_OK);
    CHECK(size == 16 + 2 * 16 + 4 + 1 + 6);
    CHECK(oe_deserialize_custom_claims(bytes, size, &read, &count) == OE_OK);
    CHECK(count == 2 && strcmp(read[0].name, "one") == 0 && read[0].value_size == 1 &&
          read[0].value[0] == '1' && strcmp(read[1].name, "empty") == 0 && read[1].value_size == 0);
    CHECK(oe_free_custom_claims(read, count) == OE_OK);
    for (size_t cut = 0; cut < size; cut++) {
        CHECK(oe_deserialize_custom_claims(bytes, cut, &read, &count) == OE_CONSTRAINT_FAILED);
    }
    bytes[8] = 0xFF; /* more claims than there is room for */
    CHECK(oe_deserialize_custom_claims(bytes, size, &read, &count) == OE_CONSTRAINT_FAILED);
    bytes[8] = 2;
    memset(bytes + 16, 0xFF, 8); /* a name that wraps */
    CHECK(oe_deserialize_custom_claims(bytes, size, &read, &count) == OE_CONSTRAINT_FAILED);
    return oe_free_serialized_custom_claims(bytes) == OE_OK ? 0 : __LINE__;
}

static const oe_claim_t *find(const oe_claim_t *claims, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(claims[i].name, name) == 0) {
            return &claims[i];
        }
    }
    return NULL;
}

static bool is_among(const oe_uuid_t *formats, size_t count, const oe_uuid_t *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&formats[i], wanted, sizeof(*wanted)) == 0) {
            return true;
        }
    }
    return false;
}

int test_evidence(void)
{
    static const oe_uuid_t wanted[] = {{OE_FORMAT_UUID_SGX_ECDSA},
                                       {OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION}};
    oe_uuid_t format, *formats;
    uint8_t *target, *evidence;
    size_t target_size, size, count;
    oe_claim_t *claims;
    CHECK(oe_attester_select_format(wanted, 2, &format) == OE_NOT_FOUND); /* not initialised */
    CHECK(oe_attester_initialize() == OE_OK && oe_verifier_initialize() == OE_OK);
    CHECK(oe_attester_select_format(wanted, 2, &format) == OE_OK);
    CHECK(memcmp(&format, &wanted[0], sizeof(format)) == 0);
    CHECK(oe_get_evidence(&format, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, "mine", 4, NULL, 0, &evidence,
                          &size, NULL, NULL) == OE_OK);
    CHECK(size > 4000 && evidence[0] == 3 && memcmp(evidence + 4, &format, sizeof(format)) == 0);
    CHECK(evidence[32] == 3 && memcmp(evidence + size - 4, "mine", 4) == 0);
    CHECK(oe_free_evidence(evidence) == OE_OK);
    uint8_t *endorsements;
    size_t endorsements_size;
    CHECK(oe_get_evidence(&format, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, "mine", 4, NULL, 0, &evidence,
                          &size, &endorsements, &endorsements_size) == OE_OK);
    CHECK(endorsements_size > 4000 && memcmp(endorsements, evidence, 20) == 0);
    const oe_endorsements_t *table = (const oe_endorsements_t *)(endorsements + 32);
    CHECK(table->version == 1 && table->enclave_type == OE_ENCLAVE_TYPE_SGX);
    CHECK(table->num_elements == OE_SGX_ENDORSEMENT_COUNT);
    CHECK(table->buffer_size == endorsements_size - 32 - sizeof(*table));
    const uint32_t *offsets = (const uint32_t *)table->buffer;
    const char *elements = (const char *)(offsets + OE_SGX_ENDORSEMENT_COUNT);
    CHECK(strncmp(elements + offsets[OE_SGX_ENDORSEMENT_FIELD_TCB_INFO], "{\"tcbInfo\"", 10) == 0);
    CHECK(strncmp(elements + offsets[OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_CERT],
                  "-----BEGIN X509 CRL-----", 24) == 0);
    CHECK(oe_free_evidence(evidence) == OE_OK && oe_free_endorsements(endorsements) == OE_OK);
    CHECK(oe_get_evidence(&format, 0, NULL, 0, "x", 1, &evidence, &size, NULL, NULL) ==
          OE_INVALID_PARAMETER);
    CHECK(oe_attester_select_format(wanted + 1, 1, &format) == OE_OK);
    CHECK(oe_verifier_get_formats(&formats, &count) == OE_OK);
    CHECK(is_among(formats, count, &wanted[0]) && is_among(formats, count, &wanted[1]));
    CHECK(oe_verifier_free_formats(formats) == OE_OK);
    CHECK(oe_verifier_get_format_settings(&format, &target, &target_size) == OE_OK);
    CHECK(oe_get_evidence(&format, OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID, "mine", 4, target,
                          target_size, &evidence, &size, NULL, NULL) == OE_OK);
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, &claims, &count) == OE_OK);
    for (size_t i = 0; i < OE_REQUIRED_CLAIMS_COUNT; i++) {
        CHECK(find(claims, count, OE_REQUIRED_CLAIMS[i]) != NULL);
    }
    const oe_claim_t *custom = find(claims, count, OE_CLAIM_CUSTOM_CLAIMS_BUFFER);
    CHECK(custom && custom->value_size == 4 && memcmp(custom->value, "mine", 4) == 0);
    CHECK(oe_free_claims(claims, count) == OE_OK);
    evidence[size - 1] ^= 1;
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) ==
          OE_QUOTE_HASH_MISMATCH);
    evidence[size - 1] ^= 1;
    evidence[32 + 64] ^= 1; /* MRENCLAVE in the report */
    CHECK(oe_verify_evidence(NULL, evidence, size, NULL, 0, NULL, 0, NULL, NULL) ==
          OE_VERIFY_FAILED);
    CHECK(oe_verify_evidence(NULL, evidence, size - 1, NULL, 0, NULL, 0, NULL, NULL) ==
          OE_INVALID_PARAMETER);
    CHECK(oe_verify_evidence(&wanted[0], evidence, size, NULL, 0, NULL, 0, NULL, NULL) !=
          OE_OK); /* no quote */
    CHECK(oe_free_evidence(evidence) == OE_OK);
    CHECK(oe_verifier_free_format_settings(target) == OE_OK);
    CHECK(oe_attester_shutdown() == OE_OK && oe_verifier_shutdown() == OE_OK);
    return 0;
}
