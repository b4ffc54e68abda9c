/*
 * sgx_utils.h: reports and keys, with the checks of arguments that the Intel SDK makes.
 * Side: enclave. Called by applications, tseal.c and dh.c.
 */
#include "sgx_utils.h"

#include <string.h>

#include "compat/intel/trusted/core.h"
#include "sgx_edger8r_core.h"
#include "sgx_spinlock.h"
#include "sgx_trts.h"

#define POLICY_KSS (SGX_KEYPOLICY_CONFIGID | SGX_KEYPOLICY_ISVFAMILYID | SGX_KEYPOLICY_ISVEXTPRODID)
#define POLICY_KNOWN                                                                               \
    (SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER | SGX_KEYPOLICY_NOISVPRODID | POLICY_KSS)

_Static_assert(sizeof(sgx_target_info_t) == 512, "TARGETINFO");
_Static_assert(sizeof(sgx_report_t) == 432, "REPORT");
_Static_assert(sizeof(sgx_key_request_t) == 512, "KEYREQUEST");

sgx_status_t sgx_create_report(const sgx_target_info_t *target_info,
                               const sgx_report_data_t *report_data, sgx_report_t *report)
{
    static const sgx_target_info_t nobody;
    if ((target_info && !sgx_is_within_enclave(target_info, sizeof(*target_info))) ||
        (report_data && !sgx_is_within_enclave(report_data, sizeof(*report_data))) || !report ||
        !sgx_is_within_enclave(report, sizeof(*report))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return cella_is_ok(intel_core_report(target_info ? target_info : &nobody, report_data, report))
               ? SGX_SUCCESS
               : SGX_ERROR_UNEXPECTED;
}

const sgx_report_t *sgx_self_report(void)
{
    static sgx_spinlock_t lock = SGX_SPINLOCK_INITIALIZER;
    static sgx_report_t report;
    static int known;
    sgx_spin_lock(&lock);
    if (!known) {
        known = sgx_create_report(NULL, NULL, &report) == SGX_SUCCESS;
    }
    sgx_spin_unlock(&lock);
    return &report;
}

sgx_status_t sgx_self_target(sgx_target_info_t *target_info)
{
    if (!target_info || !sgx_is_within_enclave(target_info, sizeof(*target_info))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_report_body_t *body = &sgx_self_report()->body;
    memset(target_info, 0, sizeof(*target_info));
    target_info->mr_enclave = body->mr_enclave;
    target_info->attributes = body->attributes;
    target_info->reserved1[0] = body->reserved1[0]; /* CETATTRIBUTES */
    target_info->config_svn = body->config_svn;
    target_info->misc_select = body->misc_select;
    memcpy(target_info->config_id, body->config_id, sizeof(target_info->config_id));
    return SGX_SUCCESS;
}

sgx_status_t sgx_verify_report(const sgx_report_t *report)
{
    if (!report || !sgx_is_within_enclave(report, sizeof(*report))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return sgx_status_of(intel_core_report_verify(report));
}

sgx_status_t sgx_verify_report2(const sgx_report2_mac_struct_t *report_mac_struct)
{
    if (!report_mac_struct ||
        !sgx_is_within_enclave(report_mac_struct, sizeof(*report_mac_struct)) ||
        report_mac_struct->report_type.type != TEE_REPORT2_TYPE) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = intel_core_report2_verify(report_mac_struct);
    return result.code == CELLA_CODE_UNSUPPORTED ? SGX_ERROR_UNSUPPORTED_FUNCTION
                                                 : sgx_status_of(result);
}

static int request_is_good(const sgx_key_request_t *request)
{
    uint8_t reserved = 0;
    for (size_t i = 0; i < sizeof(request->reserved2); i++) {
        reserved |= request->reserved2[i];
    }
    if (request->reserved1 != 0 || reserved != 0 || (request->key_policy & ~POLICY_KNOWN) != 0) {
        return 0;
    }
    const int kss = (sgx_self_report()->body.attributes.flags & SGX_FLAGS_KSS) != 0;
    return kss || ((request->key_policy & (POLICY_KSS | SGX_KEYPOLICY_NOISVPRODID)) == 0 &&
                   request->config_svn == 0);
}

/* EGETKEY does not say which of the two numbers it was that is too high. */
static sgx_status_t too_high(const sgx_key_request_t *request)
{
    return request->isv_svn > sgx_self_report()->body.isv_svn ? SGX_ERROR_INVALID_ISVSVN
                                                              : SGX_ERROR_INVALID_CPUSVN;
}

static sgx_status_t key_get(const sgx_key_request_t *request, sgx_key_128bit_t *key)
{
    const cella_result result = intel_core_key(request, key);
    switch (result.code) {
    case CELLA_CODE_OK:
        return SGX_SUCCESS;
    case CELLA_CODE_ATTRIBUTE_REFUSED:
        return SGX_ERROR_INVALID_ATTRIBUTE;
    case CELLA_CODE_SVN_TOO_OLD:
        return too_high(request);
    case CELLA_CODE_INVALID_ARGUMENT:
        return SGX_ERROR_INVALID_KEYNAME;
    default:
        return SGX_ERROR_UNEXPECTED;
    }
}

sgx_status_t sgx_get_key(const sgx_key_request_t *key_request, sgx_key_128bit_t *key)
{
    if (!key || !sgx_is_within_enclave(key, sizeof(*key))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = SGX_ERROR_INVALID_PARAMETER;
    if (key_request && sgx_is_within_enclave(key_request, sizeof(*key_request)) &&
        request_is_good(key_request)) {
        status = key_get(key_request, key);
    }
    if (status !=
        SGX_SUCCESS) { /* whoever does not look at the status uses no key that others know */
        sgx_read_rand((unsigned char *)key, sizeof(*key));
    }
    return status;
}
