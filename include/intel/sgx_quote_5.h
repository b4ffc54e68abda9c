/*
 * Quotes of version 5 (TDX 1.5). Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_QUOTE_5_H_
#define _SGX_QUOTE_5_H_

#include "sgx_quote_4.h"

#define QE_QUOTE_VERSION_V5 5
#define TD_INFO_RESERVED_BYTES_V1_5 64
#define TD_INFO_RESERVED_BYTES_V1_5_EX 24
#define TD_TEE_TCB_INFO_RESERVED_BYTES_V1_5 95

#pragma pack(push, 1)

typedef struct _tee_td_id_t {
    uint8_t u[32];
} tee_td_id_t;

typedef struct _tee_devinfo_t {
    uint8_t di[48];
} tee_devinfo_t;

typedef struct _tee_fmspc_t {
    uint8_t f[12];
} tee_fmspc_t;

typedef struct _tee_info_v1_5_t {
    tee_attributes_t attributes;
    tee_attributes_t xfam;
    tee_measurement_t mr_td;
    tee_measurement_t mr_config_id;
    tee_measurement_t mr_owner;
    tee_measurement_t mr_owner_config;
    tee_measurement_t rt_mr[4];
    tee_measurement_t mr_servicetd;
    uint8_t reserved[TD_INFO_RESERVED_BYTES_V1_5];
} tee_info_v1_5_t;

typedef struct _tee_info_v1_5_ex_t {
    tee_attributes_t attributes;
    tee_attributes_t xfam;
    tee_measurement_t mr_td;
    tee_measurement_t mr_config_id;
    tee_measurement_t mr_owner;
    tee_measurement_t mr_owner_config;
    tee_measurement_t rt_mr[4];
    tee_measurement_t mr_servicetd;
    tee_td_id_t td_id;
    uint8_t reserved[TD_INFO_RESERVED_BYTES_V1_5_EX];
    uint8_t vmid;
    uint8_t reserved2[3];
    uint32_t valid;
    enum attributes_mask {
        servtd_ext = 0x00020000,
    };
    enum valid_bit_mask {
        critical_fields = 0x000000FF,
        migration_servtd_hash_bit = 0x00000001,
        critical_reserved = (critical_fields & ~migration_servtd_hash_bit),
        non_critical_fields = 0xFFFFFF00,
        td_id_bit = 0x00000100,
        vm_id_bit = 0x00000200,
        non_critical_reserved = (non_critical_fields & ~(td_id_bit | vm_id_bit))
    };
} tee_info_v1_5_ex_t;

typedef struct _tee_tcb_info_v1_5_t {
    uint8_t valid[8];
    tee_tcb_svn_t tee_tcb_svn;
    tee_measurement_t mr_seam;
    tee_measurement_t mr_seam_signer;
    tee_attributes_t attributes;
    tee_tcb_svn_t tee_tcb_svn2;
    uint8_t reserved[TD_TEE_TCB_INFO_RESERVED_BYTES_V1_5];
} tee_tcb_info_v1_5_t;

typedef sgx_quote4_header_t sgx_quote5_header_t;

typedef struct _sgx_report2_body_v1_5_t {
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
    tee_tcb_svn_t tee_tcb_svn2;
    tee_measurement_t mr_servicetd;
} sgx_report2_body_v1_5_t;

typedef struct _sgx_quote5_t {
    sgx_quote5_header_t header;
    uint16_t type;
    uint32_t size;
    uint8_t body[];
} sgx_quote5_t;

typedef struct _sgx_report2_body_v1_5_ex_t {
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
    tee_tcb_svn_t tee_tcb_svn2;
    tee_measurement_t mr_servicetd;
    uint8_t vmid;
    tee_td_id_t td_id;
    tee_devinfo_t devinfo;
    tee_measurement_t init_server_td_hash;
    tee_attributes_t init_server_td_attr;
    tee_cpu_svn_t init_cpu_svn;
    tee_tcb_svn_t init_tee_tcb_svn;
    tee_fmspc_t init_tee_fmspc;
    tee_measurement_t curr_server_td_hash;
    tee_attributes_t curr_server_td_attr;
} sgx_report2_body_v1_5_ex_t;

#pragma pack(pop)

#endif
