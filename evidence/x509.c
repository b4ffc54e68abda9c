/*
 * X.509 certificates (RFC 5280): what the chains of Intel and AMD use, and nothing else.
 * Side: both; freestanding but for key kinds. Called inside evidence/. Never verifies, never copies: spans of the DER.
 */
#include "evidence/x509.h"

#include "evidence/bytes_util.h"
#include "evidence/x509_internal.h"

#define OID(text) cella_bytes_of(text, sizeof(text) - 1)
#define OID_EC_PUBLIC_KEY OID("\x2A\x86\x48\xCE\x3D\x02\x01")
#define OID_P256 OID("\x2A\x86\x48\xCE\x3D\x03\x01\x07")
#define OID_P384 OID("\x2B\x81\x04\x00\x22")
#define OID_RSA OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01")
#define OID_ECDSA_SHA256 OID("\x2A\x86\x48\xCE\x3D\x04\x03\x02")
#define OID_ECDSA_SHA384 OID("\x2A\x86\x48\xCE\x3D\x04\x03\x03")
#define OID_PSS OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A")
#define OID_MGF1 OID("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08")
#define OID_SHA384 OID("\x60\x86\x48\x01\x65\x03\x04\x02\x02")
#define OID_COMMON_NAME OID("\x55\x04\x03")
#define OID_BASIC_CONSTRAINTS OID("\x55\x1D\x13")
#define OID_KEY_USAGE OID("\x55\x1D\x0F")

#define EXTENSIONS_MAX 32u

/* AlgorithmIdentifier of SHA-384: parameters NULL or absent. */
static cella_result sha384_read(struct der *der)
{
    struct der inner;
    struct cella_bytes oid;
    struct cella_bytes ignored;
    const uint8_t *at = ev_cursor_at(&der->cursor);
    CELLA_TRY(ev_der_enter(der, DER_SEQUENCE, &inner));
    CELLA_TRY(ev_der_take(&inner, DER_OID, &oid, NULL));
    EV_ENSURE(der->place, ev_equal(oid, OID_SHA384), at, BAD_FIELD, "SHA-384");
    if (ev_der_next_is(&inner, DER_NULL)) {
        CELLA_TRY(ev_der_take(&inner, DER_NULL, &ignored, NULL));
    }
    return ev_der_end(&inner);
}

/* RSASSA-PSS-params (RFC 4055): SHA-384, MGF1 with SHA-384, 48 bytes of salt, trailer 1. */
static cella_result pss_read(struct der *der)
{
    struct der parameters;
    struct der field;
    struct der mask;
    struct cella_bytes oid;
    uint64_t salt;
    uint64_t trailer;
    const uint8_t *at = ev_cursor_at(&der->cursor);
    CELLA_TRY(ev_der_enter(der, DER_SEQUENCE, &parameters));
    CELLA_TRY(ev_der_enter(&parameters, DER_CONTEXT_0, &field));
    CELLA_TRY(sha384_read(&field));
    CELLA_TRY(ev_der_enter(&parameters, DER_CONTEXT_0 + 1, &field));
    CELLA_TRY(ev_der_enter(&field, DER_SEQUENCE, &mask));
    CELLA_TRY(ev_der_take(&mask, DER_OID, &oid, NULL));
    EV_ENSURE(der->place, ev_equal(oid, OID_MGF1), at, BAD_FIELD, "MGF1");
    CELLA_TRY(sha384_read(&mask));
    CELLA_TRY(ev_der_enter(&parameters, DER_CONTEXT_0 + 2, &field));
    CELLA_TRY(ev_der_number(&field, DER_INTEGER, 1024, &salt));
    EV_ENSURE(der->place, salt == 48, at, BAD_FIELD, "48 bytes of salt");
    if (ev_der_next_is(&parameters, DER_CONTEXT_0 + 3)) {
        CELLA_TRY(ev_der_enter(&parameters, DER_CONTEXT_0 + 3, &field));
        CELLA_TRY(ev_der_number(&field, DER_INTEGER, 1, &trailer));
    }
    return ev_der_end(&parameters);
}

