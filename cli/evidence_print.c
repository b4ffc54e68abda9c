/*
 * Evidence and verdicts as text for people.
 * Side: tools. Called by cli/cmd_evidence_*.c. Never judges.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "cli/evidence.h"

void evidence_time_write(char *out, size_t size, int64_t time)
{
    time_t seconds = (time_t)time;
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        snprintf(out, size, "%" PRId64, time);
    }
}

char *evidence_hex(struct cella_span bytes)
{
    char *text = malloc(2 * bytes.size + 1);
    for (size_t i = 0; text && i < bytes.size; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
    }
    if (text) {
        text[2 * bytes.size] = 0;
    }
    return text;
}

static void label(FILE *out, const char *name)
{
    fprintf(out, "  %-22s ", name);
}

static void line(FILE *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void line(FILE *out, const char *name, const char *format, ...)
{
    va_list arguments;
    label(out, name);
    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fputc('\n', out);
}

static void line_hex(FILE *out, const char *name, struct cella_span bytes)
{
    char *text = evidence_hex(bytes);
    if (bytes.size) {
        line(out, name, "%s", text ? text : "");
    }
    free(text);
}

static const char *yes_no(bool value)
{
    return value ? "yes" : "no";
}

static void sgx_print(FILE *out, const struct cella_sgx_claims *sgx)
{
    line_hex(out, "MRENCLAVE", sgx->mr_enclave);
    line_hex(out, "MRSIGNER", sgx->mr_signer);
    line(out, "product id", "%u", sgx->prod_id);
    line(out, "security version", "%u", sgx->svn);
    line(out, "attributes", "flags 0x%016" PRIx64 ", xfrm 0x%016" PRIx64, sgx->flags, sgx->xfrm);
    line(out, "miscselect", "0x%08x", sgx->misc_select);
    line_hex(out, "CPU SVN", sgx->cpu_svn);
    line_hex(out, "family id", sgx->family_id);
    line_hex(out, "extended product id", sgx->ext_prod_id);
    line_hex(out, "config id", sgx->config_id);
    line(out, "config SVN", "%u", sgx->config_svn);
}

static void tdx_print(FILE *out, const struct cella_tdx_claims *tdx)
{
    line_hex(out, "MRTD", tdx->mr_td);
    for (unsigned i = 0; i < 4; i++) {
        char name[] = "RTMR0";
        name[4] = (char)('0' + i);
        line_hex(out, name, tdx->rtmr[i]);
    }
    line_hex(out, "MRCONFIGID", tdx->mr_config_id);
    line_hex(out, "MROWNER", tdx->mr_owner);
    line_hex(out, "MROWNERCONFIG", tdx->mr_owner_config);
    line_hex(out, "MRSEAM", tdx->mr_seam);
    line_hex(out, "MRSIGNERSEAM", tdx->mr_signer_seam);
    line(out, "SEAM attributes", "0x%016" PRIx64, tdx->seam_attributes);
    line(out, "TD attributes", "0x%016" PRIx64, tdx->td_attributes);
    line(out, "XFAM", "0x%016" PRIx64, tdx->xfam);
    line_hex(out, "TEE TCB SVN", tdx->tee_tcb_svn);
    line_hex(out, "TEE TCB SVN 2", tdx->tee_tcb_svn2);
    line_hex(out, "MRSERVICETD", tdx->mr_service_td);
}

static void tcb_print(FILE *out, const char *name, const struct cella_snp_tcb *tcb)
{
    line(out, name, "bootloader %u, TEE %u, SNP %u, microcode %u, FMC %u (0x%016" PRIx64 ")",
         tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode, tcb->fmc, tcb->raw);
}

static void snp_print(FILE *out, const struct cella_snp_claims *snp)
{
    line(out, "product", "%s", cella_snp_product_name(snp->product));
    line(out, "signed by", "%s", snp->is_vlek ? "VLEK" : "VCEK");
    line_hex(out, "measurement", snp->measurement);
    line(out, "guest policy", "0x%016" PRIx64, snp->policy);
    line(out, "guest SVN", "%u", snp->guest_svn);
    line(out, "VMPL", "%u", snp->vmpl);
    line_hex(out, "host data", snp->host_data);
    line_hex(out, "id key digest", snp->id_key_digest);
    line_hex(out, "author key digest", snp->author_key_digest);
    line_hex(out, "family id", snp->family_id);
    line_hex(out, "image id", snp->image_id);
    line_hex(out, "report id", snp->report_id);
    line_hex(out, "report id of the MA", snp->report_id_ma);
    line_hex(out, "chip id", snp->chip_id);
    line(out, "platform info", "0x%016" PRIx64, snp->platform_info);
    line(out, "CPUID", "family 0x%02x, model 0x%02x, stepping %u", snp->cpuid_family,
         snp->cpuid_model, snp->cpuid_stepping);
    tcb_print(out, "reported TCB", &snp->reported_tcb);
    tcb_print(out, "current TCB", &snp->current_tcb);
    tcb_print(out, "committed TCB", &snp->committed_tcb);
    tcb_print(out, "launch TCB", &snp->launch_tcb);
    line(out, "firmware", "%u.%u.%u, committed %u.%u.%u", snp->current_major, snp->current_minor,
         snp->current_build, snp->committed_major, snp->committed_minor, snp->committed_build);
}

static void platform_print(FILE *out, const struct cella_platform_claims *platform)
{
    static const char *const types[] = {"standard", "scalable", "scalable with integrity"};
    fputs("platform (PCK certificate)\n", out);
    line_hex(out, "FMSPC", (struct cella_span){platform->fmspc, sizeof(platform->fmspc)});
    line_hex(out, "PCE id", (struct cella_span){platform->pce_id, sizeof(platform->pce_id)});
    line(out, "PCE SVN", "%u", platform->pce_svn);
    line_hex(out, "CPU SVN", (struct cella_span){platform->cpu_svn, sizeof(platform->cpu_svn)});
    line_hex(out, "TCB components",
             (struct cella_span){platform->components, sizeof(platform->components)});
    line_hex(out, "PPID", (struct cella_span){platform->ppid, sizeof(platform->ppid)});
    line(out, "SGX type", "%s", types[platform->sgx_type <= 2 ? platform->sgx_type : 0]);
    if (platform->has_instance_id) {
        line_hex(out, "platform instance",
                 (struct cella_span){platform->instance_id, sizeof(platform->instance_id)});
    }
    if (platform->has_configuration) {
        line(out, "dynamic platform", "%s", yes_no(platform->dynamic_platform));
        line(out, "cached keys", "%s", yes_no(platform->cached_keys));
        line(out, "SMT", "%s", yes_no(platform->smt_enabled));
    }
}

void evidence_print_claims(FILE *out, const struct cella_evidence_claims *claims,
                           const struct cella_platform_claims *platform)
{
    fprintf(out, "%s, version %u, %s\n", cella_evidence_format_name(claims->format),
            claims->version, cella_tee_name(claims->tee));
    line(out, "debug", "%s", yes_no(claims->debug));
    switch (claims->tee) {
    case CELLA_TEE_SGX:
        sgx_print(out, &claims->sgx);
        break;
    case CELLA_TEE_TDX:
        tdx_print(out, &claims->tdx);
        break;
    case CELLA_TEE_SNP:
        snp_print(out, &claims->snp);
        break;
    default:
        break;
    }
    line_hex(out, "report data", claims->report_data);
    if (claims->custom_claims.size) {
        line(out, "custom claims", "%zu bytes", claims->custom_claims.size);
    }
    if (claims->padding) {
        line(out, "padding", "%zu %sbytes behind it, not signed, not looked at", claims->padding,
             claims->is_padding_zero ? "zero " : "");
    }
    if (platform->known) {
        platform_print(out, platform);
    }
}

static void status_print(FILE *out, const char *name, enum cella_tcb_status status)
{
    if (status != CELLA_TCB_NONE) {
        line(out, name, "%s", cella_tcb_status_name(status));
    }
}

static void failure_print(FILE *out, const struct cella_evidence_failure *failure)
{
    fprintf(out, "            %s", failure->object);
    if (failure->offset != CELLA_EVIDENCE_NO_OFFSET) {
        fprintf(out, ", byte %" PRIu64, failure->offset);
    }
    fprintf(out, ": %s\n", failure->text);
}

static void steps_print(FILE *out, const struct cella_evidence_result *result)
{
    static const char *const outcomes[] = {"-", "ok", "FAILED", "excused"};
    fputs("steps\n", out);
    for (unsigned i = 0; i < CELLA_STEP_COUNT; i++) {
        if (result->steps[i] == CELLA_STEP_NOT_TAKEN) {
            continue;
        }
        fprintf(out, "  %-8s %-22s %s\n", outcomes[result->steps[i] & 3],
                cella_evidence_step_name((enum cella_evidence_step)i),
                cella_evidence_step_text((enum cella_evidence_step)i));
        for (size_t j = 0; j < result->failure_count; j++) {
            if (result->failures[j].step == (enum cella_evidence_step)i) {
                failure_print(out, &result->failures[j]);
            }
        }
    }
}

static void advisories_print(FILE *out, const struct cella_evidence_result *result)
{
    if (result->advisory_count == 0) {
        return;
    }
    label(out, "advisories");
    for (size_t i = 0; i < result->advisory_count; i++) {
        fprintf(out, "%s%.*s", i ? ", " : "", (int)result->advisories[i].size,
                (const char *)result->advisories[i].data);
    }
    fputc('\n', out);
}

static void validity_print(FILE *out, const struct cella_evidence_result *result)
{
    char from[40];
    char until[40];
    if (result->valid_from == INT64_MIN || result->valid_until == INT64_MAX) {
        return;
    }
    evidence_time_write(from, sizeof(from), result->valid_from);
    evidence_time_write(until, sizeof(until), result->valid_until);
    line(out, "all of it is valid", "%s to %s", from, until);
}

void evidence_print_result(FILE *out, const struct cella_evidence_result *result, int64_t time)
{
    char at[40];
    evidence_time_write(at, sizeof(at), time);
    fprintf(out, "%s at %s\n", result->accepted ? "ACCEPTED" : "REFUSED", at);
    status_print(out, "status", result->status);
    status_print(out, "platform status", result->platform_status);
    status_print(out, "QE status", result->qe_status);
    status_print(out, "TDX module status", result->tdx_module_status);
    advisories_print(out, result);
    validity_print(out, result);
    if (result->claims.tee == CELLA_TEE_SNP && !result->revocation_checked) {
        line(out, "revocation", "not checked: no revocation list was given");
    }
    steps_print(out, result);
    if (result->claims.tee != CELLA_TEE_UNKNOWN) {
        evidence_print_claims(out, &result->claims, &result->platform);
    }
}
