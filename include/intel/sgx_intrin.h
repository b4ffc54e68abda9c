/*
 * The compiler's intrinsics, without those that cannot work inside an enclave. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_INTRIN_H_
#define _SGX_INTRIN_H_

#include <x86intrin.h>

#endif
