/*
 * sgx_cpuid.h: CPUID as the kernel answers it inside (enclave/cpuid.c).
 * Side: enclave. Called by applications.
 */
#include "sgx_cpuid.h"

#include "sgx_trts.h"

sgx_status_t sgx_cpuidex(int cpuinfo[4], int leaf, int subleaf)
{
    if (!cpuinfo || !sgx_is_within_enclave(cpuinfo, 4 * sizeof(int))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    __asm__ volatile("cpuid"
                     : "=a"(cpuinfo[0]), "=b"(cpuinfo[1]), "=c"(cpuinfo[2]), "=d"(cpuinfo[3])
                     : "a"(leaf), "c"(subleaf));
    return SGX_SUCCESS;
}

sgx_status_t sgx_cpuid(int cpuinfo[4], int leaf)
{
    return sgx_cpuidex(cpuinfo, leaf, 0);
}
