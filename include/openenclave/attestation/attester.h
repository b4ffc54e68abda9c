/*
 * Making evidence, in an enclave.
 * Skin header for enclave code; C11 and C++. Local evidence (OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION) works everywhere; for
 * quotes the host must have a quoting service.
 * Never included in a host.
 */
#ifndef _OE_ATTESTATION_ATTESTER_H
#define _OE_ATTESTATION_ATTESTER_H

#ifdef _OE_HOST_H
#error "openenclave/attestation/attester.h is for the enclave only"
#endif

#include <openenclave/bits/evidence.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

/* oe_get_evidence: the evidence starts with a header that names its format. */
#define OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID 0x00000001

oe_result_t oe_attester_initialize(void);

/* The first of `format_ids` that can be made here. OE_NOT_FOUND. */
oe_result_t oe_attester_select_format(const oe_uuid_t *format_ids, size_t format_ids_length,
                                      oe_uuid_t *selected_format_id);

/*
 * optional_parameters: for local evidence the target info of the verifying enclave, which
 * oe_verifier_get_format_settings gives there. endorsements_buffer may be NULL. Free with the two functions below.
 */
oe_result_t oe_get_evidence(const oe_uuid_t *format_id, uint32_t flags,
                            const void *custom_claims_buffer, size_t custom_claims_buffer_size,
                            const void *optional_parameters, size_t optional_parameters_size,
                            uint8_t **evidence_buffer, size_t *evidence_buffer_size,
                            uint8_t **endorsements_buffer, size_t *endorsements_buffer_size);
oe_result_t oe_free_evidence(uint8_t *evidence_buffer);
oe_result_t oe_free_endorsements(uint8_t *endorsements_buffer);

/* A self-signed certificate for the key pair, with evidence that binds the public key. */
oe_result_t oe_get_attestation_certificate_with_evidence(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    uint8_t **output_certificate, size_t *output_certificate_size);
oe_result_t oe_get_attestation_certificate_with_evidence_v2(
    const oe_uuid_t *format_id, const unsigned char *subject_name, uint8_t *private_key,
    size_t private_key_size, uint8_t *public_key, size_t public_key_size,
    const void *optional_parameters, size_t optional_parameters_size, uint8_t **output_certificate,
    size_t *output_certificate_size);

oe_result_t oe_attester_shutdown(void);

OE_EXTERNC_END

#endif
