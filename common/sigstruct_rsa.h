/*
 * The signature check of EINIT: SIGNATURE^3 mod MODULUS by the two quotients that a SIGSTRUCT brings with it.
 * Side: both; hosted and freestanding. Called by soft/ (as the processor) and host/ (why EINIT refused).
 * Never handles a secret: all four numbers are public. Tools that judge signatures use libcrypto (image/sign.c).
 * Source: SDM Vol. 3D, EINIT; 35.13 (SIGSTRUCT), Q1 and Q2.
 */
#ifndef CELLA_COMMON_SIGSTRUCT_RSA_H
#define CELLA_COMMON_SIGSTRUCT_RSA_H

#include <stdbool.h>
#include <stdint.h>

#define CELLA_RSA3072_SIZE 384u

/* Numbers of 384 bytes, little endian, as they lie in a SIGSTRUCT. */
struct cella_sigstruct_rsa {
    const uint8_t *modulus;
    const uint8_t *signature;
    const uint8_t *q1;
    const uint8_t *q2;
};

/* The message, big endian. False: the signature is not below the modulus, or a quotient is not the signature's. */
bool cella_sigstruct_cube(const struct cella_sigstruct_rsa *numbers,
                          uint8_t ret_message[CELLA_RSA3072_SIZE]);

/* PKCS#1 v1.5: 00 01 FF..FF 00, DigestInfo of SHA-256; the digest's 32 bytes follow. */
void cella_pkcs1_padding(uint8_t ret_padding[352]);

#endif
