/*
 * The verifier's interface: which formats there are, and whose each is.
 * Side: both. Called by applications.
 * Never calls a verifier that was not initialised.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/evidence.h"

static const oe_uuid_t ecdsa_format = {OE_FORMAT_UUID_SGX_ECDSA};
static const oe_uuid_t report_format = {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE};
static const oe_uuid_t raw_format = {OE_FORMAT_UUID_RAW_SGX_QUOTE_ECDSA};
static const oe_uuid_t local_format = {OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION};
static const oe_uuid_t tdx_format = {OE_FORMAT_UUID_TDX_QUOTE_ECDSA};
#define FORMATS_MAX 5u

static _Atomic bool is_initialized, is_tdx_initialized;

oe_result_t oe_verifier_initialize(void)
{
    atomic_store(&is_initialized, true);
    return OE_OK;
}

oe_result_t oe_verifier_shutdown(void)
{
    atomic_store(&is_initialized, false);
    return OE_OK;
}

/* TDX has a verifier of its own: whoever wants only SGX enclaves never gets a TD's claims. */
oe_result_t oe_tdx_verifier_initialize(void)
{
    return atomic_exchange(&is_tdx_initialized, true) ? OE_ALREADY_EXISTS : OE_OK;
}

oe_result_t oe_tdx_verifier_shutdown(void)
{
    return atomic_exchange(&is_tdx_initialized, false) ? OE_OK : OE_NOT_FOUND;
}

/* Those that can be verified now. */
static size_t formats_list(const oe_uuid_t *ret_formats[FORMATS_MAX])
{
    size_t count = 0;
    if (atomic_load(&is_initialized)) {
        ret_formats[count++] = &ecdsa_format;
        ret_formats[count++] = &report_format;
        ret_formats[count++] = &raw_format;
        if (oe_local_possible()) {
            ret_formats[count++] = &local_format;
        }
    }
    if (atomic_load(&is_tdx_initialized)) {
        ret_formats[count++] = &tdx_format;
    }
    return count;
}

static bool is_same(const oe_uuid_t *a, const oe_uuid_t *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool is_known(const oe_uuid_t *format)
{
    const oe_uuid_t *formats[FORMATS_MAX];
    const size_t count = formats_list(formats);
    for (size_t i = 0; i < count; i++) {
        if (is_same(format, formats[i])) {
            return true;
        }
    }
    return false;
}

oe_result_t oe_verifier_get_formats(oe_uuid_t **format_ids, size_t *format_ids_length)
{
    const oe_uuid_t *formats[FORMATS_MAX];
    OE_ENSURE(format_ids != NULL && format_ids_length != NULL, OE_INVALID_PARAMETER);
    const size_t count = formats_list(formats);
    *format_ids = NULL;
    *format_ids_length = count;
    if (count == 0) {
        return OE_OK;
    }
    *format_ids = malloc(count * sizeof(**format_ids));
    OE_ENSURE(*format_ids != NULL, OE_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) {
        (*format_ids)[i] = *formats[i];
    }
    return OE_OK;
}

oe_result_t oe_verifier_free_formats(oe_uuid_t *format_ids)
{
    free(format_ids);
    return OE_OK;
}

oe_result_t oe_verifier_get_format_settings(const oe_uuid_t *format_id, uint8_t **settings,
                                            size_t *settings_size)
{
    OE_ENSURE(format_id != NULL && settings != NULL && settings_size != NULL, OE_INVALID_PARAMETER);
    OE_ENSURE(is_known(format_id), OE_NOT_FOUND);
    if (is_same(format_id, &local_format)) {
        return oe_local_settings(settings, settings_size);
    }
    OE_ENSURE(is_same(format_id, &ecdsa_format), OE_UNSUPPORTED);
    *settings = NULL; /* a quote is for everybody */
    *settings_size = 0;
    return OE_OK;
}

oe_result_t oe_verifier_free_format_settings(uint8_t *settings)
{
    free(settings);
    return OE_OK;
}

/* More than one baseline, or a baseline beside the endorsements themselves, is a contradiction. */
static oe_result_t policies_check(const oe_policy_t *policies, size_t count, bool has_endorsements)
{
    unsigned baselines = has_endorsements;
    OE_ENSURE(policies != NULL || count == 0, OE_INVALID_PARAMETER);
    for (size_t i = 0; i < count; i++) {
        baselines += policies[i].type == OE_POLICY_ENDORSEMENTS_BASELINE;
        OE_ENSURE(policies[i].type != OE_POLICY_ENDORSEMENTS_BASELINE || baselines == 1,
                  OE_INVALID_PARAMETER);
    }
    return OE_OK;
}

oe_result_t oe_verify_evidence(const oe_uuid_t *format_id, const uint8_t *evidence_buffer,
                               size_t evidence_buffer_size, const uint8_t *endorsements_buffer,
                               size_t endorsements_buffer_size, const oe_policy_t *policies,
                               size_t policies_size, oe_claim_t **claims, size_t *claims_length)
{
    oe_uuid_t format, endorsements_format;
    const uint8_t *body, *endorsements = NULL;
    size_t size, endorsements_size = 0;
    OE_ENSURE(evidence_buffer != NULL && evidence_buffer_size > 0 &&
                  (endorsements_buffer == NULL) == (endorsements_buffer_size == 0) &&
                  (claims == NULL) == (claims_length == NULL),
              OE_INVALID_PARAMETER);
    OE_TRY(policies_check(policies, policies_size, endorsements_buffer != NULL));
    OE_TRY(
        oe_evidence_open(format_id, evidence_buffer, evidence_buffer_size, &format, &body, &size));
    if (endorsements_buffer && body == evidence_buffer) { /* no header there, none here */
        endorsements = endorsements_buffer;
        endorsements_size = endorsements_buffer_size;
    } else if (endorsements_buffer) {
        OE_TRY(oe_evidence_open(format_id, endorsements_buffer, endorsements_buffer_size,
                                &endorsements_format, &endorsements, &endorsements_size));
        OE_ENSURE(memcmp(&format, &endorsements_format, sizeof(format)) == 0, OE_CONSTRAINT_FAILED);
    }
    OE_ENSURE(is_known(&format), OE_NOT_FOUND);
    if (is_same(&format, &local_format)) {
        return oe_local_verify(&format, body, size, claims, claims_length);
    }
    return oe_quote_formats_verify(&format, body, size, endorsements, endorsements_size, policies,
                                   policies_size, claims, claims_length);
}
