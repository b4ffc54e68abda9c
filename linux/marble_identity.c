/*
 * What a Marble shows of itself: a key, a certificate for the connection, a request for the certificate it wants, a quote.
 * Side: enclave, ordinary code of the kernel's libc. Called by marble_call.c. marble.h is the manual.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "cella/attest.h"
#include "linux/ego.h"
#include "linux/marble.h"

#define SERIAL_BITS 127
#define HOUR 3600
#define YEAR (365 * 24 * HOUR)
#define REPORT_DATA_SIZE 64u

EVP_PKEY *marble_key(void)
{
    return EVP_EC_gen("P-256");
}

static bool name_add(GENERAL_NAMES *names, int type, ASN1_STRING *value, const void *data,
                     size_t size)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name && value && ASN1_STRING_set(value, data, (int)size) == 1) {
        GENERAL_NAME_set0_value(name, type, value);
        if (sk_GENERAL_NAME_push(names, name) > 0) {
            return true;
        }
    } else {
        ASN1_STRING_free(value);
    }
    GENERAL_NAME_free(name);
    return false;
}

/* The names that the manifest's TLS may ask for, and this machine. */
static GENERAL_NAMES *names_of(const struct marble *marble)
{
    static const uint8_t loopback_4[4] = {127, 0, 0, 1}, loopback_6[16] = {[15] = 1};
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool done = names != NULL;
    for (const char *at = marble->names; done; at++) {
        const size_t size = strcspn(at, ",");
        done = size == 0 || name_add(names, GEN_DNS, ASN1_IA5STRING_new(), at, size);
        at += size;
        if (*at == 0) {
            break;
        }
    }
    done = done &&
           name_add(names, GEN_IPADD, ASN1_OCTET_STRING_new(), loopback_4, sizeof(loopback_4)) &&
           name_add(names, GEN_IPADD, ASN1_OCTET_STRING_new(), loopback_6, sizeof(loopback_6));
    if (!done) {
        GENERAL_NAMES_free(names);
        return NULL;
    }
    return names;
}

static bool serial_set(X509 *certificate)
{
    BIGNUM *number = BN_new();
    const bool done = number &&
                      BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool subject_set(X509_NAME *name, const char *field)
{
    static const unsigned char text[] = "MarbleRun Marble";
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, text, sizeof(text) - 1, -1, 0) ==
           1;
}

static bool certificate_fill(X509 *certificate, const struct marble *marble, EVP_PKEY *key)
{
    GENERAL_NAMES *names = names_of(marble);
    const bool done =
        names && X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
        subject_set(X509_get_subject_name(certificate), "CN") &&
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)marble->time - HOUR) &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)marble->time + YEAR) &&
        X509_set_pubkey(certificate, key) == 1 &&
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
        X509_sign(certificate, key, EVP_sha256()) > 0;
    GENERAL_NAMES_free(names);
    return done;
}

X509 *marble_certificate(const struct marble *marble, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    if (certificate && !certificate_fill(certificate, marble, key)) {
        X509_free(certificate);
        certificate = NULL;
    }
    return certificate;
}

static bool csr_fill(X509_REQ *request, const struct marble *marble, EVP_PKEY *key)
{
    GENERAL_NAMES *names = names_of(marble);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    const bool done =
        names &&
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
        X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
        subject_set(X509_REQ_get_subject_name(request), "O") &&
        X509_REQ_add_extensions(request, extensions) == 1 &&
        X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()) > 0;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(names);
    return done;
}

size_t marble_csr(const struct marble *marble, EVP_PKEY *key, uint8_t **ret_der)
{
    X509_REQ *request = X509_REQ_new();
    unsigned char *made = NULL;
    const int size = request && csr_fill(request, marble, key) ? i2d_X509_REQ(request, &made) : 0;
    X509_REQ_free(request);
    *ret_der = size > 0 ? malloc((size_t)size) : NULL;
    if (*ret_der) {
        memcpy(*ret_der, made, (size_t)size);
    }
    OPENSSL_free(made);
    return *ret_der ? (size_t)size : 0;
}

size_t marble_quote(X509 *certificate, uint8_t **ret_report)
{
    uint8_t data[REPORT_DATA_SIZE] = {0};
    size_t size = 0;
    *ret_report = NULL;
    if (X509_digest(certificate, EVP_sha256(), data, NULL) != 1 ||
        cella_quote_create(data, NULL, 0, &size).code != CELLA_CODE_BUFFER_TOO_SMALL) {
        return 0;
    }
    uint8_t *report = malloc(sizeof(struct linux_ego_header) + size);
    if (!report || !cella_is_ok(cella_quote_create(data, report + sizeof(struct linux_ego_header),
                                                   size, &size))) {
        free(report);
        return 0;
    }
    const struct linux_ego_header header = {
        .version = LINUX_EGO_VERSION, .type = LINUX_EGO_REMOTE, .size = size};
    memcpy(report, &header, sizeof(header));
    *ret_report = report;
    return sizeof(header) + size;
}
