/*
 * Quotes of version 3 (ECDSA). Source compatible with Intel's DCAP libraries; layout by Intel's quote specification.
 */
#ifndef _SGX_QUOTE_3_H_
#define _SGX_QUOTE_3_H_

#include "sgx_pce.h"
#include "sgx_quote.h"

#define REF_QUOTE_MAX_AUTHENTICATON_DATA_SIZE 64
#define USE_PCEID

typedef enum {
    SGX_QL_ALG_EPID = 0,
    SGX_QL_ALG_RESERVED_1 = 1,
    SGX_QL_ALG_ECDSA_P256 = 2,
    SGX_QL_ALG_ECDSA_P384 = 3,
    SGX_QL_ALG_MAX = 4
} sgx_ql_attestation_algorithm_id_t;

typedef enum {
    PPID_CLEARTEXT = 1,
    PPID_RSA2048_ENCRYPTED = 2,
    PPID_RSA3072_ENCRYPTED = 3,
    PCK_CLEARTEXT = 4,
    PCK_CERT_CHAIN = 5,
    ECDSA_SIG_AUX_DATA = 6,
    QL_CERT_KEY_TYPE_MAX = 16,
} sgx_ql_cert_key_type_t;

#pragma pack(push, 1)

typedef struct _sgx_ql_att_key_id_list_header_t {
    uint16_t id;
    uint16_t version;
    uint32_t num_att_ids;
} sgx_ql_att_key_id_list_header_t;

typedef struct _sgx_ql_ppid_cleartext_cert_info_t {
    uint8_t ppid[16];
    sgx_cpu_svn_t cpu_svn;
    sgx_pce_info_t pce_info;
} sgx_ql_ppid_cleartext_cert_info_t;

typedef struct _sgx_ql_ppid_rsa2048_encrypted_cert_info_t {
    uint8_t enc_ppid[256];
    sgx_cpu_svn_t cpu_svn;
    sgx_pce_info_t pce_info;
} sgx_ql_ppid_rsa2048_encrypted_cert_info_t;

typedef struct _sgx_ql_ppid_rsa3072_encrypted_cert_info_t {
    uint8_t enc_ppid[384];
    sgx_cpu_svn_t cpu_svn;
    sgx_pce_info_t pce_info;
} sgx_ql_ppid_rsa3072_encrypted_cert_info_t;

typedef struct _sgx_ql_auth_data_t {
    uint16_t size;
    uint8_t auth_data[];
} sgx_ql_auth_data_t;

typedef struct _sgx_ql_certification_data_t {
    uint16_t cert_key_type; /* sgx_ql_cert_key_type_t */
    uint32_t size;
    uint8_t certification_data[];
} sgx_ql_certification_data_t;

typedef struct _sgx_ql_ecdsa_sig_data_t {
    uint8_t sig[32 * 2];
    uint8_t attest_pub_key[32 * 2];
    sgx_report_body_t qe_report;
    uint8_t qe_report_sig[32 * 2];
    uint8_t auth_certification_data[]; /* auth data, then certification data */
} sgx_ql_ecdsa_sig_data_t;

typedef struct _sgx_quote_header_t {
    uint16_t version;        /*  0 */
    uint16_t att_key_type;   /*  2 */
    uint32_t att_key_data_0; /*  4 */
    sgx_isv_svn_t qe_svn;    /*  8 */
    sgx_isv_svn_t pce_svn;   /* 10 */
    uint8_t vendor_id[16];   /* 12 */
    uint8_t user_data[20];   /* 28 */
} sgx_quote_header_t;

typedef struct _sgx_quote3_t {
    sgx_quote_header_t header;     /*   0 */
    sgx_report_body_t report_body; /*  48 */
    uint32_t signature_data_len;   /* 432 */
    uint8_t signature_data[];      /* 436 */
} sgx_quote3_t;

#pragma pack(pop)

#endif
