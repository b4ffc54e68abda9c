/*
 * DCAP quotes and their collateral, made on the spot, with any part of it wrong on purpose.
 * Side: tests. Called by tests/evidence/test_*.c and write_corpus.c. Keys are new in every run; nothing is anybody's.
 */
#include "tests/evidence/maker.h"

#include <openssl/asn1t.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TEXT_MAX 32768

static const char *const g_names[ROLE_COUNT] = {"Test SGX Root CA", "Test SGX PCK Platform CA",
                                                "Test SGX TCB Signing", "Test SGX PCK Certificate"};

void spec_init(struct spec *spec, enum cella_tee tee, unsigned version)
{
    *spec = (struct spec){.tee = tee, .version = version};
    for (int i = 0; i < ROLE_COUNT; i++) {
        spec->certificates[i] = (struct certificate_spec){
            .name = g_names[i],
            .from = MAKER_NOW - 100 * MAKER_DAY,
            .until = MAKER_NOW + 1000 * MAKER_DAY,
            .signer = i == ROLE_PCK ? ROLE_CA : ROLE_ROOT,
            .is_ca = i <= ROLE_CA,
        };
    }
    spec->root_crl = (struct crl_spec){.signer = ROLE_ROOT, .issuer = ROLE_ROOT, .revoked = -1};
    spec->pck_crl = (struct crl_spec){.signer = ROLE_CA, .issuer = ROLE_CA, .revoked = -1};
    spec->root_crl.from = spec->pck_crl.from = MAKER_NOW - 10 * MAKER_DAY;
    spec->root_crl.until = spec->pck_crl.until = MAKER_NOW + 20 * MAKER_DAY;
    spec->other_pck_crl = spec->pck_crl;
    spec->other_pck_crl.is_missing = true;
    spec->tcb = (struct document_spec){.from = MAKER_NOW - 5 * MAKER_DAY,
                                       .until = MAKER_NOW + 25 * MAKER_DAY,
                                       .signer = ROLE_TCB,
                                       .version = 3};
    spec->qe = spec->tcb;
    spec->qe.version = 2;
    spec->tcb.id = tee == CELLA_TEE_TDX ? "TDX" : "SGX";
    spec->qe.id = tee == CELLA_TEE_TDX ? "TD_QE" : "QE";
    spec->tcb_fmspc = "00CE11A00000";
    spec->tcb_pce_id = "0000";
    memcpy(spec->fmspc, "\x00\xCE\x11\xA0\x00\x00", 6);
    memset(spec->components, 5, 16);
    spec->pck_pce_svn = 11;
    spec->level_count = 2;
    spec->levels[0] = (struct level_spec){.pce_svn = 11, .status = "UpToDate"};
    memset(spec->levels[0].sgx, 5, 16);
    spec->levels[1] =
        (struct level_spec){.pce_svn = 5, .status = "OutOfDate", .advisory = "INTEL-SA-00001"};
    memset(spec->levels[1].sgx, 2, 16);
    for (int i = 0; i < 2; i++) {
        memcpy(spec->levels[i].tdx, i ? "\x03\x00\x04" : "\x05\x00\x06", 3);
    }
    spec->modules[0] = (struct module_spec){
        .id = "TDX_01", .levels = {{4, "UpToDate", NULL}, {2, "OutOfDate", "INTEL-SA-00002"}}};
    memcpy(spec->tee_tcb_svn, "\x04\x01\x06", 3);
    memcpy(spec->tee_tcb_svn2, "\x04\x01\x06", 3);
    spec->qe_levels[0] = (struct svn_level_spec){8, "UpToDate", NULL};
    spec->qe_levels[1] = (struct svn_level_spec){6, "OutOfDate", "INTEL-SA-00003"};
    spec->qe_levels[2] = (struct svn_level_spec){5, "Revoked", NULL};
    spec->qe_level_count = 3;
    spec->qe_svn = 8;
    spec->qe_product = spec->identity_product = tee == CELLA_TEE_TDX ? 2 : 1;
    spec->qe_signer_fill = spec->identity_signer_fill = 0x8C;
    spec->qe_flags = 0x11;
    spec->key_type = 2;
    spec->certification_type = 5;
    spec->vendor_first = 0x93;
    spec->flags = 0x5;
    spec->td_attributes = 0x10000000;
    spec->product = 7;
    spec->svn = 3;
    spec->has_configuration = true;
    spec->qe_report_signer = ROLE_PCK;
}

