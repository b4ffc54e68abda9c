/*
 * A small enclave that has reserved and dynamic memory: so its image holds the settings for them.
 * Side: enclave, tests. Never runs.
 */
#include "sgx_mm.h"
#include "sgx_rsrv_mem_mngr.h"
#include "sign_t.h"

int sign_memory(void)
{
    void *at = 0;
    return sgx_alloc_rsrv_mem(4096) != 0 &&
           sgx_mm_alloc(0, 4096, SGX_EMA_COMMIT_NOW, 0, 0, &at) == 0;
}
