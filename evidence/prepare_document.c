/*
 * TCB info and QE identity: which of the two, its fields, its signature over the bytes of the inner object.
 * Side: both. Called by evidence/prepare.c. Never looks at dates.
 */
#include <string.h>

#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/prepare.h"

#define SIGNER_TRIES_MAX 4u

/* The wrapped form {"tcbInfo": {…}, "signature": "…"} or the bare inner object with a signature beside it. */
struct wrapped {
    enum cella_collateral_kind kind;
    struct ev_json body;
    struct cella_bytes signature; /* hex; empty: none in the document */
};

static cella_result wrapped_find(struct ev_json document, struct ev_place *place,
                                 struct wrapped *ret_wrapped)
{
    static const struct {
        const char *key;
        enum cella_collateral_kind kind;
    } keys[] = {{"tcbInfo", CELLA_COLLATERAL_TCB_INFO},
                {"enclaveIdentity", CELLA_COLLATERAL_QE_IDENTITY}};
    struct ev_json_members members;
    *ret_wrapped = (struct wrapped){.body = document};
    CELLA_TRY(ev_json_open(document, place, &members));
    for (size_t i = 0; i < 2; i++) {
        const struct ev_json *body = ev_json_member(&members, keys[i].key);
        if (body) {
            ret_wrapped->kind = keys[i].kind;
            ret_wrapped->body = *body;
            return ev_json_get_string(&members, "signature", place, &ret_wrapped->signature);
        }
    }
    bool is_tcb = ev_json_member(&members, "fmspc");
    bool is_bare =
        ev_json_member(&members, "tcbLevels") && (is_tcb || ev_json_member(&members, "miscselect"));
    EV_ENSURE(place, is_bare, document.text.data, BAD_MAGIC, "tcbInfo or enclaveIdentity");
    ret_wrapped->kind = is_tcb ? CELLA_COLLATERAL_TCB_INFO : CELLA_COLLATERAL_QE_IDENTITY;
    return CELLA_OK;
}

enum cella_collateral_kind ev_prepare_document_kind(struct cella_bytes text)
{
    struct ev_place place = {0};
    struct wrapped wrapped;
    struct ev_json document;
    if (!cella_is_ok(ev_json_parse(text, &place, &document)) ||
        !cella_is_ok(wrapped_find(document, &place, &wrapped))) {
        return CELLA_COLLATERAL_UNKNOWN;
    }
    return wrapped.kind;
}

static cella_result signature_read(const struct wrapped *wrapped,
                                   const struct cella_collateral_item *item, struct ev_place *place,
                                   struct ev_document *document)
{
    struct cella_bytes hex = wrapped->signature;
    if (hex.size == 0) {
        hex = cella_bytes_of(item->signature.data, item->signature.size);
    }
    EV_ENSURE(place, hex.size == 2 * sizeof(document->signature), wrapped->body.text.data,
              BAD_FIELD, "a signature of 128 hexadecimal digits");
    EV_ENSURE(place, cella_is_ok(ev_armor_hex(hex, document->signature)), hex.data, BAD_FIELD,
              "a signature of 128 hexadecimal digits");
    return CELLA_OK;
}

cella_result ev_prepare_document(struct cella_prepared *prepared,
                                 const struct cella_collateral_item *item,
                                 const struct ev_object *object, struct ev_place *place)
{
    struct ev_json json;
    struct wrapped wrapped;
    CELLA_TRY(ev_json_parse(object->original, place, &json));
    CELLA_TRY(wrapped_find(json, place, &wrapped));
    EV_ENSURE(place, prepared->document_count < PREPARED_DOCUMENT_MAX, json.text.data,
              LIMIT_EXCEEDED, "fewer documents");
    struct ev_document *document = &prepared->documents[prepared->document_count];
    *document =
        (struct ev_document){.kind = wrapped.kind, .object = *object, .body = wrapped.body.text};
    CELLA_TRY(signature_read(&wrapped, item, place, document));
    if (wrapped.kind == CELLA_COLLATERAL_TCB_INFO) {
        CELLA_TRY(ev_tcb_info_parse(wrapped.body, &prepared->arena, place, &document->tcb_info));
    } else {
        CELLA_TRY(
            ev_qe_identity_parse(wrapped.body, &prepared->arena, place, &document->qe_identity));
    }
    prepared->document_count++;
    return CELLA_OK;
}

