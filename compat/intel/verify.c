/*
 * Verification of quotes in the words of Intel's DCAP libraries. verify.h is the manual. Which code stands for what is that
 * of Intel's quote verification enclave (ae/QvE/qve/qve.cpp): only statuses that do not end the matter come as a result,
 * everything else as an error with the result UNSPECIFIED; what has expired is told apart and refuses nothing.
 * Side: both. Called by untrusted/qv.c and trusted/ttls.c.
 */
#include "compat/intel/verify.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

quote3_error_t intel_error_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_OK:
        return SGX_QL_SUCCESS;
    case CELLA_CODE_INVALID_ARGUMENT:
        return SGX_QL_ERROR_INVALID_PARAMETER;
    case CELLA_CODE_OUT_OF_MEMORY:
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    default:
        return SGX_QL_ERROR_UNEXPECTED;
    }
}

/* All documents are given; one that "is missing" could not be read. */
static quote3_error_t error_of_absence(const struct cella_evidence_failure *failure)
{
    return strncmp(failure->text, "TCB info", 8) == 0 ? SGX_QL_TCBINFO_UNSUPPORTED_FORMAT
                                                      : SGX_QL_QEIDENTITY_UNSUPPORTED_FORMAT;
}

/* Which document a failure is about: by the names that the items have. */
static bool is_about(const struct cella_evidence_failure *failure, const char *name)
{
    return strncmp(failure->object, name, strlen(name)) == 0;
}

static quote3_error_t error_of_document(const struct cella_evidence_failure *failure)
{
    if (is_about(failure, "tcb_info_issuer") || is_about(failure, "qe_identity_issuer") ||
        is_about(failure, "pck_crl_issuer")) {
        return SGX_QL_PCK_CERT_CHAIN_ERROR;
    }
    if (is_about(failure, "tcb_info")) {
        return SGX_QL_TCBINFO_UNSUPPORTED_FORMAT;
    }
    if (is_about(failure, "qe_identity")) {
        return SGX_QL_QEIDENTITY_UNSUPPORTED_FORMAT;
    }
    if (is_about(failure, "pck_crl") || is_about(failure, "root_ca_crl")) {
        return SGX_QL_CRL_UNSUPPORTED_FORMAT;
    }
    return error_of_absence(failure);
}

/* Only dates in the future come here: the past is excused. */
static quote3_error_t error_of_dates(const struct cella_evidence_failure *failure)
{
    if (is_about(failure, "tcb_info")) {
        return SGX_QL_SGX_TCB_INFO_EXPIRED;
    }
    if (is_about(failure, "qe_identity")) {
        return SGX_QL_SGX_ENCLAVE_IDENTITY_EXPIRED;
    }
    if (is_about(failure, "pck_crl") || is_about(failure, "root_ca_crl")) {
        return SGX_QL_SGX_CRL_EXPIRED;
    }
    return SGX_QL_SGX_PCK_CERT_CHAIN_EXPIRED;
}

static quote3_error_t error_of_list(const struct cella_evidence_failure *failure)
{
    return failure->result.code == CELLA_CODE_BAD_SIGNATURE ? SGX_QL_RESULT_INVALID_SIGNATURE
                                                            : SGX_QL_CRL_UNSUPPORTED_FORMAT;
}

