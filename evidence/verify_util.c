/*
 * What the verifiers share: records of steps, windows of validity, revocation, advisories.
 * Side: both. Called inside evidence/. Never keeps anything after cella_evidence_verify has returned.
 */
#include "evidence/bytes_util.h"
#include "evidence/verify.h"

void ev_verify_pass(struct ev_verify *verify, enum cella_evidence_step step)
{
    if (verify->result->steps[step] == CELLA_STEP_NOT_TAKEN) {
        verify->result->steps[step] = CELLA_STEP_PASSED;
    }
}

/* `at` in the bytes as given, or in what was decoded from them. */
static void object_write(struct cella_evidence_failure *failure, const struct ev_object *object,
                         const uint8_t *at)
{
    struct ev_text text = ev_text_of(failure->object, sizeof(failure->object));
    struct cella_bytes original = object->original;
    struct cella_bytes decoded = object->decoded;
    uintptr_t place = (uintptr_t)at;
    failure->offset = CELLA_EVIDENCE_NO_OFFSET;
    ev_text_add(&text, object->name);
    if (object->ordinal) {
        ev_text_add(&text, " #");
        ev_text_number(&text, object->ordinal);
    }
    if (at && place - (uintptr_t)original.data <= original.size) {
        failure->offset = place - (uintptr_t)original.data;
    } else if (at && place - (uintptr_t)decoded.data <= decoded.size) {
        failure->offset = place - (uintptr_t)decoded.data;
        ev_text_add(&text, " (decoded)");
    }
}

/* The first ones matter; when all places are taken, the last one is written over, but never the only one that refuses. */
static struct cella_evidence_failure *fault_place(struct cella_evidence_result *out,
                                                  bool is_excused)
{
    if (out->failure_count < CELLA_FAILURE_MAX) {
        return &out->failures[out->failure_count++];
    }
    for (size_t at = CELLA_FAILURE_MAX; is_excused && at-- > 0;) {
        if (out->failures[at].excused) {
            return &out->failures[at];
        }
    }
    return &out->failures[CELLA_FAILURE_MAX - 1];
}

struct ev_text ev_verify_fault(struct ev_verify *verify, enum cella_evidence_step step,
                               cella_result result, const struct ev_object *object,
                               const uint8_t *at, bool is_excused)
{
    struct cella_evidence_result *out = verify->result;
    if (!is_excused) {
        out->steps[step] = CELLA_STEP_FAILED;
    } else if (out->steps[step] != CELLA_STEP_FAILED) {
        out->steps[step] = CELLA_STEP_EXCUSED;
    }
    struct cella_evidence_failure *failure = fault_place(out, is_excused);
    failure->step = step;
    failure->result = result;
    failure->excused = is_excused;
    object_write(failure, object, at);
    return ev_text_of(failure->text, sizeof(failure->text));
}

cella_result ev_verify_refuse(struct ev_verify *verify, enum cella_evidence_step step,
                              cella_result result, const struct ev_object *object,
                              const uint8_t *at, const char *text)
{
    struct ev_text line = ev_verify_fault(verify, step, result, object, at, false);
    ev_text_add(&line, text);
    return result;
}

cella_result ev_verify_unreadable(struct ev_verify *verify, enum cella_evidence_step step,
                                  cella_result result, const struct ev_object *object,
                                  const struct ev_place *place)
{
    struct ev_text line = ev_verify_fault(verify, step, result, object, place->at, false);
    ev_text_add(&line, cella_result_text(result));
    ev_text_add(&line, "; expected ");
    ev_text_add(&line, place->expected ? place->expected : "something else");
    return result;
}

cella_result ev_verify_repeat(struct ev_verify *verify, const struct ev_fault *fault)
{
    return ev_verify_unreadable(verify, fault->step, fault->result, &fault->object, &fault->place);
}

void ev_verify_repeat_all(struct ev_verify *verify, const struct cella_prepared *prepared)
{
    for (size_t i = 0; i < prepared->fault_count; i++) {
        cella_ignore(ev_verify_repeat(verify, &prepared->faults[i]));
    }
}

cella_result ev_verify_distrust(struct ev_verify *verify, enum cella_evidence_step step,
                                const struct ev_certificate *certificate)
{
    static const char *const reasons[] = {
        [EV_TRUSTED] = "is of another vendor or level than this place in the chain needs",
        [EV_NO_ISSUER] = "has no issuer here: the certificate of its issuer is missing",
        [EV_BAD_SIGNATURE] = "has a signature that does not verify with its issuer's key",
        [EV_NOT_A_CA] = "has an issuer that may not sign it",
        [EV_UNKNOWN_ROOT] = "is self-signed, and its key is no trusted root",
        [EV_ISSUER_DISTRUSTED] = "has an issuer that is not trusted",
    };
    const struct ev_certificate *blame = ev_pool_blame(certificate);
    if (blame->distrust == EV_UNKNOWN_ROOT) {
        step = CELLA_STEP_ROOT_CA;
    }
    cella_result result =
        blame->distrust == EV_BAD_SIGNATURE ? CELLA_RESULT(BAD_SIGNATURE) : CELLA_RESULT(WRONG_KEY);
    struct ev_text line = ev_verify_fault(verify, step, result, &blame->object, NULL, false);
    ev_text_add(&line, "the certificate \"");
    ev_text_bytes(&line, blame->x509.common_name);
    ev_text_add(&line, "\" ");
    ev_text_add(&line, reasons[blame->distrust]);
    return result;
}

