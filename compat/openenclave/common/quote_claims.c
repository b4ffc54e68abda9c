/*
 * The claims of verified quotes, of enclaves and of trust domains.
 * Side: both. Called by common/quote_formats.c, after verification.
 * Never verifies; copies everything.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/evidence.h"
#include "compat/openenclave/common/quote.h"

#define QUOTE_BODY 48u /* offset of the report body in a quote of version 3 */
#define QUOTE_PCE_SVN 10u
#define QUOTE_USER_DATA 28u

static void span_add(struct oe_claim_list *list, const char *name, struct cella_span span)
{
    oe_claim_add(list, name, span.data, span.size);
}

static void date_add(struct oe_claim_list *list, const char *name, int64_t time)
{
    const oe_datetime_t date = oe_datetime_of(time);
    oe_claim_add(list, name, &date, sizeof(date));
}

static void status_add(struct oe_claim_list *list, uint32_t status)
{
    oe_claim_add(list, OE_CLAIM_TCB_STATUS, &status, sizeof(status));
}

static void validity_add(struct oe_claim_list *list, const struct oe_quote_verdict *verdict)
{
    const struct cella_evidence_result *evidence = &verdict->evidence;
    uint8_t ueid[OE_UEID_SIZE] = {OE_UEID_TYPE_RAND};
    memcpy(ueid + 1, evidence->claims.quote.data + QUOTE_USER_DATA, 20);
    status_add(list, oe_tcb_status_of(evidence->status));
    date_add(list, OE_CLAIM_TCB_DATE, evidence->tcb_date);
    date_add(list, OE_CLAIM_VALIDITY_FROM, evidence->valid_from);
    date_add(list, OE_CLAIM_VALIDITY_UNTIL, evidence->valid_until);
    oe_claim_add(list, OE_CLAIM_UEID, ueid, sizeof(ueid));
    oe_claim_add(list, OE_CLAIM_HARDWARE_MODEL, evidence->platform.fmspc,
                 sizeof(evidence->platform.fmspc));
}

