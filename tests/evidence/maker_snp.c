/*
 * SEV-SNP reports and AMD's certificates, made on the spot, with any part of it wrong on purpose.
 * Side: tests. Called by tests/evidence/test_snp.c and write_corpus.c. Keys are new in every run; nothing is anybody's.
 */
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/evidence/maker.h"

#define REPORT_SIZE 1184
#define SIGNED_SIZE 0x2A0

static EVP_PKEY *g_ark, *g_ask, *g_vek, *g_other;

static const char *product_name(enum cella_snp_product product)
{
    return cella_snp_product_name(product);
}

static EVP_PKEY *rsa_key(EVP_PKEY **kept)
{
    if (!*kept) {
        *kept = EVP_RSA_gen(2048);
        assert_non_null(*kept);
    }
    return *kept;
}

void snp_spec_init(struct snp_spec *spec, enum cella_snp_product product, unsigned version)
{
    *spec = (struct snp_spec){
        .version = version,
        .product = product,
        .certificate_product = product,
        .chip_fill = 0xC1,
        .certificate_chip_fill = 0xC1,
        .vek_from = MAKER_NOW - 10 * MAKER_DAY,
        .vek_until = MAKER_NOW + 1000 * MAKER_DAY,
        .crl_until = MAKER_NOW + 10 * MAKER_DAY,
        .tcb_parts = {4, 0, 24, 219, 0},
    };
    spec->tcb_raw = 0xDB18000000000004;
    if (product == CELLA_SNP_TURIN) {
        spec->tcb_parts[4] = 2;
        spec->tcb_raw = 0xDB00000018000402;
    }
}

static void put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static X509 *certificate_new(const char *name, const char *issuer, int64_t from, int64_t until,
                             int serial, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    assert_true(X509_set_version(certificate, 2));
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    maker_time(X509_getm_notBefore(certificate), from);
    maker_time(X509_getm_notAfter(certificate), until);
    maker_name(X509_get_subject_name(certificate), name);
    maker_name(X509_get_issuer_name(certificate), issuer);
    assert_true(X509_set_pubkey(certificate, key));
    return certificate;
}

static void ca_mark(X509 *certificate)
{
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

/* RSASSA-PSS with SHA-384 everywhere and 48 bytes of salt, as AMD signs. */
static EVP_MD_CTX *pss_context(EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey = NULL;
    assert_true(EVP_DigestSignInit(context, &pkey, EVP_sha384(), NULL, key) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, 48) > 0);
    return context;
}

static struct blob certificate_seal(X509 *certificate, EVP_PKEY *key, bool is_bad)
{
    EVP_MD_CTX *context = pss_context(key);
    assert_true(X509_sign_ctx(certificate, context) > 0);
    EVP_MD_CTX_free(context);
    struct blob blob = maker_certificate_der(certificate);
    X509_free(certificate);
    blob.data[blob.size - 1] ^= is_bad;
    return blob;
}

static void extension_add(X509 *certificate, const char *oid_text, const void *data, size_t size)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(oid_text, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(value, data, (int)size));
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static void number_add(X509 *certificate, const char *oid, uint8_t number)
{
    uint8_t der[4] = {0x02, number < 128 ? 1 : 2, number < 128 ? number : 0, number};
    extension_add(certificate, oid, der, number < 128 ? 3 : 4);
}

static struct blob vek_make(const struct snp_spec *spec, const char *issuer)
{
    static const char *const oids[] = {"1.3.6.1.4.1.3704.1.3.1", "1.3.6.1.4.1.3704.1.3.2",
                                       "1.3.6.1.4.1.3704.1.3.3", "1.3.6.1.4.1.3704.1.3.8",
                                       "1.3.6.1.4.1.3704.1.3.9"};
    char name[32] = {0x16};
    uint8_t chip[64];
    bool is_turin = spec->certificate_product == CELLA_SNP_TURIN;
    X509 *certificate = certificate_new(spec->vlek_certificate ? "SEV-VLEK" : "SEV-VCEK", issuer,
                                        spec->vek_from, spec->vek_until, 0, g_vek);
    int length =
        snprintf(name + 2, sizeof(name) - 2, "%s-B0", product_name(spec->certificate_product));
    name[1] = (char)length;
    extension_add(certificate, "1.3.6.1.4.1.3704.1.2", name, (size_t)length + 2);
    for (int i = 0; i < (is_turin ? 5 : 4); i++) {
        number_add(certificate, oids[i], spec->tcb_parts[i]);
    }
    memset(chip, spec->certificate_chip_fill, sizeof(chip));
    if (spec->vlek_certificate) {
        extension_add(certificate, "1.3.6.1.4.1.3704.1.5", "\x16\x04test", 6);
    } else {
        extension_add(certificate, "1.3.6.1.4.1.3704.1.4", chip, is_turin ? 8 : 64);
    }
    return certificate_seal(certificate, g_ask, spec->vek_signature_bad);
}

