/*
 * The Intel SDK's word for each result of the core.
 * Side: both; one object in the trusted and one in the untrusted library. Called by generated bridges and by the skin.
 */
#include "sgx_edger8r_core.h"

__attribute__((visibility("default"))) sgx_status_t sgx_status_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_OK:
        return SGX_SUCCESS;
    case CELLA_CODE_INVALID_ARGUMENT:
    case CELLA_CODE_OUT_OF_RANGE:
    case CELLA_CODE_HOST_POINTER:
    case CELLA_CODE_SIZE_OVERFLOW:
    case CELLA_CODE_TRUNCATED:
    case CELLA_CODE_TRAILING_BYTES:
    case CELLA_CODE_BUFFER_TOO_SMALL:
    case CELLA_CODE_HOST_VALUE:
    case CELLA_CODE_BAD_FIELD:
        return SGX_ERROR_INVALID_PARAMETER;
    case CELLA_CODE_OUT_OF_MEMORY:
        return SGX_ERROR_OUT_OF_MEMORY;
    case CELLA_CODE_NO_ENCLAVE:
        return SGX_ERROR_INVALID_ENCLAVE_ID;
    case CELLA_CODE_NOT_FOUND:
        return SGX_ERROR_INVALID_FUNCTION;
    case CELLA_CODE_IN_EXCEPTION:
        return SGX_ERROR_OCALL_NOT_ALLOWED;
    case CELLA_CODE_OUT_OF_THREADS:
        return SGX_ERROR_OUT_OF_TCS;
    case CELLA_CODE_ENCLAVE_ABORTED:
        return SGX_ERROR_ENCLAVE_CRASHED;
    case CELLA_CODE_ENCLAVE_LOST:
        return SGX_ERROR_ENCLAVE_LOST;
    case CELLA_CODE_ACCESS_DENIED:
        return SGX_ERROR_ECALL_NOT_ALLOWED;
    case CELLA_CODE_WRONG_STATE:
        return SGX_ERROR_INVALID_STATE;
    case CELLA_CODE_UNSUPPORTED:
        return SGX_ERROR_FEATURE_NOT_SUPPORTED;
    case CELLA_CODE_AUTH_FAILED:
        return SGX_ERROR_MAC_MISMATCH;
    case CELLA_CODE_ATTRIBUTE_REFUSED:
        return SGX_ERROR_INVALID_ATTRIBUTE;
    case CELLA_CODE_BUSY:
        return SGX_ERROR_BUSY;
    default:
        return SGX_ERROR_UNEXPECTED;
    }
}
