/*
 * The PCK certificate of a quote and its chain; the documents that fit to it.
 * Side: both. Called by evidence/dcap.c. Never looks at policy or dates.
 */
#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/dcap.h"
#include "evidence/pck.h"

static bool is_pck(const struct ev_certificate *certificate)
{
    return ev_contains(certificate->x509.common_name, "SGX PCK Certificate");
}

/* One certificate of the evidence: the prepared one with the same bytes, or parsed here. */
static cella_result certificate_take(struct dcap *dcap, const struct ev_object *object,
                                     const struct ev_certificate **ret_certificate)
{
    struct ev_place place = {0};
    cella_result result = ev_pool_add(&dcap->verify->pool, object, &place, ret_certificate);
    if (!cella_is_ok(result)) {
        return ev_verify_unreadable(dcap->verify, CELLA_STEP_PCK_CHAIN, result, object, &place);
    }
    return CELLA_OK;
}

/* Certification data of type 5: a PEM chain, each of whose certificates must be good. */
struct chain {
    const struct ev_certificate *certificates[VERIFY_CERTIFICATE_MAX];
    size_t count;
};

static cella_result chain_fail(struct dcap *dcap, cella_result result, const struct ev_place *place)
{
    return ev_verify_unreadable(dcap->verify, CELLA_STEP_PCK_CHAIN, result, &dcap->verify->object,
                                place);
}

/* One PEM block's certificate: known by its text, or decoded and parsed. */
static cella_result block_take(struct dcap *dcap, struct ev_object *object,
                               const struct ev_certificate **ret_certificate)
{
    struct ev_place place = {0};
    size_t size;
    *ret_certificate = ev_pool_same_armor(&dcap->verify->pool, object->armor);
    if (*ret_certificate) {
        return CELLA_OK;
    }
    uint8_t *room = ev_arena_take(&dcap->verify->arena, object->armor.size / 4 * 3 + 3);
    if (!room) {
        place = (struct ev_place){.at = object->armor.data, .expected = "a shorter chain"};
        return chain_fail(dcap, CELLA_RESULT(LIMIT_EXCEEDED), &place);
    }
    cella_result result = ev_armor_base64(object->armor, false, &place, room, &size);
    if (!cella_is_ok(result)) {
        return chain_fail(dcap, result, &place);
    }
    object->decoded = cella_bytes_of(room, size);
    return certificate_take(dcap, object, ret_certificate);
}

/* The next certificate, in PEM or as DER; NULL: at the end. */
static cella_result chain_next(struct dcap *dcap, struct cella_cursor *cursor,
                               struct ev_object *object,
                               const struct ev_certificate **ret_certificate)
{
    struct ev_place place = {0};
    struct cella_bytes content;
    bool is_found;
    cella_result result;
    *ret_certificate = NULL;
    if (cella_cursor_left(cursor) && *ev_cursor_at(cursor) == DER_SEQUENCE) {
        struct der der = {.cursor = *cursor, .place = &place};
        result = ev_der_take(&der, DER_SEQUENCE, &content, &object->decoded);
        *cursor = der.cursor;
        return cella_is_ok(result) ? certificate_take(dcap, object, ret_certificate)
                                   : chain_fail(dcap, result, &place);
    }
    result = ev_armor_pem(cursor, "CERTIFICATE", true, &place, &is_found, &object->armor);
    if (!cella_is_ok(result)) {
        return chain_fail(dcap, result, &place);
    }
    return is_found ? block_take(dcap, object, ret_certificate) : CELLA_OK;
}

static cella_result chain_read(struct dcap *dcap, struct chain *chain)
{
    struct ev_object object = dcap->verify->object;
    struct cella_cursor cursor = cella_cursor_of(dcap->quote->certification);
    for (object.ordinal = 1;; object.ordinal++) {
        const struct ev_certificate *certificate;
        CELLA_TRY(chain_next(dcap, &cursor, &object, &certificate));
        if (!certificate) {
            return CELLA_OK;
        }
        if (chain->count == VERIFY_CERTIFICATE_MAX) {
            struct ev_place place = {.at = ev_cursor_at(&cursor), .expected = "a shorter chain"};
            return chain_fail(dcap, CELLA_RESULT(LIMIT_EXCEEDED), &place);
        }
        chain->certificates[chain->count++] = certificate;
    }
}

