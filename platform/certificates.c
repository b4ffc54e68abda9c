/*
 * The four certificates of a software platform, in the shape of Intel's: names, order and kinds of extensions.
 * Side: host. Called by platform.c. Source: Intel SGX PCK certificate and CRL profile specification 1.5, chapter 2.
 * Never names Intel as the organisation: the common names hold the phrases that verifiers look for.
 */
#include <openssl/asn1.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "platform/internal.h"

#define DAY 86400ll
#define YEAR (365 * DAY)
#define SGX_EXTENSION "1.2.840.113741.1.13.1"

PLATFORM_FREE(conf, CONF, NCONF_free)
PLATFORM_FREE(asn1, ASN1_TYPE, ASN1_TYPE_free)
PLATFORM_FREE(name, X509_NAME, X509_NAME_free)
PLATFORM_FREE(extension, X509_EXTENSION, X509_EXTENSION_free)
PLATFORM_FREE(octets, ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
PLATFORM_FREE(object, ASN1_OBJECT, ASN1_OBJECT_free)

/* One certificate to be made. */
struct shape {
    enum platform_certificate which, issuer;
    const char *common_name;
    const char *usage;
    const char *constraints;
    const char *crl; /* path below the platform's URL */
    struct platform_period period;
    int64_t years;
};

static cella_result name_make(const char *common_name, X509_NAME **ret_name,
                              struct cella_error *error)
{
    static const char *const rest[][2] = {
        {"O", "Cella software platform"},
        {"L", "Nowhere"},
        {"ST", "CA"},
        {"C", "US"},
    };
    CELLA_CLEANUP(platform_name_done) X509_NAME *name = X509_NAME_new();
    bool good = name && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                   (const uint8_t *)common_name, -1, -1, 0) == 1;
    for (size_t i = 0; good && i < CELLA_COUNT(rest); i++) {
        good = X509_NAME_add_entry_by_txt(name, rest[i][0], MBSTRING_ASC,
                                          (const uint8_t *)rest[i][1], -1, -1, 0) == 1;
    }
    PLATFORM_CHECK(good, error, common_name);
    *ret_name = CELLA_TAKE(name);
    return CELLA_OK;
}

/* 20 bytes that the key determines, positive and never shorter. */
static cella_result serial_set(X509 *certificate, EVP_PKEY *key, int64_t from,
                               struct cella_error *error)
{
    uint8_t input[PLATFORM_KEY_SIZE + 8];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    CELLA_TRY(platform_key_point(key, input, error));
    memcpy(input + PLATFORM_KEY_SIZE, &from, 8);
    SHA256(input, sizeof(input), hash);
    hash[0] = (uint8_t)((hash[0] & 0x3F) | 0x40);
    CELLA_CLEANUP(platform_bn_done) BIGNUM *number = BN_bin2bn(hash, 20, NULL);
    PLATFORM_CHECK(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)), error,
                   "serial number");
    return CELLA_OK;
}

/* An extension by the library's own configuration language, at place `at`. */
static cella_result extension_add(X509 *certificate, X509 *issuer, int nid, const char *value,
                                  int at, struct cella_error *error)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    CELLA_CLEANUP(platform_extension_done)
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    PLATFORM_CHECK(extension && X509_add_ext(certificate, extension, at) == 1, error, value);
    return CELLA_OK;
}

static void hex_print(BIO *text, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        BIO_printf(text, "%02X", bytes[i]);
    }
}

/* A section "name" of an OID and an octet string, in the library's language for ASN.1. */
static void octets_print(BIO *text, const char *name, const uint8_t *bytes, size_t size)
{
    BIO_printf(text, "[%s]\noid=OID:" SGX_EXTENSION ".%s\nvalue=FORMAT:HEX,OCTETSTRING:", name,
               name + 1);
    hex_print(text, bytes, size);
    BIO_printf(text, "\n");
}

static void tcb_print(const struct platform *platform, BIO *text)
{
    const struct platform_options *options = &platform->options;
    BIO_printf(text, "[x2]\noid=OID:" SGX_EXTENSION ".2\nvalue=SEQUENCE:tcb\n[tcb]\n");
    for (unsigned i = 1; i <= 18; i++) {
        BIO_printf(text, "c%u=SEQUENCE:x2.%u\n", i, i);
    }
    for (unsigned i = 1; i <= 17; i++) {
        const unsigned value = i == 17 ? options->pce_svn : options->components[i - 1];
        BIO_printf(text, "[x2.%u]\noid=OID:" SGX_EXTENSION ".2.%u\nvalue=INTEGER:%u\n", i, i,
                   value);
    }
    octets_print(text, "x2.18", options->cpu_svn, 16);
}

