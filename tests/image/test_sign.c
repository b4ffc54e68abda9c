/*
 * SIGSTRUCT: signing, the two-step way, Q1 and Q2, dates, keys, and everything that must not
 * verify. Side: tests. Run by meson. Needs no other file than the test key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "common/sigstruct_rsa.h"
#include "tests/image/samples.h"

static void make(struct sgx_sigstruct *sigstruct)
{
    struct cella_image_config config;
    struct cella_key key;
    struct cella_error error = {0};
    uint8_t hash[32];

    memset(hash, 0x42, sizeof(hash));
    sample_config(&config);
    sample_key(&key);
    cella_sigstruct_fill(&config, hash, 0x20260102, sigstruct);
    assert_true(cella_is_ok(cella_sigstruct_sign(sigstruct, &key, &error)));
    cella_key_done(&key);
}

static void signed_verifies(void **state)
{
    struct sgx_sigstruct sigstruct;
    struct sgx_sigstruct again;
    struct cella_error error = {0};
    uint8_t signer[32];
    uint8_t expected[32];

    (void)state;
    make(&sigstruct);
    make(&again);
    assert_memory_equal(&sigstruct, &again, sizeof(again));
    assert_true(cella_is_ok(cella_sigstruct_verify(&sigstruct, &error)));
    assert_true(cella_is_ok(cella_sigstruct_signer(&sigstruct, signer)));
    EVP_Digest(sigstruct.modulus, 384, expected, NULL, EVP_sha256(), NULL);
    assert_memory_equal(signer, expected, 32);
    assert_int_equal(sigstruct.date, 0x20260102);
    assert_int_equal(sigstruct.isv_prod_id, 7);
    assert_int_equal(sigstruct.isv_svn, 3);
}

/* The processor's way of verifying: s^3 mod n from Q1 and Q2 is the padded digest, without a
 * division. */
static void quotients_give_the_cube(void **state)
{
    struct sgx_sigstruct sigstruct;
    BN_CTX *context = BN_CTX_new();
    BIGNUM *t = BN_new();
    BIGNUM *u = BN_new();
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    uint8_t padded[384];
    uint8_t digest[32];

    (void)state;
    make(&sigstruct);
    BIGNUM *n = BN_lebin2bn(sigstruct.modulus, 384, NULL);
    BIGNUM *s = BN_lebin2bn(sigstruct.signature, 384, NULL);
    BIGNUM *q1 = BN_lebin2bn(sigstruct.q1, 384, NULL);
    BIGNUM *q2 = BN_lebin2bn(sigstruct.q2, 384, NULL);
    BN_sqr(t, s, context);
    BN_mul(u, q1, n, context);
    BN_sub(t, t, u); /* s^2 mod n */
    assert_true(!BN_is_negative(t) && BN_cmp(t, n) < 0);
    BN_mul(t, t, s, context);
    BN_mul(u, q2, n, context);
    BN_sub(t, t, u); /* s^3 mod n */
    assert_true(!BN_is_negative(t) && BN_cmp(t, n) < 0);
    BN_bn2binpad(t, padded, sizeof(padded));
    cella_sigstruct_message(&sigstruct, message);
    EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL);
    assert_int_equal(padded[0], 0);
    assert_int_equal(padded[1], 1);
    assert_int_equal(padded[2], 0xFF);
    assert_memory_equal(padded + 352, digest, 32);
    BN_free(n);
    BN_free(s);
    BN_free(q1);
    BN_free(q2);
    BN_free(t);
    BN_free(u);
    BN_CTX_free(context);
}

#define AT(field) offsetof(struct sgx_sigstruct, field)

static const struct {
    const char *what;
    size_t at;
    enum cella_code code;
} g_damages[] = {
    {"header", AT(header), CELLA_CODE_BAD_FIELD},
    {"vendor", AT(vendor), CELLA_CODE_BAD_FIELD},
    {"date", AT(date), CELLA_CODE_BAD_SIGNATURE},
    {"header 2", AT(header2) + 15, CELLA_CODE_BAD_FIELD},
    {"software field", AT(sw_defined), CELLA_CODE_BAD_SIGNATURE},
    {"reserved 1", AT(reserved1) + 83, CELLA_CODE_BAD_FIELD},
    {"modulus", AT(modulus) + 100, CELLA_CODE_BAD_SIGNATURE},
    {"exponent", AT(exponent), CELLA_CODE_BAD_FIELD},
    {"signature", AT(signature), CELLA_CODE_BAD_SIGNATURE},
    {"signature top", AT(signature) + 383, CELLA_CODE_BAD_SIGNATURE},
    {"misc", AT(misc_select), CELLA_CODE_BAD_SIGNATURE},
    {"misc mask", AT(misc_mask), CELLA_CODE_BAD_SIGNATURE},
    {"reserved 2", AT(reserved2), CELLA_CODE_BAD_FIELD},
    {"family", AT(isv_family_id), CELLA_CODE_BAD_SIGNATURE},
    {"attributes", AT(attributes), CELLA_CODE_BAD_SIGNATURE},
    {"attribute mask", AT(attribute_mask), CELLA_CODE_BAD_SIGNATURE},
    {"hash", AT(enclave_hash) + 31, CELLA_CODE_BAD_SIGNATURE},
    {"reserved 3", AT(reserved3), CELLA_CODE_BAD_FIELD},
    {"extended product", AT(isv_ext_prod_id), CELLA_CODE_BAD_SIGNATURE},
    {"product", AT(isv_prod_id), CELLA_CODE_BAD_SIGNATURE},
    {"svn", AT(isv_svn), CELLA_CODE_BAD_SIGNATURE},
    {"reserved 4", AT(reserved4) + 11, CELLA_CODE_BAD_FIELD},
    {"q1", AT(q1) + 7, CELLA_CODE_BAD_SIGNATURE},
    {"q2", AT(q2) + 383, CELLA_CODE_BAD_SIGNATURE},
};

