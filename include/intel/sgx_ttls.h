/*
 * Certificates that carry evidence, inside the enclave. Trusted library sgx_ttls. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_TTLS_H_
#define _SGX_TTLS_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_defs.h"
#include "sgx_error.h"
#include "sgx_ql_quote.h"
#include "sgx_qve_header.h"

#ifdef __cplusplus
extern "C" {
#endif

quote3_error_t SGXAPI tee_get_certificate_with_evidence(
    const unsigned char *p_subject_name, const uint8_t *p_prv_key, size_t private_key_size,
    const uint8_t *p_pub_key, size_t public_key_size, uint8_t **pp_output_cert,
    size_t *p_output_cert_size);
quote3_error_t SGXAPI tee_free_certificate(uint8_t *p_certificate);
quote3_error_t SGXAPI tee_verify_certificate_with_evidence(const uint8_t *p_cert_in_der,
                                                           size_t cert_in_der_len,
                                                           const time_t expiration_check_date,
                                                           sgx_ql_qv_result_t *p_qv_result,
                                                           uint8_t **pp_supplemental_data,
                                                           uint32_t *p_supplemental_data_size);
quote3_error_t SGXAPI tee_free_supplemental_data(uint8_t *p_supplemental_data);

#ifdef __cplusplus
}
#endif
#endif
