/*
 * What evidence can say of a key: its SubjectPublicKeyInfo in DER, and its PEM text, which Open Enclave hashes.
 * Side: both. Called inside tls/.
 */
#ifndef CELLA_TLS_KEY_H
#define CELLA_TLS_KEY_H

#include "cella/tls.h"
#include "common/bytes.h"

/* Owned; free with tls_key_text_done. */
struct tls_key_text {
    uint8_t *der;
    size_t der_size;
    char *pem;       /* with a zero behind it, which is part of what Open Enclave takes */
    size_t pem_size; /* with the zero */
};

CELLA_MUST_USE cella_result tls_key_text(EVP_PKEY *key, struct tls_key_text *ret_text);
void tls_key_text_done(struct tls_key_text *text);

#endif
