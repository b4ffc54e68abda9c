/*
 * What users and administrators send: platforms, collateral, refreshes, appraisal policies, bundles.
 * Side: services. Called by the HTTP server. Tokens are compared by their SHA-512.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

static bool token_fits(const struct http_exchange *exchange, const char *header,
                       const struct setting_list *hashes)
{
    static const char digits[] = "0123456789abcdef";
    const char *token = http_header(exchange, header);
    unsigned char digest[64];
    char text[129];
    unsigned size;
    bool fits = false;
    if (!token || EVP_Digest(token, strlen(token), digest, &size, EVP_sha512(), NULL) != 1) {
        return false;
    }
    for (unsigned i = 0; i < sizeof(digest); i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[128] = 0;
    for (size_t i = 0; i < hashes->count; i++) {
        fits |= strcasecmp(hashes->items[i], text) == 0;
    }
    return fits;
}

bool require_user(struct http_exchange *exchange, const struct pccs *pccs)
{
    if (token_fits(exchange, "user-token", &pccs->settings->user_token_sha512)) {
        return true;
    }
    reply_status(exchange, PCCS_UNAUTHORIZED);
    return false;
}

bool require_admin(struct http_exchange *exchange, const struct pccs *pccs)
{
    if (token_fits(exchange, "admin-token", &pccs->settings->admin_token_sha512)) {
        return true;
    }
    reply_status(exchange, PCCS_UNAUTHORIZED);
    return false;
}

static json_t *read_body(const struct http_exchange *exchange)
{
    struct cella_bytes body = http_body(exchange);
    return body.size ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL)
                     : NULL;
}

/* --------------------------------------------------------------------- platforms */

