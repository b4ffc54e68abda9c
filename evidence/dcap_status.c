/*
 * TCB levels of platform, quoting enclave and TDX module, and how their statuses converge (Intel SGX DCAP Quote
 * Verification Library 1.x, chapter 4.1.2.4.17; the relaunch rules are those of TDX 1.5).
 * Side: both. Called by evidence/dcap.c. Never looks at policy or dates.
 */
#include "abi/sgx.h"
#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/dcap.h"

#define BODY(member) offsetof(struct sgx_report_body, member)

static cella_result identity_refuse(struct dcap *dcap, size_t offset, const char *text)
{
    return ev_verify_refuse(dcap->verify, CELLA_STEP_QE_IDENTITY,
                            CELLA_RESULT(MEASUREMENT_MISMATCH), &dcap->verify->object,
                            dcap->quote->qe_report.data + offset, text);
}

static bool masked_equal(const uint8_t *value, const uint8_t *mask, const uint8_t *expected,
                         size_t size)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= (uint8_t)((value[i] & mask[i]) ^ expected[i]);
    }
    return difference == 0;
}

/* The first level whose isvsvn is not above `svn`; NULL: none. */
static const struct tcb_level *svn_level_find(const struct tcb_level *levels, size_t count,
                                              unsigned svn)
{
    for (size_t i = 0; i < count; i++) {
        if (svn >= levels[i].pce_svn) {
            return &levels[i];
        }
    }
    return NULL;
}

cella_result ev_dcap_qe_identity(struct dcap *dcap)
{
    const struct qe_identity *identity = &dcap->qe_identity->qe_identity;
    const uint8_t *report = dcap->quote->qe_report.data;
    uint32_t misc = (uint32_t)cella_le_get(report + BODY(misc_select), 4);
    uint16_t svn = (uint16_t)cella_le_get(report + BODY(isv_svn), 2);
    if ((misc & identity->misc_mask) != identity->misc_select) {
        return identity_refuse(dcap, BODY(misc_select), "the QE's MISCSELECT is another one");
    }
    if (!masked_equal(report + BODY(attributes), identity->attributes_mask, identity->attributes,
                      16)) {
        return identity_refuse(dcap, BODY(attributes), "the QE's attributes are others");
    }
    if (memcmp(report + BODY(mr_signer), identity->mr_signer, 32) != 0) {
        return identity_refuse(dcap, BODY(mr_signer), "the QE's MRSIGNER is another one");
    }
    if (cella_le_get(report + BODY(isv_prod_id), 2) != identity->isv_prod_id) {
        return identity_refuse(dcap, BODY(isv_prod_id), "the QE's product id is another one");
    }
    const struct tcb_level *level = svn_level_find(identity->levels, identity->level_count, svn);
    dcap->qe_status = level ? level->status : CELLA_TCB_NOT_SUPPORTED;
    dcap->verify->result->qe_status = dcap->qe_status;
    dcap->verify->result->qe_svn = svn;
    if (level) {
        dcap->qe_tcb_date = level->date;
        ev_verify_advisories(dcap->verify, level->advisories);
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_QE_IDENTITY);
    return CELLA_OK;
}

const struct tcb_module *ev_dcap_module_find(const struct tcb_info *info, uint8_t version)
{
    for (size_t i = 0; i < info->identity_count; i++) {
        struct cella_bytes id = info->identities[i].id;
        if (id.size == 6 && (ev_starts(id, "TDX_") || ev_starts(id, "tdx_"))) {
            int high = ev_armor_hex_digit(id.data[4]);
            int low = ev_armor_hex_digit(id.data[5]);
            if (high >= 0 && low >= 0 && (high << 4 | low) == version) {
                return &info->identities[i];
            }
        }
    }
    return NULL;
}

static cella_result module_refuse(struct dcap *dcap, const uint8_t *at, const char *text)
{
    return ev_verify_refuse(dcap->verify, CELLA_STEP_TDX_MODULE, CELLA_RESULT(MEASUREMENT_MISMATCH),
                            &dcap->verify->object, at, text);
}

