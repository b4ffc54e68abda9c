/*
 * Collateral in, prepared collateral out: recognised, parsed, chained to roots, signatures checked.
 * Side: both. Called by relying parties, once for a set of collateral. Dates are looked at later, at verification.
 */
#include "evidence/prepare.h"

#include "evidence/armor.h"
#include "evidence/bytes_util.h"

struct prepare {
    struct cella_prepared *prepared;
    const struct cella_collateral_item *item;
};

static cella_result fault_add(struct cella_prepared *prepared, cella_result result,
                              const struct ev_object *object, const struct ev_place *place)
{
    if (cella_result_category(result) != CELLA_CATEGORY_MALFORMED &&
        result.code != CELLA_CODE_BUFFER_TOO_SMALL && result.code != CELLA_CODE_OUT_OF_RANGE) {
        return result;
    }
    if (prepared->fault_count < PREPARED_FAULT_MAX) {
        prepared->faults[prepared->fault_count++] = (struct ev_fault){
            .result = result, .step = CELLA_STEP_COLLATERAL, .object = *object, .place = *place};
    }
    return CELLA_OK;
}

static cella_result crl_add(struct cella_prepared *prepared, const struct ev_object *object,
                            struct ev_place *place)
{
    EV_ENSURE(place, prepared->crl_count < PREPARED_CRL_MAX, object->decoded.data, LIMIT_EXCEEDED,
              "fewer revocation lists");
    struct ev_crl *crl = &prepared->crls[prepared->crl_count];
    *crl = (struct ev_crl){.object = *object, .distrust = EV_NO_ISSUER};
    for (size_t i = 0; i < prepared->crl_count; i++) {
        if (ev_equal(prepared->crls[i].x509.der, object->decoded)) {
            return CELLA_OK;
        }
    }
    CELLA_TRY(ev_x509_crl_parse(object->decoded, place, &crl->x509));
    prepared->crl_count++;
    return CELLA_OK;
}

/* One DER object, in whatever way it came: certificate or CRL. */
static cella_result der_add(struct cella_prepared *prepared, const struct ev_object *object)
{
    const struct ev_certificate *ignored;
    struct ev_place place = {0};
    cella_result result = ev_x509_looks_like_crl(object->decoded)
                              ? crl_add(prepared, object, &place)
                              : ev_pool_add(&prepared->pool, object, &place, &ignored);
    return cella_is_ok(result) ? result : fault_add(prepared, result, object, &place);
}

/* Room for what `size` characters of text decode to. */
static cella_result room_take(struct cella_prepared *prepared, size_t size, struct ev_place *place,
                              const uint8_t *at, uint8_t **ret_room)
{
    *ret_room = ev_arena_take(&prepared->arena, size);
    EV_ENSURE(place, *ret_room != NULL, at, BUFFER_TOO_SMALL,
              "more memory for prepared collateral");
    return CELLA_OK;
}

static cella_result pem_decode(struct cella_prepared *prepared, struct cella_bytes body,
                               struct ev_place *place, struct cella_bytes *ret_der)
{
    uint8_t *room;
    size_t size;
    CELLA_TRY(room_take(prepared, body.size / 4 * 3 + 3, place, body.data, &room));
    CELLA_TRY(ev_armor_base64(body, false, place, room, &size));
    prepared->arena.used = (size_t)(room - prepared->arena.data) + size;
    *ret_der = cella_bytes_of(room, size);
    return CELLA_OK;
}

/* Every block of this label. */
static cella_result pem_add(struct cella_prepared *prepared, struct ev_object object,
                            const char *label, bool is_strict, struct ev_place *place)
{
    struct cella_cursor cursor = cella_cursor_of(object.original);
    for (object.ordinal = 1;; object.ordinal++) {
        struct cella_bytes body;
        bool is_found;
        CELLA_TRY(ev_armor_pem(&cursor, label, is_strict, place, &is_found, &body));
        if (!is_found) {
            return CELLA_OK;
        }
        CELLA_TRY(pem_decode(prepared, body, place, &object.decoded));
        object.armor = body;
        CELLA_TRY(der_add(prepared, &object));
    }
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == 0;
}

static struct cella_bytes trim(struct cella_bytes bytes)
{
    while (bytes.size && is_space(bytes.data[bytes.size - 1])) {
        bytes.size--;
    }
    while (bytes.size && is_space(bytes.data[0])) {
        bytes.data++;
        bytes.size--;
    }
    return bytes;
}

/* One SEQUENCE that fills the bytes. */
static bool is_der(struct cella_bytes bytes)
{
    struct ev_place place = {0};
    struct der der = ev_der_of(bytes, &place);
    struct cella_bytes content;
    return cella_is_ok(ev_der_take(&der, DER_SEQUENCE, &content, NULL)) && ev_der_at_end(&der);
}

