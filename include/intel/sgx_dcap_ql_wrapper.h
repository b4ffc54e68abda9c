/*
 * Quotes for an application's report. Library sgx_dcap_ql. Source compatible with Intel's DCAP libraries.
 */
#ifndef _SGX_DCAP_QL_WRAPPER_H_
#define _SGX_DCAP_QL_WRAPPER_H_

#include "sgx_pce.h"
#include "sgx_ql_lib_common.h"
#include "sgx_report.h"

typedef enum {
    SGX_QL_QE3_PATH,
    SGX_QL_PCE_PATH,
    SGX_QL_QPL_PATH,
    SGX_QL_IDE_PATH,
} sgx_ql_path_type_t;

#ifdef __cplusplus
extern "C" {
#endif

quote3_error_t sgx_qe_set_enclave_load_policy(sgx_ql_request_policy_t policy);
quote3_error_t sgx_qe_get_target_info(sgx_target_info_t *p_qe_target_info);
quote3_error_t sgx_qe_get_quote_size(uint32_t *p_quote_size);
quote3_error_t sgx_qe_get_quote(const sgx_report_t *p_app_report, uint32_t quote_size,
                                uint8_t *p_quote);
quote3_error_t sgx_qe_cleanup_by_policy(void);
quote3_error_t sgx_ql_set_path(sgx_ql_path_type_t path_type, const char *p_path);
quote3_error_t sgx_ql_set_trace_callback(sgx_ql_logging_callback_t logger,
                                         sgx_ql_log_level_t loglevel);

#ifdef __cplusplus
}
#endif
#endif