static void put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static struct blob blob_copy(const void *data, size_t size)
{
    struct blob blob = {.data = malloc(size + 1), .size = size};
    assert_non_null(blob.data);
    memcpy(blob.data, data, size);
    blob.data[size] = 0;
    return blob;
}

static void blob_done(struct blob *blob)
{
    free(blob->data);
    *blob = (struct blob){0};
}

void maker_time(ASN1_TIME *out, int64_t time)
{
    assert_non_null(ASN1_TIME_set(out, (time_t)time));
}

void maker_name(X509_NAME *name, const char *common_name)
{
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name,
                                           -1, -1, 0));
    assert_true(
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Test", -1, -1, 0));
}

void maker_sign(EVP_PKEY *key, const void *data, size_t size, uint8_t *out, size_t half)
{
    uint8_t der[128];
    size_t der_size = sizeof(der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_true(
        EVP_DigestSignInit(context, NULL, half == 32 ? EVP_sha256() : EVP_sha384(), NULL, key) > 0);
    assert_true(EVP_DigestSign(context, der, &der_size, data, size) > 0);
    EVP_MD_CTX_free(context);
    const uint8_t *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_size);
    assert_non_null(signature);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)half), half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + half, (int)half), half);
    ECDSA_SIG_free(signature);
}

/* A growing DER text, written from the end to the front: each wrapper goes before what it wraps. */
struct der_out {
    uint8_t data[4096];
    size_t start;
};

static void der_prepend(struct der_out *out, const void *data, size_t size)
{
    assert_true(out->start >= size);
    out->start -= size;
    memcpy(out->data + out->start, data, size);
}

static void der_wrap(struct der_out *out, uint8_t tag, size_t end)
{
    size_t length = end - out->start;
    uint8_t head[4] = {tag, (uint8_t)length};
    size_t head_size = 2;
    if (length >= 256) {
        memcpy(head + 1, (uint8_t[]){0x82, (uint8_t)(length >> 8), (uint8_t)length}, 3);
        head_size = 4;
    } else if (length >= 128) {
        memcpy(head + 1, (uint8_t[]){0x81, (uint8_t)length}, 2);
        head_size = 3;
    }
    der_prepend(out, head, head_size);
}

/* SEQUENCE { OID …13.1(.parent).arc, value }, the value's content given. */
static void der_pair(struct der_out *out, int parent, int arc, uint8_t tag, const void *value,
                     size_t size)
{
    static const uint8_t oid[] = {0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x01, 0x0D, 0x01};
    size_t end = out->start;
    der_prepend(out, value, size);
    if (tag) {
        der_wrap(out, tag, end);
    }
    size_t value_start = out->start;
    der_prepend(out, &(uint8_t){(uint8_t)arc}, 1);
    if (parent) {
        der_prepend(out, &(uint8_t){(uint8_t)parent}, 1);
    }
    der_prepend(out, oid, sizeof(oid));
    der_wrap(out, 0x06, value_start);
    der_wrap(out, 0x30, end);
}

static void der_tcb(const struct spec *spec, struct der_out *out)
{
    size_t end = out->start;
    uint8_t svn[3] = {0, (uint8_t)(spec->pck_pce_svn >> 8), (uint8_t)spec->pck_pce_svn};
    size_t skip = spec->pck_pce_svn < 128 ? 2 : spec->pck_pce_svn < 32768 ? 1 : 0;
    der_pair(out, 2, 18, 0x04, spec->components, 16);
    der_pair(out, 2, 17, 0x02, svn + skip, 3 - skip);
    for (int i = 16; i >= 1; i--) {
        uint8_t number[2] = {0, spec->components[i - 1]};
        size_t high = number[1] < 128;
        der_pair(out, 2, i, 0x02, number + high, 2 - high);
    }
    der_wrap(out, 0x30, end);
    struct der_out copy = *out;
    size_t size = end - out->start;
    out->start = end;
    der_pair(out, 0, 2, 0, copy.data + copy.start, size);
}

