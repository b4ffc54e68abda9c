/*
 * Makes SIGSTRUCTs for the tests, with a key generated at run time.
 * Side: tests (host). Called by tests/soft/. Aborts when libcrypto fails.
 */
#include "tests/soft/signer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static EVP_PKEY *key_of(unsigned which)
{
    static EVP_PKEY *keys[2];
    if (!keys[which]) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
        BIGNUM *three = BN_new();
        MUST(context && three && BN_set_word(three, 3) && EVP_PKEY_keygen_init(context) == 1 &&
             EVP_PKEY_CTX_set_rsa_keygen_bits(context, SGX_RSA_SIZE * 8) == 1 &&
             EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, three) == 1 &&
             EVP_PKEY_keygen(context, &keys[which]) == 1);
        BN_free(three);
        EVP_PKEY_CTX_free(context);
    }
    return keys[which];
}

void signer_prepare(struct sgx_sigstruct *sig, const uint8_t mr_enclave[32])
{
    static const uint8_t header[16] = {6, 0, 0, 0, 0xE1, 0, 0, 0, 0, 0, 1};
    static const uint8_t header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1};
    memset(sig, 0, sizeof(*sig));
    memcpy(sig->header, header, sizeof(header));
    memcpy(sig->header2, header2, sizeof(header2));
    sig->date = 0x20240229;
    sig->exponent = 3;
    memcpy(sig->enclave_hash, mr_enclave, 32);
}

static void quotients(struct sgx_sigstruct *sig, const BIGNUM *n)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *s = BN_lebin2bn(sig->signature, SGX_RSA_SIZE, NULL);
    BIGNUM *product = BN_new();
    BIGNUM *rest = BN_new();
    BIGNUM *q1 = BN_new();
    BIGNUM *q2 = BN_new();
    MUST(context && s && product && rest && q1 && q2 && BN_sqr(product, s, context) &&
         BN_div(q1, rest, product, n, context) && BN_mul(product, rest, s, context) &&
         BN_div(q2, rest, product, n, context));
    MUST(BN_bn2lebinpad(q1, sig->q1, SGX_RSA_SIZE) == (int)SGX_RSA_SIZE &&
         BN_bn2lebinpad(q2, sig->q2, SGX_RSA_SIZE) == (int)SGX_RSA_SIZE);
    BN_free(s);
    BN_free(product);
    BN_free(rest);
    BN_free(q1);
    BN_free(q2);
    BN_CTX_free(context);
}

void signer_sign(struct sgx_sigstruct *sig, unsigned which)
{
    EVP_PKEY *key = key_of(which);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    BIGNUM *n = NULL;
    uint8_t big_endian[SGX_RSA_SIZE];
    size_t size = sizeof(big_endian);
    const uint8_t *bytes = (const uint8_t *)sig;
    MUST(context && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
         EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestSignUpdate(context, bytes, SGX_SIGSTRUCT_SIGNED1_SIZE) == 1 &&
         EVP_DigestSignUpdate(context, bytes + SGX_SIGSTRUCT_SIGNED2_OFFSET,
                              SGX_SIGSTRUCT_SIGNED2_SIZE) == 1 &&
         EVP_DigestSignFinal(context, big_endian, &size) == 1 && size == sizeof(big_endian));
    for (size_t i = 0; i < size; i++) {
        sig->signature[i] = big_endian[size - 1 - i];
    }
    MUST(BN_bn2lebinpad(n, sig->modulus, SGX_RSA_SIZE) == (int)SGX_RSA_SIZE);
    quotients(sig, n);
    BN_free(n);
    EVP_MD_CTX_free(context);
}
