/*
 * Quotes read and verified apart from the code under test. layout.h is the manual.
 * Side: tests.
 */
#include "layout.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

static uint64_t number(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

bool quote_layout_read(const uint8_t *quote, size_t size, struct quote_layout *ret_layout)
{
    static const uint8_t vendor[] = {0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9,
                                     0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07};
    if (size < 1020 || number(quote, 2) != 3 || number(quote + 2, 2) != 2 ||
        number(quote + 4, 4) != 0 || memcmp(quote + 12, vendor, 16) != 0 ||
        number(quote + 432, 4) != size - 436) {
        return false;
    }
    struct quote_layout layout = {.header = quote,
                                  .body = quote + 48,
                                  .signature = quote + 436,
                                  .key = quote + 500,
                                  .qe_report = quote + 564,
                                  .qe_signature = quote + 948,
                                  .auth = quote + 1014};
    layout.auth_size = number(quote + 1012, 2);
    if (layout.auth_size + 6 > size - 1014) {
        return false;
    }
    const uint8_t *data = layout.auth + layout.auth_size;
    layout.chain = data + 6;
    layout.chain_size = number(data + 2, 4);
    *ret_layout = layout;
    return number(data, 2) == 5 && layout.chain + layout.chain_size == quote + size;
}

static bool signature_holds(EVP_PKEY *key, const uint8_t *data, size_t size,
                            const uint8_t signature[64])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL));
    uint8_t *der = NULL;
    const int der_size = i2d_ECDSA_SIG(pair, &der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                      EVP_DigestVerify(context, der, (size_t)der_size, data, size) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return good;
}

static EVP_PKEY *key_of_point(const uint8_t point[64])
{
    /* SubjectPublicKeyInfo of a P-256 key, up to the point */
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    uint8_t der[sizeof(head) + 64];
    const uint8_t *at = der;
    memcpy(der, head, sizeof(head));
    memcpy(der + sizeof(head), point, 64);
    return d2i_PUBKEY(NULL, &at, sizeof(der));
}

static bool chain_holds(X509 *certificates[3], const char *root_pem)
{
    BIO *text = BIO_new_mem_buf(root_pem, -1);
    X509 *root = PEM_read_bio_X509(text, NULL, NULL, NULL);
    BIO_free(text);
    const bool good = root && X509_cmp(certificates[2], root) == 0 &&
                      X509_verify(certificates[0], X509_get0_pubkey(certificates[1])) == 1 &&
                      X509_verify(certificates[1], X509_get0_pubkey(certificates[2])) == 1 &&
                      X509_verify(certificates[2], X509_get0_pubkey(root)) == 1;
    X509_free(root);
    return good;
}

static bool binding_holds(const struct quote_layout *layout)
{
    uint8_t bound[64 + 65535], hash[32];
    static const uint8_t zeros[32];
    memcpy(bound, layout->key, 64);
    memcpy(bound + 64, layout->auth, layout->auth_size);
    SHA256(bound, 64 + layout->auth_size, hash);
    return memcmp(layout->qe_report + 320, hash, 32) == 0 &&
           memcmp(layout->qe_report + 352, zeros, 32) == 0;
}

bool quote_layout_verify(const struct quote_layout *layout, const char *root_pem)
{
    X509 *certificates[3] = {0};
    BIO *text = BIO_new_mem_buf(layout->chain, (int)layout->chain_size);
    bool good = true;
    for (int i = 0; i < 3 && good; i++) {
        certificates[i] = PEM_read_bio_X509(text, NULL, NULL, NULL);
        good = certificates[i] != NULL;
    }
    BIO_free(text);
    EVP_PKEY *attestation = key_of_point(layout->key);
    good = good && chain_holds(certificates, root_pem) && binding_holds(layout) && attestation &&
           signature_holds(X509_get0_pubkey(certificates[0]), layout->qe_report, 384,
                           layout->qe_signature) &&
           signature_holds(attestation, layout->header, 432, layout->signature);
    EVP_PKEY_free(attestation);
    for (int i = 0; i < 3; i++) {
        X509_free(certificates[i]);
    }
    return good;
}
