/*
 * The calls of cella/evidence.h on evidence itself: parse, verify, and what it says of its platform.
 * Side: both. Called by relying parties. Never reads files, the network or a clock.
 */
#include "cella/evidence.h"

#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/pck.h"
#include "evidence/time.h"
#include "evidence/verify.h"

#define CERTIFICATE_DER_MAX 4096u

cella_result cella_evidence_time(const char *text, size_t size, int64_t *ret_time)
{
    return ev_time_rfc3339(cella_bytes_of(text, size), ret_time);
}

static cella_result evidence_parse(struct ev_verify *verify, struct wrap *ret_wrap)
{
    enum cella_evidence_step step;
    struct ev_place place = {0};
    cella_result result = ev_wrap_parse(verify->evidence, &place, &step, ret_wrap);
    if (step == CELLA_STEP_EVIDENCE_PARSE) {
        ev_verify_pass(verify, CELLA_STEP_EVIDENCE_FORMAT);
    }
    if (!cella_is_ok(result)) {
        return ev_verify_unreadable(verify, step, result, &verify->object, &place);
    }
    verify->result->claims = ret_wrap->claims;
    ev_verify_pass(verify, CELLA_STEP_EVIDENCE_PARSE);
    return CELLA_OK;
}

/* Open Enclave: the first 32 bytes of report data are SHA-256 of the custom claims. */
static cella_result custom_claims_check(struct ev_verify *verify, const struct wrap *wrap)
{
    struct cella_bytes claims =
        cella_bytes_of(wrap->claims.custom_claims.data, wrap->claims.custom_claims.size);
    uint8_t digest[32];
    if (!wrap->binds_custom_claims) {
        return CELLA_OK;
    }
    CELLA_TRY(ev_sha256(&verify->prepared->crypto, claims, digest));
    if (memcmp(digest, wrap->claims.report_data.data, sizeof(digest)) != 0) {
        return ev_verify_refuse(verify, CELLA_STEP_CUSTOM_CLAIMS, CELLA_RESULT(AUTH_FAILED),
                                &verify->object, claims.size ? claims.data : NULL,
                                "what is behind the quote is not what the report data names");
    }
    ev_verify_pass(verify, CELLA_STEP_CUSTOM_CLAIMS);
    return CELLA_OK;
}

static cella_result verify_all(struct ev_verify *verify)
{
    struct wrap wrap = {0};
    CELLA_TRY(evidence_parse(verify, &wrap));
    CELLA_TRY(custom_claims_check(verify, &wrap));
    if (wrap.claims.tee == CELLA_TEE_SNP) {
        CELLA_TRY(ev_verify_snp(verify));
    } else {
        CELLA_TRY(ev_verify_dcap(verify, &wrap.quote));
    }
    ev_verify_policy(verify);
    return CELLA_OK;
}

/* `done`: whether all steps were taken to their end. What was not is never accepted. */
static cella_result verdict(struct cella_evidence_result *result, cella_result done)
{
    for (size_t i = 0; i < result->failure_count; i++) {
        if (!result->failures[i].excused) {
            return result->failures[i].result;
        }
    }
    for (size_t i = 0; i < CELLA_STEP_COUNT; i++) {
        CELLA_ENSURE(result->steps[i] != CELLA_STEP_FAILED, ACCESS_DENIED);
    }
    result->accepted = cella_is_ok(done); /* else libcrypto or memory: no verdict */
    return done;
}

