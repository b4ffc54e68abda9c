/*
 * What the host's loader asks of a SIGSTRUCT: who signed it, and whether EINIT had reason to refuse the signature.
 * Side: host and tools. Called by host/load.c and image/sign.c. Never judges for a user: that is cella_sigstruct_verify.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: EVP brings all of libcrypto into a host that needs a digest (ADR 0144) */
#include <openssl/sha.h>
#include <string.h>

#include "common/sigstruct_rsa.h"
#include "image/sign.h"

static cella_result sha256(const uint8_t *data, size_t size, uint8_t ret_digest[32])
{
    SHA256_CTX hash;
    CELLA_ENSURE(SHA256_Init(&hash) == 1 && SHA256_Update(&hash, data, size) == 1 &&
                     SHA256_Final(ret_digest, &hash) == 1,
                 CRYPTO);
    return CELLA_OK;
}

void cella_sigstruct_message(const struct sgx_sigstruct *sigstruct,
                             uint8_t ret_message[CELLA_SIGSTRUCT_MESSAGE_SIZE])
{
    const uint8_t *bytes = (const uint8_t *)sigstruct;
    memcpy(ret_message, bytes, SGX_SIGSTRUCT_SIGNED1_SIZE);
    memcpy(ret_message + SGX_SIGSTRUCT_SIGNED1_SIZE, bytes + SGX_SIGSTRUCT_SIGNED2_OFFSET,
           SGX_SIGSTRUCT_SIGNED2_SIZE);
}

cella_result cella_sigstruct_signer(const struct sgx_sigstruct *sigstruct,
                                    uint8_t ret_mr_signer[32])
{
    return sha256(sigstruct->modulus, SGX_RSA_SIZE, ret_mr_signer);
}

cella_result cella_sigstruct_einit(const struct sgx_sigstruct *sigstruct)
{
    const struct cella_sigstruct_rsa numbers = {.modulus = sigstruct->modulus,
                                                .signature = sigstruct->signature,
                                                .q1 = sigstruct->q1,
                                                .q2 = sigstruct->q2};
    uint8_t text[CELLA_SIGSTRUCT_MESSAGE_SIZE], expected[SGX_RSA_SIZE], found[SGX_RSA_SIZE];
    cella_sigstruct_message(sigstruct, text);
    cella_pkcs1_padding(expected);
    CELLA_TRY(sha256(text, sizeof(text), expected + SGX_RSA_SIZE - 32));
    CELLA_ENSURE(cella_sigstruct_cube(&numbers, found) &&
                     memcmp(found, expected, sizeof(found)) == 0,
                 BAD_SIGNATURE);
    return CELLA_OK;
}