/* Everything in the chain is to be trusted, so that no byte of it can be altered unseen. */
static cella_result chain_check(struct dcap *dcap, const struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->certificates[i]->distrust != EV_TRUSTED) {
            return ev_verify_distrust(dcap->verify, CELLA_STEP_PCK_CHAIN, chain->certificates[i]);
        }
        if (is_pck(chain->certificates[i]) && !dcap->pck) {
            dcap->pck = chain->certificates[i];
        }
    }
    return CELLA_OK;
}

/* Types 1 to 3 and 7 hold no certificate: it must be among the collateral, known by having signed the QE report. */
static cella_result collateral_pck(struct dcap *dcap)
{
    struct ev_verify *verify = dcap->verify;
    const struct ev_certificate *candidate;
    const struct ev_certificate *pck = NULL;
    for (size_t i = 0; !pck && (candidate = ev_pool_at(&verify->pool, i)) != NULL; i++) {
        bool is_ours =
            is_pck(candidate) && candidate->x509.key_kind == EV_KEY_P256 &&
            cella_is_ok(ev_verify_raw(&verify->prepared->crypto, &candidate->key,
                                      dcap->quote->qe_report, dcap->quote->qe_signature));
        pck = is_ours ? candidate : NULL;
    }
    if (!pck) {
        struct ev_text line =
            ev_verify_fault(verify, CELLA_STEP_PCK_CHAIN, CELLA_RESULT(NOT_FOUND), &verify->object,
                            dcap->quote->certification.data, false);
        ev_text_add(&line, "the quote holds certification data of type ");
        ev_text_number(&line, dcap->quote->certification_type);
        ev_text_add(&line, ", no chain, and no PCK certificate of the collateral signed its QE "
                           "report");
        return CELLA_RESULT(NOT_FOUND);
    }
    if (pck->distrust != EV_TRUSTED) {
        return ev_verify_distrust(verify, CELLA_STEP_PCK_CHAIN, pck);
    }
    dcap->pck = pck;
    return CELLA_OK;
}

/* PCK certificate right below a PCK CA right below the root, none of them AMD's. */
static cella_result place_check(struct dcap *dcap)
{
    const struct ev_certificate *pck = dcap->pck;
    const struct ev_certificate *ca = pck ? pck->issuer : NULL;
    if (!pck) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_PCK_CHAIN, CELLA_RESULT(NOT_FOUND),
                                &dcap->verify->object, dcap->quote->certification.data,
                                "no certificate of the quote's chain is a PCK certificate");
    }
    bool is_placed = pck->depth == 2 && pck->vendor != EV_VENDOR_AMD && !pck->x509.is_ca &&
                     pck->x509.key_kind == EV_KEY_P256 &&
                     ev_contains(ca->x509.common_name, "SGX PCK") &&
                     ev_contains(ca->issuer->x509.common_name, "SGX Root CA");
    if (!is_placed) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_PCK_CHAIN, CELLA_RESULT(WRONG_KEY),
                                &pck->object, NULL,
                                "the chain is not PCK certificate, PCK CA, SGX root CA");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_ROOT_CA);
    ev_verify_pass(dcap->verify, CELLA_STEP_PCK_CHAIN);
    return CELLA_OK;
}

cella_result ev_dcap_pck(struct dcap *dcap)
{
    struct ev_verify *verify = dcap->verify;
    struct chain chain = {0};
    uint16_t type = dcap->quote->certification_type;
    bool is_pem = type == QUOTE_PCK_CHAIN || (type == QUOTE_PCK_CERTIFICATE &&
                                              ev_starts(dcap->quote->certification, "-----BEGIN"));
    if (is_pem) {
        CELLA_TRY(chain_read(dcap, &chain));
        if (type == QUOTE_PCK_CERTIFICATE && chain.count != 1) {
            struct ev_place place = {.at = dcap->quote->certification.data,
                                     .expected = "one certificate"};
            return chain_fail(dcap, CELLA_RESULT(BAD_FIELD), &place);
        }
        CELLA_TRY(ev_pool_resolve(&verify->pool));
        CELLA_TRY(chain_check(dcap, &chain));
    } else {
        CELLA_TRY(collateral_pck(dcap));
    }
    CELLA_TRY(place_check(dcap));
    struct ev_place place = {0};
    cella_result result = ev_pck_parse(&dcap->pck->x509, &place, &verify->result->platform);
    if (!cella_is_ok(result)) {
        return ev_verify_unreadable(verify, CELLA_STEP_PCK_CERTIFICATE, result, &dcap->pck->object,
                                    &place);
    }
    ev_verify_pass(verify, CELLA_STEP_PCK_CERTIFICATE);
    return CELLA_OK;
}

