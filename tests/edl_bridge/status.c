/*
 * The skins' one function that generated enclave code needs: results in the dialect's own words.
 * Side: enclave (of tests). Never a skin.
 */
#include "cella/bridge.h"

#if defined(EVERY_OPENENCLAVE)
#include <openenclave/edger8r/enclave.h>
oe_result_t oe_result_of(cella_result result)
{
    return cella_is_ok(result) ? OE_OK : OE_FAILURE;
}

oe_result_t oe_get_enclave_status(void)
{
    return OE_OK;
}

#if defined(EVERY_NO_LIBC)
int *__oe_errno_location(void)
{
    static int number;
    return &number;
}
#else
#include <errno.h>
int *__oe_errno_location(void)
{
    return &errno;
}
#endif
#elif defined(EVERY_INTEL)
#include "sgx_edger8r_core.h"
sgx_status_t sgx_status_of(cella_result result)
{
    return cella_is_ok(result) ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}
#endif
