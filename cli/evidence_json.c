/*
 * Evidence and verdicts as JSON.
 * Side: tools. Called by cli/cmd_evidence_*.c. Never judges.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/evidence.h"
#include "common/cleanup.h"

static void hex_set(json_t *object, const char *key, struct cella_span bytes)
{
    char *text = bytes.size ? evidence_hex(bytes) : NULL;
    json_object_set_new(object, key, text ? json_string(text) : json_null());
    free(text);
}

static void u64_set(json_t *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)value);
    json_object_set_new(object, key, json_string(text));
}

static void int_set(json_t *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

static void bool_set(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

static void text_set(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text && text[0] ? json_string(text) : json_null());
}

static void time_set(json_t *object, const char *key, int64_t time)
{
    char text[40];
    evidence_time_write(text, sizeof(text), time);
    json_object_set_new(object, key, json_string(text));
}

static json_t *sgx_json(const struct cella_sgx_claims *sgx)
{
    json_t *json = json_object();
    hex_set(json, "mr_enclave", sgx->mr_enclave);
    hex_set(json, "mr_signer", sgx->mr_signer);
    int_set(json, "product_id", sgx->prod_id);
    int_set(json, "svn", sgx->svn);
    u64_set(json, "flags", sgx->flags);
    u64_set(json, "xfrm", sgx->xfrm);
    int_set(json, "misc_select", sgx->misc_select);
    hex_set(json, "cpu_svn", sgx->cpu_svn);
    hex_set(json, "family_id", sgx->family_id);
    hex_set(json, "extended_product_id", sgx->ext_prod_id);
    hex_set(json, "config_id", sgx->config_id);
    int_set(json, "config_svn", sgx->config_svn);
    return json;
}

static json_t *tdx_json(const struct cella_tdx_claims *tdx)
{
    json_t *json = json_object();
    hex_set(json, "mr_td", tdx->mr_td);
    for (unsigned i = 0; i < 4; i++) {
        char key[] = "rtmr0";
        key[4] = (char)('0' + i);
        hex_set(json, key, tdx->rtmr[i]);
    }
    hex_set(json, "mr_config_id", tdx->mr_config_id);
    hex_set(json, "mr_owner", tdx->mr_owner);
    hex_set(json, "mr_owner_config", tdx->mr_owner_config);
    hex_set(json, "mr_seam", tdx->mr_seam);
    hex_set(json, "mr_signer_seam", tdx->mr_signer_seam);
    u64_set(json, "seam_attributes", tdx->seam_attributes);
    u64_set(json, "td_attributes", tdx->td_attributes);
    u64_set(json, "xfam", tdx->xfam);
    hex_set(json, "tee_tcb_svn", tdx->tee_tcb_svn);
    hex_set(json, "tee_tcb_svn2", tdx->tee_tcb_svn2);
    hex_set(json, "mr_service_td", tdx->mr_service_td);
    return json;
}

static json_t *tcb_json(const struct cella_snp_tcb *tcb)
{
    json_t *json = json_object();
    int_set(json, "bootloader", tcb->bootloader);
    int_set(json, "tee", tcb->tee);
    int_set(json, "snp", tcb->snp);
    int_set(json, "microcode", tcb->microcode);
    int_set(json, "fmc", tcb->fmc);
    u64_set(json, "raw", tcb->raw);
    return json;
}

static json_t *snp_json(const struct cella_snp_claims *snp)
{
    json_t *json = json_object();
    text_set(json, "product", cella_snp_product_name(snp->product));
    text_set(json, "signing_key", snp->is_vlek ? "VLEK" : "VCEK");
    u64_set(json, "policy", snp->policy);
    int_set(json, "guest_svn", snp->guest_svn);
    int_set(json, "vmpl", snp->vmpl);
    hex_set(json, "host_data", snp->host_data);
    hex_set(json, "id_key_digest", snp->id_key_digest);
    hex_set(json, "author_key_digest", snp->author_key_digest);
    hex_set(json, "family_id", snp->family_id);
    hex_set(json, "image_id", snp->image_id);
    hex_set(json, "report_id", snp->report_id);
    hex_set(json, "report_id_ma", snp->report_id_ma);
    hex_set(json, "chip_id", snp->chip_id);
    u64_set(json, "platform_info", snp->platform_info);
    int_set(json, "cpuid_family", snp->cpuid_family);
    int_set(json, "cpuid_model", snp->cpuid_model);
    int_set(json, "cpuid_stepping", snp->cpuid_stepping);
    json_object_set_new(json, "reported_tcb", tcb_json(&snp->reported_tcb));
    json_object_set_new(json, "current_tcb", tcb_json(&snp->current_tcb));
    json_object_set_new(json, "committed_tcb", tcb_json(&snp->committed_tcb));
    json_object_set_new(json, "launch_tcb", tcb_json(&snp->launch_tcb));
    return json;
}

static json_t *platform_json(const struct cella_platform_claims *platform)
{
    json_t *json = json_object();
    hex_set(json, "fmspc", (struct cella_span){platform->fmspc, sizeof(platform->fmspc)});
    hex_set(json, "pce_id", (struct cella_span){platform->pce_id, sizeof(platform->pce_id)});
    int_set(json, "pce_svn", platform->pce_svn);
    hex_set(json, "cpu_svn", (struct cella_span){platform->cpu_svn, sizeof(platform->cpu_svn)});
    hex_set(json, "tcb_components",
            (struct cella_span){platform->components, sizeof(platform->components)});
    hex_set(json, "ppid", (struct cella_span){platform->ppid, sizeof(platform->ppid)});
    int_set(json, "sgx_type", platform->sgx_type);
    if (platform->has_instance_id) {
        hex_set(json, "platform_instance_id",
                (struct cella_span){platform->instance_id, sizeof(platform->instance_id)});
    }
    if (platform->has_configuration) {
        bool_set(json, "dynamic_platform", platform->dynamic_platform);
        bool_set(json, "cached_keys", platform->cached_keys);
        bool_set(json, "smt_enabled", platform->smt_enabled);
    }
    return json;
}

/* The keys that every TEE has, and its own below its name. */
static void claims_set(json_t *json, const struct cella_evidence_claims *claims,
                       const struct cella_platform_claims *platform)
{
    text_set(json, "format", cella_evidence_format_name(claims->format));
    int_set(json, "version", claims->version);
    bool_set(json, "debug", claims->debug);
    hex_set(json, "measurement", claims->measurement);
    hex_set(json, "signer", claims->signer);
    hex_set(json, "report_data", claims->report_data);
    hex_set(json, "custom_claims", claims->custom_claims);
    int_set(json, "padding", (int64_t)claims->padding);
    bool_set(json, "padding_is_zero", claims->padding == 0 || claims->is_padding_zero);
    if (claims->tee == CELLA_TEE_SGX) {
        json_object_set_new(json, "sgx", sgx_json(&claims->sgx));
    } else if (claims->tee == CELLA_TEE_TDX) {
        json_object_set_new(json, "tdx", tdx_json(&claims->tdx));
    } else if (claims->tee == CELLA_TEE_SNP) {
        json_object_set_new(json, "snp", snp_json(&claims->snp));
    }
    if (platform->known) {
        json_object_set_new(json, "platform", platform_json(platform));
    }
}