cella_result ev_dcap_tdx_module(struct dcap *dcap)
{
    const struct tcb_info *info = &dcap->tcb_info->tcb_info;
    const struct cella_tdx_claims *tdx = &dcap->verify->result->claims.tdx;
    const uint8_t version = tdx->tee_tcb_svn.data[1];
    const struct tcb_module *module = &info->module;
    if (version > 0) {
        module = ev_dcap_module_find(info, version);
        if (!module) {
            struct ev_text line = ev_verify_fault(
                dcap->verify, CELLA_STEP_TDX_MODULE, CELLA_RESULT(MEASUREMENT_MISMATCH),
                &dcap->tcb_info->object, dcap->tcb_info->body.data, false);
            ev_text_add(&line, "the TCB info has no identity of TDX module version ");
            ev_text_number(&line, version);
            return CELLA_RESULT(MEASUREMENT_MISMATCH);
        }
    }
    if (memcmp(tdx->mr_signer_seam.data, module->mr_signer, 48) != 0) {
        return module_refuse(dcap, tdx->mr_signer_seam.data,
                             "MRSIGNERSEAM is not the TDX module signer of the TCB info");
    }
    const uint8_t *attributes = dcap->quote->body.data + 112;
    if (!masked_equal(attributes, module->attributes_mask, module->attributes, 8) ||
        tdx->seam_attributes != 0) {
        return module_refuse(dcap, attributes,
                             "SEAMATTRIBUTES are not zero, or not those of the TCB info");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_TDX_MODULE);
    return CELLA_OK;
}

static bool all_at_least(const uint8_t *have, const uint8_t *need, size_t from)
{
    for (size_t i = from; i < 16; i++) {
        if (have[i] < need[i]) {
            return false;
        }
    }
    return true;
}

/* TDX: components 0 and 1 are the module's, and from module version 1 on they are compared with its identity. */
static bool tdx_fits(const struct tcb_level *level, const uint8_t *tee_tcb_svn)
{
    return all_at_least(tee_tcb_svn, level->tdx, tee_tcb_svn[1] > 0 ? 2 : 0);
}

/* The first level for SGX; `ret_tdx`: the first that fits TDX too. NULL: none. */
static const struct tcb_level *levels_match(const struct dcap *dcap,
                                            const struct tcb_level **ret_tdx)
{
    const struct tcb_info *info = &dcap->tcb_info->tcb_info;
    const struct cella_platform_claims *platform = &dcap->verify->result->platform;
    const struct tcb_level *sgx = NULL;
    *ret_tdx = NULL;
    for (size_t i = 0; i < info->level_count; i++) {
        const struct tcb_level *level = &info->levels[i];
        if (!all_at_least(platform->components, level->sgx, 0) ||
            platform->pce_svn < level->pce_svn) {
            continue;
        }
        sgx = sgx ? sgx : level;
        if (dcap->quote->tee != CELLA_TEE_TDX) {
            break;
        }
        if (tdx_fits(level, dcap->verify->result->claims.tdx.tee_tcb_svn.data)) {
            *ret_tdx = level;
            break;
        }
    }
    return sgx;
}

/* How OutOfDate of a part (QE, TDX module) pulls the whole down; Revoked wins. */
static enum cella_tcb_status converge(enum cella_tcb_status whole, enum cella_tcb_status part)
{
    if (part == CELLA_TCB_REVOKED || part == CELLA_TCB_NOT_SUPPORTED) {
        return part;
    }
    if (part != CELLA_TCB_OUT_OF_DATE) {
        return whole;
    }
    switch (whole) {
    case CELLA_TCB_UP_TO_DATE:
    case CELLA_TCB_SW_HARDENING_NEEDED:
        return CELLA_TCB_OUT_OF_DATE;
    case CELLA_TCB_CONFIGURATION_NEEDED:
    case CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
        return CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    default:
        return whole;
    }
}

static bool needs_configuration(enum cella_tcb_status status)
{
    return status == CELLA_TCB_CONFIGURATION_NEEDED ||
           status == CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED ||
           status == CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED ||
           status == CELLA_TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED;
}

static bool is_current(enum cella_tcb_status status)
{
    return status == CELLA_TCB_UP_TO_DATE || status == CELLA_TCB_SW_HARDENING_NEEDED ||
           status == CELLA_TCB_CONFIGURATION_NEEDED ||
           status == CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED;
}

/* Is the module that is loaded now (TEE_TCB_SVN2) the newest? Then starting the TD anew would mend its TCB. */
static bool module_is_newest(const struct tcb_info *info, const uint8_t *svn2)
{
    const struct tcb_level *newest = &info->levels[0];
    if (svn2[2] < newest->tdx[2]) {
        return false;
    }
    if (svn2[1] == 0) {
        return svn2[0] >= newest->tdx[0];
    }
    const struct tcb_module *module = ev_dcap_module_find(info, svn2[1]);
    return module && svn2[0] >= module->levels[0].pce_svn;
}

static enum cella_tcb_status relaunch(const struct dcap *dcap, enum cella_tcb_status sgx,
                                      enum cella_tcb_status tdx, enum cella_tcb_status module)
{
    struct cella_span svn2 = dcap->verify->result->claims.tdx.tee_tcb_svn2;
    bool is_tdx_old =
        tdx == CELLA_TCB_OUT_OF_DATE || tdx == CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    if (svn2.size == 0 || dcap->qe_status != CELLA_TCB_UP_TO_DATE || !is_current(sgx) ||
        !is_tdx_old || module != CELLA_TCB_OUT_OF_DATE ||
        !module_is_newest(&dcap->tcb_info->tcb_info, svn2.data)) {
        return tdx;
    }
    return needs_configuration(sgx) || needs_configuration(tdx)
               ? CELLA_TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
               : CELLA_TCB_TD_RELAUNCH_ADVISED;
}

