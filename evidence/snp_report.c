/*
 * SEV-SNP attestation reports (AMD 56860, ATTESTATION_REPORT), versions 2 to 5, and the certificate table behind one.
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the formats.
 */
#include "evidence/bytes_util.h"
#include "evidence/snp.h"

#define REPORT_VERSION_MIN 2u
#define REPORT_VERSION_MAX 5u
#define ALGORITHM_ECDSA_P384_SHA384 1u
#define POLICY_DEBUG (1ull << 19)
#define TABLE_ENTRY_SIZE 24u
#define TABLE_ENTRIES_MAX 16u

static struct cella_span part(struct cella_bytes report, size_t offset, size_t size)
{
    struct cella_bytes bytes = ev_part(report, offset, size);
    return (struct cella_span){.data = bytes.data, .size = bytes.size};
}

static uint64_t number(struct cella_bytes report, size_t offset, size_t size)
{
    return cella_le_get(report.data + offset, size);
}

struct cella_snp_tcb ev_snp_tcb_of(enum cella_snp_product product, uint64_t raw)
{
    const bool is_turin = product == CELLA_SNP_TURIN;
    return (struct cella_snp_tcb){
        .raw = raw,
        .fmc = is_turin ? (uint8_t)raw : 0,
        .bootloader = (uint8_t)(is_turin ? raw >> 8 : raw),
        .tee = (uint8_t)(is_turin ? raw >> 16 : raw >> 8),
        .snp = (uint8_t)(is_turin ? raw >> 24 : raw >> 48),
        .microcode = (uint8_t)(raw >> 56),
    };
}

/* CPUID family and model (combined) of version 3 reports on; before, only Turin's short chip ids tell. */
static enum cella_snp_product product_of(const struct cella_snp_claims *snp)
{
    if (snp->version < 3) {
        struct cella_bytes id = cella_bytes_of(snp->chip_id.data, snp->chip_id.size);
        bool is_short = !ev_is_zero(id) && ev_is_zero(ev_part(id, 8, 56));
        return is_short ? CELLA_SNP_TURIN : CELLA_SNP_UNKNOWN;
    }
    uint8_t model = snp->cpuid_model;
    if (snp->cpuid_family == 0x19) {
        bool is_genoa = (model >= 0x10 && model <= 0x1F) || (model >= 0xA0 && model <= 0xAF);
        return model <= 0x0F ? CELLA_SNP_MILAN : is_genoa ? CELLA_SNP_GENOA : CELLA_SNP_UNKNOWN;
    }
    bool is_turin = snp->cpuid_family == 0x1A && model <= 0x1F;
    return is_turin ? CELLA_SNP_TURIN : CELLA_SNP_UNKNOWN;
}

static void body_read(struct cella_bytes report, struct cella_snp_claims *snp)
{
    *snp = (struct cella_snp_claims){
        .version = (uint32_t)number(report, 0x00, 4),
        .guest_svn = (uint32_t)number(report, 0x04, 4),
        .policy = number(report, 0x08, 8),
        .family_id = part(report, 0x10, 16),
        .image_id = part(report, 0x20, 16),
        .vmpl = (uint32_t)number(report, 0x30, 4),
        .signature_algorithm = (uint32_t)number(report, 0x34, 4),
        .platform_info = number(report, 0x40, 8),
        .key_info = (uint32_t)number(report, 0x48, 4),
        .measurement = part(report, 0x90, 48),
        .host_data = part(report, 0xC0, 32),
        .id_key_digest = part(report, 0xE0, 48),
        .author_key_digest = part(report, 0x110, 48),
        .report_id = part(report, 0x140, 32),
        .report_id_ma = part(report, 0x160, 32),
        .chip_id = part(report, 0x1A0, 64),
        .current_build = report.data[0x1E8],
        .current_minor = report.data[0x1E9],
        .current_major = report.data[0x1EA],
        .committed_build = report.data[0x1EC],
        .committed_minor = report.data[0x1ED],
        .committed_major = report.data[0x1EE],
    };
    if (snp->version >= 3) {
        snp->cpuid_family = report.data[0x188];
        snp->cpuid_model = report.data[0x189];
        snp->cpuid_stepping = report.data[0x18A];
    }
    if (snp->version >= 5) {
        snp->launch_mit_vector = number(report, 0x1F8, 8);
        snp->current_mit_vector = number(report, 0x200, 8);
    }
    snp->is_vlek = (snp->key_info >> 2 & 7u) == SNP_KEY_VLEK;
    snp->product = product_of(snp);
    snp->current_tcb = ev_snp_tcb_of(snp->product, number(report, 0x38, 8));
    snp->reported_tcb = ev_snp_tcb_of(snp->product, number(report, 0x180, 8));
    snp->committed_tcb = ev_snp_tcb_of(snp->product, number(report, 0x1E0, 8));
    snp->launch_tcb = ev_snp_tcb_of(snp->product, number(report, 0x1F0, 8));
}