/* DER in hexadecimal: as the PCCS gives CRLs. */
static bool looks_like_hex(struct cella_bytes text)
{
    if (text.size < 8 || text.size % 2 || !(ev_starts(text, "30"))) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        if (ev_armor_hex_digit(text.data[i]) < 0) {
            return false;
        }
    }
    return true;
}

static cella_result hex_add(struct cella_prepared *prepared, struct ev_object object,
                            struct cella_bytes text, struct ev_place *place)
{
    uint8_t *room;
    CELLA_TRY(room_take(prepared, text.size / 2, place, text.data, &room));
    EV_ENSURE(place, cella_is_ok(ev_armor_hex(text, room)), text.data, BAD_SYNTAX,
              "hexadecimal digits only");
    object.decoded = cella_bytes_of(room, text.size / 2);
    return der_add(prepared, &object);
}

static cella_result item_add(struct cella_prepared *prepared,
                             const struct cella_collateral_item *item, struct ev_place *place,
                             struct ev_object *object)
{
    struct cella_bytes bytes = cella_bytes_of(item->bytes.data, item->bytes.size);
    struct cella_bytes text = trim(bytes);
    *object = (struct ev_object){.name = item->name, .original = bytes, .decoded = bytes};
    if (text.size && text.data[0] == '{') {
        return ev_prepare_document(prepared, item, object, place);
    }
    if (ev_contains(bytes, "-----BEGIN ")) {
        CELLA_TRY(pem_add(prepared, *object, "CERTIFICATE", false, place));
        return pem_add(prepared, *object, "X509 CRL", false, place);
    }
    if (looks_like_hex(text)) {
        return hex_add(prepared, *object, text, place);
    }
    EV_ENSURE(place, bytes.size && bytes.data[0] == DER_SEQUENCE, bytes.data, BAD_MAGIC,
              "JSON, PEM, DER or DER in hexadecimal");
    return der_add(prepared, object);
}

/* Certificates in DER, one behind the other. */
static cella_result ders_add(struct cella_prepared *prepared, struct ev_object object,
                             struct ev_place *place)
{
    struct der list = ev_der_of(object.original, place);
    struct cella_bytes content;
    for (object.ordinal = 1; !ev_der_at_end(&list); object.ordinal++) {
        CELLA_TRY(ev_der_take(&list, DER_SEQUENCE, &content, &object.decoded));
        CELLA_TRY(der_add(prepared, &object));
    }
    return CELLA_OK;
}

/* The certificates that evidence brings along. */
static cella_result evidence_add(struct cella_prepared *prepared, struct cella_span evidence)
{
    struct ev_object object = {.name = "the evidence's certificates"};
    struct cella_bytes bytes = cella_bytes_of(evidence.data, evidence.size);
    struct ev_place place = {0};
    uint16_t type;
    struct cella_span certification;
    struct snp_certificates table;
    struct cella_bytes der;
    if (cella_is_ok(cella_evidence_certification(evidence, &type, &certification))) {
        object.original = cella_bytes_of(certification.data, certification.size);
        object.decoded = object.original;
        if (type == QUOTE_PCK_CHAIN || type == QUOTE_PCK_CERTIFICATE) {
            bool is_der = object.original.size && object.original.data[0] == DER_SEQUENCE;
            cella_result result = is_der ? ders_add(prepared, object, &place)
                                         : pem_add(prepared, object, "CERTIFICATE", true, &place);
            return cella_is_ok(result) ? result : fault_add(prepared, result, &object, &place);
        }
        return CELLA_OK;
    }
    table = ev_snp_certificates_of(bytes);
    while (ev_snp_certificates_next(&table, &der)) {
        object.original = der;
        object.decoded = der;
        object.ordinal++;
        CELLA_TRY(der_add(prepared, &object));
    }
    return CELLA_OK;
}

/* Looks for the certificate whose key signed a list. */
static void crl_resolve(const struct cella_prepared *prepared, struct ev_crl *crl)
{
    for (size_t i = 0; i < prepared->pool.count; i++) {
        const struct ev_certificate *issuer = &prepared->certificates[i];
        if (!ev_equal(issuer->x509.subject, crl->x509.issuer)) {
            continue;
        }
        crl->distrust = EV_ISSUER_DISTRUSTED;
        if (issuer->distrust != EV_TRUSTED || !issuer->x509.is_ca) {
            continue;
        }
        crl->distrust = EV_BAD_SIGNATURE;
        if (cella_is_ok(ev_verify(&prepared->crypto, &issuer->key, crl->x509.signature.kind,
                                  crl->x509.tbs, crl->x509.signature.bytes))) {
            crl->issuer = issuer;
            crl->distrust = EV_TRUSTED;
            return;
        }
    }
}

