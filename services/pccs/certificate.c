/*
 * What the cache must know of certificates and lists: platform, version, issuer, encoding.
 * Side: services. Called inside services/pccs/. Never verifies a signature: verifiers do.
 */
#include <ctype.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

#define SGX_EXTENSION "1.2.840.113741.1.13.1"

bool is_hex(const char *text, size_t least, size_t most)
{
    size_t size = text ? strlen(text) : 0;
    return text && size >= least && size <= most && size % 2 == 0 &&
           strspn(text, "0123456789abcdefABCDEF") == size;
}

void to_upper(char *text)
{
    for (; *text; text++) {
        *text = (char)toupper((unsigned char)*text);
    }
}

char *percent_encode(const char *text, size_t size)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    char *out = malloc(3 * size + 1);
    size_t used = 0;
    for (size_t i = 0; out && i < size; i++) {
        if (text[i] && strchr(plain, text[i])) {
            out[used++] = text[i];
        } else {
            used += (size_t)snprintf(out + used, 4, "%%%02X", (unsigned char)text[i]);
        }
    }
    if (out) {
        out[used] = 0;
    }
    return out;
}

void percent_decode(char *text)
{
    char *out = text;
    for (; *text; text++) {
        unsigned byte;
        if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]) &&
            sscanf(text + 1, "%2x", &byte) == 1) {
            *out++ = (char)byte;
            text += 2;
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

/* The value behind `oid` in a sequence of pairs; NULL when it is not there. */
static const ASN1_TYPE *find_pair(const ASN1_SEQUENCE_ANY *sequence, const char *oid,
                                  ASN1_SEQUENCE_ANY **ret_pair)
{
    char name[80];
    for (int i = 0; i < sk_ASN1_TYPE_num(sequence); i++) {
        const ASN1_TYPE *item = sk_ASN1_TYPE_value(sequence, i);
        if (item->type != V_ASN1_SEQUENCE) {
            continue;
        }
        const uint8_t *at = item->value.sequence->data;
        ASN1_SEQUENCE_ANY *pair = d2i_ASN1_SEQUENCE_ANY(NULL, &at, item->value.sequence->length);
        if (pair && sk_ASN1_TYPE_num(pair) == 2 &&
            sk_ASN1_TYPE_value(pair, 0)->type == V_ASN1_OBJECT &&
            OBJ_obj2txt(name, sizeof(name), sk_ASN1_TYPE_value(pair, 0)->value.object, 1) > 0 &&
            strcmp(name, oid) == 0) {
            *ret_pair = pair;
            return sk_ASN1_TYPE_value(pair, 1);
        }
        sk_ASN1_TYPE_pop_free(pair, ASN1_TYPE_free);
    }
    return NULL;
}

static bool put_octets(const ASN1_SEQUENCE_ANY *sequence, const char *oid, int size, char *out)
{
    ASN1_SEQUENCE_ANY *pair = NULL;
    const ASN1_TYPE *value = find_pair(sequence, oid, &pair);
    bool good =
        value && value->type == V_ASN1_OCTET_STRING && value->value.octet_string->length == size;
    for (int i = 0; good && i < size; i++) {
        snprintf(out + (size_t)2 * (unsigned)i, 3, "%02X", value->value.octet_string->data[i]);
    }
    sk_ASN1_TYPE_pop_free(pair, ASN1_TYPE_free);
    return good;
}

/* TCB (…2): CPUSVN (…2.18) and PCESVN (…2.17). */
static bool put_tcbm(const ASN1_SEQUENCE_ANY *sequence, char *out)
{
    ASN1_SEQUENCE_ANY *pair = NULL;
    ASN1_SEQUENCE_ANY *inner = NULL;
    ASN1_SEQUENCE_ANY *tcb = NULL;
    const ASN1_TYPE *value = find_pair(sequence, SGX_EXTENSION ".2", &pair);
    if (value && value->type == V_ASN1_SEQUENCE) {
        const uint8_t *at = value->value.sequence->data;
        tcb = d2i_ASN1_SEQUENCE_ANY(NULL, &at, value->value.sequence->length);
    }
    bool good = tcb && put_octets(tcb, SGX_EXTENSION ".2.18", 16, out);
    const ASN1_TYPE *pce = good ? find_pair(tcb, SGX_EXTENSION ".2.17", &inner) : NULL;
    int64_t svn = 0;
    good = pce && pce->type == V_ASN1_INTEGER &&
           ASN1_INTEGER_get_int64(&svn, pce->value.integer) == 1 && svn >= 0 && svn <= UINT16_MAX;
    if (good) {
        snprintf(out + 32, 5, "%02X%02X", (unsigned)svn & 0xFF, (unsigned)svn >> 8);
    }
    sk_ASN1_TYPE_pop_free(inner, ASN1_TYPE_free);
    sk_ASN1_TYPE_pop_free(tcb, ASN1_TYPE_free);
    sk_ASN1_TYPE_pop_free(pair, ASN1_TYPE_free);
    return good;
}

static bool read_extension(X509 *certificate, struct pck_certificate *out)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(SGX_EXTENSION, 1);
    int place = oid ? X509_get_ext_by_OBJ(certificate, oid, -1) : -1;
    ASN1_OBJECT_free(oid);
    if (place < 0) {
        return false;
    }
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(X509_get_ext(certificate, place));
    const uint8_t *at = data->data;
    ASN1_SEQUENCE_ANY *sequence = d2i_ASN1_SEQUENCE_ANY(NULL, &at, data->length);
    bool good = sequence && put_octets(sequence, SGX_EXTENSION ".4", 6, out->fmspc) &&
                put_tcbm(sequence, out->tcbm);
    sk_ASN1_TYPE_pop_free(sequence, ASN1_TYPE_free);
    return good;
}

