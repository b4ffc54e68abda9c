/*
 * Seal keys: EGETKEY under Open Enclave's policies.
 * Side: enclave. Called by applications, the seal plug-in and asym_keys.c.
 * Never leaves a key on the stack.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/keys.h"
#include "compat/openenclave/enclave/report.h"
#include "compat/openenclave/enclave/skin.h"

struct sgx_keyrequest;
cella_result cella_key_get(const struct sgx_keyrequest *request, uint8_t ret_key[16]);

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

/* EGETKEY says only that a version is above the current one; which of the two, the enclave's own report tells. */
static oe_result_t version_error(const sgx_key_request_t *request)
{
    sgx_report_t report;
    OE_TRY(oe_report_local(NULL, 0, NULL, 0, &report));
    return request->isv_svn > report.body.isvsvn ? OE_INVALID_ISVSVN : OE_INVALID_CPUSVN;
}

oe_result_t oe_key_of(const sgx_key_request_t *request, sgx_key_t *ret_key)
{
    OE_ENSURE(request->reserved1 == 0 && is_zero(request->reserved2, sizeof(request->reserved2)) &&
                  request->key_name <= SGX_KEYSELECT_SEAL &&
                  (request->key_policy & ~SGX_KEYPOLICY_ALL) == 0,
              OE_INVALID_PARAMETER);
    const cella_result result = cella_key_get((const struct sgx_keyrequest *)request, ret_key->buf);
    switch (result.code) {
    case CELLA_CODE_SVN_TOO_OLD:
        return version_error(request);
    case CELLA_CODE_ATTRIBUTE_REFUSED:
        return OE_INVALID_PARAMETER;
    case CELLA_CODE_INVALID_ARGUMENT:
        return OE_INVALID_KEYNAME;
    default:
        return oe_result_of(result);
    }
}

oe_result_t oe_key_request(oe_seal_policy_t policy, sgx_key_request_t *ret_request)
{
    sgx_report_t report;
    OE_ENSURE(policy == OE_SEAL_POLICY_UNIQUE || policy == OE_SEAL_POLICY_PRODUCT,
              OE_INVALID_PARAMETER);
    OE_TRY(oe_report_local(NULL, 0, NULL, 0, &report));
    memset(ret_request, 0, sizeof(*ret_request));
    ret_request->key_name = SGX_KEYSELECT_SEAL;
    ret_request->key_policy =
        policy == OE_SEAL_POLICY_UNIQUE ? SGX_KEYPOLICY_MRENCLAVE : SGX_KEYPOLICY_MRSIGNER;
    ret_request->isv_svn = report.body.isvsvn;
    memcpy(ret_request->cpu_svn, report.body.cpusvn, sizeof(ret_request->cpu_svn));
    ret_request->attribute_mask.flags = OE_SEALKEY_DEFAULT_FLAGSMASK;
    ret_request->attribute_mask.xfrm = OE_SEALKEY_DEFAULT_XFRMMASK;
    ret_request->misc_attribute_mask = OE_SEALKEY_DEFAULT_MISCMASK;
    return OE_OK;
}

oe_result_t oe_get_seal_key_v2(const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                               size_t *key_buffer_size)
{
    sgx_key_request_t request;
    OE_ENSURE(key_info != NULL && key_info_size == sizeof(request), OE_INVALID_PARAMETER);
    OE_ENSURE(key_buffer != NULL && key_buffer_size != NULL, OE_INVALID_PARAMETER);
    *key_buffer = NULL;
    *key_buffer_size = 0;
    memcpy(&request, key_info, sizeof(request));
    sgx_key_t *key = calloc(1, sizeof(*key));
    OE_ENSURE(key != NULL, OE_OUT_OF_MEMORY);
    const oe_result_t result = oe_key_of(&request, key);
    if (result != OE_OK) {
        oe_free_seal_key((uint8_t *)key, NULL);
        return result;
    }
    *key_buffer = key->buf;
    *key_buffer_size = sizeof(key->buf);
    return OE_OK;
}

oe_result_t oe_get_seal_key_by_policy_v2(oe_seal_policy_t seal_policy, uint8_t **key_buffer,
                                         size_t *key_buffer_size, uint8_t **key_info,
                                         size_t *key_info_size)
{
    OE_ENSURE(key_buffer != NULL && key_buffer_size != NULL, OE_INVALID_PARAMETER);
    OE_ENSURE((key_info == NULL) == (key_info_size == NULL), OE_INVALID_PARAMETER);
    sgx_key_request_t *request = calloc(1, sizeof(*request));
    OE_ENSURE(request != NULL, OE_OUT_OF_MEMORY);
    oe_result_t result = oe_key_request(seal_policy, request);
    if (result == OE_OK) {
        result = oe_get_seal_key_v2((const uint8_t *)request, sizeof(*request), key_buffer,
                                    key_buffer_size);
    }
    if (result != OE_OK || key_info == NULL) {
        free(request);
        return result;
    }
    *key_info = (uint8_t *)request;
    *key_info_size = sizeof(*request);
    return OE_OK;
}

void oe_free_seal_key(uint8_t *key_buffer, uint8_t *key_info)
{
    if (key_buffer) {
        explicit_bzero(key_buffer, sizeof(sgx_key_t));
    }
    free(key_buffer);
    free(key_info);
}