/* The level of the TDX module itself; UP_TO_DATE where the TCB info does not list modules (version 0). */
static enum cella_tcb_status module_status(struct dcap *dcap)
{
    const uint8_t *svn = dcap->verify->result->claims.tdx.tee_tcb_svn.data;
    if (svn[1] == 0) {
        return CELLA_TCB_UP_TO_DATE;
    }
    const struct tcb_module *module = ev_dcap_module_find(&dcap->tcb_info->tcb_info, svn[1]);
    const struct tcb_level *level =
        module ? svn_level_find(module->levels, module->level_count, svn[0]) : NULL;
    if (!level) {
        return CELLA_TCB_NOT_SUPPORTED;
    }
    ev_verify_advisories(dcap->verify, level->advisories);
    return level->status;
}

/* "; PCE SVN is 4, at least 5" */
static void too_low(struct ev_text *line, const char *what, size_t n, unsigned have, unsigned need)
{
    ev_text_add(line, "; ");
    ev_text_add(line, what);
    if (n) {
        ev_text_add(line, " ");
        ev_text_number(line, n);
    }
    ev_text_add(line, " is ");
    ev_text_number(line, have);
    ev_text_add(line, ", at least ");
    ev_text_number(line, need);
}

/* What keeps the platform below the lowest level: the first of its versions that is too low. */
static void shortfall_write(const struct dcap *dcap, struct ev_text *line)
{
    const struct tcb_info *info = &dcap->tcb_info->tcb_info;
    const struct cella_platform_claims *platform = &dcap->verify->result->platform;
    const struct tcb_level *lowest = &info->levels[info->level_count - 1];
    struct cella_span tdx = dcap->verify->result->claims.tdx.tee_tcb_svn;
    for (size_t i = 0; i < 16; i++) {
        if (platform->components[i] < lowest->sgx[i]) {
            too_low(line, "TCB component", i + 1, platform->components[i], lowest->sgx[i]);
            return;
        }
    }
    if (platform->pce_svn < lowest->pce_svn) {
        too_low(line, "the PCE SVN", 0, platform->pce_svn, lowest->pce_svn);
        return;
    }
    for (size_t i = 0; dcap->quote->tee == CELLA_TEE_TDX && i < 16; i++) {
        if (tdx.data[i] < lowest->tdx[i]) {
            too_low(line, "TDX TCB component", i + 1, tdx.data[i], lowest->tdx[i]);
            return;
        }
    }
}

static void unsupported(struct dcap *dcap, const char *what)
{
    struct cella_evidence_result *result = dcap->verify->result;
    struct ev_text line =
        ev_verify_fault(dcap->verify, CELLA_STEP_TCB_LEVEL, CELLA_RESULT(SVN_TOO_OLD),
                        &dcap->tcb_info->object, dcap->tcb_info->body.data, false);
    ev_text_add(&line, "the versions of the ");
    ev_text_add(&line, what);
    ev_text_add(&line, " are below every level of the TCB info");
    if (result->platform_status == CELLA_TCB_NOT_SUPPORTED) {
        shortfall_write(dcap, &line);
    }
    result->status = CELLA_TCB_NOT_SUPPORTED;
}

void ev_dcap_status(struct dcap *dcap)
{
    struct cella_evidence_result *result = dcap->verify->result;
    const struct tcb_level *tdx_level;
    const struct tcb_level *sgx_level = levels_match(dcap, &tdx_level);
    bool is_tdx = dcap->quote->tee == CELLA_TEE_TDX;
    const struct tcb_level *level = is_tdx ? tdx_level : sgx_level;
    if (!sgx_level || !level) {
        result->platform_status = CELLA_TCB_NOT_SUPPORTED;
        unsupported(dcap, sgx_level ? "TDX platform" : "platform");
        return;
    }
    result->platform_status = level->status;
    result->tcb_date = level->date;
    ev_verify_advisories(dcap->verify, level->advisories);
    enum cella_tcb_status status = level->status;
    if (is_tdx) {
        result->tdx_module_status = module_status(dcap);
        if (result->tdx_module_status == CELLA_TCB_NOT_SUPPORTED) {
            unsupported(dcap, "TDX module");
            return;
        }
        status = converge(status, result->tdx_module_status);
        status = relaunch(dcap, sgx_level->status, status, result->tdx_module_status);
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_TCB_LEVEL);
    result->status = converge(status, dcap->qe_status);
}
