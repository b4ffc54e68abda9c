/*
 * Certificates that carry evidence. Not yet: they carry quotes, which this SDK cannot make or verify so far.
 * Side: both. Called by applications. Each function says OE_UNSUPPORTED.
 * Never pretends that a certificate was verified.
 */
#include <stdlib.h>

#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>

#ifdef OE_SKIN_ENCLAVE
#include <openenclave/attestation/attester.h>
#include <openenclave/enclave.h>
#else
#include <openenclave/host.h>
#endif

oe_result_t
oe_verify_attestation_certificate(uint8_t *cert_in_der, size_t cert_in_der_len,
                                  oe_identity_verify_callback_t enclave_identity_callback,
                                  void *arg)
{
    (void)cert_in_der, (void)cert_in_der_len, (void)enclave_identity_callback, (void)arg;
    return OE_UNSUPPORTED;
}

oe_result_t oe_verify_attestation_certificate_with_evidence(
    uint8_t *certificate_in_der, size_t certificate_in_der_size,
    oe_verify_claims_callback_t claim_verify_callback, void *arg)
{
    (void)certificate_in_der, (void)certificate_in_der_size, (void)claim_verify_callback, (void)arg;
    return OE_UNSUPPORTED;
}

oe_result_t oe_verify_attestation_certificate_with_evidence_v2(
    uint8_t *certificate_in_der, size_t certificate_in_der_size, uint8_t *endorsements_buffer,
    size_t endorsements_buffer_size, oe_policy_t *policies, size_t policies_size,
    oe_claim_t **claims, size_t *claims_length)
{
    (void)certificate_in_der, (void)certificate_in_der_size, (void)endorsements_buffer;
    (void)endorsements_buffer_size, (void)policies, (void)policies_size, (void)claims;
    (void)claims_length;
    return OE_UNSUPPORTED;
}

oe_result_t oe_tdx_verifier_initialize(void)
{
    return OE_UNSUPPORTED;
}

oe_result_t oe_tdx_verifier_shutdown(void)
{
    return OE_OK;
}

oe_result_t oe_get_tdx_endorsements(const uint8_t *evidence_buffer, uint32_t evidence_buffer_size,
                                    uint8_t **endorsements_buffer,
                                    uint32_t *endorsements_buffer_size)
{
    (void)evidence_buffer, (void)evidence_buffer_size, (void)endorsements_buffer;
    (void)endorsements_buffer_size;
    return OE_UNSUPPORTED;
}

void oe_free_tdx_endorsements(uint8_t *endorsements_buffer)
{
    free(endorsements_buffer);
}

oe_result_t oe_get_tdx_fmspc_from_quote(const uint8_t *quote, uint32_t quote_size, uint8_t *fmspc,
                                        uint32_t fmspc_size)
{
    (void)quote, (void)quote_size, (void)fmspc, (void)fmspc_size;
    return OE_UNSUPPORTED;
}

oe_result_t oe_sgx_eeid_verifier_initialize(void);
oe_result_t oe_sgx_eeid_verifier_initialize(void)
{
    return OE_UNSUPPORTED;
}

oe_result_t oe_sgx_eeid_verifier_shutdown(void);
oe_result_t oe_sgx_eeid_verifier_shutdown(void)
{
    return OE_OK;
}

#ifdef OE_SKIN_ENCLAVE
oe_result_t oe_generate_attestation_certificate(const unsigned char *subject_name,
                                                uint8_t *private_key, size_t private_key_size,
                                                uint8_t *public_key, size_t public_key_size,
                                                uint8_t **output_certificate,
                                                size_t *output_certificate_size)
{
    (void)subject_name, (void)private_key, (void)private_key_size, (void)public_key;
    (void)public_key_size, (void)output_certificate, (void)output_certificate_size;
    return OE_UNSUPPORTED;
}

oe_result_t oe_generate_attestation_certificate_v2(
    const unsigned char *subject_name, uint8_t *private_key, size_t private_key_size,
    uint8_t *public_key, size_t public_key_size, const char *date_not_valid_before,
    const char *date_not_valid_after, uint8_t **output_certificate, size_t *output_certificate_size)
{
    (void)date_not_valid_before, (void)date_not_valid_after;
    return oe_generate_attestation_certificate(subject_name, private_key, private_key_size,
                                               public_key, public_key_size, output_certificate,
                                               output_certificate_size);
}

void oe_free_attestation_certificate(uint8_t *cert)
{
    free(cert);
}

oe_result_t oe_get_attestation_certificate_with_evidence_v2(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    const void *optional_parameters, size_t optional_parameters_size, uint8_t **output_certificate,
    size_t *output_certificate_size)
{
    (void)format_id, (void)optional_parameters, (void)optional_parameters_size;
    return oe_generate_attestation_certificate(subject_name, private_key, private_key_size,
                                               public_key, public_key_size, output_certificate,
                                               output_certificate_size);
}

oe_result_t oe_get_attestation_certificate_with_evidence(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    uint8_t **output_certificate, size_t *output_certificate_size)
{
    return oe_get_attestation_certificate_with_evidence_v2(
        format_id, subject_name, private_key, private_key_size, public_key, public_key_size, NULL,
        0, output_certificate, output_certificate_size);
}

oe_result_t oe_sgx_eeid_attester_initialize(void);
oe_result_t oe_sgx_eeid_attester_initialize(void)
{
    return OE_UNSUPPORTED;
}

oe_result_t oe_sgx_eeid_attester_shutdown(void);
oe_result_t oe_sgx_eeid_attester_shutdown(void)
{
    return OE_OK;
}
#endif
