/*
 * The fence that generated bridges put behind their checks. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_LFENCE_H_
#define _SGX_LFENCE_H_

#define sgx_lfence __builtin_ia32_lfence

#endif
