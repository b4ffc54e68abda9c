/*
 * Ids of attestation keys, as the AESM protocol and Intel's API have them.
 * Side: host. Included by host/quote*.c and services/quoted.
 */
#ifndef CELLA_HOST_QUOTE_KEY_H
#define CELLA_HOST_QUOTE_KEY_H

#include "abi/quote.h"

/* The id that Intel's clients have built in: the ECDSA P-256 key of Intel's own quoting enclave. */
void cella_quote_key_intel(uint8_t ret_key_id[SGX_KEY_ID_SIZE]);
/* The id of a key of the quoting enclave with that signer. */
void cella_quote_key_of(const uint8_t mr_signer[32], uint16_t product_id,
                        uint8_t ret_key_id[SGX_KEY_ID_SIZE]);

#endif
