/*
 * Everything that describes an enclave: errors, attributes, keys, reports. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_H_
#define _SGX_H_

#include "sgx_attributes.h"
#include "sgx_error.h"
#include "sgx_key.h"
#include "sgx_report.h"

#endif