cella_result ev_x509_algorithm_read(struct der *der, enum ev_signature_kind *ret_kind,
                                    struct cella_bytes *ret_whole)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes content;
    struct cella_bytes oid;
    CELLA_TRY(ev_der_take(der, DER_SEQUENCE, &content, ret_whole));
    struct der inner = ev_der_of(content, der->place);
    CELLA_TRY(ev_der_take(&inner, DER_OID, &oid, NULL));
    if (ev_equal(oid, OID_PSS)) {
        CELLA_TRY(pss_read(&inner));
        *ret_kind = EV_SIGNATURE_PSS_SHA384;
        return ev_der_end(&inner);
    }
    bool is_sha256 = ev_equal(oid, OID_ECDSA_SHA256);
    EV_ENSURE(der->place, is_sha256 || ev_equal(oid, OID_ECDSA_SHA384), at, UNSUPPORTED_VERSION,
              "ECDSA with SHA-256 or SHA-384, or RSASSA-PSS with SHA-384");
    *ret_kind = is_sha256 ? EV_SIGNATURE_ECDSA_SHA256 : EV_SIGNATURE_ECDSA_SHA384;
    return ev_der_end(&inner);
}

cella_result ev_x509_signed_read(struct cella_bytes der, struct ev_place *place,
                                 struct der *ret_tbs, struct cella_bytes *ret_tbs_whole,
                                 struct cella_bytes *ret_algorithm,
                                 struct x509_signature *ret_signature)
{
    struct der outer = ev_der_of(der, place);
    struct der inner;
    struct cella_bytes content;
    CELLA_TRY(ev_der_enter(&outer, DER_SEQUENCE, &inner));
    CELLA_TRY(ev_der_end(&outer));
    CELLA_TRY(ev_der_take(&inner, DER_SEQUENCE, &content, ret_tbs_whole));
    *ret_tbs = ev_der_of(content, place);
    CELLA_TRY(ev_x509_algorithm_read(&inner, &ret_signature->kind, ret_algorithm));
    CELLA_TRY(ev_der_bits(&inner, &ret_signature->bytes));
    return ev_der_end(&inner);
}

/* The last common name in a Name; every attribute must be well-formed. */
static cella_result name_read(struct cella_bytes name, struct ev_place *place,
                              struct cella_bytes *ret_common_name)
{
    struct der names = ev_der_of(name, place);
    *ret_common_name = (struct cella_bytes){0};
    while (!ev_der_at_end(&names)) {
        struct der set;
        CELLA_TRY(ev_der_enter(&names, DER_SET, &set));
        while (!ev_der_at_end(&set)) {
            struct der attribute;
            struct cella_bytes oid;
            struct cella_bytes value;
            uint8_t tag;
            CELLA_TRY(ev_der_enter(&set, DER_SEQUENCE, &attribute));
            CELLA_TRY(ev_der_take(&attribute, DER_OID, &oid, NULL));
            CELLA_TRY(ev_der_take_any(&attribute, &tag, &value, NULL));
            CELLA_TRY(ev_der_end(&attribute));
            if (ev_equal(oid, OID_COMMON_NAME)) {
                *ret_common_name = value;
            }
        }
    }
    return CELLA_OK;
}

static cella_result rsa_read(struct cella_bytes bits, struct ev_place *place,
                             struct x509_certificate *certificate)
{
    struct der outer = ev_der_of(bits, place);
    struct der inner;
    CELLA_TRY(ev_der_enter(&outer, DER_SEQUENCE, &inner));
    CELLA_TRY(ev_der_end(&outer));
    CELLA_TRY(ev_der_integer(&inner, &certificate->key));
    CELLA_TRY(ev_der_integer(&inner, &certificate->exponent));
    if (certificate->key.data[0] == 0) {
        certificate->key = ev_part(certificate->key, 1, certificate->key.size - 1);
    }
    certificate->key_kind = EV_KEY_RSA;
    return ev_der_end(&inner);
}