static enum cella_tee document_tee(const struct ev_document *document)
{
    return document->kind == CELLA_COLLATERAL_TCB_INFO ? document->tcb_info.tee
                                                       : document->qe_identity.tee;
}

static bool is_for_platform(const struct dcap *dcap, const struct ev_document *document)
{
    const struct cella_platform_claims *platform = &dcap->verify->result->platform;
    return document->kind != CELLA_COLLATERAL_TCB_INFO ||
           (memcmp(document->tcb_info.fmspc, platform->fmspc, 6) == 0 &&
            memcmp(document->tcb_info.pce_id, platform->pce_id, 2) == 0);
}

static int64_t document_issued(const struct ev_document *document)
{
    return document->kind == CELLA_COLLATERAL_TCB_INFO ? document->tcb_info.issued
                                                       : document->qe_identity.issued;
}

static const struct ev_certificate *root_of(const struct ev_certificate *certificate)
{
    for (unsigned i = 0; i < EV_DEPTH_MAX && certificate->depth > 0; i++) {
        certificate = certificate->issuer;
    }
    return certificate;
}

/* Of several roots that are trusted, none speaks for the platforms of another. */
static bool is_of_our_root(const struct dcap *dcap, const struct ev_document *document)
{
    return document->signer &&
           ev_equal(root_of(document->signer)->x509.spki, root_of(dcap->pck)->x509.spki);
}

/* Of two that fit, the one that is signed under our root, then under any, then the valid one, then the newer one. */
static bool is_better(const struct dcap *dcap, const struct ev_document *document,
                      const struct ev_document *than)
{
    int64_t time = dcap->verify->time;
    bool is_issued = document_issued(document) <= time;
    bool was_issued = document_issued(than) <= time;
    if (is_of_our_root(dcap, document) != is_of_our_root(dcap, than)) {
        return is_of_our_root(dcap, document);
    }
    if ((document->signer != NULL) != (than->signer != NULL)) {
        return document->signer != NULL;
    }
    return is_issued != was_issued ? is_issued : document_issued(document) > document_issued(than);
}

static const struct ev_document *document_find(const struct dcap *dcap,
                                               enum cella_collateral_kind kind, bool for_platform)
{
    const struct ev_document *found = NULL;
    for (size_t i = 0; i < dcap->verify->prepared->document_count; i++) {
        const struct ev_document *document = &dcap->verify->prepared->documents[i];
        bool fits = document->kind == kind && document_tee(document) == dcap->quote->tee &&
                    (!for_platform || is_for_platform(dcap, document));
        if (fits && (!found || is_better(dcap, document, found))) {
            found = document;
        }
    }
    return found;
}

/* What could not be read may be what is missing: it is named too. */
static cella_result document_missing(struct dcap *dcap, enum cella_collateral_kind kind)
{
    const struct cella_prepared *prepared = dcap->verify->prepared;
    struct ev_object none = {.name = "collateral"};
    struct ev_text line = ev_verify_fault(dcap->verify, CELLA_STEP_COLLATERAL,
                                          CELLA_RESULT(NOT_FOUND), &none, NULL, false);
    ev_text_add(&line, kind == CELLA_COLLATERAL_TCB_INFO ? "TCB info" : "the QE identity");
    ev_text_add(&line, dcap->quote->tee == CELLA_TEE_TDX ? " for TDX" : " for SGX");
    ev_text_add(&line, " is missing");
    ev_verify_repeat_all(dcap->verify, prepared);
    return CELLA_RESULT(NOT_FOUND);
}

