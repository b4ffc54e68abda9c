/*
 * Where code generated for the Intel SGX SDK meets the core: handles and results.
 * Included by NAME_t.c, NAME_u.c and the libraries that define the functions.
 */
#ifndef SGX_EDGER8R_CORE_H
#define SGX_EDGER8R_CORE_H

#include "cella/bridge_call.h"
#include "sgx_edger8r.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cella_enclave;
struct cella_bridge_module;

/* Untrusted library: the core's enclave, NULL when there is none of that number. */
struct cella_enclave *sgx_enclave_core(sgx_enclave_id_t eid);

/* The same for one call (cella_bridge_ecall), during which the enclave stays, whoever destroys it. NO_ENCLAVE. */
CELLA_MUST_USE cella_result sgx_bridge_ecall(sgx_enclave_id_t eid,
                                             const struct cella_bridge_module *module,
                                             uint32_t index,
                                             const struct cella_bridge_function *function,
                                             void *message, void *const *at, void *reply);

/* Both libraries: the skin's word for a result of the core. */
sgx_status_t sgx_status_of(cella_result result);

#ifdef __cplusplus
}
#endif
#endif