/* The whole SGX extension's value. */
static void der_sgx(const struct spec *spec, struct der_out *out)
{
    static const uint8_t ppid[16] = {0xAB};
    size_t end = out->start = sizeof(out->data);
    if (spec->has_configuration) {
        struct der_out list = {.start = sizeof(list.data)};
        uint8_t off = 0;
        uint8_t on = 0xFF;
        der_pair(&list, 7, 3, 0x01, spec->smt ? &on : &off, 1);
        der_pair(&list, 7, 2, 0x01, &off, 1);
        der_pair(&list, 7, 1, 0x01, spec->dynamic_platform ? &on : &off, 1);
        der_wrap(&list, 0x30, sizeof(list.data));
        der_pair(out, 0, 7, 0, list.data + list.start, sizeof(list.data) - list.start);
        der_pair(out, 0, 6, 0x04, ppid, 16);
    }
    der_pair(out, 0, 5, 0x0A, &(uint8_t){1}, 1);
    der_pair(out, 0, 4, 0x04, spec->fmspc, 6);
    der_pair(out, 0, 3, 0x04, spec->pce_id, 2);
    der_tcb(spec, out);
    der_pair(out, 0, 1, 0x04, ppid, 16);
    der_wrap(out, 0x30, end);
}

static void sgx_extension_add(const struct spec *spec, X509 *certificate)
{
    struct der_out out = {.start = sizeof(out.data)};
    der_sgx(spec, &out);
    ASN1_OBJECT *oid = OBJ_txt2obj("1.2.840.113741.1.13.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(
        ASN1_OCTET_STRING_set(value, out.data + out.start, (int)(sizeof(out.data) - out.start)));
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static void extension_add(X509 *certificate, int nid, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, text);
    assert_non_null(extension);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

struct blob maker_certificate_der(X509 *certificate)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);
    assert_true(size > 0);
    struct blob blob = blob_copy(der, (size_t)size);
    OPENSSL_free(der);
    return blob;
}

static struct blob bio_blob(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    struct blob blob = blob_copy(data, (size_t)size);
    BIO_free(bio);
    return blob;
}

static void certificate_make(const struct spec *spec, struct made *made, enum role role)
{
    const struct certificate_spec *what = &spec->certificates[role];
    X509 *certificate = X509_new();
    char constraints[64] = "critical,CA:FALSE";
    const char *issuer =
        what->issuer_name ? what->issuer_name : spec->certificates[what->signer].name;
    assert_true(X509_set_version(certificate, 2));
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1000 + role);
    maker_time(X509_getm_notBefore(certificate), what->from);
    maker_time(X509_getm_notAfter(certificate), what->until);
    maker_name(X509_get_subject_name(certificate), what->name);
    maker_name(X509_get_issuer_name(certificate), issuer);
    assert_true(X509_set_pubkey(certificate, made->keys[role]));
    if (what->is_ca) {
        snprintf(constraints, sizeof(constraints), "critical,CA:TRUE");
        if (what->has_path_length) {
            snprintf(constraints, sizeof(constraints), "critical,CA:TRUE,pathlen:%d",
                     what->path_length);
        }
    }
    extension_add(certificate, NID_basic_constraints, constraints);
    extension_add(certificate, NID_key_usage,
                  what->is_ca && !what->no_key_usage_sign ? "critical,keyCertSign,cRLSign"
                                                          : "critical,digitalSignature");
    if (role == ROLE_PCK && !spec->no_sgx_extension) {
        sgx_extension_add(spec, certificate);
    }
    assert_true(X509_sign(certificate, made->keys[what->signer], EVP_sha256()) > 0);
    made->der[role] = maker_certificate_der(certificate);
    X509_free(certificate);
    if (what->is_signature_bad) {
        made->der[role].data[made->der[role].size - 1] ^= 1;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, "CERTIFICATE", "", made->der[role].data,
                              (long)made->der[role].size) > 0);
    made->pem[role] = bio_blob(bio);
}