/* What is not signed must be zero: behind r and s, and the upper halves of their 72 bytes. */
static cella_result signature_check(struct cella_bytes report, struct ev_place *place)
{
    static const struct {
        size_t offset, size;
    } zeros[] = {
        {SNP_SIGNED_SIZE + 48, 24}, {SNP_SIGNED_SIZE + 120, 24}, {SNP_SIGNED_SIZE + 144, 368}};
    for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
        EV_ENSURE(place, ev_is_zero(ev_part(report, zeros[i].offset, zeros[i].size)),
                  report.data + zeros[i].offset, BAD_FIELD, "zeros around the signature");
    }
    return CELLA_OK;
}

cella_result ev_snp_report_parse(struct cella_bytes bytes, struct ev_place *place,
                                 struct cella_evidence_claims *ret_claims)
{
    struct cella_evidence_claims claims = {.format = CELLA_EVIDENCE_SNP_REPORT,
                                           .tee = CELLA_TEE_SNP};
    struct cella_bytes report;
    EV_ENSURE(place, cella_is_ok(cella_bytes_slice(bytes, 0, SNP_REPORT_SIZE, &report)),
              cella_bytes_at(bytes, bytes.size), TRUNCATED, "the 1184 bytes of an SNP report");
    body_read(report, &claims.snp);
    claims.version = claims.snp.version;
    EV_ENSURE(place, claims.version >= REPORT_VERSION_MIN && claims.version <= REPORT_VERSION_MAX,
              report.data, UNSUPPORTED_VERSION, "report version 2 to 5");
    EV_ENSURE(place, claims.snp.signature_algorithm == ALGORITHM_ECDSA_P384_SHA384,
              report.data + 0x34, UNSUPPORTED_VERSION, "signature algorithm 1, ECDSA P-384");
    uint32_t key = claims.snp.key_info >> 2 & 7u;
    EV_ENSURE(place, key <= SNP_KEY_VLEK || key == SNP_KEY_NONE, report.data + 0x48, BAD_FIELD,
              "a report signed by VCEK or VLEK");
    CELLA_TRY(signature_check(report, place));
    claims.measurement = claims.snp.measurement;
    claims.signer = claims.snp.id_key_digest;
    claims.report_data = part(report, 0x50, 64);
    claims.debug = claims.snp.policy & POLICY_DEBUG;
    claims.quote = part(report, 0, SNP_REPORT_SIZE);
    *ret_claims = claims;
    return CELLA_OK;
}

struct snp_certificates ev_snp_certificates_of(struct cella_bytes evidence)
{
    struct cella_bytes table = {0};
    if (evidence.size > SNP_REPORT_SIZE) {
        table = ev_part(evidence, SNP_REPORT_SIZE, evidence.size - SNP_REPORT_SIZE);
    }
    return (struct snp_certificates){.table = table, .cursor = cella_cursor_of(table)};
}

/* Entries of GUID, offset and size, the last one all zero; contents behind, counted from the table's start. */
bool ev_snp_certificates_next(struct snp_certificates *certificates, struct cella_bytes *ret_der)
{
    struct cella_bytes entry;
    if (certificates->cursor.offset >= (size_t)TABLE_ENTRY_SIZE * TABLE_ENTRIES_MAX ||
        !cella_is_ok(cella_cursor_take(&certificates->cursor, TABLE_ENTRY_SIZE, &entry)) ||
        ev_is_zero(entry)) {
        return false;
    }
    return cella_is_ok(cella_bytes_slice(certificates->table, cella_le_get(entry.data + 16, 4),
                                         cella_le_get(entry.data + 20, 4), ret_der));
}