/* Every signature of the set. What keys keep open meanwhile is closed again: prepared collateral is shared by threads. */
static cella_result signatures_check(struct cella_prepared *prepared)
{
    for (size_t i = 0; i < prepared->pool.count; i++) {
        ev_key_open(&prepared->certificates[i].key);
    }
    cella_result result = ev_pool_resolve(&prepared->pool);
    for (size_t i = 0; i < prepared->crl_count; i++) {
        crl_resolve(prepared, &prepared->crls[i]);
    }
    for (size_t i = 0; i < prepared->document_count; i++) {
        ev_prepare_document_verify(prepared, &prepared->documents[i]);
    }
    for (size_t i = 0; i < prepared->pool.count; i++) {
        ev_key_close(&prepared->certificates[i].key);
    }
    return result;
}

static cella_result items_add(struct cella_prepared *prepared,
                              const struct cella_collateral_item *items, size_t item_count,
                              const struct cella_span *evidence)
{
    for (size_t i = 0; i < item_count; i++) {
        struct ev_place place = {0};
        struct ev_object object;
        cella_result result = item_add(prepared, &items[i], &place, &object);
        if (!cella_is_ok(result)) {
            CELLA_TRY(fault_add(prepared, result, &object, &place));
        }
    }
    if (evidence) {
        CELLA_TRY(evidence_add(prepared, *evidence));
    }
    return signatures_check(prepared);
}

cella_result cella_evidence_prepare(const struct cella_collateral_item *items, size_t item_count,
                                    const struct cella_span *evidence,
                                    const struct cella_roots *roots, void *memory,
                                    size_t memory_size, struct cella_prepared **ret_prepared)
{
    struct ev_arena arena = {.data = memory, .size = memory_size};
    CELLA_ENSURE(memory && ((uintptr_t)memory & 15) == 0 && (items || !item_count),
                 INVALID_ARGUMENT);
    struct cella_prepared *prepared = ev_arena_take(&arena, sizeof(*prepared));
    CELLA_ENSURE(prepared, BUFFER_TOO_SMALL);
    prepared->arena = arena;
    prepared->roots = roots ? *roots : (struct cella_roots){0};
    prepared->pool = (struct ev_pool){.crypto = &prepared->crypto,
                                      .roots = &prepared->roots,
                                      .certificates = prepared->certificates,
                                      .max = PREPARED_CERTIFICATE_MAX};
    CELLA_TRY(ev_crypto_init(&prepared->crypto));
    cella_result result = items_add(prepared, items, item_count, evidence);
    if (!cella_is_ok(result)) {
        cella_evidence_prepared_done(prepared);
        return result;
    }
    *ret_prepared = prepared;
    return CELLA_OK;
}

void cella_evidence_prepared_done(struct cella_prepared *prepared)
{
    if (prepared) {
        ev_pool_done(&prepared->pool);
        ev_crypto_done(&prepared->crypto);
    }
}

/* Valid at the time, then issued by then, then the newer one: an old list that is still valid hides nothing. */
static bool crl_is_better(const struct x509_crl *crl, const struct x509_crl *than, int64_t time)
{
    bool is_issued = crl->this_update <= time;
    bool was_issued = than->this_update <= time;
    bool is_valid = is_issued && time <= crl->next_update;
    bool was_valid = was_issued && time <= than->next_update;
    if (is_valid != was_valid) {
        return is_valid;
    }
    return is_issued != was_issued ? is_issued : crl->this_update > than->this_update;
}

const struct ev_crl *ev_prepared_crl(const struct cella_prepared *prepared,
                                     const struct ev_certificate *issuer, int64_t time)
{
    const struct ev_crl *found = NULL;
    for (size_t i = 0; i < prepared->crl_count; i++) {
        const struct ev_crl *crl = &prepared->crls[i];
        if (crl->issuer && ev_equal(crl->issuer->x509.subject, issuer->x509.subject) &&
            ev_equal(crl->issuer->x509.spki, issuer->x509.spki) &&
            (!found || crl_is_better(&crl->x509, &found->x509, time))) {
            found = crl;
        }
    }
    return found;
}

enum cella_collateral_kind cella_collateral_recognise(struct cella_span span)
{
    struct cella_bytes bytes = cella_bytes_of(span.data, span.size);
    struct cella_bytes text = trim(bytes);
    if (text.size && text.data[0] == '{') {
        return ev_prepare_document_kind(text);
    }
    if (ev_contains(bytes, "-----BEGIN X509 CRL-----")) {
        return CELLA_COLLATERAL_CRL;
    }
    if (ev_contains(bytes, "-----BEGIN CERTIFICATE-----")) {
        return CELLA_COLLATERAL_CERTIFICATES;
    }
    if (looks_like_hex(text)) {
        return CELLA_COLLATERAL_CRL;
    }
    if (is_der(bytes)) {
        return ev_x509_looks_like_crl(bytes) ? CELLA_COLLATERAL_CRL : CELLA_COLLATERAL_CERTIFICATES;
    }
    return CELLA_COLLATERAL_UNKNOWN;
}
