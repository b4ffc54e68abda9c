/*
 * The least that every enclave has: what is inside, what is outside, randomness. Trusted library sgx_trts.
 * Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_TRTS_H_
#define _SGX_TRTS_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_defs.h"
#include "sgx_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 when all of [addr, addr + size) lies in the enclave, else 0; a size of 0 asks about the address alone. */
int SGXAPI sgx_is_within_enclave(const void *addr, size_t size);

/* 1 when nothing of it lies in the enclave, else 0. */
int SGXAPI sgx_is_outside_enclave(const void *addr, size_t size);

/* 1 once the enclave has been aborted. */
int SGXAPI sgx_is_enclave_crashed(void);

/* Bytes of the processor's random number generator. INVALID_PARAMETER: no buffer, no length, or not whole inside. */
sgx_status_t SGXAPI sgx_read_rand(unsigned char *rand, size_t length_in_bytes);

/* Protection keys of this thread: 1 when it could be done, 0 on a processor or in an enclave without them. */
int SGXAPI sgx_rdpkru(uint32_t *val);
int SGXAPI sgx_wrpkru(uint32_t val);

/* NULL: there is no separate FIPS provider inside an enclave of this SDK. */
void *SGXAPI sgx_get_ossl_fips_sym(const char *symbol);

#ifdef __cplusplus
}
#endif
#endif