static void configuration_print(const struct platform *platform, BIO *text)
{
    const bool values[] = {platform->options.dynamic_platform, platform->options.cached_keys,
                           platform->options.smt_enabled};
    octets_print(text, "x6", platform->instance_id, 16);
    BIO_printf(text, "[x7]\noid=OID:" SGX_EXTENSION ".7\nvalue=SEQUENCE:configuration\n"
                     "[configuration]\na=SEQUENCE:x7.1\nb=SEQUENCE:x7.2\nc=SEQUENCE:x7.3\n");
    for (unsigned i = 1; i <= 3; i++) {
        BIO_printf(text, "[x7.%u]\noid=OID:" SGX_EXTENSION ".7.%u\nvalue=BOOL:%s\n", i, i,
                   values[i - 1] ? "TRUE" : "FALSE");
    }
}

static void sgx_print(const struct platform *platform, BIO *text)
{
    const unsigned last = platform->options.ca == PLATFORM_CA_PLATFORM ? 7 : 5;
    BIO_printf(text, "[sgx]\n");
    for (unsigned i = 1; i <= last; i++) {
        BIO_printf(text, "p%u=SEQUENCE:x%u\n", i, i);
    }
    octets_print(text, "x1", platform->ppid, 16);
    tcb_print(platform, text);
    octets_print(text, "x3", platform->options.pce_id, 2);
    octets_print(text, "x4", platform->options.fmspc, 6);
    BIO_printf(text, "[x5]\noid=OID:" SGX_EXTENSION ".5\nvalue=ENUM:%u\n",
               platform->options.sgx_type);
    if (last == 7) {
        configuration_print(platform, text);
    }
}

static cella_result sgx_extension_add(const struct platform *platform, X509 *certificate,
                                      struct cella_error *error)
{
    CELLA_CLEANUP(platform_bio_done) BIO *text = BIO_new(BIO_s_mem());
    CELLA_CLEANUP(platform_conf_done) CONF *conf = NCONF_new(NULL);
    long line = 0;
    PLATFORM_CHECK(text && conf, error, "SGX extensions");
    sgx_print(platform, text);
    PLATFORM_CHECK(NCONF_load_bio(conf, text, &line) == 1, error, "SGX extensions");
    CELLA_CLEANUP(platform_asn1_done) ASN1_TYPE *value = ASN1_generate_nconf("SEQUENCE:sgx", conf);
    PLATFORM_CHECK(value && value->type == V_ASN1_SEQUENCE, error, "SGX extensions");
    CELLA_CLEANUP(platform_octets_done) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    CELLA_CLEANUP(platform_object_done) ASN1_OBJECT *object = OBJ_txt2obj(SGX_EXTENSION, 1);
    PLATFORM_CHECK(octets && object &&
                       ASN1_OCTET_STRING_set(octets, value->value.sequence->data,
                                             value->value.sequence->length) == 1,
                   error, "SGX extensions");
    CELLA_CLEANUP(platform_extension_done)
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets);
    PLATFORM_CHECK(extension && X509_add_ext(certificate, extension, -1) == 1, error,
                   "SGX extensions");
    return CELLA_OK;
}

static cella_result extensions_add(const struct platform *platform, const struct shape *shape,
                                   X509 *certificate, X509 *issuer, struct cella_error *error)
{
    char crl[512];
    snprintf(crl, sizeof(crl), "URI:%s%s", platform->url, shape->crl);
    /* the subject's is made first: a root's issuer identifier is its own */
    CELLA_TRY(extension_add(certificate, issuer, NID_subject_key_identifier, "hash", 0, error));
    CELLA_TRY(
        extension_add(certificate, issuer, NID_authority_key_identifier, "keyid:always", 0, error));
    CELLA_TRY(extension_add(certificate, issuer, NID_crl_distribution_points, crl, 1, error));
    CELLA_TRY(extension_add(certificate, issuer, NID_key_usage, shape->usage, 3, error));
    CELLA_TRY(
        extension_add(certificate, issuer, NID_basic_constraints, shape->constraints, 4, error));
    return shape->which == PLATFORM_PCK ? sgx_extension_add(platform, certificate, error)
                                        : CELLA_OK;
}

