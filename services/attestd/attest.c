/*
 * Attest requests: from the body to a token.
 * Side: services. Called by the HTTP server. Never issues a signed token for a draft policy.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/collateral.h"
#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/common/log.h"
#include "token/base64.h"

#define CLAIMS_MAX 256u
#define NONCE_MAX 1024u

struct buffer {
    uint8_t *data;
    size_t size;
};

static void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
}

static struct cella_span span_of(const struct buffer *buffer)
{
    return (struct cella_span){buffer->data, buffer->size};
}

/* What is to be bound into the evidence. */
struct held_data {
    struct buffer bytes;
    bool given;
    json_t *json; /* when its type is JSON */
};

struct attest_request {
    struct http_exchange *exchange;
    struct attestd *attestd;
    int type;
    json_t *body;
    struct buffer evidence;
    struct buffer certificates;
    struct held_data runtime;
    struct held_data init_time;
    const char *nonce;
    struct policy_entry *policy;
    bool is_draft;
    struct evidence_check check;
    json_t *claims; /* the service's */
};

static void request_done(struct attest_request *request)
{
    json_decref(request->body);
    buffer_done(&request->evidence);
    buffer_done(&request->certificates);
    buffer_done(&request->runtime.bytes);
    buffer_done(&request->init_time.bytes);
    json_decref(request->runtime.json);
    json_decref(request->init_time.json);
    policy_put(request->policy);
    evidence_done(&request->check);
    json_decref(request->claims);
}

#define FAIL(request, code, ...) (reply_error((request)->exchange, 400, code, __VA_ARGS__), false)

/* ---------------------------------------------------------------------- the body */

static bool decode(struct attest_request *request, const json_t *member, const char *name,
                   struct buffer *ret_buffer)
{
    if (!json_is_string(member)) {
        return FAIL(request, "InvalidParameter", "%s is missing; expected a base64url string",
                    name);
    }
    size_t size = json_string_length(member);
    ret_buffer->data = malloc(size / 4 * 3 + 4);
    if (!ret_buffer->data || !cella_is_ok(base64_decode_any(json_string_value(member), size,
                                                            ret_buffer->data, &ret_buffer->size))) {
        return FAIL(request, "InvalidParameter", "%s is not base64url", name);
    }
    return true;
}

/* {data, dataType}. Data without a type is Binary; a type without data is nothing. */
static bool read_held(struct attest_request *request, const char *name, struct held_data *held)
{
    const json_t *object = json_object_get(request->body, name);
    if (!object || json_is_null(object)) {
        return true;
    }
    const json_t *data = json_object_get(object, "data");
    const json_t *type = json_object_get(object, "dataType");
    const char *type_name = json_string_value(type);
    if (!json_is_object(object) || (type && !json_is_null(type) && !type_name) ||
        (type_name && strcasecmp(type_name, "Binary") != 0 && strcasecmp(type_name, "JSON") != 0)) {
        return FAIL(request, "InvalidParameter", "%s: expected {data, dataType: Binary or JSON}",
                    name);
    }
    if (!data || json_is_null(data)) {
        return true;
    }
    if (!decode(request, data, name, &held->bytes)) {
        return false;
    }
    held->given = true;
    if (type_name && strcasecmp(type_name, "JSON") == 0) {
        held->json = json_loadb((const char *)held->bytes.data, held->bytes.size,
                                JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(held->json)) {
            return FAIL(request, "InvalidParameter", "%s: the data is not a JSON object", name);
        }
    }
    return true;
}

/* SevSnpVm: {SnpReport, VcekCertChain, Endorsements} in base64url, or the report alone. */
static bool read_snp(struct attest_request *request)
{
    struct buffer outer = request->evidence;
    if (outer.size == 0 || outer.data[0] != '{') {
        return true;
    }
    CELLA_CLEANUP(jose_json_done)
    json_t *json = json_loadb((const char *)outer.data, outer.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json) {
        return FAIL(request, "InvalidParameter", "report is not JSON with SnpReport");
    }
    request->evidence = (struct buffer){0};
    buffer_done(&outer);
    if (!decode(request, json_object_get(json, "SnpReport"), "SnpReport", &request->evidence)) {
        return false;
    }
    const json_t *chain = json_object_get(json, "VcekCertChain");
    return !chain || json_is_null(chain) ||
           decode(request, chain, "VcekCertChain", &request->certificates);
}

