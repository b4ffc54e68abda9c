/*
 * CPUID inside an enclave, from what the host told at creation: not to be trusted. Trusted library sgx_tstdc.
 * Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_CPUID_H_
#define _SGX_CPUID_H_

#include "sgx_defs.h"
#include "sgx_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cpuinfo: EAX, EBX, ECX, EDX. */
sgx_status_t SGXAPI sgx_cpuid(int cpuinfo[4], int leaf);
sgx_status_t SGXAPI sgx_cpuidex(int cpuinfo[4], int leaf, int subleaf);

#ifdef __cplusplus
}
#endif
#endif
