/*
 * Certificate revocation lists (RFC 5280 section 5), version 2, complete ones.
 * Side: both; freestanding. Called inside evidence/. Never verifies, never copies.
 */
#include "evidence/bytes_util.h"
#include "evidence/x509_internal.h"

/* The entries and extensions of an entry are walked once here, so that ev_x509_crl_has can trust them. */
static cella_result entries_check(struct cella_bytes revoked, struct ev_place *place)
{
    struct der list = ev_der_of(revoked, place);
    while (!ev_der_at_end(&list)) {
        struct der entry;
        struct der extensions;
        struct cella_bytes serial;
        int64_t date;
        CELLA_TRY(ev_der_enter(&list, DER_SEQUENCE, &entry));
        CELLA_TRY(ev_der_integer(&entry, &serial));
        CELLA_TRY(ev_der_time(&entry, &date));
        if (ev_der_next_is(&entry, DER_SEQUENCE)) {
            CELLA_TRY(ev_der_enter(&entry, DER_SEQUENCE, &extensions));
            while (!ev_der_at_end(&extensions)) {
                struct x509_extension extension;
                CELLA_TRY(ev_x509_extension_read(&extensions, &extension));
                EV_ENSURE(place, !extension.is_critical, extension.oid.data, BAD_FIELD,
                          "no critical extension in a CRL entry");
            }
        }
        CELLA_TRY(ev_der_end(&entry));
    }
    return CELLA_OK;
}

/* cRLNumber, 2.5.29.20: at most 20 bytes by the RFC. It is reported, and nothing depends on it. */
static void number_read(const struct x509_extension *extension, struct x509_crl *crl)
{
    static const uint8_t oid[] = {0x55, 0x1d, 0x14};
    struct ev_place place = {0};
    struct der value = ev_der_of(extension->value, &place);
    uint64_t number;
    if (ev_equal(extension->oid, cella_bytes_of(oid, sizeof(oid))) &&
        cella_is_ok(ev_der_number(&value, DER_INTEGER, UINT32_MAX, &number))) {
        crl->number = (uint32_t)number;
    }
}

static cella_result extensions_check(struct der *tbs, struct x509_crl *crl)
{
    struct der wrapper;
    struct der list;
    CELLA_TRY(ev_der_enter(tbs, DER_CONTEXT_0, &wrapper));
    CELLA_TRY(ev_der_enter(&wrapper, DER_SEQUENCE, &list));
    CELLA_TRY(ev_der_end(&wrapper));
    while (!ev_der_at_end(&list)) {
        struct x509_extension extension;
        CELLA_TRY(ev_x509_extension_read(&list, &extension));
        EV_ENSURE(tbs->place, !extension.is_critical, extension.oid.data, BAD_FIELD,
                  "a complete CRL without critical extensions");
        number_read(&extension, crl);
    }
    return CELLA_OK;
}

static cella_result body_read(struct der *tbs, struct x509_crl *crl,
                              struct cella_bytes *ret_algorithm)
{
    const uint8_t *at = ev_cursor_at(&tbs->cursor);
    enum ev_signature_kind kind;
    struct cella_bytes ignored;
    uint64_t version;
    CELLA_TRY(ev_der_number(tbs, DER_INTEGER, 1, &version));
    EV_ENSURE(tbs->place, version == 1, at, UNSUPPORTED_VERSION, "a version 2 CRL");
    CELLA_TRY(ev_x509_algorithm_read(tbs, &kind, ret_algorithm));
    CELLA_TRY(ev_der_take(tbs, DER_SEQUENCE, &ignored, &crl->issuer));
    CELLA_TRY(ev_der_time(tbs, &crl->this_update));
    CELLA_TRY(ev_der_time(tbs, &crl->next_update));
    if (ev_der_next_is(tbs, DER_SEQUENCE)) {
        CELLA_TRY(ev_der_take(tbs, DER_SEQUENCE, &crl->revoked, NULL));
        CELLA_TRY(entries_check(crl->revoked, tbs->place));
    }
    if (ev_der_next_is(tbs, DER_CONTEXT_0)) {
        CELLA_TRY(extensions_check(tbs, crl));
    }
    return ev_der_end(tbs);
}

cella_result ev_x509_crl_parse(struct cella_bytes der, struct ev_place *place,
                               struct x509_crl *ret_crl)
{
    struct x509_crl crl = {.der = der};
    struct cella_bytes outer_algorithm;
    struct cella_bytes inner_algorithm;
    struct der tbs;
    CELLA_TRY(ev_x509_signed_read(der, place, &tbs, &crl.tbs, &outer_algorithm, &crl.signature));
    CELLA_TRY(body_read(&tbs, &crl, &inner_algorithm));
    EV_ENSURE(place, ev_equal(inner_algorithm, outer_algorithm), outer_algorithm.data, BAD_FIELD,
              "the signature algorithm that is signed");
    *ret_crl = crl;
    return CELLA_OK;
}

bool ev_x509_crl_has(const struct x509_crl *crl, struct cella_bytes serial)
{
    struct ev_place place = {0};
    struct der list = ev_der_of(crl->revoked, &place);
    struct der entry;
    struct cella_bytes listed;
    while (!ev_der_at_end(&list) && cella_is_ok(ev_der_enter(&list, DER_SEQUENCE, &entry)) &&
           cella_is_ok(ev_der_integer(&entry, &listed))) {
        if (ev_equal(listed, serial)) {
            return true;
        }
    }
    return false;
}

/* A certificate's first field is [0] version; a CRL's is the INTEGER 1. */
bool ev_x509_looks_like_crl(struct cella_bytes der)
{
    struct ev_place place = {0};
    struct der outer = ev_der_of(der, &place);
    struct der inner;
    struct der tbs;
    return cella_is_ok(ev_der_enter(&outer, DER_SEQUENCE, &inner)) &&
           cella_is_ok(ev_der_enter(&inner, DER_SEQUENCE, &tbs)) &&
           ev_der_next_is(&tbs, DER_INTEGER);
}
