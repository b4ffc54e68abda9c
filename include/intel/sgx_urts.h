/*
 * The untrusted runtime: enclaves are created and destroyed here. Libraries sgx_urts and sgx_urts_sim: the first takes
 * hardware where there is any, the second always the software processor. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_URTS_H_
#define _SGX_URTS_H_

#include <stddef.h>

#include "sgx_attributes.h"
#include "sgx_defs.h"
#include "sgx_eid.h"
#include "sgx_error.h"
#include "sgx_key.h"
#include "sgx_report.h"

/* Bits of `ex_features`; ex_features_p[index of the bit] is the feature's argument. */
#define MAX_EX_FEATURES_COUNT 32
#define SGX_CREATE_ENCLAVE_EX_PCL_BIT_IDX 0
#define SGX_CREATE_ENCLAVE_EX_PCL (1 << SGX_CREATE_ENCLAVE_EX_PCL_BIT_IDX)
#define SGX_CREATE_ENCLAVE_EX_SWITCHLESS_BIT_IDX 1
#define SGX_CREATE_ENCLAVE_EX_SWITCHLESS (1 << SGX_CREATE_ENCLAVE_EX_SWITCHLESS_BIT_IDX)
#define SGX_CREATE_ENCLAVE_EX_KSS_BIT_IDX 2U
#define SGX_CREATE_ENCLAVE_EX_KSS (1U << SGX_CREATE_ENCLAVE_EX_KSS_BIT_IDX)

#define _SGX_LAST_EX_FEATURE_IDX_ SGX_CREATE_ENCLAVE_EX_KSS_BIT_IDX
#define _SGX_EX_FEATURES_MASK_                                                                     \
    (((uint32_t)-1) >> (MAX_EX_FEATURES_COUNT - 1 - _SGX_LAST_EX_FEATURE_IDX_))

#pragma pack(push, 1)

/* The argument of SGX_CREATE_ENCLAVE_EX_KSS. */
typedef struct _sgx_kss_config_t {
    sgx_config_id_t config_id;
    sgx_config_svn_t config_svn;
} sgx_kss_config_t;

#pragma pack(pop)

#ifdef __cplusplus
extern "C" {
#endif

/* Launch tokens are of the past: such arguments are not looked at. */
typedef uint8_t sgx_reserved_field_1024t[1024];
typedef sgx_reserved_field_1024t sgx_launch_token_t;

#if !defined(NDEBUG) || defined(EDEBUG)
#define SGX_DEBUG_FLAG 1
#else
#define SGX_DEBUG_FLAG 0
#endif

/*
 * Creates the enclave of a signed image; debug != 0: as a debug enclave, which the image must allow
 * (NDEBUG_ENCLAVE otherwise). *misc_attr (may be NULL) is what it was created with.
 */
sgx_status_t SGXAPI sgx_create_enclave(const char *file_name, const int debug,
                                       sgx_reserved_field_1024t *reserved1, int *reserved2,
                                       sgx_enclave_id_t *enclave_id,
                                       sgx_misc_attribute_t *misc_attr);
sgx_status_t SGXAPI sgx_create_enclave_ex(const char *file_name, const int debug,
                                          sgx_reserved_field_1024t *reserved1, int *reserved2,
                                          sgx_enclave_id_t *enclave_id,
                                          sgx_misc_attribute_t *misc_attr,
                                          const uint32_t ex_features,
                                          const void *ex_features_p[32]);
sgx_status_t SGXAPI sgx_create_enclave_from_buffer_ex(uint8_t *buffer, size_t buffer_size,
                                                      const int debug, sgx_enclave_id_t *enclave_id,
                                                      sgx_misc_attribute_t *misc_attr,
                                                      const uint32_t ex_features,
                                                      const void *ex_features_p[32]);

/* An image that sgx_encrypt has encrypted, and the sealed key to it. */
sgx_status_t SGXAPI sgx_create_encrypted_enclave(const char *file_name, const int debug,
                                                 sgx_reserved_field_1024t *reserved1,
                                                 int *reserved2, sgx_enclave_id_t *enclave_id,
                                                 sgx_misc_attribute_t *misc_attr,
                                                 uint8_t *sealed_key);

/* A call that runs goes on, and the enclave ends with the last one; no new one begins. */
sgx_status_t SGXAPI sgx_destroy_enclave(const sgx_enclave_id_t enclave_id);

/* What other enclaves need to make reports for this one. */
sgx_status_t SGXAPI sgx_get_target_info(const sgx_enclave_id_t enclave_id,
                                        sgx_target_info_t *target_info);

/* The descriptor through which the enclave at `virt_addr` was made. */
sgx_status_t SGXAPI sgx_get_enclave_file_handle(void *virt_addr, int *enclave_fd);

#ifdef __cplusplus
}
#endif
#endif
