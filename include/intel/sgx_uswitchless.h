/*
 * Switchless calls: what SGX_CREATE_ENCLAVE_EX_SWITCHLESS takes. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_USWITCHLESS_H_
#define _SGX_USWITCHLESS_H_

#include <stdint.h>

#include "sgx_defs.h"
#include "sgx_eid.h"
#include "sgx_error.h"

typedef enum {
    SGX_USWITCHLESS_WORKER_TYPE_UNTRUSTED, /* serves ocalls, outside */
    SGX_USWITCHLESS_WORKER_TYPE_TRUSTED    /* serves ecalls, inside */
} sgx_uswitchless_worker_type_t;

typedef enum {
    SGX_USWITCHLESS_WORKER_EVENT_START, /* about to start */
    SGX_USWITCHLESS_WORKER_EVENT_IDLE,  /* about to sleep */
    SGX_USWITCHLESS_WORKER_EVENT_MISS,  /* a call found no worker */
    SGX_USWITCHLESS_WORKER_EVENT_EXIT,  /* about to end */
    _SGX_USWITCHLESS_WORKER_EVENT_NUM,
} sgx_uswitchless_worker_event_t;

typedef struct {
    uint64_t processed; /* calls that all workers of the type have served */
    uint64_t missed;    /* calls that fell back to ordinary ones */
} sgx_uswitchless_worker_stats_t;

typedef void (*sgx_uswitchless_worker_callback_t)(sgx_uswitchless_worker_type_t,
                                                  sgx_uswitchless_worker_event_t,
                                                  const sgx_uswitchless_worker_stats_t *);

#define SL_DEFAULT_FALLBACK_RETRIES 20000
#define SL_DEFAULT_SLEEP_RETRIES 20000
#define SL_DEFUALT_MAX_TASKS_QWORDS 1
#define SL_MAX_TASKS_MAX_QWORDS 8

/* Zeros mean the defaults. */
typedef struct {
    uint64_t switchless_calls_pool_size_qwords; /* 64 calls each; at most 8 */
    uint64_t num_uworkers;
    uint64_t num_tworkers;
    uint64_t retries_before_fallback;
    uint64_t retries_before_sleep;
    sgx_uswitchless_worker_callback_t callback_func[_SGX_USWITCHLESS_WORKER_EVENT_NUM];
} sgx_uswitchless_config_t;

#define SGX_USWITCHLESS_CONFIG_INITIALIZER                                                         \
    {                                                                                              \
        0, 1, 1, 0, 0,                                                                             \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

#endif
