/*
 * What a relying party demands, applied to what verification found out.
 * Side: both. Called by evidence/evidence.c. Every check is soft: all that is wrong is said.
 */
#include "abi/sgx.h"
#include "evidence/bytes_util.h"
#include "evidence/verify.h"

#define TDX_SEPT_VE_DISABLE (1ull << 28)
#define SNP_PLATFORM_SMT (1ull << 0)
#define SNP_POLICY_MIGRATION_AGENT (1ull << 18)

void cella_evidence_policy_init(struct cella_evidence_policy *policy)
{
    *policy = (struct cella_evidence_policy){
        .statuses = 1u << CELLA_TCB_UP_TO_DATE | 1u << CELLA_TCB_SW_HARDENING_NEEDED |
                    1u << CELLA_TCB_CONFIGURATION_NEEDED |
                    1u << CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED |
                    1u << CELLA_TCB_UNSPECIFIED,
    };
}

static void refuse(struct ev_verify *verify, enum cella_evidence_step step, cella_result result,
                   const uint8_t *at, const char *text, struct cella_bytes value)
{
    struct ev_text line = ev_verify_fault(verify, step, result, &verify->object, at, false);
    ev_text_add(&line, text);
    ev_text_hex(&line, value);
}

static void status_check(struct ev_verify *verify)
{
    struct cella_evidence_result *result = verify->result;
    if (verify->policy->statuses >> result->status & 1u) {
        ev_verify_pass(verify, CELLA_STEP_TCB_STATUS);
        return;
    }
    struct ev_text line = ev_verify_fault(verify, CELLA_STEP_TCB_STATUS, CELLA_RESULT(SVN_TOO_OLD),
                                          &verify->object, NULL, false);
    ev_text_add(&line, "the TCB status is ");
    ev_text_add(&line, cella_tcb_status_name(result->status));
    ev_text_add(&line, ", which policy does not accept");
}

static void debug_check(struct ev_verify *verify)
{
    const struct cella_evidence_claims *claims = &verify->result->claims;
    if (!claims->debug) {
        ev_verify_pass(verify, CELLA_STEP_DEBUG);
        return;
    }
    static const char *const texts[] = {
        [CELLA_TEE_UNKNOWN] = "this is a debug TEE",
        [CELLA_TEE_SGX] = "this is a debug enclave: its owner's machine can read and write it",
        [CELLA_TEE_TDX] = "this TD is under debug: its host can read and write it",
        [CELLA_TEE_SNP] = "the guest policy allows debugging: the host can read and write it",
    };
    struct ev_text line =
        ev_verify_fault(verify, CELLA_STEP_DEBUG, CELLA_RESULT(DEBUG_MISMATCH), &verify->object,
                        claims->quote.data, verify->policy->allow_debug);
    ev_text_add(&line, texts[claims->tee]);
}

static bool is_listed(struct cella_span value, const struct cella_policy_digest *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ev_equal(cella_bytes_of(value.data, value.size),
                     cella_bytes_of(list[i].data, list[i].size))) {
            return true;
        }
    }
    return false;
}

static void identity_check(struct ev_verify *verify)
{
    const struct cella_evidence_policy *policy = verify->policy;
    const struct cella_evidence_claims *claims = &verify->result->claims;
    struct cella_span measurement = claims->measurement;
    struct cella_span signer = claims->signer;
    if (policy->measurement_count &&
        !is_listed(measurement, policy->measurements, policy->measurement_count)) {
        refuse(verify, CELLA_STEP_MEASUREMENT, CELLA_RESULT(MEASUREMENT_MISMATCH), measurement.data,
               "policy does not know the measurement ",
               cella_bytes_of(measurement.data, measurement.size));
    } else if (policy->measurement_count) {
        ev_verify_pass(verify, CELLA_STEP_MEASUREMENT);
    }
    if (policy->signer_count && !is_listed(signer, policy->signers, policy->signer_count)) {
        refuse(verify, CELLA_STEP_SIGNER, CELLA_RESULT(WRONG_KEY), signer.data,
               "policy does not know the signer ", cella_bytes_of(signer.data, signer.size));
    } else if (policy->signer_count) {
        ev_verify_pass(verify, CELLA_STEP_SIGNER);
    }
}

static void report_data_check(struct ev_verify *verify)
{
    const struct cella_policy_digest *expected = &verify->policy->report_data;
    struct cella_span span = verify->result->claims.report_data;
    struct cella_bytes data = cella_bytes_of(span.data, span.size);
    if (expected->size == 0) {
        return;
    }
    if (ev_equal(ev_part(data, 0, expected->size),
                 cella_bytes_of(expected->data, expected->size)) &&
        ev_is_zero(ev_part(data, expected->size, data.size - expected->size))) {
        ev_verify_pass(verify, CELLA_STEP_REPORT_DATA);
        return;
    }
    refuse(verify, CELLA_STEP_REPORT_DATA, CELLA_RESULT(AUTH_FAILED), data.data,
           "the report data is not the one expected, but ", data);
}