static bool read_policy(struct attest_request *request)
{
    const json_t *draft = json_object_get(request->body, "draftPolicyForAttestation");
    struct cella_error error = {0};
    if (!draft || json_is_null(draft) || json_string_length(draft) == 0) {
        request->policy = policy_get(request->attestd, request->type);
        return true;
    }
    if (!json_is_string(draft)) {
        return FAIL(request, "InvalidParameter", "draftPolicyForAttestation is not a string");
    }
    cella_result result = policy_draft(request->attestd, json_string_value(draft),
                                       json_string_length(draft), &request->policy, &error);
    if (!cella_is_ok(result)) {
        return FAIL(request, "PolicyParsingError", "the draft policy: %s",
                    error.text[0] ? error.text : cella_result_text(result));
    }
    request->is_draft = true;
    return true;
}

static bool read_body(struct attest_request *request)
{
    struct cella_bytes body = http_body(request->exchange);
    json_error_t what = {.text = "empty"};
    request->body =
        body.size ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &what)
                  : NULL;
    if (!json_is_object(request->body)) {
        return FAIL(request, "InvalidParameter", "the body is not a JSON object: %s", what.text);
    }
    bool is_quote = request->type == attest_type_find("SgxEnclave") ||
                    request->type == attest_type_find("TdxVm");
    const char *name = is_quote ? "quote" : "report";
    const json_t *nonce = json_object_get(request->body, "nonce");
    request->nonce = json_string_value(nonce);
    if (nonce && !json_is_null(nonce) &&
        (!request->nonce || json_string_length(nonce) > NONCE_MAX)) {
        return FAIL(request, "InvalidParameter", "nonce is not a string of at most %u bytes",
                    NONCE_MAX);
    }
    return decode(request, json_object_get(request->body, name), name, &request->evidence) &&
           (strcmp(attest_types[request->type].token, "sevsnpvm") != 0 || read_snp(request)) &&
           read_held(request, "runtimeData", &request->runtime) &&
           read_held(request, "initTimeData", &request->init_time) && read_policy(request);
}

/* ------------------------------------------------------------------------ checks */

/* The configuration rule that names a TCB baseline. */
static bool read_baseline(struct attest_request *request, uint32_t *ret_number)
{
    struct cella_policy_value value;
    *ret_number = 0;
    if (!cella_policy_setting(request->policy->policy, "x-ms-sgx-tcbidentifier", &value) ||
        (value.type == CELLA_POLICY_STRING && strcmp(value.text, "azuredefault") == 0)) {
        return true;
    }
    char *end = NULL;
    long number =
        value.type == CELLA_POLICY_STRING ? strtol(value.text, &end, 10) : (long)value.integer;
    if (value.type == CELLA_POLICY_BOOLEAN || (end && (*end || end == value.text)) || number < 1 ||
        number > 1000000) {
        return FAIL(
            request, "PolicyEvaluationError",
            "x-ms-sgx-tcbidentifier: expected azuredefault or a TCB evaluation data number");
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool right_kind(struct attest_request *request)
{
    const struct cella_evidence_claims *claims = &request->check.result.claims;
    static const struct {
        const char *type;
        enum cella_tee tee;
        bool wrapped;
        const char *expected;
    } kinds[] = {
        {"SgxEnclave", CELLA_TEE_SGX, false, "an SGX quote"},
        {"OpenEnclave", CELLA_TEE_SGX, true, "Open Enclave evidence or an Open Enclave report"},
        {"SevSnpVm", CELLA_TEE_SNP, false, "an SEV-SNP report"},
        {"TdxVm", CELLA_TEE_TDX, false, "a TDX quote"},
    };
    bool wrapped =
        claims->format == CELLA_EVIDENCE_OE_REPORT || claims->format == CELLA_EVIDENCE_OE_EVIDENCE;
    for (size_t i = 0; i < CELLA_COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, attest_types[request->type].name) == 0 &&
            (claims->tee != kinds[i].tee || wrapped != kinds[i].wrapped)) {
            return FAIL(request, "InvalidParameter", "%s needs %s; this is %s for %s",
                        kinds[i].type, kinds[i].expected,
                        cella_evidence_format_name(claims->format), cella_tee_name(claims->tee));
        }
    }
    return true;
}

