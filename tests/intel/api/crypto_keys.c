/*
 * sgx_tcrypto.h: P-256 and RSA, by the answers of RFC 5903, RFC 6979 and of openssl (see installed.sh). Numbers are little
 * endian at the interface.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include "sgx_tcrypto.h"

#include <stdlib.h>

#include "api_t.h"
#include "bytes.h"
#include "check.h"

#define SIZE SGX_ECP256_KEY_SIZE

static sgx_ec256_public_t point_of(const char *x, const char *y)
{
    sgx_ec256_public_t point;
    bytes_number(x, point.gx, SIZE);
    bytes_number(y, point.gy, SIZE);
    return point;
}

/* RFC 5903, 8.1. */
static const char dh_i[] = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
static const char dh_ix[] = "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180";
static const char dh_iy[] = "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3";
static const char dh_r[] = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";
static const char dh_rx[] = "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63";
static const char dh_ry[] = "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
static const char dh_shared[] = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
/* The order of P-256, less one. */
static const char order_1[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";

static int ecc_known(sgx_ecc_state_handle_t state)
{
    const sgx_ec256_public_t initiator = point_of(dh_ix, dh_iy);
    const sgx_ec256_public_t responder = point_of(dh_rx, dh_ry);
    sgx_ec256_public_t point;
    sgx_ec256_private_t key;
    sgx_ec256_dh_shared_t shared;
    bytes_number(dh_i, key.r, SIZE);
    GOOD(sgx_ecc256_calculate_pub_from_priv(&key, &point));
    CHECK(memcmp(&point, &initiator, sizeof(point)) == 0);
    GOOD(sgx_ecc256_compute_shared_dhkey(&key, &responder, &shared, state));
    CHECK(bytes_are_number(shared.s, dh_shared, SIZE));
    bytes_number(dh_r, key.r, SIZE);
    memset(&shared, 0, sizeof(shared));
    GOOD(sgx_ecc256_compute_shared_dhkey(&key, &initiator, &shared, state));
    CHECK(bytes_are_number(shared.s, dh_shared, SIZE));
    memset(&key, 0, sizeof(key));
    CHECK(sgx_ecc256_calculate_pub_from_priv(&key, &point) != SGX_SUCCESS);
    return 0;
}

static int ecc_points(sgx_ecc_state_handle_t state)
{
    sgx_ec256_public_t point = point_of(dh_ix, dh_iy);
    sgx_ec256_private_t key;
    sgx_ec256_dh_shared_t shared, none = {{0}};
    int valid = -1;
    GOOD(sgx_ecc256_check_point(&point, state, &valid));
    CHECK(valid == 1);
    point.gy[0] ^= 1;
    GOOD(sgx_ecc256_check_point(&point, state, &valid));
    CHECK(valid == 0);
    bytes_number(dh_i, key.r, SIZE);
    memset(&shared, 1, sizeof(shared));
    CHECK(sgx_ecc256_compute_shared_dhkey(&key, &point, &shared, state) != SGX_SUCCESS);
    CHECK(memcmp(&shared, &none, sizeof(none)) == 0);
    memset(&point, 0, sizeof(point));
    GOOD(sgx_ecc256_check_point(&point, state, &valid));
    CHECK(valid == 0);
    BAD_PARAMETER(sgx_ecc256_check_point(NULL, state, &valid));
    BAD_PARAMETER(sgx_ecc256_check_point(&point, NULL, &valid));
    BAD_PARAMETER(sgx_ecc256_check_point(&point, state, NULL));
    return 0;
}

static int ecc_new(sgx_ecc_state_handle_t state)
{
    sgx_ec256_private_t a, b;
    sgx_ec256_public_t ga, gb, again;
    sgx_ec256_dh_shared_t ab, ba;
    unsigned char random[40], modulus[SIZE];
    GOOD(sgx_ecc256_create_key_pair(&a, &ga, state));
    GOOD(sgx_ecc256_create_key_pair(&b, &gb, state));
    CHECK(memcmp(&a, &b, sizeof(a)) != 0);
    GOOD(sgx_ecc256_calculate_pub_from_priv(&a, &again));
    CHECK(memcmp(&again, &ga, sizeof(ga)) == 0);
    GOOD(sgx_ecc256_compute_shared_dhkey(&a, &gb, &ab, state));
    GOOD(sgx_ecc256_compute_shared_dhkey(&b, &ga, &ba, state));
    CHECK(memcmp(&ab, &ba, sizeof(ab)) == 0);
    /* (bytes mod (order - 1)) + 1, of the order less one plus 5: 6. */
    bytes_number(order_1, modulus, SIZE);
    bytes_number(order_1, random, sizeof(random));
    random[0] += 5;
    GOOD(sgx_calculate_ecdsa_priv_key(random, sizeof(random), modulus, SIZE, a.r, SIZE));
    CHECK(bytes_are_number(a.r, "06", SIZE));
    BAD_PARAMETER(sgx_calculate_ecdsa_priv_key(NULL, 1, modulus, SIZE, a.r, SIZE));
    BAD_PARAMETER(sgx_calculate_ecdsa_priv_key(random, 0, modulus, SIZE, a.r, SIZE));
    BAD_PARAMETER(sgx_ecc256_create_key_pair(NULL, &ga, state));
    BAD_PARAMETER(sgx_ecc256_create_key_pair(&a, NULL, state));
    BAD_PARAMETER(sgx_ecc256_create_key_pair(&a, &ga, NULL));
    return 0;
}

int test_ecc(void)
{
    sgx_ecc_state_handle_t state = NULL;
    GOOD(sgx_ecc256_open_context(&state));
    int line = ecc_known(state);
    line = line ? line : ecc_points(state);
    line = line ? line : ecc_new(state);
    GOOD(sgx_ecc256_close_context(state));
    BAD_PARAMETER(sgx_ecc256_open_context(NULL));
    BAD_PARAMETER(sgx_ecc256_close_context(NULL));
    return line;
}

/* RFC 6979, A.2.5, SHA-256, "sample". */
int test_ecdsa(void)
{
    static const char text[] = "sample";
    const uint8_t *data = (const uint8_t *)text;
    const sgx_ec256_public_t known =
        point_of("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
                 "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    sgx_ec256_private_t key;
    sgx_ec256_signature_t signature;
    sgx_sha256_hash_t hash;
    sgx_ecc_state_handle_t state = NULL;
    uint8_t result = 0xFF;
    bytes_number("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                 (uint8_t *)signature.x, SIZE);
    bytes_number("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
                 (uint8_t *)signature.y, SIZE);
    GOOD(sgx_ecc256_open_context(&state));
    GOOD(sgx_ecdsa_verify(data, 6, &known, &signature, &result, state));
    CHECK(result == SGX_EC_VALID);
    GOOD(sgx_sha256_msg(data, 6, &hash));
    result = 0xFF;
    GOOD(sgx_ecdsa_verify_hash(hash, &known, &signature, &result, state));
    CHECK(result == SGX_EC_VALID);
    signature.y[3] ^= 0x100;
    GOOD(sgx_ecdsa_verify(data, 6, &known, &signature, &result, state));
    CHECK(result == SGX_EC_INVALID_SIGNATURE);
    bytes_number("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", key.r, SIZE);
    GOOD(sgx_ecdsa_sign(data, 6, &key, &signature, state));
    GOOD(sgx_ecdsa_verify(data, 6, &known, &signature, &result, state));
    CHECK(result == SGX_EC_VALID);
    GOOD(sgx_ecdsa_verify(data, 5, &known, &signature, &result, state));
    CHECK(result == SGX_EC_INVALID_SIGNATURE);
    BAD_PARAMETER(sgx_ecdsa_sign(NULL, 6, &key, &signature, state));
    BAD_PARAMETER(sgx_ecdsa_sign(data, 0, &key, &signature, state));
    BAD_PARAMETER(sgx_ecdsa_sign(data, 6, &key, &signature, NULL));
    BAD_PARAMETER(sgx_ecdsa_verify(data, 6, NULL, &signature, &result, state));
    BAD_PARAMETER(sgx_ecdsa_verify(data, 6, &known, &signature, NULL, state));
    BAD_PARAMETER(sgx_ecdsa_verify_hash(NULL, &known, &signature, &result, state));
    GOOD(sgx_ecc256_close_context(state));
    return 0;
}

/* ------------------------------------------------------------------- RSA */

#define WHOLE SGX_RSA3072_KEY_SIZE
#define HALF (WHOLE / 2)

static const uint8_t signed_text[] = "signed by openssl\n";
#define SIGNED signed_text, sizeof(signed_text) - 1

static int rsa_sign(const char *n, const char *e, const char *d, const char *signature)
{
    static sgx_rsa3072_key_t key;
    static sgx_rsa3072_public_key_t public_key;
    static sgx_rsa3072_signature_t made;
    sgx_rsa_result_t result = SGX_RSA_INVALID_SIGNATURE;
    bytes_number(n, key.mod, WHOLE);
    bytes_number(d, key.d, WHOLE);
    bytes_number(e, key.e, sizeof(key.e));
    memcpy(public_key.mod, key.mod, WHOLE);
    memcpy(public_key.exp, key.e, sizeof(key.e));
    GOOD(sgx_rsa3072_sign(SIGNED, &key, &made));
    CHECK(bytes_are(made, signature));
    memset(made, 0, sizeof(made));
    GOOD(sgx_rsa3072_sign_ex(SIGNED, &key, &public_key, &made));
    CHECK(bytes_are(made, signature));
    GOOD(sgx_rsa3072_verify(SIGNED, &public_key, (const sgx_rsa3072_signature_t *)&made, &result));
    CHECK(result == SGX_RSA_VALID);
    made[100] ^= 1;
    GOOD(sgx_rsa3072_verify(SIGNED, &public_key, (const sgx_rsa3072_signature_t *)&made, &result));
    CHECK(result == SGX_RSA_INVALID_SIGNATURE);
    public_key.mod[200] ^= 1;
    CHECK(sgx_rsa3072_sign_ex(SIGNED, &key, &public_key, &made) != SGX_SUCCESS);
    BAD_PARAMETER(sgx_rsa3072_sign(NULL, 1, &key, &made));
    BAD_PARAMETER(sgx_rsa3072_sign(signed_text, 0, &key, &made));
    BAD_PARAMETER(sgx_rsa3072_sign(SIGNED, NULL, &made));
    BAD_PARAMETER(sgx_rsa3072_verify(SIGNED, &public_key, NULL, &result));
    BAD_PARAMETER(
        sgx_rsa3072_verify(SIGNED, &public_key, (const sgx_rsa3072_signature_t *)&made, NULL));
    return 0;
}

/* Decrypts what openssl encrypted, and what this enclave encrypts. */
static int rsa_crypt(void *private_key, void *public_key, const char *secret)
{
    static const char wanted[] = "a secret";
    unsigned char in[WHOLE], out[WHOLE];
    size_t size = sizeof(out), made = 0;
    CHECK(bytes_of(secret, in, sizeof(in)) == WHOLE);
    GOOD(sgx_rsa_priv_decrypt_sha256(private_key, out, &size, in, WHOLE));
    CHECK(size == 8 && memcmp(out, wanted, 8) == 0);
    GOOD(sgx_rsa_pub_encrypt_sha256(public_key, NULL, &made, (const unsigned char *)wanted, 8));
    CHECK(made == WHOLE);
    GOOD(sgx_rsa_pub_encrypt_sha256(public_key, in, &made, (const unsigned char *)wanted, 8));
    CHECK(made == WHOLE);
    size = sizeof(out);
    memset(out, 0, sizeof(out));
    GOOD(sgx_rsa_priv_decrypt_sha256(private_key, out, &size, in, WHOLE));
    CHECK(size == 8 && memcmp(out, wanted, 8) == 0);
    in[10] ^= 1;
    size = sizeof(out);
    CHECK(sgx_rsa_priv_decrypt_sha256(private_key, out, &size, in, WHOLE) != SGX_SUCCESS);
    BAD_PARAMETER(sgx_rsa_priv_decrypt_sha256(NULL, out, &size, in, WHOLE));
    BAD_PARAMETER(sgx_rsa_priv_decrypt_sha256(private_key, out, NULL, in, WHOLE));
    BAD_PARAMETER(sgx_rsa_pub_encrypt_sha256(public_key, out, &size, NULL, 8));
    return 0;
}

int test_rsa(const char *n, const char *e, const char *d, const char *p, const char *q,
             const char *dmp1, const char *dmq1, const char *iqmp, const char *signature,
             const char *secret)
{
    static uint8_t le_n[WHOLE], le_e[4], le_d[WHOLE], half[5][HALF];
    void *first = NULL, *second = NULL, *public_key = NULL;
    int line = rsa_sign(n, e, d, signature);
    if (line != 0) {
        return line;
    }
    bytes_number(n, le_n, WHOLE);
    bytes_number(e, le_e, 4);
    bytes_number(d, le_d, WHOLE);
    bytes_number(p, half[0], HALF);
    bytes_number(q, half[1], HALF);
    bytes_number(dmp1, half[2], HALF);
    bytes_number(dmq1, half[3], HALF);
    bytes_number(iqmp, half[4], HALF);
    GOOD(sgx_create_rsa_priv1_key(WHOLE, 4, WHOLE, le_n, le_e, le_d, &first));
    GOOD(sgx_create_rsa_priv2_key(WHOLE, 4, le_e, half[0], half[1], half[2], half[3], half[4],
                                  &second));
    GOOD(sgx_create_rsa_pub1_key(WHOLE, 4, le_n, le_e, &public_key));
    line = rsa_crypt(first, public_key, secret);
    if (line != 0) {
        return line;
    }
    line = rsa_crypt(second, public_key, secret);
    GOOD(sgx_free_rsa_key(first, SGX_RSA_PRIVATE_KEY, WHOLE, 4));
    GOOD(sgx_free_rsa_key(second, SGX_RSA_PRIVATE_KEY, WHOLE, 4));
    GOOD(sgx_free_rsa_key(public_key, SGX_RSA_PUBLIC_KEY, WHOLE, 4));
    BAD_PARAMETER(sgx_create_rsa_pub1_key(0, 4, le_n, le_e, &public_key));
    BAD_PARAMETER(sgx_create_rsa_pub1_key(WHOLE, 4, NULL, le_e, &public_key));
    BAD_PARAMETER(sgx_create_rsa_pub1_key(WHOLE, 4, le_n, le_e, NULL));
    BAD_PARAMETER(sgx_create_rsa_priv1_key(WHOLE, 4, 0, le_n, le_e, le_d, &first));
    BAD_PARAMETER(sgx_create_rsa_priv2_key(WHOLE, 4, le_e, half[0], NULL, half[2], half[3], half[4],
                                           &second));
    return line;
}

#define NEW 256 /* bytes: 2048 bits are made quickly */

int test_rsa_new(void)
{
    static unsigned char n[NEW], d[NEW], p[NEW / 2], q[NEW / 2], dmp1[NEW / 2], dmq1[NEW / 2],
        iqmp[NEW / 2], out[NEW], back[NEW];
    unsigned char e[4] = {1, 0, 1, 0};
    void *private_key = NULL, *public_key = NULL;
    size_t size = sizeof(out), back_size = sizeof(back);
    GOOD(sgx_create_rsa_key_pair(NEW, 4, n, d, e, p, q, dmp1, dmq1, iqmp));
    GOOD(sgx_create_rsa_priv2_key(NEW, 4, e, p, q, dmp1, dmq1, iqmp, &private_key));
    GOOD(sgx_create_rsa_pub1_key(NEW, 4, n, e, &public_key));
    GOOD(sgx_rsa_pub_encrypt_sha256(public_key, out, &size, (const unsigned char *)"new", 3));
    GOOD(sgx_rsa_priv_decrypt_sha256(private_key, back, &back_size, out, size));
    CHECK(back_size == 3 && memcmp(back, "new", 3) == 0);
    GOOD(sgx_free_rsa_key(private_key, SGX_RSA_PRIVATE_KEY, NEW, 4));
    GOOD(sgx_free_rsa_key(public_key, SGX_RSA_PUBLIC_KEY, NEW, 4));
    BAD_PARAMETER(sgx_create_rsa_key_pair(0, 4, n, d, e, p, q, dmp1, dmq1, iqmp));
    BAD_PARAMETER(sgx_create_rsa_key_pair(NEW, 4, NULL, d, e, p, q, dmp1, dmq1, iqmp));
    return 0;
}