json_t *evidence_json_claims(const struct cella_evidence_claims *claims,
                             const struct cella_platform_claims *platform)
{
    json_t *json = json_object();
    text_set(json, "tee", cella_tee_name(claims->tee));
    claims_set(json, claims, platform);
    return json;
}

static json_t *failure_json(const struct cella_evidence_failure *failure)
{
    json_t *json = json_object();
    text_set(json, "step", cella_evidence_step_name(failure->step));
    text_set(json, "object", failure->object);
    if (failure->offset != CELLA_EVIDENCE_NO_OFFSET) {
        int_set(json, "offset", (int64_t)failure->offset);
    }
    text_set(json, "code", cella_result_name(failure->result));
    text_set(json, "reason", failure->text);
    bool_set(json, "excused", failure->excused);
    return json;
}

/* "tcbInfo.json, byte 12: …" */
static void reason_set(json_t *json, const struct cella_evidence_failure *failure)
{
    char text[CELLA_FAILURE_OBJECT_SIZE + CELLA_FAILURE_TEXT_SIZE + 40];
    if (failure->offset == CELLA_EVIDENCE_NO_OFFSET) {
        snprintf(text, sizeof(text), "%s: %s", failure->object, failure->text);
    } else {
        snprintf(text, sizeof(text), "%s, byte %llu: %s", failure->object,
                 (unsigned long long)failure->offset, failure->text);
    }
    json_object_set_new(json, "reason", json_string(text));
}