/* False with nothing answered: to be called again where it may block. */
static bool verify(struct attest_request *request, bool *ret_later)
{
    struct cella_error error = {0};
    struct evidence_input input = {.evidence = span_of(&request->evidence),
                                   .certificates = span_of(&request->certificates),
                                   .may_block = http_may_block(request->exchange)};
    if (!read_baseline(request, &input.evaluation_number)) {
        return false;
    }
    cella_result result = evidence_verify(request->attestd, &input, &request->check, &error);
    if (result.code == CELLA_CODE_BUSY && !input.may_block) {
        *ret_later = true;
        return false;
    }
    if (!cella_is_ok(result)) {
        reply_error(request->exchange, 503, "ServiceUnavailable",
                    "the collateral for this evidence cannot be had: %s",
                    error.text[0] ? error.text : cella_result_text(result));
        return false;
    }
    if (request->check.result.claims.tee != CELLA_TEE_UNKNOWN && !right_kind(request)) {
        return false;
    }
    if (!request->check.result.accepted) {
        char reason[512];
        evidence_reason(&request->check.result, reason, sizeof(reason));
        metric_add(&attestd_metrics[METRIC_REFUSED], 1);
        return FAIL(request, "InvalidParameter", "the evidence does not verify: %s", reason);
    }
    return true;
}

/* SHA-256 of the data must begin `field`, and, where the field is longer and `exact`, zeros must follow. */
static bool is_bound(const struct held_data *held, struct cella_span field, bool exact)
{
    unsigned char digest[32];
    unsigned size;
    bool good =
        field.size >= sizeof(digest) &&
        EVP_Digest(held->bytes.data, held->bytes.size, digest, &size, EVP_sha256(), NULL) == 1 &&
        memcmp(field.data, digest, sizeof(digest)) == 0;
    for (size_t i = sizeof(digest); good && exact && i < field.size; i++) {
        good = field.data[i] == 0;
    }
    return good;
}

/* Where the TEE keeps what was fixed when it started. */
static struct cella_span init_time_field(const struct cella_evidence_claims *claims,
                                         const char **ret_name)
{
    switch (claims->tee) {
    case CELLA_TEE_SGX:
        *ret_name = "CONFIGID";
        return claims->sgx.config_id;
    case CELLA_TEE_TDX:
        *ret_name = "MRCONFIGID";
        return claims->tdx.mr_config_id;
    default:
        *ret_name = "HOST_DATA";
        return claims->snp.host_data;
    }
}

static bool check_bindings(struct attest_request *request)
{
    const struct cella_evidence_claims *claims = &request->check.result.claims;
    const char *name;
    struct cella_span field = init_time_field(claims, &name);
    if (request->runtime.given && !is_bound(&request->runtime, claims->report_data, false)) {
        return FAIL(request, "InvalidParameter",
                    "runtimeData: its SHA-256 is not the first 32 bytes of the report data");
    }
    if (request->init_time.given && !is_bound(&request->init_time, field, true)) {
        return FAIL(request, "InvalidParameter", "initTimeData: its SHA-256 is not the %s", name);
    }
    return true;
}

/* ------------------------------------------------------------------------ claims */

static bool set_text(json_t *claims, const char *name, const char *value)
{
    return json_object_set_new(claims, name, json_string(value)) == 0;
}

