/*
 * The header that names the format of evidence, and the list of claims about an SGX report.
 * Side: both. Included by attesters and verifiers.
 * Never believes the header before its size was compared with the buffer's.
 */
#ifndef CELLA_COMPAT_OE_EVIDENCE_H
#define CELLA_COMPAT_OE_EVIDENCE_H

#include <stdbool.h>

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

/* A list of claims under way; what failed is told at its end. The caller knows how many there can be. */
struct oe_claim_list {
    oe_claim_t *claims;
    size_t count;
    bool failed;
};
oe_result_t oe_claims_new(struct oe_claim_list *list, size_t max);
void oe_claim_add(struct oe_claim_list *list, const char *name, const void *value, size_t size);
/* The required ones and SGX's, of a report. */
void oe_claims_add_body(struct oe_claim_list *list, const oe_uuid_t *format,
                        const sgx_report_body_t *body, bool remote);
/* OE_OUT_OF_MEMORY: nothing is left. */
oe_result_t oe_claims_done(struct oe_claim_list *list, oe_claim_t **ret_claims, size_t *ret_count);

/* The claims of a verified local report, and the custom claims' bytes when there are any. */
oe_result_t oe_claims_of_report(const oe_uuid_t *format, const sgx_report_body_t *body,
                                const uint8_t *custom, size_t custom_size, oe_claim_t **ret_claims,
                                size_t *ret_count);

/* Local evidence: enclave/verifier.c; a host cannot. */
bool oe_local_possible(void);
oe_result_t oe_local_settings(uint8_t **ret_settings, size_t *ret_size);
oe_result_t oe_local_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                            oe_claim_t **ret_claims, size_t *ret_count);

/* Evidence of a format with a quote in it: common/quote_formats.c. */
oe_result_t oe_quote_formats_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                                    const uint8_t *endorsements, size_t endorsements_size,
                                    const oe_policy_t *policies, size_t policy_count,
                                    oe_claim_t **ret_claims, size_t *ret_count);

#endif
