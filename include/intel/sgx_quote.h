/*
 * Quotes of the EPID days and the names of attestation keys. Source compatible with the Intel SGX SDK up to 2.29.
 */
#ifndef _SGX_QUOTE_H_
#define _SGX_QUOTE_H_

#include "sgx_defs.h"
#include "sgx_report.h"

#pragma pack(push, 1)

typedef uint8_t sgx_epid_group_id_t[4];

typedef struct _spid_t {
    uint8_t id[16];
} sgx_spid_t;

typedef struct _basename_t {
    uint8_t name[32];
} sgx_basename_t;

typedef struct _quote_nonce {
    uint8_t rand[16];
} sgx_quote_nonce_t;

typedef enum { SGX_UNLINKABLE_SIGNATURE, SGX_LINKABLE_SIGNATURE } sgx_quote_sign_type_t;

typedef struct _quote_t {
    uint16_t version;                  /*   0 */
    uint16_t sign_type;                /*   2 */
    sgx_epid_group_id_t epid_group_id; /*   4 */
    sgx_isv_svn_t qe_svn;              /*   8 */
    sgx_isv_svn_t pce_svn;             /*  10 */
    uint32_t xeid;                     /*  12 */
    sgx_basename_t basename;           /*  16 */
    sgx_report_body_t report_body;     /*  48 */
    uint32_t signature_len;            /* 432 */
    uint8_t signature[];               /* 436 */
} sgx_quote_t;

#define SGX_PLATFORM_INFO_SIZE 101

typedef struct _platform_info {
    uint8_t platform_info[SGX_PLATFORM_INFO_SIZE];
} sgx_platform_info_t;

typedef struct _update_info_bit {
    int ucodeUpdate;
    int csmeFwUpdate;
    int pswUpdate;
} sgx_update_info_bit_t;

typedef struct _att_key_id_t {
    uint8_t att_key_id[256];
} sgx_att_key_id_t;

typedef struct _sgx_ql_att_key_id_t {
    uint16_t id;
    uint16_t version;
    uint16_t mrsigner_length;
    uint8_t mrsigner[48];
    uint32_t prod_id;
    uint8_t extended_prod_id[16];
    uint8_t config_id[64];
    uint8_t family_id[16];
    uint32_t algorithm_id;
} sgx_ql_att_key_id_t; /* 158 bytes */

typedef struct _sgx_att_key_id_ext_t {
    sgx_ql_att_key_id_t base;
    uint8_t spid[16];
    uint16_t att_key_type;
    uint8_t reserved[80];
} sgx_att_key_id_ext_t; /* 256 bytes */

typedef struct _qe_report_info_t {
    sgx_quote_nonce_t nonce;
    sgx_target_info_t app_enclave_target_info;
    sgx_report_t qe_report;
} sgx_qe_report_info_t;

#pragma pack(pop)

#endif
