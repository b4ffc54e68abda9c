/*
 * Keys of attested certificates, and their texts.
 * Side: both. Called inside tls/ and by applications (cella_tls_key_new).
 */
#include "tls/key.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

cella_result cella_tls_key_new(EVP_PKEY **ret_key)
{
    CELLA_ENSURE(ret_key != NULL, INVALID_ARGUMENT);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CELLA_ENSURE(key != NULL, CRYPTO);
    *ret_key = key;
    return CELLA_OK;
}

void tls_key_text_done(struct tls_key_text *text)
{
    OPENSSL_free(text->der);
    OPENSSL_free(text->pem);
}

static bool pem_write(EVP_PKEY *key, struct tls_key_text *text)
{
    char *data = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    const bool good = memory && PEM_write_bio_PUBKEY(memory, key) == 1;
    const long size = good ? BIO_get_mem_data(memory, &data) : 0;
    text->pem = size > 0 ? OPENSSL_malloc((size_t)size + 1) : NULL;
    if (text->pem) {
        memcpy(text->pem, data, (size_t)size);
        text->pem[size] = 0;
        text->pem_size = (size_t)size + 1;
    }
    BIO_free(memory);
    return text->pem != NULL;
}

cella_result tls_key_text(EVP_PKEY *key, struct tls_key_text *ret_text)
{
    struct tls_key_text text = {0};
    const int size = i2d_PUBKEY(key, &text.der);
    if (size <= 0 || !pem_write(key, &text)) {
        tls_key_text_done(&text);
        return CELLA_RESULT(CRYPTO);
    }
    text.der_size = (size_t)size;
    *ret_text = text;
    return CELLA_OK;
}
