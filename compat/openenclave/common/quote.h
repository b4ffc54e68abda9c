/*
 * Verifying quotes over cella/evidence.h: what goes in, what comes out, and what each side brings.
 * Side: both. Included by the verifier and the reports of the skin.
 * Never names SGX structures: their names are openenclave/bits/sgx/sgxtypes.h's here.
 */
#ifndef CELLA_COMPAT_OE_QUOTE_H
#define CELLA_COMPAT_OE_QUOTE_H

#include <openenclave/bits/attestation.h>
#include <openenclave/bits/evidence.h>

#include "cella/collateral.h"
#include "compat/openenclave/common/glue.h"

/* The elements of endorsements where they are in a buffer; sizes count the zero behind. */
struct oe_endorsements_parts {
    struct cella_span parts[OE_SGX_ENDORSEMENT_COUNT];
    int64_t created;
};
#define OE_CREATED_UNKNOWN INT64_MIN

/* OE_INVALID_PARAMETER. */
oe_result_t oe_endorsements_read(const uint8_t *buffer, size_t size,
                                 struct oe_endorsements_parts *ret_parts);
/* The same in the form that DCAP libraries give collateral for trust domains: it does not say when it was made. */
oe_result_t oe_td_endorsements_read(const uint8_t *buffer, size_t size,
                                    struct oe_endorsements_parts *ret_parts);
void oe_endorsements_items(const struct oe_endorsements_parts *parts,
                           struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT]);
/* Endorsements for a quote, as the host finds them: quote_source.c of each side. OE_QUOTE_PROVIDER_CALL_ERROR: none. */
oe_result_t oe_endorsements_get(struct cella_span quote, uint8_t **ret_buffer, size_t *ret_size);

oe_datetime_t oe_datetime_of(int64_t time);
/* OE_INVALID_UTC_DATE_TIME. */
oe_result_t oe_datetime_read(const oe_datetime_t *datetime, int64_t *ret_time);

/* Tells the log why something was refused: quote_source.c of each side. */
void oe_quote_explain(const struct cella_evidence_failure *failure);
/* Who is trusted beside Intel: quote_source.c of each side. */
oe_result_t oe_roots_get(struct cella_roots *ret_roots);

struct oe_quote_verdict {
    struct cella_evidence_result evidence; /* its spans are in the quote and in the memory below */
    struct oe_endorsements_parts endorsements;
    uint8_t *fetched;
    void *memory;
    struct cella_prepared *prepared;
};

/*
 * OE_OK (UpToDate, SWHardeningNeeded), OE_TCB_LEVEL_INVALID (every other status: verified all the same, and *ret_verdict
 * is there too, unless the platform is below every level), or why not, and *ret_verdict is NULL. `endorsements` NULL: they are fetched. Policies: the endorsements' time; without one they
 * are looked at as of their creation, or where that is unknown, as of when all of them had been issued. Free with oe_quote_verdict_free.
 */
oe_result_t oe_quote_verify(struct cella_span quote, const uint8_t *endorsements,
                            size_t endorsements_size, const oe_policy_t *policies,
                            size_t policy_count, struct oe_quote_verdict **ret_verdict);
void oe_quote_verdict_free(struct oe_quote_verdict *verdict);

/* OE_SGX_TCB_STATUS_* of a status. */
uint32_t oe_tcb_status_of(enum cella_tcb_status status);

/* Claims of a verified quote; `custom` may be NULL. Without custom claims `with_report_data` says whether that is one. */
oe_result_t oe_claims_of_quote(const oe_uuid_t *format, const struct oe_quote_verdict *verdict,
                               const uint8_t *custom, size_t custom_size, bool with_report_data,
                               oe_claim_t **ret_claims, size_t *ret_count);
oe_result_t oe_claims_of_td(const oe_uuid_t *format, const struct oe_quote_verdict *verdict,
                            const oe_policy_t *policies, size_t policy_count,
                            oe_claim_t **ret_claims, size_t *ret_count);

#endif
