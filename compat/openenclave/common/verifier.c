/*
 * The verifier's interface; what each side can verify is in its own verifier.c.
 * Side: both. Called by applications.
 * Never calls a verifier that was not initialised, and never uses the network.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/evidence.h"

static _Atomic bool is_initialized;

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

static bool is_known(const oe_uuid_t *format)
{
    for (size_t i = 0; atomic_load(&is_initialized) && i < oe_verifier_format_count; i++) {
        if (memcmp(format, &oe_verifier_formats[i], sizeof(*format)) == 0) {
            return true;
        }
    }
    return false;
}

oe_result_t oe_verifier_get_formats(oe_uuid_t **format_ids, size_t *format_ids_length)
{
    OE_ENSURE(format_ids != NULL && format_ids_length != NULL, OE_INVALID_PARAMETER);
    const size_t count = atomic_load(&is_initialized) ? oe_verifier_format_count : 0;
    *format_ids = NULL;
    *format_ids_length = count;
    if (count == 0) {
        return OE_OK;
    }
    *format_ids = malloc(count * sizeof(**format_ids));
    OE_ENSURE(*format_ids != NULL, OE_OUT_OF_MEMORY);
    memcpy(*format_ids, oe_verifier_formats, count * sizeof(**format_ids));
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
    return oe_verifier_settings(format_id, settings, settings_size);
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
    if (endorsements_buffer) {
        OE_TRY(oe_evidence_open(format_id, endorsements_buffer, endorsements_buffer_size,
                                &endorsements_format, &endorsements, &endorsements_size));
        OE_ENSURE(memcmp(&format, &endorsements_format, sizeof(format)) == 0, OE_CONSTRAINT_FAILED);
    }
    OE_ENSURE(is_known(&format), OE_NOT_FOUND);
    return oe_verifier_verify(&format, body, size, endorsements, endorsements_size, policies,
                              policies_size, claims, claims_length);
}