static void collateral_add(struct oe_claim_list *list, const struct oe_quote_verdict *verdict)
{
    static const struct {
        const char *name;
        oe_sgx_endorsements_fields_t field;
    } rows[] = {
        {OE_CLAIM_SGX_TCB_INFO, OE_SGX_ENDORSEMENT_FIELD_TCB_INFO},
        {OE_CLAIM_SGX_TCB_ISSUER_CHAIN, OE_SGX_ENDORSEMENT_FIELD_TCB_ISSUER_CHAIN},
        {OE_CLAIM_SGX_PCK_CRL, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_CERT},
        {OE_CLAIM_SGX_ROOT_CA_CRL, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_PROC_CA},
        {OE_CLAIM_SGX_CRL_ISSUER_CHAIN, OE_SGX_ENDORSEMENT_FIELD_CRL_ISSUER_CHAIN_PCK_CERT},
        {OE_CLAIM_SGX_QE_ID_INFO, OE_SGX_ENDORSEMENT_FIELD_QE_ID_INFO},
        {OE_CLAIM_SGX_QE_ID_ISSUER_CHAIN, OE_SGX_ENDORSEMENT_FIELD_QE_ID_ISSUER_CHAIN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        span_add(list, rows[i].name, verdict->endorsements.parts[rows[i].field]);
    }
    oe_claim_add(list, OE_CLAIM_SGX_PCE_SVN, verdict->evidence.claims.quote.data + QUOTE_PCE_SVN,
                 2);
}

oe_result_t oe_claims_of_quote(const oe_uuid_t *format, const struct oe_quote_verdict *verdict,
                               const uint8_t *custom, size_t custom_size, bool with_report_data,
                               oe_claim_t **ret_claims, size_t *ret_count)
{
    struct oe_claim_list list;
    sgx_report_body_t body; /* in the quote it is not aligned */
    memcpy(&body, verdict->evidence.claims.quote.data + QUOTE_BODY, sizeof(body));
    OE_TRY(oe_claims_new(&list, OE_REQUIRED_CLAIMS_COUNT + OE_SGX_REQUIRED_CLAIMS_COUNT +
                                    OE_OPTIONAL_CLAIMS_COUNT + OE_SGX_OPTIONAL_CLAIMS_COUNT + 1));
    oe_claims_add_body(&list, format, &body, true);
    validity_add(&list, verdict);
    collateral_add(&list, verdict);
    if (with_report_data) {
        span_add(&list, OE_CLAIM_SGX_REPORT_DATA, verdict->evidence.claims.report_data);
    } else if (custom_size > 0) {
        oe_claim_add(&list, OE_CLAIM_CUSTOM_CLAIMS_BUFFER, custom, custom_size);
    }
    return oe_claims_done(&list, ret_claims, ret_count);
}

/* ------------------------------------------------------------------------- trust domains */

/* An identity is an enclave's: zeros, so that whoever asks for the required claims finds them. */
static void no_identity_add(struct oe_claim_list *list, const oe_uuid_t *format)
{
    static const oe_identity_t none;
    oe_claim_add(list, OE_CLAIM_ID_VERSION, &none.id_version, sizeof(none.id_version));
    oe_claim_add(list, OE_CLAIM_SECURITY_VERSION, &none.security_version,
                 sizeof(none.security_version));
    oe_claim_add(list, OE_CLAIM_ATTRIBUTES, &none.attributes, sizeof(none.attributes));
    oe_claim_add(list, OE_CLAIM_UNIQUE_ID, none.unique_id, sizeof(none.unique_id));
    oe_claim_add(list, OE_CLAIM_SIGNER_ID, none.signer_id, sizeof(none.signer_id));
    oe_claim_add(list, OE_CLAIM_PRODUCT_ID, none.product_id, sizeof(none.product_id));
    oe_claim_add(list, OE_CLAIM_FORMAT_UUID, format, sizeof(*format));
}

static void td_attributes_add(struct oe_claim_list *list, uint64_t attributes)
{
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = {
        {OE_CLAIM_TDX_TD_ATTRIBUTES_DEBUG, 0},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_HGS_PLUS_PROF, 4},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_PERF_PROF, 5},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_PMT_PROF, 6},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_ICSSD, 16},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_SERVTD_EXT, 17},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_LASS, 27},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_SEPT_VE_DISABLE, 28},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_MIGRATABLE, 29},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_PROTECTION_KEYS, 30},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_KEY_LOCKER, 31},
        {OE_CLAIM_TDX_TD_ATTRIBUTES_PERFMON, 63},
    };
    oe_claim_add(list, OE_CLAIM_TDX_TD_ATTRIBUTES, &attributes, sizeof(attributes));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const bool flag = (attributes >> rows[i].bit & 1) != 0;
        oe_claim_add(list, rows[i].name, &flag, sizeof(flag));
    }
}

static void td_add(struct oe_claim_list *list, const struct cella_evidence_claims *claims)
{
    const struct cella_tdx_claims *tdx = &claims->tdx;
    span_add(list, OE_CLAIM_TDX_TEE_TCB_SVN, tdx->tee_tcb_svn);
    span_add(list, OE_CLAIM_TDX_MRSEAM, tdx->mr_seam);
    span_add(list, OE_CLAIM_TDX_MRSEAMSIGNER, tdx->mr_signer_seam);
    oe_claim_add(list, OE_CLAIM_TDX_SEAM_ATTRIBUTES, &tdx->seam_attributes,
                 sizeof(tdx->seam_attributes));
    td_attributes_add(list, tdx->td_attributes);
    oe_claim_add(list, OE_CLAIM_TDX_XFAM, &tdx->xfam, sizeof(tdx->xfam));
    span_add(list, OE_CLAIM_TDX_MRTD, tdx->mr_td);
    span_add(list, OE_CLAIM_TDX_MRCONFIGID, tdx->mr_config_id);
    span_add(list, OE_CLAIM_TDX_MROWNER, tdx->mr_owner);
    span_add(list, OE_CLAIM_TDX_MROWNERCONFIG, tdx->mr_owner_config);
    span_add(list, OE_CLAIM_TDX_RTMR0, tdx->rtmr[0]);
    span_add(list, OE_CLAIM_TDX_RTMR1, tdx->rtmr[1]);
    span_add(list, OE_CLAIM_TDX_RTMR2, tdx->rtmr[2]);
    span_add(list, OE_CLAIM_TDX_RTMR3, tdx->rtmr[3]);
    span_add(list, OE_CLAIM_TDX_REPORT_DATA, claims->report_data);
    if (tdx->tee_tcb_svn2.size > 0) { /* TDX 1.5 */
        span_add(list, OE_CLAIM_TDX_TEE_TCB_SVN_2, tdx->tee_tcb_svn2);
        span_add(list, OE_CLAIM_TDX_MRSERVICETD, tdx->mr_service_td);
    }
}

