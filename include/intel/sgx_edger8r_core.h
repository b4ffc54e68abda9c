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

/* Untrusted library: the core's enclave, NULL when there is none of that number. */
struct cella_enclave *sgx_enclave_core(sgx_enclave_id_t eid);

/* Both libraries: the skin's word for a result of the core. */
sgx_status_t sgx_status_of(cella_result result);

#ifdef __cplusplus
}
#endif
#endif