static cella_result key_read(struct der *tbs, struct x509_certificate *certificate)
{
    const uint8_t *at = ev_cursor_at(&tbs->cursor);
    struct cella_bytes content;
    struct cella_bytes oid;
    struct cella_bytes curve;
    struct cella_bytes bits;
    struct der algorithm;
    CELLA_TRY(ev_der_take(tbs, DER_SEQUENCE, &content, &certificate->spki));
    struct der inner = ev_der_of(content, tbs->place);
    CELLA_TRY(ev_der_enter(&inner, DER_SEQUENCE, &algorithm));
    CELLA_TRY(ev_der_take(&algorithm, DER_OID, &oid, NULL));
    CELLA_TRY(ev_der_bits(&inner, &bits));
    CELLA_TRY(ev_der_end(&inner));
    if (ev_equal(oid, OID_RSA)) {
        CELLA_TRY(ev_der_take(&algorithm, DER_NULL, &curve, NULL));
        CELLA_TRY(ev_der_end(&algorithm));
        return rsa_read(bits, tbs->place, certificate);
    }
    EV_ENSURE(tbs->place, ev_equal(oid, OID_EC_PUBLIC_KEY), at, UNSUPPORTED_VERSION,
              "an EC or RSA public key");
    CELLA_TRY(ev_der_take(&algorithm, DER_OID, &curve, NULL));
    CELLA_TRY(ev_der_end(&algorithm));
    bool is_p256 = ev_equal(curve, OID_P256);
    EV_ENSURE(tbs->place, is_p256 || ev_equal(curve, OID_P384), at, UNSUPPORTED_VERSION,
              "a key on P-256 or P-384");
    EV_ENSURE(tbs->place, bits.size == (is_p256 ? 65 : 97) && bits.data[0] == 4, at, BAD_FIELD,
              "an uncompressed point");
    certificate->key_kind = is_p256 ? EV_KEY_P256 : EV_KEY_P384;
    certificate->key = bits;
    return CELLA_OK;
}

cella_result ev_x509_extension_read(struct der *extensions, struct x509_extension *ret_extension)
{
    struct der inner;
    *ret_extension = (struct x509_extension){0};
    CELLA_TRY(ev_der_enter(extensions, DER_SEQUENCE, &inner));
    CELLA_TRY(ev_der_take(&inner, DER_OID, &ret_extension->oid, NULL));
    if (ev_der_next_is(&inner, DER_BOOLEAN)) {
        CELLA_TRY(ev_der_boolean(&inner, &ret_extension->is_critical));
    }
    CELLA_TRY(ev_der_take(&inner, DER_OCTET_STRING, &ret_extension->value, NULL));
    return ev_der_end(&inner);
}

static cella_result basic_constraints_read(struct cella_bytes value, struct ev_place *place,
                                           struct x509_certificate *certificate)
{
    struct der outer = ev_der_of(value, place);
    struct der inner;
    CELLA_TRY(ev_der_enter(&outer, DER_SEQUENCE, &inner));
    CELLA_TRY(ev_der_end(&outer));
    if (ev_der_next_is(&inner, DER_BOOLEAN)) {
        CELLA_TRY(ev_der_boolean(&inner, &certificate->is_ca));
    }
    if (ev_der_next_is(&inner, DER_INTEGER)) {
        certificate->has_path_length = true;
        CELLA_TRY(ev_der_number(&inner, DER_INTEGER, 255, &certificate->path_length));
    }
    return ev_der_end(&inner);
}

/* RFC 5280 4.2.1.3: bit 5 is keyCertSign. */
static cella_result key_usage_read(struct cella_bytes value, struct ev_place *place,
                                   struct x509_certificate *certificate)
{
    struct der outer = ev_der_of(value, place);
    struct cella_bytes bits;
    CELLA_TRY(ev_der_take(&outer, DER_BIT_STRING, &bits, NULL));
    EV_ENSURE(place, bits.size >= 2 && bits.size <= 3 && bits.data[0] < 8, value.data, BAD_FIELD,
              "key usage bits");
    certificate->has_key_usage = true;
    certificate->may_sign_certificates = bits.data[1] & 0x04;
    return ev_der_end(&outer);
}

static cella_result extensions_read(struct der *tbs, struct x509_certificate *certificate)
{
    struct der wrapper;
    struct der list;
    unsigned count = 0;
    CELLA_TRY(ev_der_enter(tbs, DER_CONTEXT_0 + 3, &wrapper));
    CELLA_TRY(ev_der_take(&wrapper, DER_SEQUENCE, &certificate->extensions, NULL));
    CELLA_TRY(ev_der_end(&wrapper));
    list = ev_der_of(certificate->extensions, tbs->place);
    while (!ev_der_at_end(&list)) {
        const uint8_t *at = ev_cursor_at(&list.cursor);
        struct x509_extension extension;
        EV_ENSURE(tbs->place, count++ < EXTENSIONS_MAX, at, LIMIT_EXCEEDED, "fewer extensions");
        CELLA_TRY(ev_x509_extension_read(&list, &extension));
        if (ev_equal(extension.oid, OID_BASIC_CONSTRAINTS)) {
            CELLA_TRY(basic_constraints_read(extension.value, tbs->place, certificate));
        } else if (ev_equal(extension.oid, OID_KEY_USAGE)) {
            CELLA_TRY(key_usage_read(extension.value, tbs->place, certificate));
        } else {
            EV_ENSURE(tbs->place, !extension.is_critical, at, BAD_FIELD,
                      "no critical extension but basic constraints and key usage");
        }
    }
    return CELLA_OK;
}

