/*
 * Verifying a quote against endorsements. quote.h is the manual.
 * Side: both. Called by the verifier and by reports; nothing that comes in is trusted.
 * Never trusts a root that oe_roots_get did not give. Debug enclaves pass: the attributes among the claims say so.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openenclave/attestation/sgx/evidence.h>

#include "common/no_compression.h"
#include "compat/openenclave/common/quote.h"

CELLA_NO_COMPRESSION;

uint32_t oe_tcb_status_of(enum cella_tcb_status status)
{
    switch (status) {
    case CELLA_TCB_UP_TO_DATE:
        return OE_SGX_TCB_STATUS_UP_TO_DATE;
    case CELLA_TCB_SW_HARDENING_NEEDED:
        return OE_SGX_TCB_STATUS_SW_HARDENING_NEEDED;
    case CELLA_TCB_CONFIGURATION_NEEDED:
        return OE_SGX_TCB_STATUS_CONFIGURATION_NEEDED;
    case CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
        return OE_SGX_TCB_STATUS_CONFIGURATION_AND_SW_HARDENING_NEEDED;
    case CELLA_TCB_OUT_OF_DATE:
        return OE_SGX_TCB_STATUS_OUT_OF_DATE;
    case CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED:
        return OE_SGX_TCB_STATUS_OUT_OF_DATE_CONFIGURATION_NEEDED;
    case CELLA_TCB_TD_RELAUNCH_ADVISED:
        return OE_SGX_TCB_STATUS_TD_RELAUNCH_ADVISED;
    case CELLA_TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED:
        return OE_SGX_TCB_STATUS_TD_RELAUNCH_ADVISED_CONFIG_NEEDED;
    case CELLA_TCB_REVOKED:
        return OE_SGX_TCB_STATUS_REVOKED;
    default:
        return (uint32_t)OE_SGX_TCB_STATUS_INVALID;
    }
}

static oe_result_t result_of_list(const struct cella_evidence_failure *failure)
{
    return failure->result.code == CELLA_CODE_NOT_FOUND ? OE_VERIFY_CRL_MISSING
                                                        : OE_INVALID_REVOCATION_INFO;
}

static oe_result_t result_of_failure(const struct cella_evidence_failure *failure)
{
    switch (failure->step) {
    case CELLA_STEP_EVIDENCE_FORMAT:
    case CELLA_STEP_EVIDENCE_PARSE:
        return OE_REPORT_PARSE_ERROR;
    case CELLA_STEP_COLLATERAL:
        return OE_INVALID_ENDORSEMENT;
    case CELLA_STEP_PCK_CERTIFICATE:
        return OE_INVALID_SGX_CERTIFICATE_EXTENSIONS;
    case CELLA_STEP_ROOT_CRL:
    case CELLA_STEP_PCK_CRL:
        return result_of_list(failure);
    case CELLA_STEP_REVOCATION:
        return OE_VERIFY_REVOKED;
    case CELLA_STEP_TCB_SIGNING_CHAIN:
    case CELLA_STEP_TCB_INFO_SIGNATURE:
    case CELLA_STEP_TCB_INFO_MATCH:
        return OE_INVALID_REVOCATION_INFO;
    case CELLA_STEP_QE_IDENTITY_SIGNATURE:
        return OE_INVALID_QE_IDENTITY_INFO;
    case CELLA_STEP_QE_IDENTITY:
        return OE_QUOTE_ENCLAVE_IDENTITY_VERIFICATION_FAILED;
    case CELLA_STEP_TCB_LEVEL:
        return OE_TCB_LEVEL_INVALID;
    case CELLA_STEP_VALIDITY:
        return OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD;
    case CELLA_STEP_CUSTOM_CLAIMS:
        return OE_QUOTE_HASH_MISMATCH;
    case CELLA_STEP_QUOTE_SIGNATURE:
    case CELLA_STEP_QE_REPORT_SIGNATURE:
        return OE_VERIFY_FAILED;
    default: /* chains, roots, the attestation key */
        return OE_QUOTE_VERIFICATION_ERROR;
    }
}

static oe_result_t result_of_refusal(const struct cella_evidence_result *evidence)
{
    for (size_t i = 0; i < evidence->failure_count; i++) {
        if (!evidence->failures[i].excused) {
            oe_quote_explain(&evidence->failures[i]);
            return result_of_failure(&evidence->failures[i]);
        }
    }
    return OE_QUOTE_VERIFICATION_ERROR;
}

/* The time at which endorsements are looked at. */
static oe_result_t time_get(const oe_policy_t *policies, size_t count, int64_t created,
                            int64_t *ret_time)
{
    oe_datetime_t at;
    for (size_t i = 0; i < count; i++) {
        if (policies[i].type == OE_POLICY_ENDORSEMENTS_TIME) {
            OE_ENSURE(policies[i].policy != NULL && policies[i].policy_size == sizeof(at),
                      OE_INVALID_PARAMETER);
            memcpy(&at, policies[i].policy, sizeof(at));
            return oe_datetime_read(&at, ret_time);
        }
    }
    *ret_time = created;
    return OE_OK;
}