static void damaged_does_not_verify(void **state)
{
    struct sgx_sigstruct sigstruct;

    (void)state;
    make(&sigstruct);
    for (size_t i = 0; i < sizeof(g_damages) / sizeof(g_damages[0]); i++) {
        struct cella_error error = {0};
        uint8_t *bytes = (uint8_t *)&sigstruct;
        bytes[g_damages[i].at] ^= 0x40;
        cella_result result = cella_sigstruct_verify(&sigstruct, &error);
        print_message("%s: %s\n", g_damages[i].what, error.text);
        assert_int_equal(result.code, g_damages[i].code);
        bytes[g_damages[i].at] ^= 0x40;
    }
    memset(sigstruct.modulus, 0, sizeof(sigstruct.modulus));
    assert_int_equal(cella_sigstruct_verify(&sigstruct, NULL).code, CELLA_CODE_BAD_SIGNATURE);
}

/* The signature is made by plain libcrypto calls, as an outside signer would. */
static void two_steps(void **state)
{
    struct sgx_sigstruct one;
    struct sgx_sigstruct two;
    struct cella_image_config config;
    struct cella_key key;
    struct cella_error error = {0};
    uint8_t hash[32];
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    uint8_t signature[384];
    size_t size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    (void)state;
    make(&one);
    memset(hash, 0x42, sizeof(hash));
    sample_config(&config);
    sample_key(&key);
    cella_sigstruct_fill(&config, hash, 0x20260102, &two);
    cella_sigstruct_message(&two, message);
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key.handle), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &size, message, sizeof(message)), 1);
    assert_true(cella_is_ok(
        cella_sigstruct_attach(&two, &key, cella_bytes_of(signature, sizeof(signature)), &error)));
    assert_memory_equal(&one, &two, sizeof(one));

    assert_int_equal(
        cella_sigstruct_attach(&two, &key, cella_bytes_of(signature, 383), &error).code,
        CELLA_CODE_BAD_FIELD);
    signature[5] ^= 1;
    assert_int_equal(
        cella_sigstruct_attach(&two, &key, cella_bytes_of(signature, 384), &error).code,
        CELLA_CODE_BAD_SIGNATURE);
    EVP_MD_CTX_free(context);
    cella_key_done(&key);
}

static void dates(void **state)
{
    (void)state;
    assert_int_equal(cella_sigstruct_date(0), 0x19700101);
    assert_int_equal(cella_sigstruct_date(1700000000), 0x20231114);
    assert_int_equal(cella_sigstruct_date(253402300799), 0x99991231);
    assert_int_equal(cella_sigstruct_date(253402300800), 0);
    assert_int_equal(cella_sigstruct_date(-1), 0);
}

static cella_result read_key(EVP_PKEY *pkey, bool is_private, struct cella_error *error)
{
    struct cella_key key = {0};
    char *pem;
    BIO *bio = BIO_new(BIO_s_mem());
    if (is_private) {
        PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    } else {
        PEM_write_bio_PUBKEY(bio, pkey);
    }
    size_t size = (size_t)BIO_get_mem_data(bio, &pem);
    cella_result result =
        cella_key_read(cella_bytes_of(pem, size), is_private, "k.pem", &key, error);
    cella_key_done(&key);
    BIO_free(bio);
    return result;
}

static void keys(void **state)
{
    struct cella_error error = {0};
    struct cella_key key = {0};

    (void)state;
    EVP_PKEY *small = EVP_RSA_gen(2048);
    EVP_PKEY *exponent = EVP_RSA_gen(3072);
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    assert_int_equal(read_key(small, true, &error).code, CELLA_CODE_UNSUPPORTED);
    assert_int_equal(read_key(exponent, true, &error).code, CELLA_CODE_UNSUPPORTED);
    assert_string_equal(error.text, "key k.pem: RSA-3072 with exponent 65537; expected RSA-3072 "
                                    "with exponent 3 (openssl genrsa -3 3072)");
    assert_int_equal(read_key(curve, false, &error).code, CELLA_CODE_UNSUPPORTED);
    assert_int_equal(cella_key_read(cella_bytes_of("x", 1), true, "k", &key, &error).code,
                     CELLA_CODE_BAD_SYNTAX);
    sample_key(&key);
    assert_true(cella_is_ok(read_key(key.handle, true, &error)));
    assert_true(cella_is_ok(read_key(key.handle, false, &error)));
    char *pem;
    size_t size;
    struct cella_key copy = {0};
    assert_true(cella_is_ok(cella_key_write(&key, &pem, &size)));
    assert_true(cella_is_ok(cella_key_read(cella_bytes_of(pem, size), true, "k", &copy, &error)));
    free(pem);
    cella_key_done(&copy);
    cella_key_done(&key);
    EVP_PKEY_free(small);
    EVP_PKEY_free(exponent);
    EVP_PKEY_free(curve);
}

