/*
 * EREPORT and EGETKEY. Trusted library sgx_tservice. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_UTILS_H_
#define _SGX_UTILS_H_

#include "sgx.h"
#include "sgx_defs.h"
#include "sgx_report2.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A report for `target_info` (NULL: for nobody) that binds `report_data` (NULL: zeros). All of it in the enclave. */
sgx_status_t SGXAPI sgx_create_report(const sgx_target_info_t *target_info,
                                      const sgx_report_data_t *report_data, sgx_report_t *report);

/* A report for nobody with zero data: this enclave's identity. The runtime's memory. */
const sgx_report_t *sgx_self_report(void);

/* What other enclaves need to make reports for this one. */
sgx_status_t SGXAPI sgx_self_target(sgx_target_info_t *target_info);

/* MAC_MISMATCH unless `report` was made on this machine for this enclave. */
sgx_status_t SGXAPI sgx_verify_report(const sgx_report_t *report);

/* The same for the report of a trust domain; UNSUPPORTED_FUNCTION where the processor has no EVERIFYREPORT2. */
sgx_status_t SGXAPI sgx_verify_report2(const sgx_report2_mac_struct_t *report_mac_struct);

/* EGETKEY; the request's reserved parts must be zero. */
sgx_status_t SGXAPI sgx_get_key(const sgx_key_request_t *key_request, sgx_key_128bit_t *key);

#ifdef __cplusplus
}
#endif
#endif