/* A baseline date takes what is out of date for current, if its level is not older than that date. */
static oe_result_t td_status(const struct oe_quote_verdict *verdict, const oe_policy_t *policies,
                             size_t policy_count, enum cella_tcb_status *ret_status)
{
    const struct cella_evidence_result *evidence = &verdict->evidence;
    const int64_t qe_date = evidence->details.qe_tcb_date;
    const int64_t date = qe_date && qe_date < evidence->tcb_date ? qe_date : evidence->tcb_date;
    int64_t baseline;
    *ret_status = evidence->status;
    for (size_t i = 0; i < policy_count; i++) {
        if (policies[i].type != OE_POLICY_TCB_BASELINE_DATE) {
            continue;
        }
        OE_ENSURE(policies[i].policy != NULL && policies[i].policy_size == sizeof(baseline),
                  OE_INVALID_PARAMETER);
        memcpy(&baseline, policies[i].policy, sizeof(baseline));
        if (date < baseline) {
            return OE_OK;
        }
        if (evidence->status == CELLA_TCB_OUT_OF_DATE) {
            *ret_status = CELLA_TCB_UP_TO_DATE;
        } else if (evidence->status == CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED) {
            *ret_status = CELLA_TCB_CONFIGURATION_NEEDED;
        }
        return OE_OK;
    }
    return OE_OK;
}

/* "INTEL-SA-00001,INTEL-SA-00002" and a zero; empty: no byte at all. */
static void advisories_add(struct oe_claim_list *list, const struct cella_evidence_result *evidence)
{
    char text[1024];
    size_t used = 0;
    for (size_t i = 0; i < evidence->advisory_count; i++) {
        const struct cella_span name = evidence->advisories[i];
        if (used + name.size + 2 > sizeof(text)) {
            break;
        }
        if (used > 0) {
            text[used++] = ',';
        }
        memcpy(text + used, name.data, name.size);
        used += name.size;
    }
    text[used] = 0;
    oe_claim_add(list, OE_CLAIM_TDX_SA_LIST, text, used > 0 ? used + 1 : 0);
}

oe_result_t oe_claims_of_td(const oe_uuid_t *format, const struct oe_quote_verdict *verdict,
                            const oe_policy_t *policies, size_t policy_count,
                            oe_claim_t **ret_claims, size_t *ret_count)
{
    struct oe_claim_list list;
    enum cella_tcb_status status;
    OE_TRY(td_status(verdict, policies, policy_count, &status));
    OE_TRY(oe_claims_new(&list, OE_REQUIRED_CLAIMS_COUNT + OE_TDX_REQUIRED_CLAIMS_COUNT +
                                    OE_TDX_ADDITIONAL_CLAIMS_COUNT));
    no_identity_add(&list, format);
    td_add(&list, &verdict->evidence.claims);
    status_add(&list, oe_tcb_status_of(status));
    advisories_add(&list, &verdict->evidence);
    oe_claim_add(&list, OE_CLAIM_TDX_PCE_SVN, verdict->evidence.claims.quote.data + QUOTE_PCE_SVN,
                 2);
    return oe_claims_done(&list, ret_claims, ret_count);
}
