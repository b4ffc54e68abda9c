/*
 * What the service says of itself: keys, OpenID configuration, baselines, an overview for its page.
 * Side: services. Called by the HTTP server. Never tells what is secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"

void handle_certs(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    pthread_rwlock_rdlock(&attestd->key_lock);
    http_reply(exchange, 200, "application/json; charset=utf-8",
               cella_bytes_of(attestd->jwks, strlen(attestd->jwks)));
    pthread_rwlock_unlock(&attestd->key_lock);
}

static const char *const g_claims[] = {"iss",
                                       "iat",
                                       "nbf",
                                       "exp",
                                       "jti",
                                       "nonce",
                                       "is-debuggable",
                                       "sgx-mrsigner",
                                       "sgx-mrenclave",
                                       "product-id",
                                       "svn",
                                       "tee",
                                       "x-ms-ver",
                                       "x-ms-attestation-type",
                                       "x-ms-policy-hash",
                                       "x-ms-policy-signer",
                                       "x-ms-runtime",
                                       "x-ms-inittime",
                                       "x-ms-sgx-is-debuggable",
                                       "x-ms-sgx-product-id",
                                       "x-ms-sgx-svn",
                                       "x-ms-sgx-mrsigner",
                                       "x-ms-sgx-mrenclave",
                                       "x-ms-sgx-ehd",
                                       "x-ms-sgx-report-data",
                                       "x-ms-sgx-collateral"};

void handle_openid(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    char url[512];
    json_t *claims = json_array();
    snprintf(url, sizeof(url), "%s/certs", attestd->issuer);
    for (size_t i = 0; i < CELLA_COUNT(g_claims); i++) {
        json_array_append_new(claims, json_string(g_claims[i]));
    }
    http_reply_json(exchange, 200, NULL,
                    json_pack("{s:s, s:s, s:[s,s], s:[s], s:[s,s], s:o}", "issuer", attestd->issuer,
                              "jwks_uri", url, "response_types_supported", "token", "none",
                              "subject_types_supported", "public",
                              "id_token_signing_alg_values_supported", "RS256", "ES256",
                              "claims_supported", claims));
}

static json_t *baseline_json(const json_t *baseline, const char *number)
{
    char date[20] = ""; /* without the zone, as it is documented */
    snprintf(date, sizeof(date), "%s", json_string_value(json_object_get(baseline, "date")));
    return json_pack("{s:s, s:s}", "tcbEvaluationDataNumber", number, "tcbReleaseDate", date);
}

/* What the policy in force asks for by x-ms-sgx-tcbidentifier; "" for the default. */
static void named_baseline(struct attestd *attestd, int type, char *out, size_t size)
{
    struct policy_entry *entry = policy_get(attestd, type);
    struct cella_policy_value value;
    out[0] = 0;
    if (cella_policy_setting(entry->policy, "x-ms-sgx-tcbidentifier", &value)) {
        if (value.type == CELLA_POLICY_INTEGER) {
            snprintf(out, size, "%lld", (long long)value.integer);
        } else if (value.type == CELLA_POLICY_STRING && strcmp(value.text, "azuredefault") != 0) {
            snprintf(out, size, "%s", value.text);
        }
    }
    policy_put(entry);
}

/* The collateral at hand: the default, which is its newest, and each number of its own. */
static json_t *baselines_json(struct attestd *attestd, int type, bool current_only)
{
    char named[32];
    char text[64];
    json_t *list = json_array();
    json_t *found = collateral_baselines(attestd, strcmp(attest_types[type].token, "tdxvm") == 0);
    const json_t *newest = NULL;
    named_baseline(attestd, type, named, sizeof(named));
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *one = json_array_get(found, i);
        json_int_t number = json_integer_value(json_object_get(one, "number"));
        newest = !newest || number > json_integer_value(json_object_get(newest, "number")) ? one
                                                                                           : newest;
        snprintf(text, sizeof(text), "%lld", (long long)number);
        if (!current_only || strcmp(text, named) == 0) {
            json_array_append_new(list, baseline_json(one, text));
        }
    }
    if (newest && (!current_only || !named[0])) {
        snprintf(text, sizeof(text), "azuredefault (Currently %lld)",
                 (long long)json_integer_value(json_object_get(newest, "number")));
        json_array_insert_new(list, 0, baseline_json(newest, text));
    }
    json_decref(found);
    return list;
}

void handle_baselines(struct http_exchange *exchange, void *context)
{
    const char *name = http_segment(exchange, 0);
    const char *current = http_query(exchange, "provideCurrentTcbInPolicy");
    if (!require_version(exchange)) {
        return;
    }
    int type = attest_type_find(name);
    if (type < 0) {
        reply_error(exchange, 400, "InvalidParameter", "'%.40s' is no attestation type", name);
        return;
    }
    http_reply_json(
        exchange, 200, NULL,
        json_pack("{s:o}", "tcbBaselines",
                  baselines_json(context, type, current && strcasecmp(current, "true") == 0)));
}

void handle_rotate(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    struct cella_error error = {0};
    if (!require_admin(exchange, attestd)) {
        return;
    }
    cella_result result = keys_rotate(attestd, true, &error);
    if (cella_is_ok(result)) {
        handle_certs(exchange, context);
    } else {
        reply_error(exchange, 400, "InvalidOperation", "%s",
                    error.text[0] ? error.text : cella_result_text(result));
    }
}

static json_t *policies_json(struct attestd *attestd)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < ATTEST_TYPES; i++) {
        struct policy_entry *entry = policy_get(attestd, (int)i);
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:s, s:s, s:b, s:b}", "type",
                                        attest_types[i].name, "served", attest_types[i].served,
                                        "text", entry->text, "hash", entry->hash, "standard",
                                        entry->is_standard, "signed", entry->signer != NULL));
        policy_put(entry);
    }
    return list;
}

void handle_overview(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    const struct attestd_settings *settings = attestd->settings;
    http_reply_json(exchange, 200, NULL,
                    json_pack("{s:s, s:s, s:b, s:i, s:o, s:o}", "issuer", attestd->issuer, "mode",
                              settings->mode == MODE_ISOLATED ? "isolated" : "aad", "builtInRoots",
                              settings->built_in_roots, "configuredRoots",
                              (int)attestd->roots.count, "collateral", collateral_summary(attestd),
                              "policies", policies_json(attestd)));
}
