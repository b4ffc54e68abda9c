/*
 * What the verification of a quote finds. Source compatible with Intel's libraries; the values are Intel's.
 */
#ifndef _SGX_QVE_HEADER_H_
#define _SGX_QVE_HEADER_H_

#include <time.h>

#include "sgx_key.h"

#ifndef TEE_QV_MK_ERROR
#define TEE_QV_MK_ERROR(x) (0x0000A000 | (x))
#endif

typedef enum _sgx_ql_qv_result_t {
    SGX_QL_QV_RESULT_OK = 0,
    TEE_QV_RESULT_OK = 0,
    SGX_QL_QV_RESULT_MIN = TEE_QV_MK_ERROR(0x0001),
    TEE_QV_RESULT_MIN = SGX_QL_QV_RESULT_MIN,
    SGX_QL_QV_RESULT_CONFIG_NEEDED = TEE_QV_MK_ERROR(0x0001),
    TEE_QV_RESULT_CONFIG_NEEDED = SGX_QL_QV_RESULT_CONFIG_NEEDED,
    SGX_QL_QV_RESULT_OUT_OF_DATE = TEE_QV_MK_ERROR(0x0002),
    TEE_QV_RESULT_OUT_OF_DATE = SGX_QL_QV_RESULT_OUT_OF_DATE,
    SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED = TEE_QV_MK_ERROR(0x0003),
    TEE_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED = SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED,
    SGX_QL_QV_RESULT_INVALID_SIGNATURE = TEE_QV_MK_ERROR(0x0004),
    TEE_QV_RESULT_INVALID_SIGNATURE = SGX_QL_QV_RESULT_INVALID_SIGNATURE,
    SGX_QL_QV_RESULT_REVOKED = TEE_QV_MK_ERROR(0x0005),
    TEE_QV_RESULT_REVOKED = SGX_QL_QV_RESULT_REVOKED,
    SGX_QL_QV_RESULT_UNSPECIFIED = TEE_QV_MK_ERROR(0x0006),
    TEE_QV_RESULT_UNSPECIFIED = SGX_QL_QV_RESULT_UNSPECIFIED,
    SGX_QL_QV_RESULT_SW_HARDENING_NEEDED = TEE_QV_MK_ERROR(0x0007),
    TEE_QV_RESULT_SW_HARDENING_NEEDED = SGX_QL_QV_RESULT_SW_HARDENING_NEEDED,
    SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED = TEE_QV_MK_ERROR(0x0008),
    TEE_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED = SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED,
    SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED = TEE_QV_MK_ERROR(0x0009),
    TEE_QV_RESULT_TD_RELAUNCH_ADVISED = SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED,
    SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED = TEE_QV_MK_ERROR(0x000A),
    TEE_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED =
        SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED,
    SGX_QL_QV_RESULT_MAX = TEE_QV_MK_ERROR(0x00FF),
    TEE_QV_RESULT_MAX = SGX_QL_QV_RESULT_MAX,
} sgx_ql_qv_result_t,
    tee_qv_result_t;

typedef enum _pck_cert_flag_enum_t {
    PCK_FLAG_FALSE = 0,
    PCK_FLAG_TRUE,
    PCK_FLAG_UNDEFINED
} pck_cert_flag_enum_t;

#define ROOT_KEY_ID_SIZE 48
#define PLATFORM_INSTANCE_ID_SIZE 16
#define MAX_SA_SIZE 20
#define MAX_SA_NUMBER_PER_TCB 20
#define MAX_SA_LIST_SIZE 450

/* Times are those of the collateral; sa_list holds advisory names, comma-separated. */
typedef struct _sgx_ql_qv_supplemental_t {
    union {
        uint32_t version;
        struct {
            uint16_t major_version;
            uint16_t minor_version;
        };
    };
    time_t earliest_issue_date;
    time_t latest_issue_date;
    time_t earliest_expiration_date;
    time_t tcb_level_date_tag;
    uint32_t pck_crl_num;
    uint32_t root_ca_crl_num;
    uint32_t tcb_eval_ref_num;
    uint8_t root_key_id[ROOT_KEY_ID_SIZE];
    sgx_key_128bit_t pck_ppid;
    sgx_cpu_svn_t tcb_cpusvn;
    sgx_isv_svn_t tcb_pce_isvsvn;
    uint16_t pce_id;
    uint32_t tee_type;
    uint8_t sgx_type;
    uint8_t platform_instance_id[PLATFORM_INSTANCE_ID_SIZE];
    pck_cert_flag_enum_t dynamic_platform;
    pck_cert_flag_enum_t cached_keys;
    pck_cert_flag_enum_t smt_enabled;
    char sa_list[MAX_SA_LIST_SIZE];
    time_t qe_iden_earliest_issue_date;
    time_t qe_iden_latest_issue_date;
    time_t qe_iden_earliest_expiration_date;
    time_t qe_iden_tcb_level_date_tag;
    uint32_t qe_iden_tcb_eval_ref_num;
    sgx_ql_qv_result_t qe_iden_status;
    time_t platform_tcb_level_date_tag;
} sgx_ql_qv_supplemental_t;

typedef struct _tee_supp_data_descriptor_t {
    uint16_t major_version;
    uint32_t data_size;
    uint8_t *p_data;
} tee_supp_data_descriptor_t;

#endif
