/*
 * Verifying quotes without an enclave: the interface of liboehostverify.
 * Side: host. Called by applications. OE_UNSUPPORTED until the verifier of quotes is there.
 * Never calls anything verified that is not.
 */
#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/host_verify.h>

#include "compat/openenclave/common/evidence.h"

oe_result_t oe_verify_remote_report(const uint8_t *report, size_t report_size,
                                    const uint8_t *endorsement, size_t endorsement_size,
                                    oe_report_t *parsed_report)
{
    (void)report, (void)report_size, (void)endorsement, (void)endorsement_size;
    (void)parsed_report;
    return OE_UNSUPPORTED;
}

/* None yet: local evidence is for enclaves. */
const oe_uuid_t oe_verifier_formats[] = {{{0}}};
const size_t oe_verifier_format_count = 0;

oe_result_t oe_verifier_settings(const oe_uuid_t *format, uint8_t **ret_settings, size_t *ret_size)
{
    (void)format, (void)ret_settings, (void)ret_size;
    return OE_UNSUPPORTED;
}

oe_result_t oe_verifier_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                               const uint8_t *endorsements, size_t endorsements_size,
                               const oe_policy_t *policies, size_t policy_count,
                               oe_claim_t **ret_claims, size_t *ret_count)
{
    (void)format, (void)evidence, (void)size, (void)endorsements, (void)endorsements_size;
    (void)policies, (void)policy_count, (void)ret_claims, (void)ret_count;
    return OE_UNSUPPORTED;
}
