/*
 * What generated code asks before it leaves the enclave.
 * Side: enclave. Called by bridges.
 * Never anything but OE_OK while the enclave runs: one that is aborting does not run.
 */
#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

oe_result_t oe_get_enclave_status(void);
oe_result_t oe_get_enclave_status(void)
{
    return atomic_load(&cella_kernel_state) == KERNEL_DEAD ? OE_ENCLAVE_ABORTING : OE_OK;
}
