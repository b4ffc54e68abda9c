/*
 * SIGSTRUCT: filling, RSA-3072 signing with exponent 3, attaching a signature made elsewhere,
 * verifying. Side: tools (hosted; libcrypto). Called by cli/ and the skins' signers. Never keeps a
 * private key beyond its caller's.
 */
#ifndef CELLA_IMAGE_SIGN_H
#define CELLA_IMAGE_SIGN_H

#include "image/config.h"
#include "image/image.h"

/* An RSA-3072 key with e = 3: public, or private too. Zero-initialise; `handle` is libcrypto's,
 * freed by _done. */
struct cella_key {
    void *handle;
};

/* Reads a PEM key; `name` is for the error text. A private key serves as public too. */
CELLA_MUST_USE cella_result cella_key_read(struct cella_bytes pem, bool is_private,
                                           const char *name, struct cella_key *ret_key,
                                           struct cella_error *error);
CELLA_MUST_USE cella_result cella_key_generate(struct cella_key *ret_key,
                                               struct cella_error *error);
/* The private key as PEM; the caller frees `*ret_pem` with free(). */
CELLA_MUST_USE cella_result cella_key_write(const struct cella_key *key, char **ret_pem,
                                            size_t *ret_size);
void cella_key_done(struct cella_key *key);

/*
 * All fields but modulus, signature, q1 and q2. `date` is BCD yyyymmdd.
 */
void cella_sigstruct_fill(const struct cella_image_config *config, const uint8_t mr_enclave[32],
                          uint32_t date, struct sgx_sigstruct *ret_sigstruct);

/* The 256 bytes that are signed (RSA PKCS#1 v1.5 with SHA-256). */
#define CELLA_SIGSTRUCT_MESSAGE_SIZE (SGX_SIGSTRUCT_SIGNED1_SIZE + SGX_SIGSTRUCT_SIGNED2_SIZE)
void cella_sigstruct_message(const struct sgx_sigstruct *sigstruct,
                             uint8_t ret_message[CELLA_SIGSTRUCT_MESSAGE_SIZE]);

/* Signs in place. */
CELLA_MUST_USE cella_result cella_sigstruct_sign(struct sgx_sigstruct *sigstruct,
                                                 const struct cella_key *key,
                                                 struct cella_error *error);

/* Attaches a signature (384 bytes, big endian as openssl writes it) made with `key`'s private half;
 * verifies it. */
CELLA_MUST_USE cella_result cella_sigstruct_attach(struct sgx_sigstruct *sigstruct,
                                                   const struct cella_key *key,
                                                   struct cella_bytes signature,
                                                   struct cella_error *error);

/* BCD yyyymmdd of seconds since 1970, UTC; 0 outside the years 1970..9999. */
uint32_t cella_sigstruct_date(int64_t seconds);

#endif
