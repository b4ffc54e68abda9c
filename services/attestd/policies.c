/*
 * Policies in force: one a type of evidence, standard ones until others are set.
 * Side: services. Called by the handlers. What is set is on the disk before it is in force and before the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/common/log.h"
#include "token/base64.h"

/* One change at a time: what is in force is what was stored last. */
static pthread_mutex_t g_change = PTHREAD_MUTEX_INITIALIZER;

static const char g_sgx_standard[] =
    "version= 1.1;\n"
    "configurationrules{\n"
    "\t=> issueproperty(type=\"x-ms-sgx-tcbidentifier\", value=\"azuredefault\");\n"
    "};\n"
    "authorizationrules{\n"
    "\t=> permit();\n"
    "};\n"
    "issuancerules{\n"
    "\tc:[type==\"x-ms-sgx-is-debuggable\"] => issue(type=\"is-debuggable\", value=c.value);\n"
    "\tc:[type==\"x-ms-sgx-mrsigner\"] => issue(type=\"sgx-mrsigner\", value=c.value);\n"
    "\tc:[type==\"x-ms-sgx-mrenclave\"] => issue(type=\"sgx-mrenclave\", value=c.value);\n"
    "\tc:[type==\"x-ms-sgx-product-id\"] => issue(type=\"product-id\", value=c.value);\n"
    "\tc:[type==\"x-ms-sgx-svn\"] => issue(type=\"svn\", value=c.value);\n"
    "\tc:[type==\"x-ms-attestation-type\"] => issue(type=\"tee\", value=c.value);\n"
    "};\n";

static const char g_permit[] = "version= 1.0;\n"
                               "authorizationrules{\n"
                               "\t=> permit();\n"
                               "};\n"
                               "issuancerules{\n"
                               "};\n";

const struct attest_type attest_types[ATTEST_TYPES] = {
    {"SgxEnclave", "sgx", g_sgx_standard, true}, {"OpenEnclave", "sgx", g_sgx_standard, true},
    {"SevSnpVm", "sevsnpvm", g_permit, true},    {"TdxVm", "tdxvm", g_permit, true},
    {"AzureGuest", "azurevm", g_permit, false},  {"Tpm", "tpm", g_permit, false},
};

