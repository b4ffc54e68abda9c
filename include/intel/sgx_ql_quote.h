/*
 * Lists of attestation keys and the report a quoting enclave makes. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_QL_QUOTE_H_
#define _SGX_QL_QUOTE_H_

#include <stddef.h>

#include "sgx_ql_lib_common.h"
#include "sgx_quote.h"
#include "sgx_quote_3.h"

#pragma pack(push, 1)

typedef struct _sgx_ql_att_key_id_param_t {
    uint32_t algorithm_param_size;
    uint8_t algorithm_param[];
} sgx_ql_att_key_id_param_t;

typedef struct _sgx_ql_att_id_list_t {
    sgx_ql_att_key_id_list_header_t header;
    sgx_att_key_id_ext_t ext_id_list[];
} sgx_ql_att_key_id_list_t;

typedef struct _sgx_ql_qe_report_info_t {
    sgx_quote_nonce_t nonce;
    sgx_target_info_t app_enclave_target_info;
    sgx_report_t qe_report;
} sgx_ql_qe_report_info_t;

#pragma pack(pop)

#endif