static struct blob crl_make(const struct spec *spec, const struct made *made,
                            const struct crl_spec *what)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_new();
    uint8_t *der = NULL;
    maker_name(name, spec->certificates[what->issuer].name);
    assert_true(X509_CRL_set_version(crl, 1) && X509_CRL_set_issuer_name(crl, name));
    maker_time(time, what->from);
    assert_true(X509_CRL_set1_lastUpdate(crl, time));
    if (what->revoked >= 0) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, 1000 + what->revoked);
        assert_true(X509_REVOKED_set_serialNumber(revoked, serial));
        assert_true(X509_REVOKED_set_revocationDate(revoked, time));
        assert_true(X509_CRL_add0_revoked(crl, revoked));
        ASN1_INTEGER_free(serial);
    }
    maker_time(time, what->until);
    assert_true(X509_CRL_set1_nextUpdate(crl, time));
    assert_true(X509_CRL_sign(crl, made->keys[what->signer], EVP_sha256()) > 0);
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    struct blob blob = blob_copy(der, (size_t)size);
    blob.data[blob.size - 1] ^= what->is_signature_bad;
    OPENSSL_free(der);
    X509_CRL_free(crl);
    X509_NAME_free(name);
    ASN1_TIME_free(time);
    return blob;
}

/* A JSON text that grows. */
struct text {
    char data[TEXT_MAX];
    size_t used;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text->data + text->used, TEXT_MAX - text->used, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && (size_t)size < TEXT_MAX - text->used);
    text->used += (size_t)size;
}

static void add_fill(struct text *text, const char *key, uint8_t fill, size_t size)
{
    add(text, "\"%s\":\"", key);
    for (size_t i = 0; i < size; i++) {
        add(text, "%02X", fill);
    }
    add(text, "\"");
}

static void add_date(struct text *text, const char *key, int64_t time)
{
    char date[32];
    time_t seconds = (time_t)time;
    struct tm parts;
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
    add(text, "\"%s\":\"%s\"", key, date);
}

static void add_level_end(struct text *text, const char *status, const char *advisory)
{
    add(text, ",");
    add_date(text, "tcbDate", MAKER_NOW - 200 * MAKER_DAY);
    add(text, ",\"tcbStatus\":\"%s\"", status);
    if (advisory) {
        add(text, ",\"advisoryIDs\":[\"%s\"]", advisory);
    }
    add(text, "}");
}

static void add_components(struct text *text, const char *key, const uint8_t components[16])
{
    add(text, "\"%s\":[", key);
    for (int i = 0; i < 16; i++) {
        add(text, "%s{\"svn\":%u}", i ? "," : "", components[i]);
    }
    add(text, "]");
}

static void add_level(const struct spec *spec, struct text *text, const struct level_spec *level)
{
    add(text, "{\"tcb\":{");
    if (spec->tcb.version == 2) {
        for (int i = 0; i < 16; i++) {
            add(text, "\"sgxtcbcomp%02dsvn\":%u,", i + 1, level->sgx[i]);
        }
    } else {
        add_components(text, "sgxtcbcomponents", level->sgx);
        add(text, ",");
        if (spec->tee == CELLA_TEE_TDX) {
            add_components(text, "tdxtcbcomponents", level->tdx);
            add(text, ",");
        }
    }
    add(text, "\"pcesvn\":%u}", level->pce_svn);
    add_level_end(text, level->status, level->advisory);
}

static void add_svn_level(struct text *text, const struct svn_level_spec *level)
{
    add(text, "{\"tcb\":{\"isvsvn\":%u}", level->svn);
    add_level_end(text, level->status, level->advisory);
}