static json_t *encoded(const struct buffer *buffer)
{
    char *text = malloc(BASE64_ROOM(buffer->size));
    if (!text) {
        return NULL;
    }
    base64url_encode(cella_bytes_of(buffer->data, buffer->size), text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

/* All that the service itself says in a token, but for what every token has. */
static bool make_claims(struct attest_request *request)
{
    const struct policy_entry *policy = request->policy;
    bool sgx = request->check.result.claims.tee == CELLA_TEE_SGX;
    json_t *claims = claims_of_evidence(request->attestd, &request->check);
    request->claims = claims;
    bool good = claims && set_text(claims, "x-ms-ver", "1.0") &&
                set_text(claims, "x-ms-attestation-type", attest_types[request->type].token) &&
                set_text(claims, "x-ms-policy-hash", policy->hash);
    if (request->nonce) {
        good = good && set_text(claims, "nonce", request->nonce);
    }
    if (policy->signer) {
        good = good && json_object_set_new(claims, "x-ms-policy-signer",
                                           json_deep_copy(policy->signer)) == 0;
    }
    if (request->runtime.json) {
        good = good && json_object_set(claims, "x-ms-runtime", request->runtime.json) == 0;
    } else if (request->runtime.given && sgx) {
        good = good &&
               json_object_set_new(claims, "x-ms-sgx-ehd", encoded(&request->runtime.bytes)) == 0;
    }
    if (request->init_time.json) {
        good = good && json_object_set(claims, "x-ms-inittime", request->init_time.json) == 0;
    }
    if (!good) {
        reply_error(request->exchange, 500, "InternalError", "out of memory");
    }
    return good;
}

/* Names of before, which the standard policy's tokens still have. */
static const char *const g_aliases[][2] = {
    {"maa-ehd", "x-ms-sgx-ehd"},
    {"aas-ehd", "x-ms-sgx-ehd"},
    {"ver", "x-ms-ver"},
    {"maa-attestationcollateral", "x-ms-sgx-collateral"},
    {"policy_hash", "x-ms-policy-hash"},
    {"maa-policyHash", "x-ms-policy-hash"},
    {"rp_data", "nonce"},
    {"policy_signer", "x-ms-policy-signer"},
};

/* What policies may still call claims of the service by. */
static const char *const g_incoming_aliases[][2] = {
    {"$is-debuggable", "x-ms-sgx-is-debuggable"},
    {"$product-id", "x-ms-sgx-product-id"},
    {"$sgx-mrsigner", "x-ms-sgx-mrsigner"},
    {"$sgx-mrenclave", "x-ms-sgx-mrenclave"},
    {"$svn", "x-ms-sgx-svn"},
    {"$tee", "x-ms-attestation-type"},
    {"$maa-ehd", "x-ms-sgx-ehd"},
    {"$aas-ehd", "x-ms-sgx-ehd"},
};

static void add_incoming(struct cella_policy_claim *claims, size_t *count, const char *name,
                         const json_t *value, enum cella_policy_issuer issuer)
{
    struct cella_policy_claim claim = {.type = name, .issuer = issuer};
    if (json_is_string(value)) {
        claim.value = cella_policy_string(json_string_value(value));
        claim.value.size = json_string_length(value);
    } else if (json_is_integer(value)) {
        claim.value = cella_policy_integer(json_integer_value(value));
    } else if (json_is_boolean(value)) {
        claim.value = cella_policy_boolean(json_is_true(value));
    } else {
        return;
    }
    if (*count < CLAIMS_MAX) {
        claims[(*count)++] = claim;
    }
}

/* Names that only the service speaks under: what a policy finds by them is never the attested program's own word. */
static bool is_reserved(const struct attest_request *request, const char *name)
{
    return name[0] == '$' || strncmp(name, "x-ms-", 5) == 0 || strncmp(name, "x-cella-", 8) == 0 ||
           json_object_get(request->claims, name) != NULL;
}

static size_t incoming_claims(const struct attest_request *request,
                              struct cella_policy_claim *claims)
{
    const char *name;
    json_t *value;
    size_t count = 0;
    size_t index;
    json_object_foreach(request->claims, name, value)
    {
        add_incoming(claims, &count, name, value, CELLA_POLICY_BY_SERVICE);
        if (json_is_array(value)) {
            json_t *one;
            json_array_foreach(value, index, one)
            {
                add_incoming(claims, &count, name, one, CELLA_POLICY_BY_SERVICE);
            }
        }
    }
    for (size_t i = 0; i < CELLA_COUNT(g_incoming_aliases); i++) {
        add_incoming(claims, &count, g_incoming_aliases[i][0],
                     json_object_get(request->claims, g_incoming_aliases[i][1]),
                     CELLA_POLICY_BY_SERVICE);
    }
    /* What the attested program says of itself; only what JSON runtime data has at its top. */
    json_object_foreach(request->runtime.json, name, value)
    {
        if (!is_reserved(request, name)) {
            add_incoming(claims, &count, name, value, CELLA_POLICY_BY_CUSTOM);
        }
    }
    return count;
}

static json_t *value_json(const struct cella_policy_value *value)
{
    switch (value->type) {
    case CELLA_POLICY_STRING:
        return json_stringn(value->text, value->size);
    case CELLA_POLICY_INTEGER:
        return json_integer(value->integer);
    default:
        return json_boolean(value->integer);
    }
}

/* A second value under a name makes a list; the same value again changes nothing. */
static void add_outgoing(json_t *token, const struct cella_policy_claim *claim)
{
    json_t *value = value_json(&claim->value);
    json_t *there = json_object_get(token, claim->type);
    if (!there) {
        json_object_set_new(token, claim->type, value);
        return;
    }
    if (!json_is_array(there)) {
        if (json_equal(there, value)) {
            json_decref(value);
            return;
        }
        json_object_set_new(token, claim->type, json_pack("[O,o]", there, value));
        return;
    }
    size_t index;
    json_t *one;
    json_array_foreach(there, index, one)
    {
        if (json_equal(one, value)) {
            json_decref(value);
            return;
        }
    }
    json_array_append_new(there, value);
}

/* The policy's claims first: the service's own cannot be overwritten by them. */
static json_t *token_claims(const struct attest_request *request,
                            const struct cella_policy_outcome *outcome)
{
    json_t *token = json_object();
    for (size_t i = 0; i < outcome->out_count && token; i++) {
        if (strncmp(outcome->out[i].type, "x-ms-", 5) != 0) {
            add_outgoing(token, &outcome->out[i]);
        }
    }
    for (size_t i = 0; i < CELLA_COUNT(g_aliases) && token && request->policy->is_standard; i++) {
        json_t *value = json_object_get(request->claims, g_aliases[i][1]);
        if (value && request->check.result.claims.tee == CELLA_TEE_SGX) {
            json_object_set_new(token, g_aliases[i][0], json_deep_copy(value));
        }
    }
    if (token && json_object_update(token, request->claims) != 0) {
        json_decref(token);
        return NULL;
    }
    return token;
}

static void evaluate(struct attest_request *request)
{
    struct cella_policy_claim *claims = calloc(CLAIMS_MAX, sizeof(*claims));
    struct cella_policy_run *run = NULL;
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (claims) {
        size_t count = incoming_claims(request, claims);
        result = cella_policy_evaluate(request->policy->policy, claims, count, &run);
    }
    if (!cella_is_ok(result)) {
        reply_error(request->exchange, 400, "PolicyEvaluationError",
                    "the policy could not be evaluated: %s", cella_result_text(result));
        free(claims);
        return;
    }
    const struct cella_policy_outcome *outcome = cella_policy_outcome(run);
    for (size_t i = 0; i < outcome->note_count; i++) {
        log_say(LOG_DEBUG, "policy", "%s", outcome->notes[i]);
    }
    if (outcome->permitted) {
        metric_add(&attestd_metrics[METRIC_ACCEPTED], 1);
        reply_token(request->exchange, request->attestd, token_claims(request, outcome),
                    !request->is_draft);
    } else {
        metric_add(&attestd_metrics[METRIC_DENIED], 1);
        reply_error(request->exchange, 400, "PolicyEvaluationError",
                    "the policy does not permit this evidence: %s", outcome->reason);
    }
    cella_policy_run_free(run);
    free(claims);
}

/* ---------------------------------------------------------------------- handlers */

void handle_attest(struct http_exchange *exchange, void *context)
{
    struct attest_request request = {.exchange = exchange, .attestd = context};
    bool later = false;
    if (!require_version(exchange)) {
        return;
    }
    request.type = attest_type_find(http_segment(exchange, 0));
    if (request.type < 0) {
        reply_error(exchange, 404, "NotFound",
                    "'%.40s' is no attestation type; expected SgxEnclave, OpenEnclave, SevSnpVm or "
                    "TdxVm",
                    http_segment(exchange, 0));
        return;
    }
    if (request.type == attest_type_find("Tpm")) {
        handle_tpm(exchange, context);
        return;
    }
    if (!attest_types[request.type].served) {
        reply_error(
            exchange, 400, "InvalidOperation",
            "this service does not attest %s: it has no verifier for the evidence of a vTPM",
            attest_types[request.type].name);
        return;
    }
    if (read_body(&request) && verify(&request, &later) && check_bindings(&request) &&
        make_claims(&request)) {
        evaluate(&request);
    }
    request_done(&request);
    if (later) {
        http_later(exchange);
    }
}

static json_t *steps_json(const struct cella_evidence_result *result)
{
    static const char *const outcomes[] = {"not taken", "passed", "failed", "excused"};
    json_t *steps = json_array();
    for (unsigned i = 0; i < CELLA_STEP_COUNT; i++) {
        json_array_append_new(steps,
                              json_pack("{s:s, s:s, s:s}", "step", cella_evidence_step_name(i),
                                        "text", cella_evidence_step_text(i), "outcome",
                                        result->steps[i] < 4 ? outcomes[result->steps[i]] : "?"));
    }
    return steps;
}

static json_t *failures_json(const struct cella_evidence_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->failure_count; i++) {
        const struct cella_evidence_failure *failure = &result->failures[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:b}", "step",
                                cella_evidence_step_name(failure->step), "object", failure->object,
                                "text", failure->text, "excused", failure->excused);
        if (one && failure->offset != CELLA_EVIDENCE_NO_OFFSET) {
            json_object_set_new(one, "offset", json_integer((json_int_t)failure->offset));
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* Any evidence as people keep it, and what became of it step by step. Nothing is issued. */
void handle_explain(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    struct cella_bytes body = http_body(exchange);
    struct cella_error error = {0};
    struct buffer evidence = {0};
    struct evidence_check check = {.collateral = NULL};
    if (!cella_is_ok(cella_evidence_decode((struct cella_span){body.data, body.size},
                                           &evidence.data, &evidence.size))) {
        reply_error(
            exchange, 400, "InvalidParameter",
            "no evidence is recognised: expected a quote, a report, or Open Enclave evidence; "
            "raw, in hexadecimal or in base64");
        return;
    }
    const struct evidence_input input = {.evidence = span_of(&evidence),
                                         .may_block = http_may_block(exchange)};
    cella_result result = evidence_verify(attestd, &input, &check, &error);
    if (cella_is_ok(result)) {
        json_t *claims = check.result.claims.tee == CELLA_TEE_UNKNOWN
                             ? json_object()
                             : claims_of_evidence(attestd, &check);
        http_reply_json(exchange, 200, NULL,
                        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "verdict",
                                  check.result.accepted ? "accepted" : "refused", "tee",
                                  cella_tee_name(check.result.claims.tee), "format",
                                  cella_evidence_format_name(check.result.claims.format), "status",
                                  cella_tcb_status_name(check.result.status), "steps",
                                  steps_json(&check.result), "failures",
                                  failures_json(&check.result), "claims", claims));
        evidence_done(&check);
    } else if (result.code == CELLA_CODE_BUSY && !input.may_block) {
        http_later(exchange);
    } else {
        reply_error(exchange, 503, "ServiceUnavailable", "%s",
                    error.text[0] ? error.text : cella_result_text(result));
    }
    buffer_done(&evidence);
}
