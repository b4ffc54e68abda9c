/*
 * The key derivation of Intel's key exchanges (KDF 1): AES-CMAC entropy extraction and expansion.
 * Side: enclave. Called by dh.c and tkey_exchange.c.
 */
#ifndef COMPAT_INTEL_TRUSTED_KDF_H
#define COMPAT_INTEL_TRUSTED_KDF_H

#include "sgx_ecp_types.h"

#define INTEL_KDF_ID 1u

/* derived = CMAC(CMAC(0, shared), 01 | label | 00 | 80 00). `label` has at most 16 characters. */
sgx_status_t intel_derive_key(const sgx_ec256_dh_shared_t *shared, const char *label,
                              sgx_ec_key_128bit_t *ret_key);

#endif
