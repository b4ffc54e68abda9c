/*
 * A key agreed by two enclaves of one machine, each sure of who the other is. Trusted library sgx_tservice.
 * docs/compatibility-intel.md has the messages byte for byte. Source and message compatible with the Intel SGX SDK.
 */
#ifndef _SGX_DH_H_
#define _SGX_DH_H_

#include "sgx.h"
#include "sgx_defs.h"
#include "sgx_ecp_types.h"

#define SGX_DH_MAC_SIZE 16
#define SGX_DH_SESSION_DATA_SIZE 200

#pragma pack(push, 1)

typedef struct _sgx_dh_msg1_t {
    sgx_ec256_public_t g_a;
    sgx_target_info_t target;
} sgx_dh_msg1_t;

typedef struct _sgx_dh_msg2_t {
    sgx_ec256_public_t g_b;
    sgx_report_t report;
    uint8_t cmac[SGX_DH_MAC_SIZE];
} sgx_dh_msg2_t;

typedef struct _sgx_dh_msg3_body_t {
    sgx_report_t report;
    uint32_t additional_prop_length;
    uint8_t additional_prop[0];
} sgx_dh_msg3_body_t;

typedef struct _sgx_dh_msg3_t {
    uint8_t cmac[SGX_DH_MAC_SIZE];
    sgx_dh_msg3_body_t msg3_body;
} sgx_dh_msg3_t;

/* Who the other side is. */
typedef struct _sgx_dh_session_enclave_identity_t {
    sgx_cpu_svn_t cpu_svn;
    sgx_misc_select_t misc_select;
    uint8_t reserved_1[28];
    sgx_attributes_t attributes;
    sgx_measurement_t mr_enclave;
    uint8_t reserved_2[32];
    sgx_measurement_t mr_signer;
    uint8_t reserved_3[96];
    sgx_prod_id_t isv_prod_id;
    sgx_isv_svn_t isv_svn;
} sgx_dh_session_enclave_identity_t;

typedef enum _sgx_dh_session_role_t {
    SGX_DH_SESSION_INITIATOR,
    SGX_DH_SESSION_RESPONDER
} sgx_dh_session_role_t;

/* The state between two messages; its bytes are the library's. */
typedef struct _sgx_dh_session_t {
    uint8_t sgx_dh_session[SGX_DH_SESSION_DATA_SIZE];
} sgx_dh_session_t;

#pragma pack(pop)

#ifdef __cplusplus
extern "C" {
#endif

sgx_status_t SGXAPI sgx_dh_init_session(sgx_dh_session_role_t role, sgx_dh_session_t *session);

/* Responder: message 1 out; message 2 in, message 3, key and initiator's identity out. */
sgx_status_t SGXAPI sgx_dh_responder_gen_msg1(sgx_dh_msg1_t *msg1, sgx_dh_session_t *dh_session);
sgx_status_t SGXAPI sgx_dh_responder_proc_msg2(
    const sgx_dh_msg2_t *msg2, sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session,
    sgx_key_128bit_t *aek, sgx_dh_session_enclave_identity_t *initiator_identity);

/* Initiator: message 1 in, message 2 out; message 3 in, key and responder's identity out. Two versions of protocol. */
sgx_status_t SGXAPI sgx_LAv1_initiator_proc_msg1(const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                                                 sgx_dh_session_t *dh_session);
sgx_status_t SGXAPI sgx_LAv2_initiator_proc_msg1(const sgx_dh_msg1_t *msg1, sgx_dh_msg2_t *msg2,
                                                 sgx_dh_session_t *dh_session);
sgx_status_t SGXAPI sgx_LAv1_initiator_proc_msg3(
    const sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session, sgx_key_128bit_t *aek,
    sgx_dh_session_enclave_identity_t *responder_identity);
sgx_status_t SGXAPI sgx_LAv2_initiator_proc_msg3(
    const sgx_dh_msg3_t *msg3, sgx_dh_session_t *dh_session, sgx_key_128bit_t *aek,
    sgx_dh_session_enclave_identity_t *responder_identity);

#ifdef __cplusplus
}
#endif

#ifdef SGX_USE_LAv2_INITIATOR
#define sgx_dh_initiator_proc_msg1 sgx_LAv2_initiator_proc_msg1
#define sgx_dh_initiator_proc_msg3 sgx_LAv2_initiator_proc_msg3
#else
#define sgx_dh_initiator_proc_msg1 sgx_LAv1_initiator_proc_msg1
#define sgx_dh_initiator_proc_msg3 sgx_LAv1_initiator_proc_msg3
#endif

#endif
