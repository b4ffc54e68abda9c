/*
 * Quotes of version 4 (TDX 1.0). Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_QUOTE_4_H_
#define _SGX_QUOTE_4_H_

#include "sgx_quote.h"
#include "sgx_quote_3.h"
#include "sgx_report2.h"

#pragma pack(push, 1)

#define TD_INFO_RESERVED_BYTES_V1 112

typedef struct _tee_info_t {
    tee_attributes_t attributes;
    tee_attributes_t xfam;
    tee_measurement_t mr_td;
    tee_measurement_t mr_config_id;
    tee_measurement_t mr_owner;
    tee_measurement_t mr_owner_config;
    tee_measurement_t rt_mr[4];
    uint8_t reserved[TD_INFO_RESERVED_BYTES_V1];
} tee_info_t; /* 512 bytes */

#define TEE_TCB_SVN_SIZE 16

typedef struct _tee_tcb_svn_t {
    uint8_t tcb_svn[TEE_TCB_SVN_SIZE];
} tee_tcb_svn_t;

#define TD_TEE_TCB_INFO_RESERVED_BYTES_V1 111

typedef struct _tee_tcb_info_t {
    uint8_t valid[8];
    tee_tcb_svn_t tee_tcb_svn;
    tee_measurement_t mr_seam;
    tee_measurement_t mr_seam_signer;
    tee_attributes_t attributes;
    uint8_t reserved[TD_TEE_TCB_INFO_RESERVED_BYTES_V1];
} tee_tcb_info_t; /* 239 bytes */

typedef struct _sgx_qe_report_certification_data_t {
    sgx_report_body_t qe_report;
    uint8_t qe_report_sig[32 * 2];
    uint8_t auth_certification_data[];
} sgx_qe_report_certification_data_t;

typedef struct _sgx_ecdsa_sig_data_v4_t {
    uint8_t sig[32 * 2];
    uint8_t attest_pub_key[32 * 2];
    uint8_t certification_data[];
} sgx_ecdsa_sig_data_v4_t;

typedef struct _sgx_quote4_header_t {
    uint16_t version;
    uint16_t att_key_type;
    uint32_t tee_type;
    uint32_t reserved;
    uint8_t vendor_id[16];
    uint8_t user_data[20];
} sgx_quote4_header_t; /* 48 bytes */

typedef struct _sgx_report2_body_t {
    tee_tcb_svn_t tee_tcb_svn;
    tee_measurement_t mr_seam;
    tee_measurement_t mrsigner_seam;
    tee_attributes_t seam_attributes;
    tee_attributes_t td_attributes;
    tee_attributes_t xfam;
    tee_measurement_t mr_td;
    tee_measurement_t mr_config_id;
    tee_measurement_t mr_owner;
    tee_measurement_t mr_owner_config;
    tee_measurement_t rt_mr[4];
    tee_report_data_t report_data;
} sgx_report2_body_t; /* 584 bytes */

typedef struct _sgx_quote4_t {
    sgx_quote4_header_t header;
    sgx_report2_body_t report_body;
    uint32_t signature_data_len;
    uint8_t signature_data[];
} sgx_quote4_t;

typedef sgx_att_key_id_ext_t tee_att_att_key_id_t;

#pragma pack(pop)

#endif
