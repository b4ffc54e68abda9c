/*
 * Verifying the quote in a report.
 * Side: both. Included by oe_verify_report and oe_verify_remote_report.
 */
#ifndef CELLA_COMPAT_OE_REPORT_QUOTE_H
#define CELLA_COMPAT_OE_REPORT_QUOTE_H

#include <stddef.h>
#include <stdint.h>

#include <openenclave/bits/result.h>

/* Results as oe_quote_verify. `endorsements` NULL: fetched. *ret_status is written when the quote was verified. */
oe_result_t oe_report_quote_verify(const uint8_t *report, size_t size, const uint8_t *endorsements,
                                   size_t endorsements_size, uint32_t *ret_status);

#endif
