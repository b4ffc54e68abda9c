/*
 * What depends on where the service runs: as an ordinary process (place.c) or inside an enclave (enclave/place.c).
 * Side: services. Called by keys.c.
 */
#ifndef CELLA_ATTESTD_PLACE_H
#define CELLA_ATTESTD_PLACE_H

#include <openssl/x509.h>

#include "common/bytes.h"
#include "common/result.h"

/* The self-signed certificate of a signing key; inside an enclave, with evidence of it that names the key. */
cella_result place_certify(const char *issuer, EVP_PKEY *key, int64_t from, int64_t until,
                           X509 **ret_certificate);

/*
 * A private key's PEM as it goes to the disk, and back. `kid` belongs to it. From OPENSSL_secure_malloc, to be freed with
 * OPENSSL_secure_clear_free(bytes, size). place_open: AUTH_FAILED when it was kept for another enclave.
 */
cella_result place_keep(struct cella_bytes pem, const char *kid, uint8_t **ret_kept,
                        size_t *ret_size);
cella_result place_open(struct cella_bytes kept, const char *kid, uint8_t **ret_pem,
                        size_t *ret_size);

#endif
