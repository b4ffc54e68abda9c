/*
 * The header that names the format of evidence, and the list of claims about an SGX report.
 * Side: both. Included by attesters and verifiers.
 * Never believes the header before its size was compared with the buffer's.
 */
#ifndef CELLA_COMPAT_OE_EVIDENCE_H
#define CELLA_COMPAT_OE_EVIDENCE_H

#include <openenclave/bits/evidence.h>
#include <openenclave/bits/sgx/sgxtypes.h>

#include "compat/openenclave/common/glue.h"

#define OE_EVIDENCE_VERSION 3u

/* 32 bytes, little endian, on the wire. */
struct oe_evidence_head {
    uint32_t version;
    oe_uuid_t format;
    uint32_t reserved;
    uint64_t size; /* of what follows */
};
OE_STATIC_ASSERT(sizeof(struct oe_evidence_head) == 32);

/*
 * Splits evidence into its format and the bytes behind the header; with `format` given there is no header. A legacy
 * report (oe_get_report) is recognised too.
 */
oe_result_t oe_evidence_open(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                             oe_uuid_t *ret_format, const uint8_t **ret_body, size_t *ret_size);

/* The claims of a verified local report, and the custom claims' bytes when there are any. */
oe_result_t oe_claims_of_report(const oe_uuid_t *format, const sgx_report_body_t *body,
                                const uint8_t *custom, size_t custom_size, oe_claim_t **ret_claims,
                                size_t *ret_count);

/* Which formats this side can verify, and verifying one: enclave/verifier.c, host/verifier.c. */
extern const oe_uuid_t oe_verifier_formats[];
extern const size_t oe_verifier_format_count;
oe_result_t oe_verifier_settings(const oe_uuid_t *format, uint8_t **ret_settings, size_t *ret_size);
oe_result_t oe_verifier_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                               const uint8_t *endorsements, size_t endorsements_size,
                               const oe_policy_t *policies, size_t policy_count,
                               oe_claim_t **ret_claims, size_t *ret_count);

#endif
