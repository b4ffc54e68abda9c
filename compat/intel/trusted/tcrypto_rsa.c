/*
 * sgx_tcrypto.h: RSA, over libcrypto. Numbers are little endian at this interface, signatures and ciphertexts big endian,
 * as in the original. A key object is an EVP_PKEY.
 * Side: enclave. Called by applications.
 */
#include "sgx_tcrypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#define PART_MAX 8u

/* One number of a key: its name for libcrypto, or NULL for the end. */
struct part {
    const char *name;
    const unsigned char *bytes;
    int size;
};

static EVP_PKEY *key_build(const struct part *parts, int selection)
{
    BIGNUM *numbers[PART_MAX] = {NULL};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    int good = builder && context;
    for (unsigned i = 0; parts[i].name && good; i++) {
        numbers[i] = BN_lebin2bn(parts[i].bytes, parts[i].size, NULL);
        good = numbers[i] && OSSL_PARAM_BLD_push_BN(builder, parts[i].name, numbers[i]) == 1;
    }
    OSSL_PARAM *parameters = good ? OSSL_PARAM_BLD_to_param(builder) : NULL;
    if (!parameters || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, selection, parameters) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    for (unsigned i = 0; i < PART_MAX; i++) {
        BN_clear_free(numbers[i]);
    }
    return key;
}

static sgx_status_t key_give(EVP_PKEY *key, void **ret_key)
{
    if (!key) {
        return SGX_ERROR_UNEXPECTED;
    }
    *ret_key = key;
    return SGX_SUCCESS;
}

sgx_status_t sgx_create_rsa_pub1_key(int mod_size, int exp_size, const unsigned char *le_n,
                                     const unsigned char *le_e, void **new_pub_key1)
{
    if (mod_size <= 0 || exp_size <= 0 || !le_n || !le_e || !new_pub_key1) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const struct part parts[] = {{OSSL_PKEY_PARAM_RSA_N, le_n, mod_size},
                                 {OSSL_PKEY_PARAM_RSA_E, le_e, exp_size},
                                 {NULL, NULL, 0}};
    return key_give(key_build(parts, EVP_PKEY_PUBLIC_KEY), new_pub_key1);
}

sgx_status_t sgx_create_rsa_priv1_key(int n_byte_size, int e_byte_size, int d_byte_size,
                                      const unsigned char *le_n, const unsigned char *le_e,
                                      const unsigned char *le_d, void **new_pri_key1)
{
    if (n_byte_size <= 0 || e_byte_size <= 0 || d_byte_size <= 0 || !le_n || !le_e || !le_d ||
        !new_pri_key1) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const struct part parts[] = {{OSSL_PKEY_PARAM_RSA_N, le_n, n_byte_size},
                                 {OSSL_PKEY_PARAM_RSA_E, le_e, e_byte_size},
                                 {OSSL_PKEY_PARAM_RSA_D, le_d, d_byte_size},
                                 {NULL, NULL, 0}};
    return key_give(key_build(parts, EVP_PKEY_KEYPAIR), new_pri_key1);
}

/* n = p q and d = e^-1 mod (p-1)(q-1), which libcrypto wants beside the parts. */
static int modulus_and_exponent(const unsigned char *e, int exp_size, const unsigned char *p,
                                const unsigned char *q, int mod_size, unsigned char *ret_n,
                                unsigned char *ret_d)
{
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *bp = BN_lebin2bn(p, mod_size / 2, NULL);
    BIGNUM *bq = BN_lebin2bn(q, mod_size / 2, NULL);
    BIGNUM *be = BN_lebin2bn(e, exp_size, NULL);
    BIGNUM *n = BN_new();
    BIGNUM *d = BN_secure_new();
    const int good = context && bp && bq && be && n && d && BN_mul(n, bp, bq, context) == 1 &&
                     BN_bn2lebinpad(n, ret_n, mod_size) == mod_size && BN_sub_word(bp, 1) == 1 &&
                     BN_sub_word(bq, 1) == 1 && BN_mul(n, bp, bq, context) == 1 &&
                     BN_mod_inverse(d, be, n, context) &&
                     BN_bn2lebinpad(d, ret_d, mod_size) == mod_size;
    BN_clear_free(bp);
    BN_clear_free(bq);
    BN_free(be);
    BN_clear_free(n);
    BN_clear_free(d);
    BN_CTX_free(context);
    return good;
}