/* Hashes the text without the white space between its tokens: the form that Intel signs, if a tool has indented it. */
static cella_result compact_hash(const struct ev_crypto *crypto, struct cella_bytes text,
                                 uint8_t out[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_ok = context && EVP_DigestInit_ex2(context, crypto->sha256, NULL) > 0;
    bool is_string = false;
    size_t start = 0;
    for (size_t i = 0; is_ok && i <= text.size; i++) {
        uint8_t byte = i < text.size ? text.data[i] : ' ';
        bool is_gap = !is_string && (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r');
        if (is_gap || i == text.size) {
            is_ok = EVP_DigestUpdate(context, text.data + start, i - start) > 0;
            start = i + 1;
        } else if (byte == '\\') {
            i++; /* only inside strings: the text is well-formed */
        } else if (byte == '"') {
            is_string = !is_string;
        }
    }
    is_ok = is_ok && EVP_DigestFinal_ex(context, out, NULL) > 0;
    EVP_MD_CTX_free(context);
    return is_ok ? CELLA_OK : CELLA_RESULT(CRYPTO);
}

/* May this certificate sign TCB info? Intel's does so by its name, right below the root. */
static bool is_tcb_signer(const struct ev_certificate *certificate)
{
    return certificate->x509.key_kind == EV_KEY_P256 &&
           ev_contains(certificate->x509.common_name, "SGX TCB Signing");
}

static bool is_signed_by(const struct cella_prepared *prepared, const struct ev_document *document,
                         const struct ev_certificate *signer)
{
    const uint8_t *r = document->signature;
    uint8_t digest[32];
    struct cella_bytes hash = cella_bytes_of(digest, sizeof(digest));
    if (!cella_is_ok(ev_sha256(&prepared->crypto, document->body, digest))) {
        return false;
    }
    if (cella_is_ok(ev_verify_digest(&signer->key, hash, r, r + 32, 32))) {
        return true;
    }
    uint8_t raw[32];
    memcpy(raw, digest, sizeof(raw));
    return cella_is_ok(compact_hash(&prepared->crypto, document->body, digest)) &&
           memcmp(raw, digest, sizeof(raw)) != 0 &&
           cella_is_ok(ev_verify_digest(&signer->key, hash, r, r + 32, 32));
}

void ev_prepare_document_verify(struct cella_prepared *prepared, struct ev_document *document)
{
    bool is_tcb = document->kind == CELLA_COLLATERAL_TCB_INFO;
    struct ev_fault fault = {.result = CELLA_RESULT(NOT_FOUND),
                             .step = CELLA_STEP_TCB_SIGNING_CHAIN,
                             .object = document->object};
    unsigned tries = 0;
    fault.place.expected = "the TCB signing certificate";
    for (size_t i = 0; i < prepared->pool.count; i++) {
        const struct ev_certificate *signer = &prepared->certificates[i];
        if (!is_tcb_signer(signer)) {
            continue;
        }
        if (signer->distrust != EV_TRUSTED || signer->depth != 1 ||
            signer->vendor == EV_VENDOR_AMD) {
            document->blame = document->blame ? document->blame : signer;
            continue;
        }
        if (tries++ < SIGNER_TRIES_MAX && is_signed_by(prepared, document, signer)) {
            document->signer = signer;
            return;
        }
        fault.result = CELLA_RESULT(BAD_SIGNATURE);
        fault.step = is_tcb ? CELLA_STEP_TCB_INFO_SIGNATURE : CELLA_STEP_QE_IDENTITY_SIGNATURE;
        fault.place = (struct ev_place){.at = document->body.data,
                                        .expected = "what the TCB signing certificate signed"};
    }
    document->fault = fault;
}
