/*
 * Verifying the quote in a report. report_quote.h is the manual.
 * Side: both. Called by oe_verify_report and oe_verify_remote_report.
 * Never takes a local report for a quote.
 */
#include "compat/openenclave/common/report_quote.h"

#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/quote.h"
#include "compat/openenclave/common/report.h"

oe_result_t oe_report_quote_verify(const uint8_t *report, size_t size, const uint8_t *endorsements,
                                   size_t endorsements_size, uint32_t *ret_status)
{
    const sgx_report_body_t *body;
    struct oe_quote_verdict *verdict;
    uint32_t kind;
    OE_TRY(oe_verifier_initialize()); /* as upstream: whoever verifies a report has a verifier */
    OE_TRY(oe_report_open(report, size, &kind, &body));
    OE_ENSURE(kind == OE_REPORT_KIND_REMOTE, OE_UNSUPPORTED);
    const struct cella_span quote = {report + sizeof(struct oe_report_head),
                                     size - sizeof(struct oe_report_head)};
    oe_result_t result = oe_quote_verify(quote, endorsements, endorsements_size, NULL, 0, &verdict);
    if (verdict) {
        *ret_status = oe_tcb_status_of(verdict->evidence.status);
        result = verdict->evidence.claims.tee == CELLA_TEE_SGX ? result : OE_REPORT_PARSE_ERROR;
    }
    oe_quote_verdict_free(verdict);
    return result;
}
