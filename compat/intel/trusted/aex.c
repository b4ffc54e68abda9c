/*
 * sgx_trts_aex.h: AEX-Notify is a feature of the processor that this kernel does not take up: an enclave that has the
 * attribute runs, and is not notified.
 * Side: enclave. Called by applications.
 */
#include "sgx_trts_aex.h"

#include "sgx_trts.h"

sgx_status_t sgx_set_ssa_aexnotify(int flag)
{
    return flag == 0 ? SGX_SUCCESS : SGX_ERROR_FEATURE_NOT_SUPPORTED;
}

sgx_status_t sgx_register_aex_handler(sgx_aex_mitigation_node_t *aex_node,
                                      sgx_aex_mitigation_fn_t handler, const void *args)
{
    (void)args;
    if (!aex_node || !handler || !sgx_is_within_enclave(aex_node, sizeof(*aex_node)) ||
        !sgx_is_within_enclave((const void *)handler, 0)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return SGX_ERROR_FEATURE_NOT_SUPPORTED;
}

sgx_status_t sgx_unregister_aex_handler(sgx_aex_mitigation_fn_t handler)
{
    return handler ? SGX_ERROR_FEATURE_NOT_SUPPORTED : SGX_ERROR_INVALID_PARAMETER;
}