/* Every status is a claim's or a result's matter; whether the enclave is open to debuggers, too. */
static void policy_set(struct cella_evidence_policy *policy)
{
    cella_evidence_policy_init(policy);
    policy->statuses = UINT32_MAX;
    policy->allow_debug = true;
    policy->tees = UINT32_C(1) << CELLA_TEE_SGX | UINT32_C(1) << CELLA_TEE_TDX;
}

static cella_result verify_at(struct cella_span quote, int64_t at,
                              const struct cella_evidence_policy *policy,
                              struct oe_quote_verdict *verdict)
{
    uint8_t *scratch = (uint8_t *)verdict->memory + CELLA_EVIDENCE_PREPARED_SIZE;
    return cella_evidence_verify(quote, verdict->prepared, at, policy, scratch,
                                 CELLA_EVIDENCE_SCRATCH_SIZE, &verdict->evidence);
}

/* Of endorsements that do not say when they were made: when the last of them had been issued. */
static cella_result verify_undated(struct cella_span quote, struct cella_evidence_policy *policy,
                                   struct oe_quote_verdict *verdict)
{
    policy->allow_expired = true;
    const cella_result result = verify_at(quote, (int64_t)time(NULL), policy, verdict);
    policy->allow_expired = false;
    CELLA_TRY(result);
    return verify_at(quote, verdict->evidence.valid_from, policy, verdict);
}

static oe_result_t endorsements_prepare(struct cella_span quote, const uint8_t *endorsements,
                                        size_t size, struct oe_quote_verdict *verdict)
{
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots roots = {.count = 0};
    if (oe_td_endorsements_read(endorsements, size, &verdict->endorsements) != OE_OK) {
        OE_TRY(oe_endorsements_read(endorsements, size, &verdict->endorsements));
    }
    OE_TRY(oe_roots_get(&roots));
    oe_endorsements_items(&verdict->endorsements, items);
    verdict->memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE + CELLA_EVIDENCE_SCRATCH_SIZE);
    OE_ENSURE(verdict->memory != NULL, OE_OUT_OF_MEMORY);
    return oe_result_of(cella_evidence_prepare(items, CELLA_DOCUMENT_COUNT, &quote, &roots,
                                               verdict->memory, CELLA_EVIDENCE_PREPARED_SIZE,
                                               &verdict->prepared));
}

static oe_result_t verify(struct cella_span quote, const uint8_t *endorsements, size_t size,
                          const oe_policy_t *policies, size_t policy_count,
                          struct oe_quote_verdict *verdict)
{
    struct cella_evidence_policy policy;
    int64_t at;
    policy_set(&policy);
    OE_TRY(endorsements_prepare(quote, endorsements, size, verdict));
    OE_TRY(time_get(policies, policy_count, verdict->endorsements.created, &at));
    const cella_result result = at == OE_CREATED_UNKNOWN ? verify_undated(quote, &policy, verdict)
                                                         : verify_at(quote, at, &policy, verdict);
    if (!cella_is_ok(result)) {
        return verdict->evidence.failure_count > 0 ? result_of_refusal(&verdict->evidence)
                                                   : oe_result_of(result);
    }
    return verdict->evidence.status == CELLA_TCB_UP_TO_DATE ||
                   verdict->evidence.status == CELLA_TCB_SW_HARDENING_NEEDED
               ? OE_OK
               : OE_TCB_LEVEL_INVALID;
}

oe_result_t oe_quote_verify(struct cella_span quote, const uint8_t *endorsements,
                            size_t endorsements_size, const oe_policy_t *policies,
                            size_t policy_count, struct oe_quote_verdict **ret_verdict)
{
    oe_result_t result = OE_OK;
    struct oe_quote_verdict *verdict = calloc(1, sizeof(*verdict));
    *ret_verdict = NULL;
    OE_ENSURE(verdict != NULL, OE_OUT_OF_MEMORY);
    if (!endorsements) {
        result = oe_endorsements_get(quote, &verdict->fetched, &endorsements_size);
        endorsements = verdict->fetched;
    }
    if (result == OE_OK) {
        result = verify(quote, endorsements, endorsements_size, policies, policy_count, verdict);
    }
    *ret_verdict = verdict->evidence.accepted ? verdict : NULL;
    if (!*ret_verdict) {
        oe_quote_verdict_free(verdict);
    }
    return result;
}

void oe_quote_verdict_free(struct oe_quote_verdict *verdict)
{
    if (verdict) {
        cella_evidence_prepared_done(verdict->prepared);
        free(verdict->fetched);
        free(verdict->memory);
        free(verdict);
    }
}
