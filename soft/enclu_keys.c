/*
 * EREPORT and EGETKEY (SDM Vol. 3D, SGX instruction references).
 * Side: soft (untrusted; it plays the processor). Called by enclu.c with both locks held, in a
 * signal handler. The checks stand in the manual's order. Nothing here allocates; keys are wiped
 * from the stack. EPCM.VALID needs no check of its own: what the page tables translate to has been
 * filled by the driver.
 */
#include "soft/enclu.h"
#include "soft/keys.h"

#include <openssl/crypto.h>
#include <string.h>

#define POLICY_KSS                                                                                 \
    (SGX_KEYPOLICY_NOISVPRODID | SGX_KEYPOLICY_CONFIGID | SGX_KEYPOLICY_ISVFAMILYID |              \
     SGX_KEYPOLICY_ISVEXTPRODID)
#define POLICY_KNOWN (SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER | POLICY_KSS)

static bool in_elrange(const struct driver_enclave *e, uint64_t address)
{
    return soft_in_elrange(&e->pub, address, 1);
}

static void make_report(const struct driver_enclave *e, const uint8_t report_data[64],
                        struct sgx_report *report)
{
    struct sgx_secs *secs = &e->control->shared.secs;
    const struct soft_secs_tail *tail = soft_secs_tail(secs);
    struct sgx_report_body *body = &report->body;
    memset(report, 0, sizeof(*report));
    soft_platform_cpu_svn(body->cpu_svn);
    body->misc_select = secs->misc_select;
    memcpy(body->isv_ext_prod_id, tail->isv_ext_prod_id, 16);
    body->attributes = secs->attributes;
    memcpy(body->mr_enclave, secs->mr_enclave, 32);
    memcpy(body->mr_signer, secs->mr_signer, 32);
    memcpy(body->config_id, secs->config_id, 64);
    body->isv_prod_id = secs->isv_prod_id;
    body->isv_svn = secs->isv_svn;
    body->config_svn = secs->config_svn;
    memcpy(body->isv_family_id, tail->isv_family_id, 16);
    memcpy(body->report_data, report_data, 64);
    soft_platform_report_key_id(report->key_id);
}

