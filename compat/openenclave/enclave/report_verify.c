/*
 * Verifying reports: local ones by their MAC, quotes by the verifier.
 * Side: enclave. Called by applications. Apart from report.c, so that who only makes reports has no verifier linked.
 * Never gives a parsed report that was not verified.
 */
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/common/report.h"
#include "compat/openenclave/common/report_quote.h"
#include "compat/openenclave/enclave/report.h"
#include "compat/openenclave/enclave/skin.h"

oe_result_t oe_verify_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report)
{
    oe_report_t parsed;
    oe_result_t result;
    OE_ENSURE(report != NULL && report_size > 0, OE_INVALID_PARAMETER);
    OE_TRY(oe_parse_report(report, report_size, &parsed));
    if (parsed.identity.attributes & OE_REPORT_ATTRIBUTES_REMOTE) {
        result = oe_report_quote_verify(report, report_size, NULL, 0, &parsed.verification_result);
    } else {
        result = oe_report_local_verify(report, report_size);
    }
    if (parsed_report && (result == OE_OK || result == OE_TCB_LEVEL_INVALID)) {
        *parsed_report = parsed;
    }
    return result;
}
