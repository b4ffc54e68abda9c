/*
 * What headers generated for the Intel SGX SDK are written with. Source compatible with the Intel SGX SDK.
 * Never marshals anything: generated .c files take sgx_edger8r_core.h besides.
 */
#ifndef _SGX_EDGER8R_H_
#define _SGX_EDGER8R_H_

#include <stddef.h>

#include "sgx_defs.h"
#include "sgx_eid.h"
#include "sgx_error.h"

#ifdef __cplusplus
#define SGX_EXTERNC extern "C"
#else
#define SGX_EXTERNC
#endif

#endif