cella_result cella_evidence_verify(struct cella_span evidence,
                                   const struct cella_prepared *prepared, int64_t time,
                                   const struct cella_evidence_policy *policy, void *scratch,
                                   size_t scratch_size, struct cella_evidence_result *result)
{
    struct cella_bytes bytes = cella_bytes_of(evidence.data, evidence.size);
    struct ev_verify verify = {
        .prepared = prepared,
        .policy = policy,
        .time = time,
        .evidence = bytes,
        .object = {.name = "evidence", .original = bytes},
        .arena = {.data = scratch, .size = scratch_size},
        .result = result,
    };
    CELLA_ENSURE(prepared && policy && scratch && result && (evidence.data || !evidence.size),
                 INVALID_ARGUMENT);
    CELLA_ENSURE(((uintptr_t)scratch & 15) == 0, INVALID_ARGUMENT);
    memset(result, 0, sizeof(*result));
    result->valid_from = INT64_MIN;
    result->valid_until = INT64_MAX;
    verify.pool = (struct ev_pool){.crypto = &prepared->crypto,
                                   .roots = &prepared->roots,
                                   .base = &prepared->pool,
                                   .max = VERIFY_CERTIFICATE_MAX};
    verify.pool.certificates =
        ev_arena_take(&verify.arena, sizeof(struct ev_certificate) * VERIFY_CERTIFICATE_MAX);
    CELLA_ENSURE(verify.pool.certificates, BUFFER_TOO_SMALL);
    cella_result done = verify_all(&verify);
    ev_pool_done(&verify.pool);
    return verdict(result, done);
}

cella_result cella_evidence_parse(struct cella_span evidence,
                                  struct cella_evidence_claims *ret_claims,
                                  struct cella_evidence_failure *ret_failure)
{
    struct cella_bytes bytes = cella_bytes_of(evidence.data, evidence.size);
    enum cella_evidence_step step;
    struct ev_place place = {0};
    struct wrap wrap;
    cella_result result = ev_wrap_parse(bytes, &place, &step, &wrap);
    if (cella_is_ok(result)) {
        *ret_claims = wrap.claims;
        return CELLA_OK;
    }
    if (ret_failure) {
        struct ev_text object = ev_text_of(ret_failure->object, sizeof(ret_failure->object));
        struct ev_text text = ev_text_of(ret_failure->text, sizeof(ret_failure->text));
        ret_failure->step = step;
        ret_failure->result = result;
        ret_failure->excused = false;
        ret_failure->offset =
            place.at ? (uint64_t)(place.at - bytes.data) : CELLA_EVIDENCE_NO_OFFSET;
        ev_text_add(&object, "evidence");
        ev_text_add(&text, cella_result_text(result));
        ev_text_add(&text, "; expected ");
        ev_text_add(&text, place.expected);
    }
    return result;
}

static cella_result quote_of(struct cella_span evidence, struct quote *ret_quote)
{
    enum cella_evidence_step step;
    struct ev_place place = {0};
    struct wrap wrap;
    CELLA_TRY(ev_wrap_parse(cella_bytes_of(evidence.data, evidence.size), &place, &step, &wrap));
    CELLA_ENSURE(wrap.claims.tee != CELLA_TEE_SNP, UNSUPPORTED);
    *ret_quote = wrap.quote;
    return CELLA_OK;
}

cella_result cella_evidence_certification(struct cella_span evidence, uint16_t *ret_type,
                                          struct cella_span *ret_data)
{
    struct quote quote;
    CELLA_TRY(quote_of(evidence, &quote));
    *ret_type = quote.certification_type;
    *ret_data =
        (struct cella_span){.data = quote.certification.data, .size = quote.certification.size};
    return CELLA_OK;
}

cella_result cella_evidence_platform(struct cella_span evidence, void *scratch, size_t scratch_size,
                                     struct cella_platform_claims *ret_platform)
{
    struct quote quote;
    struct ev_place place = {0};
    CELLA_TRY(quote_of(evidence, &quote));
    struct cella_cursor cursor = cella_cursor_of(quote.certification);
    CELLA_ENSURE(quote.certification_type == QUOTE_PCK_CHAIN, NOT_FOUND);
    for (;;) {
        struct x509_certificate certificate;
        struct cella_bytes body;
        bool is_found;
        size_t size;
        CELLA_TRY(ev_armor_pem(&cursor, "CERTIFICATE", true, &place, &is_found, &body));
        CELLA_ENSURE(is_found, NOT_FOUND);
        CELLA_ENSURE(body.size / 4 * 3 + 3 <= scratch_size, BUFFER_TOO_SMALL);
        CELLA_TRY(ev_armor_base64(body, false, &place, scratch, &size));
        CELLA_TRY(ev_x509_certificate_parse(cella_bytes_of(scratch, size), &place, &certificate));
        if (ev_contains(certificate.common_name, "SGX PCK Certificate")) {
            return ev_pck_parse(&certificate, &place, ret_platform);
        }
    }
}
