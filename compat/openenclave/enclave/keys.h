/*
 * EGETKEY in Open Enclave's types.
 * Side: enclave. Included by the enclave half.
 * Never leaves the enclave.
 */
#ifndef CELLA_COMPAT_OE_KEYS_H
#define CELLA_COMPAT_OE_KEYS_H

#include <openenclave/bits/sgx/sgxtypes.h>

/* What oe_get_seal_key gives as key info: this enclave's current key of the policy. */
oe_result_t oe_key_request(oe_seal_policy_t policy, sgx_key_request_t *ret_request);
oe_result_t oe_key_of(const sgx_key_request_t *request, sgx_key_t *ret_key);

#endif