static void add_module(struct text *text, uint8_t signer_fill)
{
    add_fill(text, "mrsigner", signer_fill, 48);
    add(text, ",");
    add_fill(text, "attributes", 0, 8);
    add(text, ",");
    add_fill(text, "attributesMask", 0xFF, 8);
}

static void add_modules(const struct spec *spec, struct text *text)
{
    add(text, "\"tdxModule\":{");
    add_module(text, spec->tdx_module_signer_fill);
    add(text, "}");
    for (int i = 0; i < 2 && spec->modules[i].id; i++) {
        add(text, i ? "," : ",\"tdxModuleIdentities\":[");
        add(text, "{\"id\":\"%s\",", spec->modules[i].id);
        add_module(text, spec->modules[i].mr_signer_fill);
        add(text, ",\"tcbLevels\":[");
        for (int j = 0; j < 2 && spec->modules[i].levels[j].status; j++) {
            add(text, j ? "," : "");
            add_svn_level(text, &spec->modules[i].levels[j]);
        }
        add(text, "]}");
    }
    add(text, spec->modules[0].id ? "]," : ",");
}

static void add_head(struct text *text, const struct document_spec *what)
{
    add(text, "{");
    if (what->id) {
        add(text, "\"id\":\"%s\",", what->id);
    }
    add(text, "\"version\":%u,", what->version);
    add_date(text, "issueDate", what->from);
    add(text, ",");
    add_date(text, "nextUpdate", what->until);
    add(text, ",\"tcbEvaluationDataNumber\":%u,", what->evaluation ? what->evaluation : 17);
}

/* Signs the text and wraps it; indents it after it was signed, if so wanted. */
static struct blob document_seal(const struct made *made, const struct document_spec *what,
                                 const char *key, const struct text *body)
{
    struct text *out = calloc(1, sizeof(*out));
    uint8_t signature[64];
    assert_non_null(out);
    maker_sign(made->keys[what->signer], body->data, body->used, signature, 32);
    signature[40] ^= what->is_signature_bad;
    add(out, "{\"%s\":", key);
    for (size_t i = 0; i < body->used; i++) {
        bool is_gap = what->is_indented && (body->data[i] == '{' || body->data[i] == ',');
        add(out, "%c%s", body->data[i], is_gap ? "\n  " : "");
    }
    add(out, ",\"signature\":\"");
    for (size_t i = 0; i < 64; i++) {
        add(out, "%02x", signature[i]);
    }
    add(out, "\"}");
    struct blob blob = blob_copy(out->data, out->used);
    free(out);
    return blob;
}

static struct blob tcb_info_make(const struct spec *spec, const struct made *made)
{
    struct text *text = calloc(1, sizeof(*text));
    assert_non_null(text);
    add_head(text, &spec->tcb);
    add(text, "\"fmspc\":\"%s\",\"pceId\":\"%s\",\"tcbType\":0,", spec->tcb_fmspc,
        spec->tcb_pce_id);
    if (spec->tee == CELLA_TEE_TDX) {
        add_modules(spec, text);
    }
    add(text, "\"tcbLevels\":[");
    for (size_t i = 0; i < spec->level_count; i++) {
        add(text, i ? "," : "");
        add_level(spec, text, &spec->levels[i]);
    }
    add(text, "]%s}", spec->tcb.extra ? spec->tcb.extra : "");
    struct blob blob = document_seal(made, &spec->tcb, "tcbInfo", text);
    free(text);
    return blob;
}

static struct blob qe_identity_make(const struct spec *spec, const struct made *made)
{
    struct text *text = calloc(1, sizeof(*text));
    assert_non_null(text);
    add_head(text, &spec->qe);
    add(text, "\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
              "\"attributes\":\"11000000000000000000000000000000\","
              "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\",");
    add_fill(text, "mrsigner", spec->identity_signer_fill, 32);
    add(text, ",\"isvprodid\":%u,\"tcbLevels\":[", spec->identity_product);
    for (size_t i = 0; i < spec->qe_level_count; i++) {
        add(text, i ? "," : "");
        add_svn_level(text, &spec->qe_levels[i]);
    }
    add(text, "]%s}", spec->qe.extra ? spec->qe.extra : "");
    struct blob blob = document_seal(made, &spec->qe, "enclaveIdentity", text);
    free(text);
    return blob;
}

