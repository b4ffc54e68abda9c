/*
 * Policies of quote appraisal. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_DCAP_QAL_TYPES_H_
#define _SGX_DCAP_QAL_TYPES_H_

#include <stdint.h>

typedef enum _tee_platform_policy_type_t {
    DEFAULT_STRICT = 0,
    CUSTOMIZED
} tee_platform_policy_type_t;

typedef struct _tee_platform_policy_t {
    tee_platform_policy_type_t pt;
    const uint8_t *p_policy;
} tee_platform_policy_t;

typedef struct _tee_policy_bundle_t {
    const uint8_t *p_tenant_identity_policy;
    tee_platform_policy_t platform_policy;
    tee_platform_policy_t tdqe_policy;
    tee_platform_policy_t reserved[2];
} tee_policy_bundle_t;

typedef enum _tee_policy_auth_result_t {
    TEE_AUTH_INCOMPLET = -1,
    TEE_AUTH_SUCCESS = 0,
    TEE_AUTH_FAILURE = 1,
} tee_policy_auth_result_t;

#endif
