/*
 * Ids of attestation keys as the AESM protocol and Intel's API have them; parsing of the daemon's answers, for its fuzz
 * target.
 * Side: host. Included by host/quote*.c, services/quoted, compat/intel.
 */
#ifndef CELLA_HOST_QUOTE_KEY_H
#define CELLA_HOST_QUOTE_KEY_H

#include <stdbool.h>

#include "abi/quote.h"
#include "common/bytes.h"

/* The id that Intel's clients have built in: the ECDSA P-256 key of Intel's own quoting enclave. */
void cella_quote_key_intel(uint8_t ret_key_id[SGX_KEY_ID_SIZE]);
/* The id of a key of the quoting enclave with that signer. */
void cella_quote_key_of(const uint8_t mr_signer[32], uint16_t product_id,
                        uint8_t ret_key_id[SGX_KEY_ID_SIZE]);

/*
 * quote_aesm.c: a Response with the answer `expected`: fields 1 to 4 as bytes and as numbers. UNSUPPORTED: the daemon does
 * not know the request. MALFORMED codes. Allocates nothing.
 */
CELLA_MUST_USE cella_result cella_aesm_answer_parse(struct cella_bytes message, uint32_t expected,
                                                    struct cella_bytes fields[5],
                                                    uint64_t numbers[5]);

#endif
