/*
 * Reports of trust domains (REPORTMACSTRUCT, Intel TDX Module specification). Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_REPORT2_H_
#define _SGX_REPORT2_H_

#include <stdint.h>

#define TEE_HASH_384_SIZE 48
#define TEE_MAC_SIZE 32
#define SGX_REPORT2_DATA_SIZE 64
#define TEE_CPU_SVN_SIZE 16

#pragma pack(push, 1)

typedef uint8_t tee_mac_t[TEE_MAC_SIZE];

typedef struct _tee_cpu_svn_t {
    uint8_t svn[TEE_CPU_SVN_SIZE];
} tee_cpu_svn_t;

typedef struct _tee_measurement_t {
    uint8_t m[TEE_HASH_384_SIZE];
} tee_measurement_t;

typedef struct _tee_report_data_t {
    uint8_t d[SGX_REPORT2_DATA_SIZE];
} tee_report_data_t;

typedef struct _tee_attributes_t {
    uint32_t a[2];
} tee_attributes_t;

#define SGX_LEGACY_REPORT_TYPE 0x0
#define TEE_REPORT2_TYPE 0x81
#define TEE_REPORT2_SUBTYPE 0x0
#define TEE_REPORT2_VERSION 0x0
#define TEE_REPORT2_VERSION_SERVICETD 0x1
#define TEE_REPORT2_SUBTYPE_0 TEE_REPORT2_SUBTYPE
#define TEE_REPORT2_SUBTYPE_1 0x1
#define TEE_REPORT2_VERSION_0 TEE_REPORT2_VERSION
#define TEE_REPORT2_VERSION_1 TEE_REPORT2_VERSION_SERVICETD
#define TEE_REPORT2_VERSION_3 0x3

typedef struct _tee_report_type_t {
    uint8_t type;
    uint8_t subtype;
    uint8_t version;
    uint8_t reserved;
} tee_report_type_t;

#define SGX_REPORT2_MAC_STRUCT_RESERVED1_BYTES 12
#define SGX_REPORT2_MAC_STRUCT_RESERVED2_BYTES 32

typedef struct _sgx_report2_mac_struct_t {
    tee_report_type_t report_type;
    uint8_t reserved1[SGX_REPORT2_MAC_STRUCT_RESERVED1_BYTES];
    tee_cpu_svn_t cpu_svn;
    tee_measurement_t tee_tcb_info_hash;
    tee_measurement_t tee_info_hash;
    tee_report_data_t report_data;
    uint8_t reserved2[SGX_REPORT2_MAC_STRUCT_RESERVED2_BYTES];
    tee_mac_t mac;
} sgx_report2_mac_struct_t; /* 256 bytes */

#define TEE_TCB_INFO_SIZE 239
#define SGX_REPORT2_RESERVED_BYTES 17
#define TEE_INFO_SIZE 512

typedef struct _sgx_report2_t {
    sgx_report2_mac_struct_t report_mac_struct;
    uint8_t tee_tcb_info[TEE_TCB_INFO_SIZE];
    uint8_t reserved[SGX_REPORT2_RESERVED_BYTES];
    uint8_t tee_info[TEE_INFO_SIZE];
} sgx_report2_t; /* 1024 bytes */

#pragma pack(pop)

#endif