static quote3_error_t error_of_failure(const struct cella_evidence_failure *failure)
{
    switch (failure->step) {
    case CELLA_STEP_EVIDENCE_FORMAT:
    case CELLA_STEP_EVIDENCE_PARSE:
        return SGX_QL_QUOTE_FORMAT_UNSUPPORTED;
    case CELLA_STEP_COLLATERAL:
        return error_of_document(failure);
    case CELLA_STEP_ROOT_CA:
    case CELLA_STEP_PCK_CHAIN:
        return SGX_QL_PCK_CERT_CHAIN_ERROR;
    case CELLA_STEP_PCK_CERTIFICATE:
        return SGX_QL_PCK_CERT_UNSUPPORTED_FORMAT;
    case CELLA_STEP_ROOT_CRL:
    case CELLA_STEP_PCK_CRL:
        return error_of_list(failure);
    case CELLA_STEP_REVOCATION:
        return SGX_QL_PCK_REVOKED;
    case CELLA_STEP_TCB_SIGNING_CHAIN:
        return is_about(failure, "qe_identity") ? SGX_QL_QEIDENTITY_CHAIN_ERROR
                                                : SGX_QL_TCBINFO_CHAIN_ERROR;
    case CELLA_STEP_TCB_INFO_SIGNATURE:
        return SGX_QL_TCBINFO_CHAIN_ERROR;
    case CELLA_STEP_QE_IDENTITY_SIGNATURE:
        return SGX_QL_QEIDENTITY_CHAIN_ERROR;
    case CELLA_STEP_TCB_INFO_MATCH:
        return SGX_QL_TCBINFO_MISMATCH;
    case CELLA_STEP_TDX_MODULE:
        return SGX_QL_TDX_MODULE_MISMATCH;
    case CELLA_STEP_QE_REPORT_SIGNATURE:
        return SGX_QL_QE_REPORT_INVALID_SIGNATURE;
    case CELLA_STEP_QE_IDENTITY:
        return SGX_QL_QEIDENTITY_MISMATCH;
    case CELLA_STEP_QUOTE_SIGNATURE:
        return SGX_QL_RESULT_INVALID_SIGNATURE;
    case CELLA_STEP_TCB_LEVEL:
        return SGX_QL_TCB_NOT_SUPPORTED;
    case CELLA_STEP_TCB_STATUS:
        return SGX_QL_TCB_REVOKED;
    case CELLA_STEP_VALIDITY:
        return error_of_dates(failure);
    case CELLA_STEP_REPORT_DATA:
        return SGX_QL_REPORT_DATA_MISMATCH;
    default: /* ATTESTATION_KEY: Intel's has no code of its own for it */
        return SGX_QL_ERROR_UNEXPECTED;
    }
}

static quote3_error_t error_of_refusal(const struct cella_evidence_result *result)
{
    for (size_t i = 0; i < result->failure_count; i++) {
        if (!result->failures[i].excused) {
            return error_of_failure(&result->failures[i]);
        }
    }
    return SGX_QL_ERROR_UNEXPECTED;
}

static sgx_ql_qv_result_t result_of_status(enum cella_tcb_status status)
{
    switch (status) {
    case CELLA_TCB_UP_TO_DATE:
        return SGX_QL_QV_RESULT_OK;
    case CELLA_TCB_SW_HARDENING_NEEDED:
        return SGX_QL_QV_RESULT_SW_HARDENING_NEEDED;
    case CELLA_TCB_CONFIGURATION_NEEDED:
        return SGX_QL_QV_RESULT_CONFIG_NEEDED;
    case CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
        return SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED;
    case CELLA_TCB_OUT_OF_DATE:
        return SGX_QL_QV_RESULT_OUT_OF_DATE;
    case CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED:
        return SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED;
    case CELLA_TCB_TD_RELAUNCH_ADVISED:
        return TEE_QV_RESULT_TD_RELAUNCH_ADVISED;
    case CELLA_TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED:
        return TEE_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED;
    case CELLA_TCB_REVOKED:
        return SGX_QL_QV_RESULT_REVOKED;
    default:
        return SGX_QL_QV_RESULT_UNSPECIFIED;
    }
}

/* ------------------------------------------------------------------------- supplemental data */

static void advisories_write(const struct cella_evidence_result *result,
                             char list[MAX_SA_LIST_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; i < result->advisory_count; i++) {
        const struct cella_span name = result->advisories[i];
        if (used + name.size + 2 > MAX_SA_LIST_SIZE) {
            return; /* as many as fit, whole */
        }
        if (used > 0) {
            list[used++] = ',';
        }
        memcpy(list + used, name.data, name.size);
        used += name.size;
    }
}

static pck_cert_flag_enum_t flag_of(bool value)
{
    return value ? PCK_FLAG_TRUE : PCK_FLAG_FALSE;
}

static void platform_write(const struct cella_platform_claims *platform,
                           sgx_ql_qv_supplemental_t *out)
{
    memcpy(out->pck_ppid, platform->ppid, sizeof(out->pck_ppid));
    memcpy(out->tcb_cpusvn.svn, platform->cpu_svn, sizeof(out->tcb_cpusvn.svn));
    out->tcb_pce_isvsvn = platform->pce_svn;
    out->pce_id = (uint16_t)(platform->pce_id[0] | platform->pce_id[1] << 8);
    out->sgx_type = platform->sgx_type;
    out->dynamic_platform = out->cached_keys = out->smt_enabled = PCK_FLAG_UNDEFINED;
    if (platform->has_instance_id) {
        memcpy(out->platform_instance_id, platform->instance_id, sizeof(platform->instance_id));
    }
    if (platform->has_configuration) {
        out->dynamic_platform = flag_of(platform->dynamic_platform);
        out->cached_keys = flag_of(platform->cached_keys);
        out->smt_enabled = flag_of(platform->smt_enabled);
    }
}

