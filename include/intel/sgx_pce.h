/*
 * The provisioning certification enclave's interface and names. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_PCE_H_
#define _SGX_PCE_H_

#include "sgx_key.h"
#include "sgx_report.h"

#define SGX_PCE_MK_ERROR(x) (0x0000F000 | (x))

typedef enum _sgx_pce_error_t {
    SGX_PCE_SUCCESS = SGX_PCE_MK_ERROR(0x0000),
    SGX_PCE_UNEXPECTED = SGX_PCE_MK_ERROR(0x0001),
    SGX_PCE_INVALID_PARAMETER = SGX_PCE_MK_ERROR(0x0002),
    SGX_PCE_OUT_OF_EPC = SGX_PCE_MK_ERROR(0x0003),
    SGX_PCE_INTERFACE_UNAVAILABLE = SGX_PCE_MK_ERROR(0x0004),
    SGX_PCE_INVALID_REPORT = SGX_PCE_MK_ERROR(0x0005),
    SGX_PCE_CRYPTO_ERROR = SGX_PCE_MK_ERROR(0x0006),
    SGX_PCE_INVALID_PRIVILEGE = SGX_PCE_MK_ERROR(0x0007),
    SGX_PCE_INVALID_TCB = SGX_PCE_MK_ERROR(0x0008),
} sgx_pce_error_t;

#define PCE_ID 0
#define PCE_ALG_RSA_OAEP_3072 1
#define PCE_NIST_P256_ECDSA_SHA256 0

/* How long a library keeps its enclave. */
typedef enum _sgx_ql_request_policy {
    SGX_QL_PERSISTENT,
    SGX_QL_EPHEMERAL,
    SGX_QL_EPHEMERAL_QVE_MULTI_THREAD,
    SGX_QL_PERSISTENT_QVE_MULTI_THREAD,
    SGX_QL_DEFAULT = SGX_QL_PERSISTENT
} sgx_ql_request_policy_t;

#pragma pack(push, 1)

typedef struct _sgx_pce_info_t {
    sgx_isv_svn_t pce_isv_svn;
    uint16_t pce_id;
} sgx_pce_info_t;

#pragma pack(pop)

#ifdef __cplusplus
extern "C" {
#endif

sgx_pce_error_t sgx_set_pce_enclave_load_policy(sgx_ql_request_policy_t policy);
sgx_pce_error_t sgx_pce_get_target(sgx_target_info_t *p_pce_target, sgx_isv_svn_t *p_pce_isv_svn);
sgx_pce_error_t sgx_get_pce_info(const sgx_report_t *p_report, const uint8_t *p_public_key,
                                 uint32_t key_size, uint8_t crypto_suite, uint8_t *p_encrypted_ppid,
                                 uint32_t encrypted_ppid_buf_size,
                                 uint32_t *p_encrypted_ppid_out_size, sgx_isv_svn_t *p_pce_isvn,
                                 uint16_t *p_pce_id, uint8_t *p_signature_scheme);
sgx_pce_error_t sgx_pce_sign_report(const sgx_isv_svn_t *isv_svn, const sgx_cpu_svn_t *cpu_svn,
                                    const sgx_report_t *p_report, uint8_t *p_signature,
                                    uint32_t signature_buf_size, uint32_t *p_signature_out_size);
sgx_pce_error_t sgx_get_pce_info_without_ppid(sgx_isv_svn_t *p_pce_isvsvn, uint16_t *p_pce_id);
sgx_pce_error_t sgx_set_pce_path(const char *p_path);

#ifdef __cplusplus
}
#endif
#endif