/* EINIT's own multiplications against libcrypto's division: numbers of all shapes, and each with one bit changed. */
static void cube_as_libcrypto(const uint8_t modulus[384], const uint8_t signature[384])
{
    uint8_t q1[384], q2[384], message[384], expected[384];
    const struct cella_sigstruct_rsa numbers = {modulus, signature, q1, q2};
    BN_CTX *context = BN_CTX_new();
    BIGNUM *n = BN_lebin2bn(modulus, 384, NULL), *s = BN_lebin2bn(signature, 384, NULL);
    BIGNUM *t = BN_new(), *q = BN_new();
    const bool fits = BN_cmp(s, n) < 0;
    memset(q1, 0, sizeof(q1));
    memset(q2, 0, sizeof(q2));
    if (fits) {
        assert_true(BN_sqr(t, s, context) && BN_div(q, t, t, n, context));
        assert_int_equal(BN_bn2lebinpad(q, q1, 384), 384);
        assert_true(BN_mul(t, t, s, context) && BN_div(q, t, t, n, context));
        assert_int_equal(BN_bn2lebinpad(q, q2, 384), 384);
        assert_int_equal(BN_bn2binpad(t, expected, 384), 384);
    }
    assert_int_equal(cella_sigstruct_cube(&numbers, message), fits);
    if (fits) {
        assert_memory_equal(message, expected, 384);
        for (unsigned bit = 0; bit < 3072; bit += 61) {
            q1[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(cella_sigstruct_cube(&numbers, message));
            q1[bit / 8] ^= (uint8_t)(1u << bit % 8);
            q2[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(cella_sigstruct_cube(&numbers, message));
            q2[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    BN_free(n);
    BN_free(s);
    BN_free(t);
    BN_free(q);
    BN_CTX_free(context);
}

static void cubes(void **state)
{
    uint8_t modulus[384], signature[384];
    uint32_t seed = 1;
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned i = 0; i < 384; i++) {
            seed = seed * 1664525 + 1013904223;
            modulus[i] = round % 4 == 1 ? 0xff : (uint8_t)(seed >> 24);
            signature[i] = round % 4 == 2 ? 0xff : (uint8_t)(seed >> 16);
        }
        /* Shorter numbers, and limbs of zeros and ones, where carries go wrong. */
        memset(modulus + 384 - round % 13 * 8, round % 3 ? 0 : 0xff, round % 13 * 8);
        memset(signature + 384 - round % 17 * 8, 0, round % 17 * 8);
        memset(signature + round % 300, round % 5 ? 0xff : 0, 80);
        cube_as_libcrypto(modulus, signature);
    }
    memset(modulus, 0, sizeof(modulus));
    memset(signature, 0, sizeof(signature));
    cube_as_libcrypto(modulus, signature); /* nothing is below zero */
    modulus[0] = 1;
    cube_as_libcrypto(modulus, signature);
}

/* What EINIT takes is what a verifier takes, with any bit of the file changed. */
static void einit_agrees(void **state)
{
    struct sgx_sigstruct sigstruct;
    struct cella_error error = {0};
    (void)state;
    make(&sigstruct);
    assert_true(cella_is_ok(cella_sigstruct_einit(&sigstruct)));
    for (unsigned bit = 0; bit < sizeof(sigstruct) * 8; bit += 23) {
        uint8_t *byte = (uint8_t *)&sigstruct + bit / 8;
        *byte ^= (uint8_t)(1u << bit % 8);
        const bool is_good = cella_is_ok(cella_sigstruct_verify(&sigstruct, &error));
        if (is_good) {
            assert_true(cella_is_ok(cella_sigstruct_einit(&sigstruct)));
        }
        if (cella_is_ok(cella_sigstruct_einit(&sigstruct)) && !is_good) {
            /* Neither signed nor part of the signature: EINIT looks at them before. */
            const size_t at = bit / 8;
            assert_true((at >= AT(exponent) && at < AT(exponent) + 4) ||
                        (at >= AT(reserved4) && at < AT(q1)));
        }
        *byte ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signed_verifies),
        cmocka_unit_test(quotients_give_the_cube),
        cmocka_unit_test(damaged_does_not_verify),
        cmocka_unit_test(cubes),
        cmocka_unit_test(einit_agrees),
        cmocka_unit_test(two_steps),
        cmocka_unit_test(dates),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
