/*
 * sgx_ttls.h: certificates with evidence need quotes, which this runtime does not make yet.
 * Side: enclave. Called by applications. Never pretends: every call says TEE_UNSUPPORTED_MODE.
 */
#include "sgx_ttls.h"

#include <stdlib.h>

quote3_error_t tee_get_certificate_with_evidence(const unsigned char *p_subject_name,
                                                 const uint8_t *p_prv_key, size_t private_key_size,
                                                 const uint8_t *p_pub_key, size_t public_key_size,
                                                 uint8_t **pp_output_cert,
                                                 size_t *p_output_cert_size)
{
    if (!p_subject_name || !p_prv_key || private_key_size == 0 || !p_pub_key ||
        public_key_size == 0 || !pp_output_cert || !p_output_cert_size) {
        return TEE_ERROR_INVALID_PARAMETER;
    }
    return TEE_UNSUPPORTED_MODE;
}

quote3_error_t tee_free_certificate(uint8_t *p_certificate)
{
    free(p_certificate);
    return TEE_SUCCESS;
}

quote3_error_t tee_verify_certificate_with_evidence(const uint8_t *p_cert_in_der,
                                                    size_t cert_in_der_len,
                                                    const time_t expiration_check_date,
                                                    sgx_ql_qv_result_t *p_qv_result,
                                                    uint8_t **pp_supplemental_data,
                                                    uint32_t *p_supplemental_data_size)
{
    (void)expiration_check_date;
    (void)pp_supplemental_data;
    (void)p_supplemental_data_size;
    if (!p_cert_in_der || cert_in_der_len == 0 || !p_qv_result) {
        return TEE_ERROR_INVALID_PARAMETER;
    }
    return TEE_UNSUPPORTED_MODE;
}

quote3_error_t tee_free_supplemental_data(uint8_t *p_supplemental_data)
{
    free(p_supplemental_data);
    return TEE_SUCCESS;
}