static cella_result encode(struct platform *platform, enum platform_certificate which,
                           struct cella_error *error)
{
    X509 *certificate = platform->certificates[which];
    uint8_t *der = NULL;
    const int size = i2d_X509(certificate, &der);
    PLATFORM_CHECK(size > 0, error, "certificate");
    const cella_result result = platform_blob_of(der, (size_t)size, &platform->der[which]);
    OPENSSL_free(der);
    CELLA_TRY(result);
    CELLA_CLEANUP(platform_bio_done) BIO *text = BIO_new(BIO_s_mem());
    char *pem;
    PLATFORM_CHECK(text && PEM_write_bio_X509(text, certificate) == 1, error, "certificate");
    const long pem_size = BIO_get_mem_data(text, &pem);
    return platform_blob_of(pem, (size_t)pem_size, &platform->pem[which]);
}

/* A certificate that was kept: only with this platform's key, signed by this platform's issuer, and not expired. */
static X509 *certificate_kept(const struct platform *platform, const struct shape *shape)
{
    const struct platform_blob *kept = platform->options.kept[shape->which];
    const uint8_t *at = kept ? kept->data : NULL;
    X509 *certificate = kept ? d2i_X509(NULL, &at, (long)kept->size) : NULL;
    time_t now = (time_t)platform->options.created;
    if (certificate &&
        (at != kept->data + kept->size ||
         X509_cmp_time(X509_get0_notAfter(certificate), &now) <= 0 ||
         EVP_PKEY_eq(X509_get0_pubkey(certificate), platform->keys[shape->which]) != 1 ||
         X509_verify(certificate, platform->keys[shape->issuer]) != 1)) {
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

static cella_result certificate_make(struct platform *platform, const struct shape *shape,
                                     struct cella_error *error)
{
    platform->certificates[shape->which] = certificate_kept(platform, shape);
    if (platform->certificates[shape->which]) {
        return encode(platform, shape->which, error);
    }
    const int64_t from = shape->period.from ? shape->period.from : platform->options.created;
    const int64_t until = shape->period.until ? shape->period.until : from + shape->years * YEAR;
    CELLA_CLEANUP(platform_x509_done) X509 *certificate = X509_new();
    CELLA_CLEANUP(platform_name_done) X509_NAME *subject = NULL;
    CELLA_TRY(name_make(shape->common_name, &subject, error));
    X509 *issuer =
        shape->issuer == shape->which ? certificate : platform->certificates[shape->issuer];
    PLATFORM_CHECK(certificate && X509_set_version(certificate, 2) == 1 &&
                       X509_set_subject_name(certificate, subject) == 1 &&
                       X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
                       ASN1_TIME_set(X509_getm_notBefore(certificate), from) &&
                       ASN1_TIME_set(X509_getm_notAfter(certificate), until) &&
                       X509_set_pubkey(certificate, platform->keys[shape->which]) == 1,
                   error, shape->common_name);
    CELLA_TRY(serial_set(certificate, platform->keys[shape->which], from, error));
    CELLA_TRY(extensions_add(platform, shape, certificate, issuer, error));
    PLATFORM_CHECK(X509_sign(certificate, platform->keys[shape->issuer], EVP_sha256()) > 0, error,
                   shape->common_name);
    platform->certificates[shape->which] = CELLA_TAKE(certificate);
    return encode(platform, shape->which, error);
}

cella_result platform_certify(struct platform *platform, struct cella_error *error)
{
    const struct platform_options *options = &platform->options;
    const bool is_platform_ca = options->ca == PLATFORM_CA_PLATFORM;
    static const char authority[] = "critical,keyCertSign,cRLSign";
    static const char leaf[] = "critical,digitalSignature,nonRepudiation";
    const struct shape shapes[] = {
        {PLATFORM_ROOT, PLATFORM_ROOT, "Cella SGX Root CA", authority, "critical,CA:TRUE,pathlen:1",
         "/rootcacrl", options->root_period, 30},
        {PLATFORM_PCK_CA, PLATFORM_ROOT,
         is_platform_ca ? "Cella SGX PCK Platform CA" : "Cella SGX PCK Processor CA", authority,
         "critical,CA:TRUE,pathlen:0", "/rootcacrl", options->ca_period, 15},
        {PLATFORM_TCB_SIGNING, PLATFORM_ROOT, "Cella SGX TCB Signing", leaf, "critical,CA:FALSE",
         "/rootcacrl", options->tcb_signing_period, 7},
        {PLATFORM_PCK, PLATFORM_PCK_CA, "Cella SGX PCK Certificate", leaf, "critical,CA:FALSE",
         is_platform_ca ? "/pckcrl?ca=platform&encoding=der" : "/pckcrl?ca=processor&encoding=der",
         options->pck_period, 7},
    };
    for (size_t i = 0; i < CELLA_COUNT(shapes); i++) {
        CELLA_TRY(certificate_make(platform, &shapes[i], error));
    }
    return CELLA_OK;
}