struct soft_outcome soft_ereport(struct driver_enclave *e, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
    uint32_t error = 0;
    SOFT_CHECK(EREPORT_01, soft_aligned(rbx, SGX_ALIGN_TARGETINFO), soft_gp());
    SOFT_CHECK(EREPORT_02, in_elrange(e, rbx), soft_gp());
    SOFT_CHECK(EREPORT_03, driver_translate(e, rbx, 0, &error), soft_pf(rbx, error));
    struct soft_operand target = soft_operand_at(e, rbx);
    SOFT_CHECK(EREPORT_05, !soft_operand_is_blocked(&target), soft_pf(rbx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EREPORT_06, soft_operand_is_reg(&target, SGX_SECINFO_R),
               soft_pf(rbx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EREPORT_07, soft_aligned(rcx, SGX_ALIGN_REPORTDATA), soft_gp());
    SOFT_CHECK(EREPORT_08, in_elrange(e, rcx), soft_gp());
    SOFT_CHECK(EREPORT_09, driver_translate(e, rcx, 0, &error), soft_pf(rcx, error));
    struct soft_operand data = soft_operand_at(e, rcx);
    SOFT_CHECK(EREPORT_11, !soft_operand_is_blocked(&data), soft_pf(rcx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EREPORT_12, soft_operand_is_reg(&data, SGX_SECINFO_R),
               soft_pf(rcx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EREPORT_13, soft_aligned(rdx, SGX_ALIGN_REPORT), soft_gp());
    SOFT_CHECK(EREPORT_14, in_elrange(e, rdx), soft_gp());
    SOFT_CHECK(EREPORT_15, driver_translate(e, rdx, SGX_PF_WRITE, &error), soft_pf(rdx, error));
    struct soft_operand output = soft_operand_at(e, rdx);
    SOFT_CHECK(EREPORT_17, !soft_operand_is_blocked(&output), soft_pf(rdx, SOFT_PF_EPCM_WRITE));
    SOFT_CHECK(EREPORT_18, soft_operand_is_reg(&output, SGX_SECINFO_W),
               soft_pf(rdx, SOFT_PF_EPCM_WRITE));
    struct sgx_targetinfo target_info;
    struct sgx_report report;
    struct soft_key_inputs inputs;
    uint8_t key[16];
    memcpy(&target_info, soft_alias(&e->pub, rbx), sizeof(target_info));
    make_report(e, soft_alias(&e->pub, rcx), &report);
    soft_key_inputs_for_report(&inputs, &target_info, report.key_id);
    soft_derive_key(&inputs, key);
    soft_cmac(key, &report.body, sizeof(report.body), report.mac);
    OPENSSL_cleanse(key, sizeof(key));
    memcpy(soft_alias(&e->pub, rdx), &report, sizeof(report));
    return soft_done();
}

/* What each key name asks of the enclave and the request. */
static struct soft_outcome check_key_name(const struct sgx_secs *secs,
                                          const struct sgx_keyrequest *request)
{
    uint16_t name = request->key_name;
    bool provision = name == SGX_KEY_PROVISION || name == SGX_KEY_PROVISION_SEAL;
    SOFT_CHECK(EGETKEY_16, name <= SGX_KEY_SEAL, soft_code(SGX_INVALID_KEYNAME));
    if (name == SGX_KEY_REPORT) {
        return soft_done();
    }
    SOFT_CHECK(EGETKEY_17,
               name != SGX_KEY_EINITTOKEN || (secs->attributes.flags & SGX_FLAGS_EINITTOKENKEY),
               soft_code(SGX_INVALID_ATTRIBUTE));
    SOFT_CHECK(EGETKEY_18, !provision || (secs->attributes.flags & SGX_FLAGS_PROVISIONKEY),
               soft_code(SGX_INVALID_ATTRIBUTE));
    SOFT_CHECK(EGETKEY_19, soft_cpu_svn_allowed(request->cpu_svn), soft_code(SGX_INVALID_CPUSVN));
    SOFT_CHECK(EGETKEY_20, request->isv_svn <= secs->isv_svn, soft_code(SGX_INVALID_ISVSVN));
    SOFT_CHECK(EGETKEY_21, name != SGX_KEY_SEAL || request->config_svn <= secs->config_svn,
               soft_code(SGX_INVALID_ISVSVN));
    return soft_done();
}

static struct soft_outcome check_request(const struct sgx_secs *secs,
                                         const struct sgx_keyrequest *request)
{
    bool kss = (secs->attributes.flags & SGX_FLAGS_KSS) != 0;
    SOFT_CHECK(EGETKEY_13,
               soft_all_zero(request->reserved1, sizeof(request->reserved1)) &&
                   soft_all_zero(request->reserved2, sizeof(request->reserved2)),
               soft_gp());
    SOFT_CHECK(EGETKEY_14, !(request->key_policy & ~POLICY_KNOWN), soft_gp());
    SOFT_CHECK(EGETKEY_15, kss || (!(request->key_policy & POLICY_KSS) && !request->config_svn),
               soft_gp());
    return check_key_name(secs, request);
}

struct soft_outcome soft_egetkey(struct driver_enclave *e, uint64_t rbx, uint64_t rcx)
{
    uint32_t error = 0;
    SOFT_CHECK(EGETKEY_01, soft_aligned(rbx, SGX_ALIGN_KEYREQUEST), soft_gp());
    SOFT_CHECK(EGETKEY_02, in_elrange(e, rbx), soft_gp());
    SOFT_CHECK(EGETKEY_03, driver_translate(e, rbx, 0, &error), soft_pf(rbx, error));
    struct soft_operand source = soft_operand_at(e, rbx);
    SOFT_CHECK(EGETKEY_05, !soft_operand_is_blocked(&source), soft_pf(rbx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EGETKEY_06, soft_operand_is_reg(&source, SGX_SECINFO_R),
               soft_pf(rbx, SOFT_PF_EPCM_READ));
    SOFT_CHECK(EGETKEY_07, soft_aligned(rcx, SGX_ALIGN_KEY), soft_gp());
    SOFT_CHECK(EGETKEY_08, in_elrange(e, rcx), soft_gp());
    SOFT_CHECK(EGETKEY_09, driver_translate(e, rcx, SGX_PF_WRITE, &error), soft_pf(rcx, error));
    struct soft_operand output = soft_operand_at(e, rcx);
    SOFT_CHECK(EGETKEY_11, !soft_operand_is_blocked(&output), soft_pf(rcx, SOFT_PF_EPCM_WRITE));
    SOFT_CHECK(EGETKEY_12, soft_operand_is_reg(&output, SGX_SECINFO_W),
               soft_pf(rcx, SOFT_PF_EPCM_WRITE));
    struct sgx_keyrequest request;
    const struct sgx_secs *secs = &e->control->shared.secs;
    memcpy(&request, soft_alias(&e->pub, rbx), sizeof(request));
    struct soft_outcome outcome = check_request(secs, &request);
    if (outcome.kind != SOFT_DONE) {
        return outcome;
    }
    struct soft_key_inputs inputs;
    uint8_t key[16];
    soft_key_inputs_for_request(&inputs, &request, secs);
    soft_derive_key(&inputs, key);
    memcpy(soft_alias(&e->pub, rcx), key, sizeof(key));
    OPENSSL_cleanse(key, sizeof(key));
    return soft_code(SGX_SUCCESS);
}