/* SGX report bodies: of the application and of the quoting enclave. */
static void report_make(uint8_t *body, uint64_t flags, uint8_t signer_fill, uint16_t product,
                        uint16_t svn)
{
    memset(body, 0, 384);
    put(body + 48, flags, 8);
    put(body + 56, 3, 8);
    memset(body + 64, 0xE1, 32);
    memset(body + 128, signer_fill, 32);
    put(body + 256, product, 2);
    put(body + 258, svn, 2);
}

static size_t tdx_body_make(const struct spec *spec, uint8_t *body)
{
    memset(body, 0, 648);
    memcpy(body, spec->tee_tcb_svn, 16);
    memset(body + 16, 0x5E, 48);
    memset(body + 64, spec->mr_signer_seam_fill, 48);
    put(body + 112, spec->seam_attributes, 8);
    put(body + 120, spec->td_attributes, 8);
    put(body + 128, 0xE7, 8);
    memset(body + 136, 0x7D, 48);
    memset(body + 520, 0xDD, 64);
    if (spec->report_data) {
        memcpy(body + 520, spec->report_data, 64);
    }
    memcpy(body + 584, spec->tee_tcb_svn2, 16);
    return spec->version == 5 && spec->is_tdx15 ? 648 : 584;
}

static size_t body_make(const struct spec *spec, uint8_t *out)
{
    size_t used = 0;
    uint8_t body[648];
    size_t size = 384;
    if (spec->tee == CELLA_TEE_TDX) {
        size = tdx_body_make(spec, body);
    } else {
        report_make(body, spec->flags, 0x51, spec->product, spec->svn);
        memset(body + 320, 0xDD, 64);
        if (spec->report_data) {
            memcpy(body + 320, spec->report_data, 64);
        }
    }
    if (spec->version == 5) {
        put(out, spec->tee == CELLA_TEE_SGX ? 1 : size == 648 ? 3 : 2, 2);
        put(out + 2, size, 4);
        used = 6;
    }
    memcpy(out + used, body, size);
    return used + size;
}

static size_t chain_make(const struct spec *spec, const struct made *made, uint8_t *out)
{
    static const enum role order[] = {ROLE_PCK, ROLE_CA, ROLE_ROOT};
    size_t used = 0;
    if (spec->certification_type == 1) {
        memset(out, 0x11, 36);
        return 36;
    }
    for (size_t i = 0; i < (spec->is_chain_short ? 1 : 3); i++) {
        memcpy(out + used, made->pem[order[i]].data, made->pem[order[i]].size);
        used += made->pem[order[i]].size;
    }
    return used;
}

/* QE report, its signature, authentication data, certification data. */
static size_t qe_part_make(const struct spec *spec, const struct made *made, const uint8_t key[64],
                           uint8_t *out)
{
    uint8_t bound[96];
    unsigned size;
    report_make(out, spec->qe_flags, spec->qe_signer_fill, spec->qe_product, spec->qe_svn);
    put(out + 16, spec->qe_misc, 4);
    memcpy(bound, key, 64);
    memset(bound + 64, 0xA0, 32);
    assert_true(EVP_Digest(bound, 96, out + 320, &size, EVP_sha256(), NULL) > 0);
    out[320] ^= spec->is_binding_bad;
    maker_sign(made->keys[spec->qe_report_signer], out, 384, out + 384, 32);
    out[400] ^= spec->is_qe_signature_bad;
    put(out + 448, 32, 2);
    memset(out + 450, 0xA0, 32);
    size_t chain = chain_make(spec, made, out + 488);
    put(out + 482, spec->certification_type, 2);
    put(out + 484, chain, 4);
    return 488 + chain;
}

