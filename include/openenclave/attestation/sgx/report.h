/*
 * From a signer's public key to its signer id.
 * Skin header for both sides; C11 and C++.
 * Never reads a file.
 */
#ifndef _OE_ATTESTATION_SGX_REPORT_H
#define _OE_ATTESTATION_SGX_REPORT_H

#include <openenclave/bits/result.h>

OE_EXTERNC_BEGIN

/*
 * MRSIGNER of an RSA-3072 public key (e = 3) in PEM; pem_size counts the zero at the end. OE_BUFFER_TOO_SMALL with the
 * size in *signer_id_size, OE_INVALID_PARAMETER for another key, OE_CRYPTO_ERROR.
 */
oe_result_t oe_sgx_get_signer_id_from_public_key(const char *pem, size_t pem_size,
                                                 uint8_t *signer_id, size_t *signer_id_size);

OE_EXTERNC_END

#endif
