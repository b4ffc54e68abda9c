/*
 * Claims of verified evidence under the names of Azure Attestation's tokens.
 * Side: services. Called by services/attestd/attest.c. Never looks at what was not verified.
 */
#include <stdlib.h>
#include <string.h>

#include "services/attestd/attestd.h"

/* A list of claims that remembers a failure, so that the lists below read like a table. */
struct writer {
    json_t *claims;
    bool failed;
};

static void put(struct writer *writer, const char *name, json_t *value)
{
    writer->failed |= !value || json_object_set_new(writer->claims, name, value) != 0;
}

static void put_hex(struct writer *writer, const char *name, struct cella_span bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[257];
    size_t size = bytes.size > 128 ? 128 : bytes.size;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    put(writer, name, json_stringn(text, 2 * size));
}

/* A 64-bit field as its bytes lie in the quote. */
static void put_bits(struct writer *writer, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    put_hex(writer, name, (struct cella_span){bytes, sizeof(bytes)});
}

static void put_bool(struct writer *writer, const char *name, bool value)
{
    put(writer, name, json_boolean(value));
}

static void put_integer(struct writer *writer, const char *name, uint64_t value)
{
    put(writer, name, json_integer((json_int_t)value));
}

#define SGX_FLAG_KSS 0x80u

static void write_sgx(struct writer *writer, const struct evidence_check *check)
{
    const struct cella_evidence_claims *claims = &check->result.claims;
    const struct cella_sgx_claims *sgx = &claims->sgx;
    put_bool(writer, "x-ms-sgx-is-debuggable", claims->debug);
    put_integer(writer, "x-ms-sgx-product-id", sgx->prod_id);
    put_integer(writer, "x-ms-sgx-svn", sgx->svn);
    put_hex(writer, "x-ms-sgx-mrsigner", sgx->mr_signer);
    put_hex(writer, "x-ms-sgx-mrenclave", sgx->mr_enclave);
    put_hex(writer, "x-ms-sgx-report-data", claims->report_data);
    put(writer, "x-ms-sgx-collateral", collateral_hashes(check->collateral, claims->quote));
    if (sgx->flags & SGX_FLAG_KSS) {
        put_hex(writer, "x-ms-sgx-config-id", sgx->config_id);
        put_integer(writer, "x-ms-sgx-config-svn", sgx->config_svn);
        put_hex(writer, "x-ms-sgx-isv-extended-product-id", sgx->ext_prod_id);
        put_hex(writer, "x-ms-sgx-isv-family-id", sgx->family_id);
    }
}

static void write_tdx(struct writer *writer, const struct evidence_check *check)
{
    const struct cella_evidence_claims *claims = &check->result.claims;
    const struct cella_tdx_claims *tdx = &claims->tdx;
    static const char *const registers[] = {"tdx_rtmr0", "tdx_rtmr1", "tdx_rtmr2", "tdx_rtmr3"};

    put(writer, "attester_tcb_status", json_string(cella_tcb_status_name(check->result.status)));
    put(writer, "dbgstat", json_string(claims->debug ? "enabled" : "disabled"));
    put(writer, "eat_profile", json_string("https://aka.ms/maa-eat-profile-tdxvm"));
    put(writer, "intuse", json_string("generic"));
    put_hex(writer, "tdx_mrconfigid", tdx->mr_config_id);
    put_hex(writer, "tdx_mrowner", tdx->mr_owner);
    put_hex(writer, "tdx_mrownerconfig", tdx->mr_owner_config);
    put_hex(writer, "tdx_mrseam", tdx->mr_seam);
    put_hex(writer, "tdx_mrsignerseam", tdx->mr_signer_seam);
    put_hex(writer, "tdx_mrtd", tdx->mr_td);
    put_hex(writer, "tdx_report_data", claims->report_data);
    for (unsigned i = 0; i < 4; i++) {
        put_hex(writer, registers[i], tdx->rtmr[i]);
    }
    put_bits(writer, "tdx_seam_attributes", tdx->seam_attributes);
    put_integer(writer, "tdx_seamsvn", tdx->tee_tcb_svn.size ? tdx->tee_tcb_svn.data[0] : 0);
    put_bits(writer, "tdx_td_attributes", tdx->td_attributes);
    put_bool(writer, "tdx_td_attributes_debug", tdx->td_attributes & 1);
    put_bool(writer, "tdx_td_attributes_septve_disable", tdx->td_attributes >> 28 & 1);
    put_bool(writer, "tdx_td_attributes_protection_keys", tdx->td_attributes >> 30 & 1);
    put_bool(writer, "tdx_td_attributes_key_locker", tdx->td_attributes >> 31 & 1);
    put_bool(writer, "tdx_td_attributes_perfmon", tdx->td_attributes >> 63 & 1);
    put_hex(writer, "tdx_tee_tcb_svn", tdx->tee_tcb_svn);
    put_bits(writer, "tdx_xfam", tdx->xfam);
}