static time_t earlier(int64_t a, int64_t b)
{
    return (time_t)(b && b < a ? b : a);
}

static void supplemental_write(const struct cella_evidence_result *result,
                               sgx_ql_qv_supplemental_t *ret)
{
    const struct cella_collateral_details *details = &result->details;
    sgx_ql_qv_supplemental_t out = {.version = ret->version};
    platform_write(&result->platform, &out);
    advisories_write(result, out.sa_list);
    out.earliest_issue_date = (time_t)details->all.first_issued;
    out.latest_issue_date = (time_t)details->all.last_issued;
    out.earliest_expiration_date = (time_t)details->all.first_expires;
    out.tcb_level_date_tag = earlier(result->tcb_date, details->qe_tcb_date);
    out.platform_tcb_level_date_tag = (time_t)result->tcb_date;
    out.pck_crl_num = details->pck_crl_number;
    out.root_ca_crl_num = details->root_crl_number;
    out.tcb_eval_ref_num = details->qe_evaluation_number < result->tcb_evaluation_number
                               ? details->qe_evaluation_number
                               : result->tcb_evaluation_number;
    SHA384(details->root_key, sizeof(details->root_key), out.root_key_id);
    out.tee_type = result->claims.tee == CELLA_TEE_TDX ? 0x81 : 0;
    out.qe_iden_earliest_issue_date = (time_t)details->qe.first_issued;
    out.qe_iden_latest_issue_date = (time_t)details->qe.last_issued;
    out.qe_iden_earliest_expiration_date = (time_t)details->qe.first_expires;
    out.qe_iden_tcb_level_date_tag = (time_t)details->qe_tcb_date;
    out.qe_iden_tcb_eval_ref_num = details->qe_evaluation_number;
    out.qe_iden_status = result_of_status(result->qe_status);
    memcpy(ret, &out, sizeof(out));
}

/* ------------------------------------------------------------------------- the verification */

/* Everything but Revoked; debug is the caller's matter, as is what has expired. */
static void policy_set(struct cella_evidence_policy *policy, const uint8_t *report_data)
{
    cella_evidence_policy_init(policy);
    policy->statuses = ~(UINT32_C(1) << CELLA_TCB_REVOKED);
    policy->allow_debug = true;
    policy->allow_expired = true;
    policy->tees = UINT32_C(1) << CELLA_TEE_SGX | UINT32_C(1) << CELLA_TEE_TDX;
    if (report_data) {
        memcpy(policy->report_data.data, report_data, 64);
        policy->report_data.size = 64;
    }
}

/* On the heap: an enclave's stack may be small. */
struct room {
    struct cella_evidence_policy policy;
    struct cella_evidence_result result;
    struct cella_prepared *prepared;
};

static cella_result verify(const struct intel_verification *verification, struct room *room,
                           void *memory)
{
    uint8_t *scratch = (uint8_t *)memory + CELLA_EVIDENCE_PREPARED_SIZE;
    policy_set(&room->policy, verification->report_data);
    CELLA_TRY(cella_evidence_prepare(verification->items, verification->item_count,
                                     &verification->quote, verification->roots, memory,
                                     CELLA_EVIDENCE_PREPARED_SIZE, &room->prepared));
    return cella_evidence_verify(verification->quote, room->prepared, verification->time,
                                 &room->policy, scratch, CELLA_EVIDENCE_SCRATCH_SIZE,
                                 &room->result);
}

quote3_error_t intel_verify(const struct intel_verification *verification, uint32_t *ret_expired,
                            sgx_ql_qv_result_t *ret_result,
                            sgx_ql_qv_supplemental_t *ret_supplemental)
{
    struct room *room = calloc(1, sizeof(*room));
    void *memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE + CELLA_EVIDENCE_SCRATCH_SIZE);
    quote3_error_t error = SGX_QL_ERROR_OUT_OF_MEMORY;
    *ret_result = SGX_QL_QV_RESULT_UNSPECIFIED;
    *ret_expired = 1;
    if (room && memory) {
        const cella_result result = verify(verification, room, memory);
        error = cella_is_ok(result)              ? SGX_QL_SUCCESS
                : room->result.failure_count > 0 ? error_of_refusal(&room->result)
                                                 : intel_error_of(result);
    }
    if (error == SGX_QL_SUCCESS) {
        *ret_expired = room->result.collateral_expired;
        *ret_result = result_of_status(room->result.status);
        if (ret_supplemental) {
            supplemental_write(&room->result, ret_supplemental);
        }
    }
    if (room) {
        cella_evidence_prepared_done(room->prepared);
    }
    free(memory);
    free(room);
    return error;
}