void pck_done(struct pck_certificate *certificate)
{
    free(certificate->pem);
    certificate->pem = NULL;
}

cella_result pck_read(const char *pem, struct pck_certificate *ret_certificate)
{
    struct pck_certificate out = {.pem = NULL};
    char issuer[128] = "";
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    CELLA_ENSURE(certificate, BAD_FIELD);
    X509_NAME_get_text_by_NID(X509_get_issuer_name(certificate), NID_commonName, issuer,
                              sizeof(issuer));
    strcpy(out.ca, strstr(issuer, "Platform") ? "PLATFORM" : "PROCESSOR");
    bool good = read_extension(certificate, &out);
    X509_free(certificate);
    CELLA_ENSURE(good, BAD_FIELD);
    out.pem = strdup(pem);
    CELLA_ENSURE(out.pem, OUT_OF_MEMORY);
    *ret_certificate = out;
    return CELLA_OK;
}

static X509 *last_certificate(const char *encoded_chain)
{
    char *chain = strdup(encoded_chain);
    X509 *last = NULL;
    if (chain) {
        percent_decode(chain);
        BIO *bio = BIO_new_mem_buf(chain, -1);
        for (X509 *next; bio && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;) {
            X509_free(last);
            last = next;
        }
        BIO_free(bio);
    }
    free(chain);
    return last;
}

bool same_root(const char *encoded_chain, const char *other)
{
    if (!encoded_chain || !other) {
        return true;
    }
    X509 *a = last_certificate(encoded_chain);
    X509 *b = last_certificate(other);
    bool same = a && b && X509_cmp(a, b) == 0;
    X509_free(a);
    X509_free(b);
    return same;
}

static char *take_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = size > 0 ? strndup(data, (size_t)size) : NULL;
    BIO_free(bio);
    return text;
}

char *chain_root(const char *encoded_chain)
{
    X509 *root = last_certificate(encoded_chain);
    BIO *bio = root ? BIO_new(BIO_s_mem()) : NULL;
    char *encoded = NULL;
    if (bio && PEM_write_bio_X509(bio, root) == 1) {
        char *pem = take_text(bio);
        encoded = pem ? percent_encode(pem, strlen(pem)) : NULL;
        free(pem);
    } else {
        BIO_free(bio);
    }
    X509_free(root);
    return encoded;
}

static X509_CRL *read_crl(struct cella_bytes crl)
{
    const uint8_t *at = crl.data;
    if (crl.size > 10 && memcmp(crl.data, "-----BEGIN", 10) == 0) {
        BIO *bio = BIO_new_mem_buf(crl.data, (int)crl.size);
        X509_CRL *read = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
        return read;
    }
    return crl.size ? d2i_X509_CRL(NULL, &at, (long)crl.size) : NULL;
}

static X509_CRL *read_hex_crl(struct cella_bytes crl)
{
    uint8_t *bytes = malloc(crl.size / 2 + 1);
    size_t used = 0;
    unsigned byte;
    char pair[3] = "";
    for (size_t i = 0; bytes && i + 1 < crl.size; i += 2) {
        memcpy(pair, crl.data + i, 2);
        if (!isxdigit((unsigned char)pair[0]) || sscanf(pair, "%2x", &byte) != 1) {
            break;
        }
        bytes[used++] = (uint8_t)byte;
    }
    X509_CRL *read = bytes ? read_crl(cella_bytes_of(bytes, used)) : NULL;
    free(bytes);
    return read;
}

cella_result crl_der(struct cella_bytes crl, uint8_t **ret_der, size_t *ret_size)
{
    X509_CRL *read = read_crl(crl);
    if (!read) {
        read = read_hex_crl(crl);
    }
    CELLA_ENSURE(read, BAD_FIELD);
    uint8_t *der = NULL;
    int size = i2d_X509_CRL(read, NULL);
    if (size > 0) {
        der = malloc((size_t)size);
    }
    uint8_t *at = der;
    if (der) {
        i2d_X509_CRL(read, &at);
    }
    X509_CRL_free(read);
    CELLA_ENSURE(der, OUT_OF_MEMORY);
    *ret_der = der;
    *ret_size = (size_t)size;
    return CELLA_OK;
}

char *crl_pem(struct cella_bytes der)
{
    X509_CRL *read = read_crl(der);
    BIO *bio = read ? BIO_new(BIO_s_mem()) : NULL;
    char *pem = NULL;
    if (bio && PEM_write_bio_X509_CRL(bio, read) == 1) {
        pem = take_text(bio);
    } else {
        BIO_free(bio);
    }
    X509_CRL_free(read);
    return pem;
}
