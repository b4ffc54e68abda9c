/*
 * The signature check of EINIT, by multiplications only.
 * Side: both. Called by soft/encls_init.c and host/load.c. Never handles a secret.
 * Why not libcrypto's BN: linked statically it brings all of libcrypto's ciphers along (ADR 0144).
 */
#include "common/sigstruct_rsa.h"

#include <string.h>

#define LIMBS (CELLA_RSA3072_SIZE / 8)

typedef uint64_t number[LIMBS];
typedef uint64_t product[2 * LIMBS];

static void number_read(number ret_number, const uint8_t *bytes)
{
    memcpy(ret_number, bytes, CELLA_RSA3072_SIZE); /* x86-64 is little endian, too */
}

static void multiply(product ret_product, const number left, const number right)
{
    memset(ret_product, 0, sizeof(product));
    for (unsigned i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; j < LIMBS; j++) {
            const unsigned __int128 sum =
                (unsigned __int128)left[i] * right[j] + ret_product[i + j] + carry;
            ret_product[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        ret_product[i + LIMBS] = carry;
    }
}

/* *left -= right; the borrow. */
static uint64_t subtract(uint64_t *left, const uint64_t *right, unsigned count)
{
    uint64_t borrow = 0;
    for (unsigned i = 0; i < count; i++) {
        const unsigned __int128 rest = (unsigned __int128)left[i] - right[i] - borrow;
        left[i] = (uint64_t)rest;
        borrow = (uint64_t)(rest >> 64) & 1;
    }
    return borrow;
}

static bool is_below(const number left, const number right)
{
    for (unsigned i = LIMBS; i-- > 0;) {
        if (left[i] != right[i]) {
            return left[i] < right[i];
        }
    }
    return false;
}

/* left * right = quotient * modulus + rest with rest < modulus: then it is the product modulo the modulus. */
static bool reduce(number ret_rest, const number left, const number right, const number quotient,
                   const number modulus)
{
    static const number zero;
    product whole, multiple;
    multiply(whole, left, right);
    multiply(multiple, quotient, modulus);
    if (subtract(whole, multiple, 2 * LIMBS) != 0 ||
        memcmp(whole + LIMBS, zero, sizeof(zero)) != 0) {
        return false;
    }
    memcpy(ret_rest, whole, sizeof(number));
    return is_below(ret_rest, modulus);
}

bool cella_sigstruct_cube(const struct cella_sigstruct_rsa *numbers,
                          uint8_t ret_message[CELLA_RSA3072_SIZE])
{
    number modulus, signature, q1, q2, square, cube;
    number_read(modulus, numbers->modulus);
    number_read(signature, numbers->signature);
    number_read(q1, numbers->q1);
    number_read(q2, numbers->q2);
    if (!is_below(signature, modulus) || !reduce(square, signature, signature, q1, modulus) ||
        !reduce(cube, square, signature, q2, modulus)) {
        return false;
    }
    for (unsigned i = 0; i < CELLA_RSA3072_SIZE; i++) {
        ret_message[i] = (uint8_t)(cube[LIMBS - 1 - i / 8] >> (56 - 8 * (i % 8)));
    }
    return true;
}

void cella_pkcs1_padding(uint8_t ret_padding[352])
{
    static const uint8_t info[19] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    memset(ret_padding, 0xff, 352);
    ret_padding[0] = 0;
    ret_padding[1] = 1;
    ret_padding[352 - sizeof(info) - 1] = 0;
    memcpy(ret_padding + 352 - sizeof(info), info, sizeof(info));
}
