/*
 * Verifying evidence, in an enclave or in a host.
 * Skin header for both sides; C11 and C++. Local evidence can be verified in the enclave alone that it was made for.
 * Never uses the network.
 */
#ifndef _OE_ATTESTATION_VERIFIER_H
#define _OE_ATTESTATION_VERIFIER_H

#include <openenclave/bits/evidence.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

oe_result_t oe_verifier_initialize(void);

oe_result_t oe_verifier_get_formats(oe_uuid_t **format_ids, size_t *format_ids_length);
oe_result_t oe_verifier_free_formats(oe_uuid_t *format_ids);

/* What the attester needs of this verifier: its target info for local evidence, nothing for quotes. */
oe_result_t oe_verifier_get_format_settings(const oe_uuid_t *format_id, uint8_t **settings,
                                            size_t *settings_size);
oe_result_t oe_verifier_free_format_settings(uint8_t *settings);

/* format_id NULL: the evidence names its format itself. `claims` (may be NULL) is freed with oe_free_claims. */
oe_result_t oe_verify_evidence(const oe_uuid_t *format_id, const uint8_t *evidence_buffer,
                               size_t evidence_buffer_size, const uint8_t *endorsements_buffer,
                               size_t endorsements_buffer_size, const oe_policy_t *policies,
                               size_t policies_size, oe_claim_t **claims, size_t *claims_length);
oe_result_t oe_free_claims(oe_claim_t *claims, size_t claims_length);

typedef oe_result_t (*oe_verify_claims_callback_t)(oe_claim_t *claims, size_t claims_length,
                                                   void *arg);
oe_result_t oe_verify_attestation_certificate_with_evidence(
    uint8_t *certificate_in_der, size_t certificate_in_der_size,
    oe_verify_claims_callback_t claim_verify_callback, void *arg);
oe_result_t oe_verify_attestation_certificate_with_evidence_v2(
    uint8_t *certificate_in_der, size_t certificate_in_der_size, uint8_t *endorsements_buffer,
    size_t endorsements_buffer_size, oe_policy_t *policies, size_t policies_size,
    oe_claim_t **claims, size_t *claims_length);

oe_result_t oe_verifier_shutdown(void);

OE_EXTERNC_END

#endif