int attest_type_find(const char *name)
{
    for (unsigned i = 0; name && i < ATTEST_TYPES; i++) {
        if (strcmp(attest_types[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ----------------------------------------------------------------------- entries */

void policy_put(struct policy_entry *entry)
{
    if (entry && --entry->references == 0) {
        cella_policy_free(entry->policy);
        json_decref(entry->signer);
        free(entry->jws);
        free(entry->text);
        free(entry);
    }
}

/* base64url(SHA-256(base64url(text))). */
static cella_result hash_text(const char *text, size_t size, char *out)
{
    unsigned char digest[32];
    unsigned digest_size;
    char *encoded = malloc(BASE64_ROOM(size));
    CELLA_ENSURE(encoded, OUT_OF_MEMORY);
    size_t encoded_size = base64url_encode(cella_bytes_of(text, size), encoded);
    int good = EVP_Digest(encoded, encoded_size, digest, &digest_size, EVP_sha256(), NULL);
    free(encoded);
    CELLA_ENSURE(good == 1, CRYPTO);
    base64url_encode(cella_bytes_of(digest, sizeof(digest)), out);
    return CELLA_OK;
}

static cella_result parse_text(bool compatible, const char *text, size_t size,
                               struct cella_policy **ret_policy, struct cella_error *error)
{
    struct cella_policy_problems problems = {0};
    cella_result result =
        cella_policy_parse(cella_bytes_of(text, size), compatible, ret_policy, &problems);
    for (unsigned i = 0; i < problems.count; i++) {
        const struct cella_policy_problem *problem = &problems.items[i];
        if (!problem->warning) {
            return cella_error_set(error, result, "line %u, column %u: %s", problem->line,
                                   problem->column, problem->text);
        }
        log_say(LOG_WARNING, "policy", "line %u, column %u: %s", problem->line, problem->column,
                problem->text);
    }
    return result;
}

/* Takes over `signer`, also when it fails. `jws` NULL: an unsigned one is made. */
static cella_result entry_new(bool compatible, const char *text, size_t size, const char *jws,
                              json_t *signer, struct policy_entry **ret_entry,
                              struct cella_error *error)
{
    struct policy_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        json_decref(signer);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    entry->references = 1;
    entry->signer = signer;
    cella_result result = parse_text(compatible, text, size, &entry->policy, error);
    if (cella_is_ok(result)) {
        result = hash_text(text, size, entry->hash);
    }
    entry->text = strndup(text, size);
    entry->jws = jws ? strdup(jws) : NULL;
    if (!entry->text || (jws && !entry->jws)) {
        result = CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (!cella_is_ok(result)) {
        policy_put(entry);
        return result;
    }
    *ret_entry = entry;
    return CELLA_OK;
}

/* {"AttestationPolicy": base64url(text)} as a JWS without a signature. */
static cella_result unsigned_jws(const char *text, char **ret_jws)
{
    char *encoded = malloc(BASE64_ROOM(strlen(text)));
    CELLA_ENSURE(encoded, OUT_OF_MEMORY);
    base64url_encode(cella_bytes_of(text, strlen(text)), encoded);
    json_t *body = json_pack("{s:s}", "AttestationPolicy", encoded);
    json_t *header = json_object();
    char *payload = body ? json_dumps(body, JSON_COMPACT) : NULL;
    cella_result result =
        payload && header
            ? jose_sign(NULL, header, cella_bytes_of(payload, strlen(payload)), ret_jws)
            : CELLA_RESULT(OUT_OF_MEMORY);
    free(payload);
    json_decref(header);
    json_decref(body);
    free(encoded);
    return result;
}

static cella_result standard_entry(int type, struct policy_entry **ret_entry,
                                   struct cella_error *error)
{
    const char *text = attest_types[type].standard;
    char *jws = NULL;
    CELLA_TRY(unsigned_jws(text, &jws));
    cella_result result = entry_new(false, text, strlen(text), jws, NULL, ret_entry, error);
    free(jws);
    if (cella_is_ok(result)) {
        (*ret_entry)->is_standard = true;
    }
    return result;
}

/* The text inside a policy's JWS. From malloc. */
static cella_result policy_text(const struct jose_jws *jws, char **ret_text, size_t *ret_size,
                                struct cella_error *error)
{
    CELLA_CLEANUP(jose_json_done)
    json_t *body =
        json_loadb((const char *)jws->payload, jws->payload_size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *member = json_object_get(body, "AttestationPolicy");
    if (!json_is_string(member)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the payload is not a JSON object with a string AttestationPolicy");
    }
    size_t size = json_string_length(member);
    uint8_t *text = malloc(size / 4 * 3 + 4);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    if (!cella_is_ok(base64_decode_any(json_string_value(member), size, text, ret_size))) {
        free(text);
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "AttestationPolicy is not base64url");
    }
    text[*ret_size] = 0;
    *ret_text = (char *)text;
    return CELLA_OK;
}

cella_result policy_draft(const struct attestd *attestd, const char *text, size_t size,
                          struct policy_entry **ret_entry, struct cella_error *error)
{
    bool compatible = attestd->settings->policy_mode == POLICY_COMPATIBLE;
    if (size < 3 || memcmp(text, "eyJ", 3) != 0) {
        return entry_new(compatible, text, size, NULL, NULL, ret_entry, error);
    }
    CELLA_CLEANUP(jose_done) struct jose_jws jws = {0};
    char *inner = NULL;
    size_t inner_size = 0;
    CELLA_TRY(jose_parse(text, size, true, &jws, error));
    CELLA_TRY(policy_text(&jws, &inner, &inner_size, error));
    cella_result result = entry_new(compatible, inner, inner_size, text, NULL, ret_entry, error);
    free(inner);
    return result;
}

struct policy_entry *policy_get(struct attestd *attestd, int type)
{
    pthread_rwlock_rdlock(&attestd->policy_lock);
    struct policy_entry *entry = attestd->policies[type];
    entry->references++;
    pthread_rwlock_unlock(&attestd->policy_lock);
    return entry;
}

static void policy_replace(struct attestd *attestd, int type, struct policy_entry *entry)
{
    pthread_rwlock_wrlock(&attestd->policy_lock);
    struct policy_entry *old = attestd->policies[type];
    attestd->policies[type] = entry;
    pthread_rwlock_unlock(&attestd->policy_lock);
    policy_put(old);
}

/* ---------------------------------------------------------------------- database */

static cella_result load_row(struct attestd *attestd, sqlite3_stmt *statement,
                             struct cella_error *error)
{
    int type = attest_type_find((const char *)sqlite3_column_text(statement, 0));
    const char *text = (const char *)sqlite3_column_text(statement, 1);
    const char *signer = (const char *)sqlite3_column_text(statement, 2);
    CELLA_CLEANUP(jose_done) struct jose_jws jws = {0};
    struct policy_entry *entry = NULL;
    char *inner = NULL;
    size_t size = 0;
    CELLA_ENSURE(type >= 0 && text, BAD_FIELD);
    CELLA_TRY(jose_parse(text, strlen(text), true, &jws, error));
    CELLA_TRY(policy_text(&jws, &inner, &size, error));
    /* Read as it was when it was set: what was mended then is mended now. */
    cella_result result = entry_new(true, inner, size, text,
                                    signer ? json_loads(signer, 0, NULL) : NULL, &entry, error);
    free(inner);
    CELLA_TRY(result);
    policy_replace(attestd, type, entry);
    return CELLA_OK;
}

cella_result policies_open(struct attestd *attestd, struct cella_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    pthread_rwlock_init(&attestd->policy_lock, NULL);
    for (unsigned i = 0; i < ATTEST_TYPES; i++) {
        CELLA_TRY(standard_entry((int)i, &attestd->policies[i], error));
    }
    CELLA_TRY(database_prepare(&attestd->database, &statement,
                               "SELECT type, jws, signer FROM policies", ""));
    cella_result result = CELLA_OK;
    while (cella_is_ok(result) && row) {
        result = database_step(statement, &row);
        if (cella_is_ok(result) && row) {
            result = load_row(attestd, statement, error);
        }
    }
    database_statement_done(&statement);
    return result;
}

void policies_close(struct attestd *attestd)
{
    for (unsigned i = 0; i < ATTEST_TYPES; i++) {
        policy_put(attestd->policies[i]);
    }
    pthread_rwlock_destroy(&attestd->policy_lock);
}

static cella_result store(struct attestd *attestd, int type, const struct policy_entry *entry)
{
    char *signer = entry->signer ? json_dumps(entry->signer, JSON_COMPACT) : NULL;
    database_lock(&attestd->database);
    cella_result result =
        database_run(&attestd->database,
                     "INSERT OR REPLACE INTO policies(type, jws, signer, changed) "
                     "VALUES(?1, ?2, ?3, ?4)",
                     "ttti", attest_types[type].name, entry->jws, signer, time_now());
    database_unlock(&attestd->database);
    free(signer);
    return result;
}

/* ---------------------------------------------------------------------- handlers */

/* The type in the path, for an administrator and a known version; else answers and gives -1. */
static int begin(struct http_exchange *exchange, struct attestd *attestd)
{
    if (!require_admin(exchange, attestd) || !require_version(exchange)) {
        return -1;
    }
    int type = attest_type_find(http_segment(exchange, 0));
    if (type < 0) {
        reply_error(exchange, 400, "InvalidParameter",
                    "'%.40s' is no attestation type; expected SgxEnclave, OpenEnclave, SevSnpVm, "
                    "TdxVm, AzureGuest or Tpm",
                    http_segment(exchange, 0));
    }
    return type;
}

void handle_policy_get(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    int type = begin(exchange, attestd);
    if (type >= 0) {
        struct policy_entry *entry = policy_get(attestd, type);
        reply_token(exchange, attestd, json_pack("{s:s}", "x-ms-policy", entry->jws), true);
        policy_put(entry);
    }
}

/* What a change of policy is answered with; takes over `signer`. */
static void reply_change(struct http_exchange *exchange, struct attestd *attestd,
                         const char *result, const char *jws, json_t *signer)
{
    unsigned char digest[32];
    unsigned size;
    char hash[KID_SIZE] = "";
    if (EVP_Digest(jws, strlen(jws), digest, &size, EVP_sha256(), NULL) == 1) {
        base64url_encode(cella_bytes_of(digest, sizeof(digest)), hash);
    }
    json_t *claims =
        json_pack("{s:s, s:s}", "x-ms-policy-result", result, "x-ms-policy-token-hash", hash);
    if (claims && signer) {
        json_object_set(claims, "x-ms-policy-signer", signer);
    }
    json_decref(signer);
    reply_token(exchange, attestd, claims, true);
}

/* With the JWS checked; takes over `signer`. */
static void set_policy(struct http_exchange *exchange, struct attestd *attestd, int type,
                       const struct jose_jws *jws, const char *token, json_t *signer)
{
    struct cella_error error = {0};
    struct policy_entry *entry = NULL;
    char *text = NULL;
    size_t size = 0;
    cella_result result = policy_text(jws, &text, &size, &error);
    if (!cella_is_ok(result)) {
        json_decref(signer);
        reply_error(exchange, 400, "InvalidParameter", "%s", error.text);
        return;
    }
    result = entry_new(attestd->settings->policy_mode == POLICY_COMPATIBLE, text, size, token,
                       signer, &entry, &error);
    free(text);
    if (!cella_is_ok(result)) {
        reply_error(exchange, 400, "PolicyParsingError", "%s",
                    error.text[0] ? error.text : cella_result_text(result));
        return;
    }
    json_t *copy = json_incref(entry->signer);
    pthread_mutex_lock(&g_change);
    result = store(attestd, type, entry);
    if (cella_is_ok(result)) {
        policy_replace(attestd, type, entry);
    }
    pthread_mutex_unlock(&g_change);
    if (!cella_is_ok(result)) {
        policy_put(entry);
        json_decref(copy);
        reply_error(exchange, 500, "InternalError", "the policy could not be stored: %s",
                    cella_result_text(result));
        return;
    }
    reply_change(exchange, attestd, "Updated", token, copy);
}

void handle_policy_set(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    int type = begin(exchange, attestd);
    if (type < 0) {
        return;
    }
    struct cella_bytes body = body_token(exchange);
    struct jose_jws jws = {0};
    json_t *signer = NULL;
    if (require_signed(exchange, attestd, (const char *)body.data, body.size, &jws, &signer)) {
        char *token = strndup((const char *)body.data, body.size);
        if (token) {
            set_policy(exchange, attestd, type, &jws, token, signer);
        }
        free(token);
        jose_done(&jws);
    }
}

/* What was signed to be set, or to add a signer, was not signed to reset: everybody who may read it could. */
static bool says_nothing(const struct jose_jws *jws)
{
    CELLA_CLEANUP(jose_json_done)
    json_t *body = json_loadb((const char *)jws->payload, jws->payload_size, JSON_DECODE_ANY, NULL);
    return json_object_size(body) == 0;
}

void handle_policy_reset(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    int type = begin(exchange, attestd);
    if (type < 0) {
        return;
    }
    struct cella_bytes body = body_token(exchange);
    struct jose_jws jws = {0};
    struct cella_error error = {0};
    json_t *signer = NULL;
    if (!require_signed(exchange, attestd, (const char *)body.data, body.size, &jws, &signer)) {
        return;
    }
    const bool is_empty = says_nothing(&jws);
    jose_done(&jws);
    if (attestd->settings->mode == MODE_ISOLATED && !is_empty) {
        json_decref(signer);
        reply_error(exchange, 400, "InvalidParameter",
                    "a reset is signed over an empty payload, not over a policy");
        return;
    }
    struct policy_entry *standard = NULL;
    pthread_mutex_lock(&g_change);
    struct policy_entry *old = policy_get(attestd, type);
    cella_result result = standard_entry(type, &standard, &error);
    if (cella_is_ok(result)) {
        database_lock(&attestd->database);
        result = database_run(&attestd->database, "DELETE FROM policies WHERE type = ?1", "t",
                              attest_types[type].name);
        database_unlock(&attestd->database);
    }
    if (cella_is_ok(result)) {
        policy_replace(attestd, type, standard);
    }
    pthread_mutex_unlock(&g_change);
    if (cella_is_ok(result)) {
        reply_change(exchange, attestd, "Removed", old->jws, signer);
    } else {
        policy_put(standard);
        json_decref(signer);
        reply_error(exchange, 500, "InternalError", "the policy could not be removed: %s",
                    cella_result_text(result));
    }
    policy_put(old);
}