static void write_snp(struct writer *writer, const struct evidence_check *check)
{
    const struct cella_evidence_claims *claims = &check->result.claims;
    const struct cella_snp_claims *snp = &claims->snp;
    put_hex(writer, "x-ms-sevsnpvm-authorkeydigest", snp->author_key_digest);
    put_integer(writer, "x-ms-sevsnpvm-bootloader-svn", snp->reported_tcb.bootloader);
    put_hex(writer, "x-ms-sevsnpvm-familyId", snp->family_id);
    put_integer(writer, "x-ms-sevsnpvm-guestsvn", snp->guest_svn);
    put_hex(writer, "x-ms-sevsnpvm-hostdata", snp->host_data);
    put_hex(writer, "x-ms-sevsnpvm-idkeydigest", snp->id_key_digest);
    put_hex(writer, "x-ms-sevsnpvm-imageId", snp->image_id);
    put_bool(writer, "x-ms-sevsnpvm-is-debuggable", claims->debug);
    put_hex(writer, "x-ms-sevsnpvm-launchmeasurement", snp->measurement);
    put_integer(writer, "x-ms-sevsnpvm-microcode-svn", snp->reported_tcb.microcode);
    put_bool(writer, "x-ms-sevsnpvm-migration-allowed", snp->policy >> 18 & 1);
    put_hex(writer, "x-ms-sevsnpvm-reportdata", claims->report_data);
    put_hex(writer, "x-ms-sevsnpvm-reportid", snp->report_id);
    put_bool(writer, "x-ms-sevsnpvm-smt-allowed", snp->policy >> 16 & 1);
    put_integer(writer, "x-ms-sevsnpvm-snpfw-svn", snp->reported_tcb.snp);
    put_integer(writer, "x-ms-sevsnpvm-tee-svn", snp->reported_tcb.tee);
    put_integer(writer, "x-ms-sevsnpvm-vmpl", snp->vmpl);
}

/* What the verifier found beside, under this project's names: for policies, and for those who read closely. */
static void write_verdict(struct writer *writer, const struct attestd *attestd,
                          const struct cella_evidence_result *result)
{
    json_t *advisories = json_array();
    for (size_t i = 0; i < result->advisory_count; i++) {
        json_array_append_new(advisories, json_stringn((const char *)result->advisories[i].data,
                                                       result->advisories[i].size));
    }
    put(writer, "x-cella-tcb-status", json_string(cella_tcb_status_name(result->status)));
    put(writer, "x-cella-advisories", advisories);
    if (result->tcb_evaluation_number) {
        put_integer(writer, "x-cella-tcb-evaluation-number", result->tcb_evaluation_number);
    }
    if (roots_name_software(attestd)) {
        put_bool(writer, "x-cella-configured-root", true);
    }
}

bool roots_name_software(const struct attestd *attestd)
{
    return attestd->roots.count > 0;
}

json_t *claims_of_evidence(const struct attestd *attestd, const struct evidence_check *check)
{
    struct writer writer = {.claims = json_object()};
    if (!writer.claims) {
        return NULL;
    }
    switch (check->result.claims.tee) {
    case CELLA_TEE_SGX:
        write_sgx(&writer, check);
        break;
    case CELLA_TEE_TDX:
        write_tdx(&writer, check);
        break;
    case CELLA_TEE_SNP:
        write_snp(&writer, check);
        break;
    default:
        writer.failed = true;
        break;
    }
    write_verdict(&writer, attestd, &check->result);
    if (attestd->settings->compliance_status && check->result.claims.tee != CELLA_TEE_SGX) {
        put(&writer, "x-ms-compliance-status", json_string(attestd->settings->compliance_status));
    }
    if (writer.failed) {
        json_decref(writer.claims);
        return NULL;
    }
    return writer.claims;
}