static cella_result platform_mismatch(struct dcap *dcap, const struct ev_document *document)
{
    const struct cella_platform_claims *platform = &dcap->verify->result->platform;
    struct ev_text line =
        ev_verify_fault(dcap->verify, CELLA_STEP_TCB_INFO_MATCH, CELLA_RESULT(NAME_MISMATCH),
                        &document->object, document->body.data, false);
    ev_text_add(&line, "the TCB info is for FMSPC ");
    ev_text_hex(&line, cella_bytes_of(document->tcb_info.fmspc, 6));
    ev_text_add(&line, " and PCE ");
    ev_text_hex(&line, cella_bytes_of(document->tcb_info.pce_id, 2));
    ev_text_add(&line, ", the PCK certificate is of ");
    ev_text_hex(&line, cella_bytes_of(platform->fmspc, 6));
    ev_text_add(&line, " and ");
    ev_text_hex(&line, cella_bytes_of(platform->pce_id, 2));
    return CELLA_RESULT(NAME_MISMATCH);
}

static cella_result document_check(struct dcap *dcap, const struct ev_document *document)
{
    bool is_tcb = document->kind == CELLA_COLLATERAL_TCB_INFO;
    if (!document->signer && document->blame &&
        document->fault.step == CELLA_STEP_TCB_SIGNING_CHAIN) {
        return ev_verify_distrust(dcap->verify, CELLA_STEP_TCB_SIGNING_CHAIN, document->blame);
    }
    if (!document->signer) {
        return ev_verify_repeat(dcap->verify, &document->fault);
    }
    if (!is_of_our_root(dcap, document)) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_TCB_SIGNING_CHAIN, CELLA_RESULT(WRONG_KEY),
                                &document->object, document->body.data,
                                "the TCB signing certificate is of another root than the PCK "
                                "certificate");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_TCB_SIGNING_CHAIN);
    ev_verify_pass(dcap->verify,
                   is_tcb ? CELLA_STEP_TCB_INFO_SIGNATURE : CELLA_STEP_QE_IDENTITY_SIGNATURE);
    return CELLA_OK;
}

/* Signing certificates are issued anew for the same key: any of them will do, if it is valid. */
static const struct ev_certificate *signer_at(const struct dcap *dcap,
                                              const struct ev_certificate *signer)
{
    const struct ev_certificate *other;
    int64_t time = dcap->verify->time;
    for (size_t i = 0; (other = ev_pool_at(&dcap->verify->prepared->pool, i)) != NULL; i++) {
        bool is_same = other->distrust == EV_TRUSTED && other->depth == signer->depth &&
                       ev_equal(other->x509.spki, signer->x509.spki) &&
                       ev_equal(other->x509.subject, signer->x509.subject);
        if (is_same && other->x509.not_before <= time && time <= other->x509.not_after) {
            return other;
        }
    }
    return signer;
}

cella_result ev_dcap_documents(struct dcap *dcap)
{
    dcap->tcb_info = document_find(dcap, CELLA_COLLATERAL_TCB_INFO, true);
    if (!dcap->tcb_info) {
        const struct ev_document *other = document_find(dcap, CELLA_COLLATERAL_TCB_INFO, false);
        return other ? platform_mismatch(dcap, other)
                     : document_missing(dcap, CELLA_COLLATERAL_TCB_INFO);
    }
    dcap->qe_identity = document_find(dcap, CELLA_COLLATERAL_QE_IDENTITY, false);
    if (!dcap->qe_identity) {
        return document_missing(dcap, CELLA_COLLATERAL_QE_IDENTITY);
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_COLLATERAL);
    CELLA_TRY(document_check(dcap, dcap->tcb_info));
    CELLA_TRY(document_check(dcap, dcap->qe_identity));
    ev_verify_pass(dcap->verify, CELLA_STEP_TCB_INFO_MATCH);
    dcap->tcb_signer = signer_at(dcap, dcap->tcb_info->signer);
    dcap->qe_signer = signer_at(dcap, dcap->qe_identity->signer);
    dcap->verify->result->tcb_evaluation_number =
        (uint32_t)dcap->tcb_info->tcb_info.evaluation_number;
    return CELLA_OK;
}