#define MODULUS_MAX 2048

sgx_status_t sgx_create_rsa_priv2_key(int mod_size, int exp_size, const unsigned char *p_rsa_key_e,
                                      const unsigned char *p_rsa_key_p,
                                      const unsigned char *p_rsa_key_q,
                                      const unsigned char *p_rsa_key_dmp1,
                                      const unsigned char *p_rsa_key_dmq1,
                                      const unsigned char *p_rsa_key_iqmp, void **new_pri_key2)
{
    if (mod_size <= 0 || mod_size % 2 != 0 || mod_size > MODULUS_MAX || exp_size <= 0 ||
        !p_rsa_key_e || !p_rsa_key_p || !p_rsa_key_q || !p_rsa_key_dmp1 || !p_rsa_key_dmq1 ||
        !p_rsa_key_iqmp || !new_pri_key2) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    unsigned char n[MODULUS_MAX], d[MODULUS_MAX];
    if (!modulus_and_exponent(p_rsa_key_e, exp_size, p_rsa_key_p, p_rsa_key_q, mod_size, n, d)) {
        return SGX_ERROR_UNEXPECTED;
    }
    const int half = mod_size / 2;
    const struct part parts[] = {{OSSL_PKEY_PARAM_RSA_N, n, mod_size},
                                 {OSSL_PKEY_PARAM_RSA_E, p_rsa_key_e, exp_size},
                                 {OSSL_PKEY_PARAM_RSA_D, d, mod_size},
                                 {OSSL_PKEY_PARAM_RSA_FACTOR1, p_rsa_key_p, half},
                                 {OSSL_PKEY_PARAM_RSA_FACTOR2, p_rsa_key_q, half},
                                 {OSSL_PKEY_PARAM_RSA_EXPONENT1, p_rsa_key_dmp1, half},
                                 {OSSL_PKEY_PARAM_RSA_EXPONENT2, p_rsa_key_dmq1, half},
                                 {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, p_rsa_key_iqmp, half},
                                 {NULL, NULL, 0}};
    EVP_PKEY *key = key_build(parts, EVP_PKEY_KEYPAIR);
    OPENSSL_cleanse(d, sizeof(d));
    return key_give(key, new_pri_key2);
}

sgx_status_t sgx_free_rsa_key(void *p_rsa_key, sgx_rsa_key_type_t key_type, int mod_size,
                              int exp_size)
{
    (void)key_type;
    (void)mod_size;
    (void)exp_size;
    EVP_PKEY_free(p_rsa_key);
    return SGX_SUCCESS;
}

/* One number of a key, little endian, padded to `size` bytes. */
static int number_give(EVP_PKEY *key, const char *name, unsigned char *to, int size)
{
    BIGNUM *number = NULL;
    const int good =
        EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2lebinpad(number, to, size) == size;
    BN_clear_free(number);
    return good;
}

sgx_status_t sgx_create_rsa_key_pair(int n_byte_size, int e_byte_size, unsigned char *p_n,
                                     unsigned char *p_d, unsigned char *p_e, unsigned char *p_p,
                                     unsigned char *p_q, unsigned char *p_dmp1,
                                     unsigned char *p_dmq1, unsigned char *p_iqmp)
{
    if (n_byte_size <= 0 || e_byte_size <= 0 || !p_n || !p_d || !p_e || !p_p || !p_q || !p_dmp1 ||
        !p_dmq1 || !p_iqmp) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const int half = n_byte_size / 2;
    BIGNUM *exponent = BN_lebin2bn(p_e, e_byte_size, NULL);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    const int good = exponent && context && EVP_PKEY_keygen_init(context) == 1 &&
                     EVP_PKEY_CTX_set_rsa_keygen_bits(context, n_byte_size * 8) == 1 &&
                     EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) == 1 &&
                     EVP_PKEY_generate(context, &key) == 1 &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_N, p_n, n_byte_size) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_D, p_d, n_byte_size) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_E, p_e, e_byte_size) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_FACTOR1, p_p, half) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_FACTOR2, p_q, half) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, p_dmp1, half) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, p_dmq1, half) &&
                     number_give(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, p_iqmp, half);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(context);
    BN_free(exponent);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