static void numbers_check(struct ev_verify *verify)
{
    const struct cella_evidence_policy *policy = verify->policy;
    const struct cella_evidence_claims *claims = &verify->result->claims;
    bool is_sgx = claims->tee == CELLA_TEE_SGX;
    uint32_t svn = is_sgx                         ? claims->sgx.svn
                   : claims->tee == CELLA_TEE_SNP ? claims->snp.guest_svn
                                                  : 0;
    struct cella_bytes none = {0};
    if (policy->has_product_id && (!is_sgx || claims->sgx.prod_id != policy->product_id)) {
        refuse(verify, CELLA_STEP_PRODUCT, CELLA_RESULT(NAME_MISMATCH), claims->quote.data,
               "the product id is another one than policy's", none);
    } else if (policy->has_product_id) {
        ev_verify_pass(verify, CELLA_STEP_PRODUCT);
    }
    if (svn < policy->min_svn) {
        struct ev_text line = ev_verify_fault(verify, CELLA_STEP_SVN, CELLA_RESULT(SVN_TOO_OLD),
                                              &verify->object, claims->quote.data, false);
        ev_text_add(&line, "the security version is ");
        ev_text_number(&line, svn);
        ev_text_add(&line, ", policy demands ");
        ev_text_number(&line, policy->min_svn);
    } else if (policy->min_svn) {
        ev_verify_pass(verify, CELLA_STEP_SVN);
    }
}

/* One demand on the platform; an empty line is none. */
static void demand(struct ev_verify *verify, bool is_broken, const char *text)
{
    if (is_broken) {
        refuse(verify, CELLA_STEP_PLATFORM_POLICY, CELLA_RESULT(ATTRIBUTE_REFUSED),
               verify->result->claims.quote.data, text, (struct cella_bytes){0});
    }
}

static void intel_check(struct ev_verify *verify)
{
    const struct cella_evidence_policy *policy = verify->policy;
    const struct cella_platform_claims *platform = &verify->result->platform;
    const struct cella_evidence_claims *claims = &verify->result->claims;
    /* A processor CA's certificate says nothing on these: what is not known is not good enough. */
    bool is_unknown = !platform->has_configuration;
    demand(verify, policy->refuse_smt && (is_unknown || platform->smt_enabled),
           "hyper-threading is on, or not known to be off");
    demand(verify, policy->refuse_dynamic_platform && (is_unknown || platform->dynamic_platform),
           "the platform can be extended, or is not known not to be");
    demand(verify, policy->refuse_cached_keys && (is_unknown || platform->cached_keys),
           "the platform's keys are cached by Intel, or not known not to be");
    demand(verify, verify->result->tcb_evaluation_number < policy->min_tcb_evaluation_number,
           "the TCB evaluation data number of the TCB info is below policy's");
    demand(verify, verify->result->details.qe_evaluation_number < policy->min_tcb_evaluation_number,
           "the TCB evaluation data number of the QE identity is below policy's");
    if (claims->tee == CELLA_TEE_TDX) {
        demand(verify,
               policy->require_sept_ve_disable &&
                   !(claims->tdx.td_attributes & TDX_SEPT_VE_DISABLE),
               "SEPT_VE_DISABLE is not set");
        demand(verify,
               policy->refuse_service_td &&
                   !ev_is_zero(cella_bytes_of(claims->tdx.mr_service_td.data,
                                              claims->tdx.mr_service_td.size)),
               "a service TD is bound to this TD");
    }
}

static void amd_check(struct ev_verify *verify)
{
    const struct cella_evidence_policy *policy = verify->policy;
    const struct cella_snp_claims *snp = &verify->result->claims.snp;
    demand(verify, policy->has_max_vmpl && snp->vmpl > policy->max_vmpl,
           "the report was asked for at a lesser VMPL than policy demands");
    demand(verify, policy->refuse_snp_smt && (snp->platform_info & SNP_PLATFORM_SMT), "SMT is on");
    demand(verify, policy->refuse_migration_agent && (snp->policy & SNP_POLICY_MIGRATION_AGENT),
           "the guest policy allows a migration agent");
    demand(verify,
           policy->host_data.size &&
               !ev_equal(cella_bytes_of(snp->host_data.data, snp->host_data.size),
                         cella_bytes_of(policy->host_data.data, policy->host_data.size)),
           "the host data is another one");
}

void ev_verify_policy(struct ev_verify *verify)
{
    const struct cella_evidence_policy *policy = verify->policy;
    enum cella_tee tee = verify->result->claims.tee;
    status_check(verify);
    debug_check(verify);
    identity_check(verify);
    numbers_check(verify);
    report_data_check(verify);
    demand(verify,
           policy->refuse_trailing && verify->result->claims.padding &&
               !verify->result->claims.is_padding_zero,
           "there are bytes behind the quote that are not part of it");
    demand(verify, policy->tees && !(policy->tees >> tee & 1u), "policy does not know this TEE");
    if (tee == CELLA_TEE_SNP) {
        amd_check(verify);
    } else {
        intel_check(verify);
    }
    ev_verify_pass(verify, CELLA_STEP_PLATFORM_POLICY);
}
