/*
 * AEX-Notify: handlers that run after every interruption of a thread. Trusted library sgx_trts.
 * Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_TRTS_AEX_H_
#define _SGX_TRTS_AEX_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_defs.h"
#include "sgx_error.h"
#include "sgx_trts_exception.h"

typedef void (*sgx_aex_mitigation_fn_t)(const sgx_exception_info_t *info, const void *args);

/* The caller's memory until the handler is unregistered. */
typedef struct _aex_mitigation_node_t {
    sgx_aex_mitigation_fn_t handler;
    const void *args;
    struct _aex_mitigation_node_t *next;
} sgx_aex_mitigation_node_t;

#ifdef __cplusplus
extern "C" {
#endif

/* Turns notification on (flag != 0) or off for this thread. FEATURE_NOT_SUPPORTED where the enclave has it not. */
sgx_status_t SGXAPI sgx_set_ssa_aexnotify(int flag);

sgx_status_t SGXAPI sgx_register_aex_handler(sgx_aex_mitigation_node_t *aex_node,
                                             sgx_aex_mitigation_fn_t handler, const void *args);
sgx_status_t SGXAPI sgx_unregister_aex_handler(sgx_aex_mitigation_fn_t handler);

#ifdef __cplusplus
}
#endif
#endif