static void failures_set(json_t *json, const struct cella_evidence_result *result)
{
    json_t *list = json_array();
    bool is_first = true;
    json_object_set_new(json, "failed_step", json_null());
    json_object_set_new(json, "reason", json_null());
    for (size_t i = 0; i < result->failure_count; i++) {
        const struct cella_evidence_failure *failure = &result->failures[i];
        json_array_append_new(list, failure_json(failure));
        if (is_first && !failure->excused) {
            text_set(json, "failed_step", cella_evidence_step_name(failure->step));
            reason_set(json, failure);
            is_first = false;
        }
    }
    json_object_set_new(json, "failures", list);
}

static json_t *advisories_json(const struct cella_evidence_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->advisory_count; i++) {
        json_array_append_new(list, json_stringn((const char *)result->advisories[i].data,
                                                 result->advisories[i].size));
    }
    return list;
}

static json_t *steps_json(const struct cella_evidence_result *result)
{
    static const char *const outcomes[] = {"not taken", "passed", "failed", "excused"};
    json_t *list = json_array();
    for (unsigned i = 0; i < CELLA_STEP_COUNT; i++) {
        if (result->steps[i] != CELLA_STEP_NOT_TAKEN) {
            json_t *step = json_object();
            text_set(step, "step", cella_evidence_step_name((enum cella_evidence_step)i));
            text_set(step, "outcome", outcomes[result->steps[i] & 3]);
            json_array_append_new(list, step);
        }
    }
    return list;
}

json_t *evidence_json_result(const struct cella_evidence_result *result, int64_t time)
{
    json_t *json = json_object();
    bool is_known = result->claims.tee != CELLA_TEE_UNKNOWN;
    text_set(json, "verdict", result->accepted ? "accepted" : "refused");
    text_set(json, "tee", is_known ? cella_tee_name(result->claims.tee) : NULL);
    text_set(json, "status", cella_tcb_status_name(result->status));
    text_set(json, "platform_status", cella_tcb_status_name(result->platform_status));
    text_set(json, "qe_status", cella_tcb_status_name(result->qe_status));
    text_set(json, "tdx_module_status", cella_tcb_status_name(result->tdx_module_status));
    json_object_set_new(json, "advisory_ids", advisories_json(result));
    if (is_known) {
        claims_set(json, &result->claims, &result->platform);
    } else {
        static const char *const keys[] = {"debug", "measurement", "signer", "report_data"};
        for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
            json_object_set_new(json, keys[i], json_null());
        }
    }
    failures_set(json, result);
    time_set(json, "time", time);
    if (result->valid_from != INT64_MIN && result->valid_until != INT64_MAX) {
        time_set(json, "valid_from", result->valid_from);
        time_set(json, "valid_until", result->valid_until);
    }
    if (result->tcb_date) {
        time_set(json, "tcb_date", result->tcb_date);
        int_set(json, "tcb_evaluation_number", result->tcb_evaluation_number);
    }
    bool_set(json, "collateral_expired", result->collateral_expired);
    bool_set(json, "revocation_checked", result->revocation_checked);
    json_object_set_new(json, "steps", steps_json(result));
    return json;
}

json_t *evidence_json_unreadable(const char *reason)
{
    static const char *const keys[] = {
        "tee",   "status",      "platform_status", "qe_status",  "tdx_module_status",
        "debug", "measurement", "signer",          "report_data"};
    json_t *json = json_object();
    text_set(json, "verdict", "refused");
    for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
        json_object_set_new(json, keys[i], json_null());
    }
    json_object_set_new(json, "advisory_ids", json_array());
    text_set(json, "failed_step", "evidence_format");
    text_set(json, "reason", reason);
    return json;
}
