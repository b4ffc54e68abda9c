/*
 * P-256 keys of the quoting and the provisioning certification enclave: from EGETKEY, for signing.
 * Side: enclave. Included by quoting.c and provisioning.c. Over libcrypto.
 * Never leaves a private number behind: buffers are wiped.
 */
#ifndef CELLA_QUOTE_ENCLAVE_KEY_H
#define CELLA_QUOTE_ENCLAVE_KEY_H

#include <openssl/types.h>

#include "cella/report.h"

#define QUOTE_POINT_SIZE 64u     /* x, y, big endian */
#define QUOTE_SIGNATURE_SIZE 64u /* r, s, big endian */

/* A request for this enclave's own key of that name, for enclaves of its signer, at its own versions. */
cella_result quote_key_request(uint16_t key_name, struct sgx_keyrequest *ret_request);

/* 48 bytes that only the processor, the request and the label determine. */
cella_result quote_secret(const struct sgx_keyrequest *request, const char *label,
                          uint8_t ret_secret[48]);

/* The key pair of such a secret (FIPS 186-4, B.4.1). Free with EC_KEY_free. */
cella_result quote_key_derive(const struct sgx_keyrequest *request, const char *label,
                              EC_KEY **ret_key, uint8_t ret_point[QUOTE_POINT_SIZE]);

/* ECDSA with SHA-256 over `size` bytes. Thread-safe for one key. */
cella_result quote_sign(EC_KEY *key, const void *data, size_t size,
                        uint8_t ret_signature[QUOTE_SIGNATURE_SIZE]);

#endif
