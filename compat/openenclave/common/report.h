/*
 * Open Enclave's report: a header, then an SGX report or a quote.
 * Side: both. Included by the skin.
 * Never owns the bytes.
 */
#ifndef CELLA_COMPAT_OE_REPORT_H
#define CELLA_COMPAT_OE_REPORT_H

#include <openenclave/bits/report.h>
#include <openenclave/bits/sgx/sgxtypes.h>

#include "compat/openenclave/common/glue.h"

#define OE_REPORT_VERSION 1u
#define OE_REPORT_KIND_LOCAL 1u
#define OE_REPORT_KIND_REMOTE 2u

/* 16 bytes, little endian, on the wire. */
struct oe_report_head {
    uint32_t version;
    uint32_t kind;
    uint64_t size; /* of what follows */
};
OE_STATIC_ASSERT(sizeof(struct oe_report_head) == 16);

/* Checks the header against the size; *ret_body is the SGX report, or the report body of the quote. */
oe_result_t oe_report_open(const uint8_t *report, size_t size, uint32_t *ret_kind,
                           const sgx_report_body_t **ret_body);

#endif
