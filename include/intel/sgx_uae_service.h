/*
 * All services of the platform at once. Source compatible with the Intel SGX SDK up to 2.29.
 */
#ifndef _SGX_UAE_SERVICE_H_
#define _SGX_UAE_SERVICE_H_

#include "sgx_uae_epid.h"
#include "sgx_uae_launch.h"
#include "sgx_uae_quote_ex.h"

#endif