/* ------------------------------------------------------------------- OAEP */

typedef int (*crypt_fn)(EVP_PKEY_CTX *context, unsigned char *out, size_t *size,
                        const unsigned char *in, size_t in_size);

static sgx_status_t oaep(const void *key, int (*init)(EVP_PKEY_CTX *), crypt_fn crypt,
                         unsigned char *out, size_t *size, const unsigned char *in, size_t in_size)
{
    if (!key || !size || !in || in_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new((EVP_PKEY *)(uintptr_t)key, NULL);
    if (!context) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    const int good = init(context) == 1 &&
                     EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
                     crypt(context, out, size, in, in_size) == 1;
    EVP_PKEY_CTX_free(context);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_rsa_pub_encrypt_sha256(const void *rsa_key, unsigned char *pout_data,
                                        size_t *pout_len, const unsigned char *pin_data,
                                        const size_t pin_len)
{
    return oaep(rsa_key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, pout_data, pout_len, pin_data,
                pin_len);
}

sgx_status_t sgx_rsa_priv_decrypt_sha256(const void *rsa_key, unsigned char *pout_data,
                                         size_t *pout_len, const unsigned char *pin_data,
                                         const size_t pin_len)
{
    return oaep(rsa_key, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, pout_data, pout_len, pin_data,
                pin_len);
}

/* ------------------------------------------------------------------- signatures */

sgx_status_t sgx_rsa3072_sign(const uint8_t *p_data, uint32_t data_size,
                              const sgx_rsa3072_key_t *p_key, sgx_rsa3072_signature_t *p_signature)
{
    void *key = NULL;
    if (!p_data || data_size == 0 || !p_key || !p_signature) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const sgx_status_t status =
        sgx_create_rsa_priv1_key(sizeof(p_key->mod), sizeof(p_key->e), sizeof(p_key->d), p_key->mod,
                                 p_key->e, p_key->d, &key);
    if (status != SGX_SUCCESS) {
        return status;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = sizeof(*p_signature);
    const int good = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                     EVP_DigestSign(context, *p_signature, &size, p_data, data_size) == 1 &&
                     size == sizeof(*p_signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_rsa3072_verify(const uint8_t *p_data, uint32_t data_size,
                                const sgx_rsa3072_public_key_t *p_public,
                                const sgx_rsa3072_signature_t *p_signature,
                                sgx_rsa_result_t *p_result)
{
    void *key = NULL;
    if (!p_data || data_size == 0 || !p_public || !p_signature || !p_result) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *p_result = SGX_RSA_INVALID_SIGNATURE;
    const sgx_status_t status = sgx_create_rsa_pub1_key(
        sizeof(p_public->mod), sizeof(p_public->exp), p_public->mod, p_public->exp, &key);
    if (status != SGX_SUCCESS) {
        return status;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const int ready = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1;
    if (ready &&
        EVP_DigestVerify(context, *p_signature, sizeof(*p_signature), p_data, data_size) == 1) {
        *p_result = SGX_RSA_VALID;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return ready ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

sgx_status_t sgx_rsa3072_sign_ex(const uint8_t *p_data, uint32_t data_size,
                                 const sgx_rsa3072_key_t *p_key,
                                 const sgx_rsa3072_public_key_t *p_public,
                                 sgx_rsa3072_signature_t *p_signature)
{
    sgx_rsa_result_t result = SGX_RSA_INVALID_SIGNATURE;
    sgx_status_t status = sgx_rsa3072_sign(p_data, data_size, p_key, p_signature);
    if (status == SGX_SUCCESS && p_public) {
        status = sgx_rsa3072_verify(p_data, data_size, p_public,
                                    (const sgx_rsa3072_signature_t *)p_signature, &result);
        if (status == SGX_SUCCESS && result != SGX_RSA_VALID) {
            OPENSSL_cleanse(p_signature, sizeof(*p_signature));
            status = SGX_ERROR_UNEXPECTED;
        }
    }
    return status;
}