void ev_verify_window(struct ev_verify *verify, const struct ev_object *object, const char *what,
                      int64_t from, int64_t until)
{
    struct cella_evidence_result *out = verify->result;
    out->valid_from = from > out->valid_from ? from : out->valid_from;
    out->valid_until = until < out->valid_until ? until : out->valid_until;
    if (from <= verify->time && verify->time <= until) {
        ev_verify_pass(verify, CELLA_STEP_VALIDITY);
        return;
    }
    bool is_late = verify->time > until;
    out->collateral_expired |= is_late;
    struct ev_text line = ev_verify_fault(verify, CELLA_STEP_VALIDITY, CELLA_RESULT(SVN_TOO_OLD),
                                          object, NULL, is_late && verify->policy->allow_expired);
    ev_text_add(&line, what);
    ev_text_add(&line, is_late ? " is valid until " : " is valid from ");
    ev_text_time(&line, is_late ? until : from);
    ev_text_add(&line, "; the time is ");
    ev_text_time(&line, verify->time);
}

void ev_verify_chain_window(struct ev_verify *verify, const struct ev_certificate *certificate)
{
    for (unsigned i = 0; certificate && i <= EV_DEPTH_MAX; i++) {
        ev_verify_window(verify, &certificate->object, "the certificate",
                         certificate->x509.not_before, certificate->x509.not_after);
        certificate = certificate->issuer == certificate ? NULL : certificate->issuer;
    }
}

/* No usable list: is there one that claims to be the issuer's? */
static cella_result crl_missing(struct ev_verify *verify, enum cella_evidence_step step,
                                const struct ev_certificate *issuer)
{
    for (size_t i = 0; i < verify->prepared->crl_count; i++) {
        const struct ev_crl *crl = &verify->prepared->crls[i];
        if (ev_equal(crl->x509.issuer, issuer->x509.subject)) {
            return ev_verify_refuse(verify, step, CELLA_RESULT(BAD_SIGNATURE), &crl->object,
                                    crl->x509.signature.bytes.data,
                                    "the revocation list is not signed by the CA that it names");
        }
    }
    struct ev_object none = {.name = "collateral"};
    struct ev_text line =
        ev_verify_fault(verify, step, CELLA_RESULT(NOT_FOUND), &none, NULL, false);
    ev_text_add(&line, "the revocation list of \"");
    ev_text_bytes(&line, issuer->x509.common_name);
    ev_text_add(&line, "\" is missing");
    ev_verify_repeat_all(verify, verify->prepared);
    return CELLA_RESULT(NOT_FOUND);
}

cella_result ev_verify_revocation(struct ev_verify *verify, enum cella_evidence_step step,
                                  const struct ev_certificate *certificate, bool is_optional)
{
    const struct ev_certificate *issuer = certificate->issuer;
    const struct ev_crl *crl = ev_prepared_crl(verify->prepared, issuer, verify->time);
    if (!crl) {
        bool is_named = false;
        for (size_t i = 0; i < verify->prepared->crl_count; i++) {
            is_named |= ev_equal(verify->prepared->crls[i].x509.issuer, issuer->x509.subject);
        }
        if (is_optional && !is_named) {
            return CELLA_OK;
        }
        return crl_missing(verify, step, issuer);
    }
    ev_verify_pass(verify, step);
    verify->result->revocation_checked = true;
    ev_verify_window(verify, &crl->object, "the revocation list", crl->x509.this_update,
                     crl->x509.next_update);
    if (!ev_x509_crl_has(&crl->x509, certificate->x509.serial)) {
        ev_verify_pass(verify, CELLA_STEP_REVOCATION);
        return CELLA_OK;
    }
    struct ev_text line =
        ev_verify_fault(verify, CELLA_STEP_REVOCATION, CELLA_RESULT(ACCESS_DENIED),
                        &certificate->object, certificate->x509.serial.data, false);
    ev_text_add(&line, "the certificate \"");
    ev_text_bytes(&line, certificate->x509.common_name);
    ev_text_add(&line, "\" with serial ");
    ev_text_hex(&line, certificate->x509.serial);
    ev_text_add(&line, " is revoked by ");
    ev_text_add(&line, crl->object.name);
    return CELLA_OK;
}

void ev_verify_advisories(struct ev_verify *verify, struct ev_json advisories)
{
    struct cella_evidence_result *out = verify->result;
    struct ev_json_iterator items = ev_json_items(advisories);
    struct ev_place place = {0};
    struct cella_bytes key;
    struct ev_json item;
    while (ev_json_next(&items, &key, &item)) {
        struct cella_bytes name;
        if (!cella_is_ok(ev_json_string(item, &place, &name))) {
            continue;
        }
        bool is_known = false;
        for (size_t i = 0; i < out->advisory_count; i++) {
            is_known |=
                ev_equal(name, cella_bytes_of(out->advisories[i].data, out->advisories[i].size));
        }
        if (!is_known && out->advisory_count < CELLA_ADVISORY_MAX) {
            out->advisories[out->advisory_count++] =
                (struct cella_span){.data = name.data, .size = name.size};
        }
    }
}
