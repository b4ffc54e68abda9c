/*
 * The ecalls of sgx_tswitchless.edl. The core's workers serve switchless calls (cella_switchless_start), and nobody calls
 * these; a host that does gets nothing from it.
 * Side: enclave. Called by generated bridges.
 */
#include "sgx_error.h"

sgx_status_t sl_init_switchless(void *sl_data);
sgx_status_t sl_run_switchless_tworker(void);

sgx_status_t sl_init_switchless(void *sl_data)
{
    (void)sl_data;
    return SGX_SUCCESS;
}

sgx_status_t sl_run_switchless_tworker(void)
{
    return SGX_SUCCESS;
}