static struct blob quote_make(const struct spec *spec, const struct made *made)
{
    static const uint8_t vendor[15] = {0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94,
                                       0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07};
    uint8_t *out = calloc(1, MAKER_QUOTE_MAX);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    uint8_t *point = NULL;
    assert_non_null(out);
    assert_int_equal(EVP_PKEY_get1_encoded_public_key(key, &point), 65);
    put(out, spec->version, 2);
    put(out + 2, spec->key_type, 2);
    put(out + 4, spec->tee == CELLA_TEE_TDX ? 0x81 : 0, 4);
    out[12] = spec->vendor_first;
    memcpy(out + 13, vendor, 15);
    size_t signed_size = 48 + body_make(spec, out + 48);
    uint8_t *data = out + signed_size + 4;
    maker_sign(key, out, signed_size, data, 32);
    data[10] ^= spec->is_quote_signature_bad;
    memcpy(data + 64, point + 1, 64);
    size_t used = 128;
    if (spec->version >= 4) {
        size_t part = qe_part_make(spec, made, point + 1, data + 134);
        put(data + 128, 6, 2);
        put(data + 130, part, 4);
        used += 6 + part;
    } else {
        used += qe_part_make(spec, made, point + 1, data + 128);
    }
    put(out + signed_size, used, 4);
    used += signed_size + 4 + spec->padding;
    if (spec->padding_text) {
        memcpy(out + used, spec->padding_text, strlen(spec->padding_text));
        used += strlen(spec->padding_text);
    }
    struct blob quote = blob_copy(out, used);
    OPENSSL_free(point);
    EVP_PKEY_free(key);
    free(out);
    return quote;
}

void make(const struct spec *spec, struct made *made)
{
    *made = (struct made){0};
    for (int i = 0; i < ROLE_COUNT; i++) {
        made->keys[i] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        assert_non_null(made->keys[i]);
    }
    for (int i = 0; i < ROLE_COUNT; i++) {
        certificate_make(spec, made, (enum role)i);
    }
    made->root_crl = crl_make(spec, made, &spec->root_crl);
    made->pck_crl = crl_make(spec, made, &spec->pck_crl);
    made->other_pck_crl = crl_make(spec, made, &spec->other_pck_crl);
    made->tcb_info = tcb_info_make(spec, made);
    made->qe_identity = qe_identity_make(spec, made);
    made->quote = quote_make(spec, made);
}

void made_done(struct made *made)
{
    struct blob *blobs[] = {&made->root_crl, &made->pck_crl,     &made->other_pck_crl,
                            &made->tcb_info, &made->qe_identity, &made->quote};
    for (int i = 0; i < ROLE_COUNT; i++) {
        EVP_PKEY_free(made->keys[i]);
        blob_done(&made->der[i]);
        blob_done(&made->pem[i]);
    }
    for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++) {
        blob_done(blobs[i]);
    }
}

size_t made_items(const struct spec *spec, const struct made *made,
                  struct cella_collateral_item items[8])
{
    const struct {
        const char *name;
        const struct blob *blob;
        bool is_missing;
    } all[] = {
        {"root.pem", &made->pem[ROLE_ROOT], false},
        {"ca.der", &made->der[ROLE_CA], false},
        {"tcb.pem", &made->pem[ROLE_TCB], false},
        {"root.crl", &made->root_crl, spec->root_crl.is_missing},
        {"other.crl", &made->other_pck_crl, spec->other_pck_crl.is_missing},
        {"pck.crl", &made->pck_crl, spec->pck_crl.is_missing},
        {"tcbInfo.json", &made->tcb_info, spec->tcb.is_missing},
        {"qeIdentity.json", &made->qe_identity, spec->qe.is_missing},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i].is_missing) {
            items[count++] = (struct cella_collateral_item){.name = all[i].name,
                                                            .bytes = blob_span(all[i].blob)};
        }
    }
    return count;
}
