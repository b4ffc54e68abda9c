/*
 * Verifying quotes without an enclave: the interface of liboehostverify, and what a host lacks of the verifier's.
 * Side: host. Called by applications.
 * Never calls anything verified that is not.
 */
#include <openenclave/host_verify.h>

#include "compat/openenclave/common/evidence.h"
#include "compat/openenclave/common/report.h"
#include "compat/openenclave/common/report_quote.h"

oe_result_t oe_parse_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report);

oe_result_t oe_verify_remote_report(const uint8_t *report, size_t report_size,
                                    const uint8_t *endorsement, size_t endorsement_size,
                                    oe_report_t *parsed_report)
{
    oe_report_t parsed;
    OE_ENSURE(report != NULL && report_size > 0 && (endorsement == NULL) == (endorsement_size == 0),
              OE_INVALID_PARAMETER);
    OE_TRY(oe_parse_report(report, report_size, &parsed));
    const oe_result_t result = oe_report_quote_verify(
        report, report_size, endorsement, endorsement_size, &parsed.verification_result);
    if (parsed_report && (result == OE_OK || result == OE_TCB_LEVEL_INVALID)) {
        *parsed_report = parsed;
    }
    return result;
}

/* Local evidence is for enclaves. */
bool oe_local_possible(void)
{
    return false;
}

oe_result_t oe_local_settings(uint8_t **ret_settings, size_t *ret_size)
{
    (void)ret_settings, (void)ret_size;
    return OE_UNSUPPORTED;
}

oe_result_t oe_local_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                            oe_claim_t **ret_claims, size_t *ret_count)
{
    (void)format, (void)evidence, (void)size, (void)ret_claims, (void)ret_count;
    return OE_UNSUPPORTED;
}