/* Behind the subject's key: unique identifiers, which nobody uses, then extensions. */
static cella_result tail_read(struct der *tbs, struct x509_certificate *certificate)
{
    if (ev_der_next_is(tbs, DER_CONTEXT_0 + 3)) {
        CELLA_TRY(extensions_read(tbs, certificate));
    }
    return ev_der_end(tbs);
}

static cella_result version_read(struct der *tbs)
{
    const uint8_t *at = ev_cursor_at(&tbs->cursor);
    struct der wrapper;
    uint64_t version;
    CELLA_TRY(ev_der_enter(tbs, DER_CONTEXT_0, &wrapper));
    CELLA_TRY(ev_der_number(&wrapper, DER_INTEGER, 2, &version));
    EV_ENSURE(tbs->place, version == 2, at, UNSUPPORTED_VERSION, "an X.509 version 3 certificate");
    return ev_der_end(&wrapper);
}

static cella_result names_read(struct der *tbs, struct x509_certificate *certificate)
{
    struct cella_bytes content;
    struct cella_bytes ignored;
    struct der validity;
    CELLA_TRY(ev_der_take(tbs, DER_SEQUENCE, &content, &certificate->issuer));
    CELLA_TRY(name_read(content, tbs->place, &ignored));
    CELLA_TRY(ev_der_enter(tbs, DER_SEQUENCE, &validity));
    CELLA_TRY(ev_der_time(&validity, &certificate->not_before));
    CELLA_TRY(ev_der_time(&validity, &certificate->not_after));
    CELLA_TRY(ev_der_end(&validity));
    CELLA_TRY(ev_der_take(tbs, DER_SEQUENCE, &content, &certificate->subject));
    return name_read(content, tbs->place, &certificate->common_name);
}

cella_result ev_x509_certificate_parse(struct cella_bytes der, struct ev_place *place,
                                       struct x509_certificate *ret_certificate)
{
    struct x509_certificate certificate = {.der = der};
    enum ev_signature_kind inner_kind;
    struct cella_bytes outer_algorithm;
    struct cella_bytes inner_algorithm;
    struct der tbs;
    CELLA_TRY(ev_x509_signed_read(der, place, &tbs, &certificate.tbs, &outer_algorithm,
                                  &certificate.signature));
    CELLA_TRY(version_read(&tbs));
    CELLA_TRY(ev_der_integer(&tbs, &certificate.serial));
    CELLA_TRY(ev_x509_algorithm_read(&tbs, &inner_kind, &inner_algorithm));
    EV_ENSURE(place, ev_equal(inner_algorithm, outer_algorithm), outer_algorithm.data, BAD_FIELD,
              "the signature algorithm that is signed");
    CELLA_TRY(names_read(&tbs, &certificate));
    CELLA_TRY(key_read(&tbs, &certificate));
    CELLA_TRY(tail_read(&tbs, &certificate));
    *ret_certificate = certificate;
    return CELLA_OK;
}

bool ev_x509_extension_find(const struct x509_certificate *certificate, struct cella_bytes oid,
                            struct cella_bytes *ret_value)
{
    struct ev_place place = {0};
    struct der list = ev_der_of(certificate->extensions, &place);
    struct x509_extension extension;
    while (!ev_der_at_end(&list) && cella_is_ok(ev_x509_extension_read(&list, &extension))) {
        if (ev_equal(extension.oid, oid)) {
            *ret_value = extension.value;
            return true;
        }
    }
    return false;
}

cella_result ev_x509_key(const struct ev_crypto *crypto, const struct x509_certificate *certificate,
                         struct ev_key *ret_key)
{
    if (certificate->key_kind == EV_KEY_RSA) {
        return ev_key_rsa(certificate->key, certificate->exponent, ret_key);
    }
    return ev_key_point(crypto, certificate->key_kind, certificate->key, ret_key);
}