/* The members of a registration, in upper case; NULL when one is not what it must be. */
static json_t *read_platform(const json_t *body)
{
    static const struct {
        const char *name;
        size_t least;
        size_t most;
        bool required;
    } members[] = {
        {"qe_id", 2, 260, true},       {"pce_id", 4, 4, true},
        {"cpu_svn", 32, 32, false},    {"pce_svn", 4, 4, false},
        {"enc_ppid", 768, 768, false}, {"platform_manifest", 2, 65536, false},
    };
    json_t *platform = json_object();
    for (size_t i = 0; i < CELLA_COUNT(members); i++) {
        const json_t *value = json_object_get(body, members[i].name);
        const char *text = json_string_value(value);
        bool absent = !value || json_is_null(value) || (text && !text[0]);
        if (absent ? members[i].required : !is_hex(text, members[i].least, members[i].most)) {
            json_decref(platform);
            return NULL;
        }
        char *copy = strdup(absent ? "" : text);
        if (copy) {
            to_upper(copy);
            json_object_set_new(platform, members[i].name, json_string(copy));
        }
        free(copy);
    }
    return platform;
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* Is the platform's certificate there, or to be had? In offline mode it is only put on the list. */
static cella_result register_platform(struct pccs *pccs, const json_t *platform)
{
    struct pck_certificate certificate = {.pem = NULL};
    struct cella_error error = {0};
    const char *cpu_svn = member(platform, "cpu_svn");
    const char *pce_svn = member(platform, "pce_svn");
    const char *ppid = member(platform, "enc_ppid");
    if (pccs->settings->mode == MODE_OFFLINE) {
        return registration_put(pccs, platform, true);
    }
    if (cpu_svn[0] && pce_svn[0] &&
        cella_is_ok(pck_get(pccs, member(platform, "qe_id"), member(platform, "pce_id"), cpu_svn,
                            pce_svn, &certificate))) {
        pck_done(&certificate);
        return CELLA_OK;
    }
    CELLA_ENSURE(cpu_svn[0] && pce_svn[0], BAD_FIELD);
    cella_result result = upstream_pck(pccs, member(platform, "qe_id"), member(platform, "pce_id"),
                                       cpu_svn, pce_svn, ppid[0] ? ppid : NULL, &error);
    if (result.code == CELLA_CODE_NOT_FOUND) {
        cella_ignore(registration_put(pccs, platform, false));
    }
    return result;
}

void handle_platforms_post(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    const char *update = http_query(exchange, "update");
    if (!require_version(exchange, false) || !require_user(exchange, pccs)) {
        return;
    }
    if (update && strcasecmp(update, "standard") != 0 && strcasecmp(update, "early") != 0 &&
        strcasecmp(update, "all") != 0) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    json_t *body = read_body(exchange);
    json_t *platform = json_is_object(body) ? read_platform(body) : NULL;
    cella_result result = platform ? register_platform(pccs, platform) : CELLA_RESULT(BAD_FIELD);
    json_decref(platform);
    json_decref(body);
    switch (result.code) {
    case CELLA_CODE_OK:
        reply_status(exchange, PCCS_SUCCESS);
        break;
    case CELLA_CODE_BAD_FIELD:
        reply_status(exchange, PCCS_INVALID);
        break;
    case CELLA_CODE_NOT_FOUND:
        reply_status(exchange, PCCS_PLATFORM_UNKNOWN);
        break;
    case CELLA_CODE_UNSUPPORTED:
        reply_status(exchange, PCCS_UNAVAILABLE);
        break;
    default:
        reply_status(exchange, result.code == CELLA_CODE_IO ? PCCS_UPSTREAM : PCCS_INTERNAL);
        break;
    }
}

/* [FMSPC,FMSPC,…] or []. NULL when it is neither. */
static json_t *read_fmspcs(const char *source)
{
    size_t size = strlen(source);
    if (size < 2 || source[0] != '[' || source[size - 1] != ']') {
        return NULL;
    }
    json_t *list = json_array();
    char *copy = strndup(source + 1, size - 2);
    char *rest = copy;
    for (char *one; copy && (one = strsep(&rest, ",")) != NULL;) {
        one += strspn(one, " \"");
        one[strcspn(one, " \"")] = 0;
        to_upper(one);
        if (one[0]) {
            json_array_append_new(list, json_string(one));
        }
    }
    free(copy);
    return list;
}

void handle_platforms_get(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    const char *source = http_query(exchange, "source");
    json_t *list = NULL;
    char count[24];
    if (!require_version(exchange, false) || !require_admin(exchange, pccs)) {
        return;
    }
    if (!source || strcmp(source, "reg") == 0 || strcmp(source, "reg_na") == 0) {
        list = registrations(pccs, !source || !source[3], true);
    } else {
        json_t *fmspcs = read_fmspcs(source);
        list = fmspcs ? platforms_of(pccs, fmspcs) : NULL;
        json_decref(fmspcs);
    }
    if (!list) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    snprintf(count, sizeof(count), "%zu", json_array_size(list));
    http_reply_header(exchange, "platform-count", count);
    http_reply_json(exchange, 200, NULL, list);
}

/* -------------------------------------------------------------------- collateral */

void handle_collateral(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    struct cella_error error = {0};
    unsigned version = require_version(exchange, false);
    if (!version || !require_admin(exchange, pccs)) {
        return;
    }
    json_t *body = read_body(exchange);
    cella_result result = collateral_put(pccs, body, version, &error);
    json_decref(body);
    if (error.text[0]) {
        http_note(exchange, "%.150s", error.text);
    }
    reply_status(exchange, cella_is_ok(result)                             ? PCCS_SUCCESS
                           : result.code == CELLA_CODE_BAD_SIGNATURE       ? PCCS_INTEGRITY
                           : result.code == CELLA_CODE_BAD_FIELD           ? PCCS_INVALID
                           : result.code == CELLA_CODE_UNSUPPORTED_VERSION ? PCCS_INVALID
                                                                           : PCCS_INTERNAL);
}

void handle_refresh(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    struct cella_error error = {0};
    const char *type = http_query(exchange, "type");
    const char *fmspc = http_query(exchange, "fmspc");
    if (!require_version(exchange, false) || !require_admin(exchange, pccs)) {
        return;
    }
    if ((type && strcmp(type, "certs") != 0) || (fmspc && fmspc[0] && !is_hex(fmspc, 12, 12))) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    cella_result result =
        pccs->settings->mode == MODE_OFFLINE
            ? CELLA_RESULT(UNSUPPORTED)
            : upstream_refresh(pccs, type != NULL, fmspc && fmspc[0] ? fmspc : NULL, &error);
    reply_status(exchange, cella_is_ok(result)                     ? PCCS_SUCCESS
                           : result.code == CELLA_CODE_UNSUPPORTED ? PCCS_UNAVAILABLE
                                                                   : PCCS_UPSTREAM);
}

/* ---------------------------------------------------------------------- policies */

void handle_policy_put(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    char name[64];
    char id[33];
    unsigned char digest[32];
    unsigned size;
    if (!require_version(exchange, false) || !require_admin(exchange, pccs)) {
        return;
    }
    json_t *body = read_body(exchange);
    const char *fmspc = member(body, "fmspc");
    const char *policy = member(body, "policy");
    bool good = is_hex(fmspc, 12, 12) && policy[0];
    cella_result result = CELLA_RESULT(BAD_FIELD);
    if (good && EVP_Digest(policy, strlen(policy), digest, &size, EVP_sha256(), NULL) == 1) {
        char upper[13];
        strcpy(upper, fmspc);
        to_upper(upper);
        for (unsigned i = 0; i < 16; i++) {
            snprintf(id + (size_t)2 * i, 3, "%02x", digest[i]);
        }
        /* One of the defaults of its FMSPC, or kept under its id alone. */
        bool is_default = json_is_true(json_object_get(body, "is_default"));
        snprintf(name, sizeof(name), "policy/%s/%s", is_default ? upper : "other", id);
        result = document_put(pccs, name, cella_bytes_of(policy, strlen(policy)), NULL);
    }
    json_decref(body);
    if (cella_is_ok(result)) {
        http_reply(exchange, 200, "text/html; charset=utf-8", cella_bytes_of(id, strlen(id)));
    } else {
        reply_status(exchange, good ? PCCS_INTERNAL : PCCS_INVALID);
    }
}

void handle_policy_get(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    const char *fmspc = http_query(exchange, "fmspc");
    char prefix[32];
    char upper[13];
    if (!require_version(exchange, false)) {
        return;
    }
    if (!is_hex(fmspc, 12, 12)) {
        reply_status(exchange, PCCS_INVALID);
        return;
    }
    strcpy(upper, fmspc);
    to_upper(upper);
    snprintf(prefix, sizeof(prefix), "policy/%s/", upper);
    json_t *names = document_names(pccs, prefix);
    size_t size = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; out && i < json_array_size(names); i++) {
        struct document document = {0};
        if (cella_is_ok(
                document_get(pccs, json_string_value(json_array_get(names, i)), &document))) {
            fprintf(out, "%s%s", i ? "," : "", (const char *)document.body);
        }
        document_done(&document);
    }
    if (out) {
        fclose(out);
    }
    if (text && size) {
        http_reply(exchange, 200, "text/html; charset=utf-8", cella_bytes_of(text, size));
    } else {
        reply_status(exchange, PCCS_NO_CACHE_DATA);
    }
    free(text);
    json_decref(names);
}

/* ----------------------------------------------------------------------- bundles */

void handle_bundle_get(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    if (require_admin(exchange, pccs)) {
        json_t *bundle = store_export(pccs);
        if (bundle) {
            http_reply_json(exchange, 200, NULL, bundle);
        } else {
            reply_status(exchange, PCCS_INTERNAL);
        }
    }
}

void handle_bundle_put(struct http_exchange *exchange, void *context)
{
    struct pccs *pccs = context;
    struct cella_error error = {0};
    if (!require_admin(exchange, pccs)) {
        return;
    }
    json_t *bundle = read_body(exchange);
    cella_result result = store_import(pccs, bundle, &error);
    json_decref(bundle);
    if (cella_is_ok(result)) {
        reply_status(exchange, PCCS_SUCCESS);
    } else {
        http_note(exchange, "%.150s", error.text);
        reply_status(exchange, cella_result_category(result) == CELLA_CATEGORY_MALFORMED
                                   ? PCCS_INVALID
                                   : PCCS_INTERNAL);
    }
}
