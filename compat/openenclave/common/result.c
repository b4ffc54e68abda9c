/*
 * Result codes: their names, and the words of Cella in those of Open Enclave.
 * Side: both. Called by the skin, by generated code and by applications.
 * Never allocates.
 */
#include <openenclave/bits/result.h>

#include "compat/openenclave/common/glue.h"

const char *oe_result_str(oe_result_t result)
{
    static const char *const names[] = {
#define OE_RESULT_NAME(name) #name,
        OE_RESULT_CODES(OE_RESULT_NAME)
#undef OE_RESULT_NAME
    };
    return (unsigned)result < sizeof(names) / sizeof(names[0]) ? names[result] : "OE_UNKNOWN";
}

oe_result_t oe_result_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_OK:
        return OE_OK;
    case CELLA_CODE_NOT_FOUND:
        return OE_NOT_FOUND;
    case CELLA_CODE_ALREADY_EXISTS:
        return OE_ALREADY_EXISTS;
    case CELLA_CODE_SIZE_OVERFLOW:
        return OE_INTEGER_OVERFLOW;
    case CELLA_CODE_UNSUPPORTED:
    case CELLA_CODE_UNSUPPORTED_VERSION:
    case CELLA_CODE_IN_EXCEPTION:
        return OE_UNSUPPORTED;
    case CELLA_CODE_BUFFER_TOO_SMALL:
        return OE_BUFFER_TOO_SMALL;
    case CELLA_CODE_BAD_SIGNATURE:
    case CELLA_CODE_MEASUREMENT_MISMATCH:
    case CELLA_CODE_AUTH_FAILED:
        return OE_VERIFY_FAILED;
    case CELLA_CODE_ATTRIBUTE_REFUSED:
    case CELLA_CODE_NO_DEVICE:
        return OE_PLATFORM_ERROR;
    case CELLA_CODE_DEBUG_MISMATCH:
        return OE_DEBUG_DOWNGRADE;
    case CELLA_CODE_SVN_TOO_OLD:
        return OE_INVALID_ISVSVN;
    case CELLA_CODE_LIMIT_EXCEEDED:
        return OE_OUT_OF_BOUNDS;
    case CELLA_CODE_OUT_OF_MEMORY:
    case CELLA_CODE_OUT_OF_EPC:
        return OE_OUT_OF_MEMORY;
    case CELLA_CODE_OUT_OF_THREADS:
        return OE_OUT_OF_THREADS;
    case CELLA_CODE_BUSY:
        return OE_BUSY;
    case CELLA_CODE_ENCLAVE_LOST:
        return OE_ENCLAVE_ABORTED;
    case CELLA_CODE_ENCLAVE_ABORTED:
        return OE_ENCLAVE_ABORTING;
    case CELLA_CODE_CRYPTO:
        return OE_CRYPTO_ERROR;
    case CELLA_CODE_WRONG_STATE: /* an ecall where none may be made: at the end, or inside a system call */
        return OE_REENTRANT_ECALL;
    case CELLA_CODE_HOST_VALUE:
    case CELLA_CODE_INTERNAL:
        return OE_UNEXPECTED;
    case CELLA_CODE_ACCESS_DENIED:
    case CELLA_CODE_LENGTH_GREW:
    case CELLA_CODE_HOST_REFUSED:
    case CELLA_CODE_IO:
    case CELLA_CODE_ENTROPY:
        return OE_FAILURE;
    default: /* what the caller gave, or bytes from outside */
        return OE_INVALID_PARAMETER;
    }
}