static struct blob crl_make(const struct snp_spec *spec, const char *issuer)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_new();
    uint8_t *der = NULL;
    maker_name(name, issuer);
    maker_time(time, MAKER_NOW - 10 * MAKER_DAY);
    assert_true(X509_CRL_set_version(crl, 1) && X509_CRL_set_issuer_name(crl, name) &&
                X509_CRL_set1_lastUpdate(crl, time));
    if (spec->crl_revokes_ask) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, 77);
        assert_true(X509_REVOKED_set_serialNumber(revoked, serial) &&
                    X509_REVOKED_set_revocationDate(revoked, time) &&
                    X509_CRL_add0_revoked(crl, revoked));
        ASN1_INTEGER_free(serial);
    }
    maker_time(time, spec->crl_until);
    assert_true(X509_CRL_set1_nextUpdate(crl, time));
    EVP_MD_CTX *context = pss_context(g_ark);
    assert_true(X509_CRL_sign_ctx(crl, context) > 0);
    EVP_MD_CTX_free(context);
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    struct blob blob = {.data = malloc((size_t)size), .size = (size_t)size};
    assert_non_null(blob.data);
    memcpy(blob.data, der, blob.size);
    blob.data[blob.size - 1] ^= spec->crl_signature_bad;
    OPENSSL_free(der);
    X509_CRL_free(crl);
    X509_NAME_free(name);
    ASN1_TIME_free(time);
    return blob;
}

static void body_make(const struct snp_spec *spec, uint8_t *report)
{
    static const uint8_t families[] = {0, 0x19, 0x19, 0x1A};
    static const uint8_t models[] = {0, 0x01, 0x11, 0x02};
    put(report, spec->version, 4);
    put(report + 0x04, 5, 4);
    put(report + 0x08, 0x30000 | (spec->is_debug ? 1u << 19 : 0), 8);
    put(report + 0x30, spec->vmpl, 4);
    put(report + 0x34, 1, 4);
    put(report + 0x38, spec->tcb_raw, 8);
    put(report + 0x40, 1, 8);
    put(report + 0x48, (spec->is_vlek ? 1u << 2 : 0) | spec->key_info_extra, 4);
    memset(report + 0x50, 0xDD, 64);
    memset(report + 0x90, 0x3E, 48);
    memset(report + 0xC0, 0x40, 32);
    memset(report + 0xE0, 0x1D, 48);
    put(report + 0x180, spec->tcb_raw, 8);
    if (spec->version >= 3) {
        report[0x188] = families[spec->product];
        report[0x189] = models[spec->product];
    }
    if (!spec->mask_chip) {
        memset(report + 0x1A0, spec->chip_fill, spec->product == CELLA_SNP_TURIN ? 8 : 64);
    }
    put(report + 0x1E0, spec->tcb_raw, 8);
    put(report + 0x1F0, spec->tcb_raw, 8);
}

/* The table: something that is no certificate, a list, VCEK, ASK, ARK, an entry of zeros; then their bytes. */
static size_t table_make(const struct snp_made *made, uint8_t *table)
{
    static uint8_t firmware[] = "0 firmware";
    const struct blob other = {firmware, sizeof(firmware)};
    const struct blob *blobs[] = {&other, &made->crl, &made->vek, &made->ask, &made->ark};
    const size_t count = sizeof(blobs) / sizeof(blobs[0]);
    size_t offset = (count + 1) * 24;
    for (size_t i = 0; i < count; i++) {
        memset(table + 24 * i, 0x10 + (int)i, 16);
        put(table + 24 * i + 16, offset, 4);
        put(table + 24 * i + 20, blobs[i]->size, 4);
        if (blobs[i]->size > 0) {
            memcpy(table + offset, blobs[i]->data, blobs[i]->size);
        }
        offset += blobs[i]->size;
    }
    return offset;
}

static struct blob report_make(const struct snp_spec *spec, const struct snp_made *made)
{
    uint8_t *report = calloc(1, REPORT_SIZE + 8192);
    uint8_t signature[96];
    assert_non_null(report);
    body_make(spec, report);
    maker_sign(g_vek, report, SIGNED_SIZE, signature, 48);
    for (int i = 0; i < 48; i++) {
        report[SIGNED_SIZE + i] = signature[47 - i];
        report[SIGNED_SIZE + 72 + i] = signature[95 - i];
    }
    report[SIGNED_SIZE + 3] ^= spec->is_signature_bad;
    report[SIGNED_SIZE + 144] = spec->tail_fill;
    size_t size = REPORT_SIZE + (spec->has_table ? table_make(made, report + REPORT_SIZE) : 0);
    return (struct blob){.data = report, .size = size};
}

void snp_make(const struct snp_spec *spec, struct snp_made *made)
{
    char ark_name[32];
    char ask_name[32];
    int64_t from = MAKER_NOW - 1000 * MAKER_DAY;
    int64_t until = MAKER_NOW + 9000 * MAKER_DAY;
    EVP_PKEY *ark = rsa_key(&g_ark);
    rsa_key(&g_ask);
    g_vek = g_vek ? g_vek : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    assert_non_null(g_vek);
    ark = spec->ark_untrusted ? rsa_key(&g_other) : ark;
    snprintf(ark_name, sizeof(ark_name), "ARK-%s", product_name(spec->product));
    snprintf(ask_name, sizeof(ask_name), "SEV-%s%s", spec->is_vlek ? "VLEK-" : "",
             product_name(spec->product));
    const char *ask = spec->ask_name ? spec->ask_name : ask_name;
    *made = (struct snp_made){0};
    X509 *certificate = certificate_new(ark_name, ark_name, from, until, 76, ark);
    ca_mark(certificate);
    made->ark = certificate_seal(certificate, ark, false);
    certificate = certificate_new(ask, ark_name, from, until, 77, g_ask);
    ca_mark(certificate);
    made->ask = certificate_seal(certificate, ark, spec->ask_signature_bad);
    made->vek = vek_make(spec, ask);
    made->crl = crl_make(spec, ark_name);
    made->report = report_make(spec, made);
}

void snp_made_done(struct snp_made *made)
{
    free(made->report.data);
    free(made->vek.data);
    free(made->ask.data);
    free(made->ark.data);
    free(made->crl.data);
    *made = (struct snp_made){0};
}
