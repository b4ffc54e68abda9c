/*
 * SHA-256 by libcrypto's small interface: the one-shot call would bring in all of its providers.
 * Side: enclave. Called by the local attestation plug-in. Library: libcrypto.
 * Never fails.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "compat/openenclave/enclave/sha256.h"

void oe_sha256(const void *data, size_t size, uint8_t *ret_hash)
{
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, data, size);
    SHA256_Final(ret_hash, &context);
}
