/*
 * Who may administer the service: holders of a static token whose hash is configured, or of a JWT by a configured issuer.
 * Side: services. Called by the handlers of policies and signers. Never logs a token.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/common/log.h"

#define CLOCK_SLACK 60u

cella_result admin_open(struct attestd *attestd, struct cella_error *error)
{
    const struct attestd_settings *settings = attestd->settings;
    for (size_t i = 0; i < settings->admin_token_sha256.count; i++) {
        const char *hash = settings->admin_token_sha256.items[i];
        if (strlen(hash) != 64 || strspn(hash, "0123456789abcdefABCDEF") != 64) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "admin_token_sha256: expected 64 hexadecimal digits");
        }
    }
    if (settings->insecure_open_admin) {
        log_say(LOG_WARNING, "insecure", "insecure_open_admin: anybody may change policies");
    }
    if (!settings->admin_jwks) {
        return CELLA_OK;
    }
    if (!settings->admin_issuer || !settings->admin_audience) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "admin_jwks needs admin_issuer and admin_audience");
    }
    char *text;
    size_t size;
    CELLA_TRY(file_read(settings->admin_jwks, 1 << 20, &text, &size, error));
    cella_result result = cella_token_keys_read(text, size, &attestd->admin_keys, error);
    free(text);
    return result;
}

static bool token_is_known(const struct attestd_settings *settings, const char *token)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[32];
    char text[65];
    unsigned size;
    bool known = false;
    if (EVP_Digest(token, strlen(token), digest, &size, EVP_sha256(), NULL) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(digest); i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[64] = 0;
    for (size_t i = 0; i < settings->admin_token_sha256.count; i++) {
        /* Hashes are compared: what a difference in time tells of them is of no use. */
        known |= strcasecmp(settings->admin_token_sha256.items[i], text) == 0;
    }
    return known;
}

static bool audience_fits(const json_t *claims, const char *wanted)
{
    const json_t *audience = json_object_get(claims, "aud");
    if (json_is_string(audience)) {
        return strcmp(json_string_value(audience), wanted) == 0;
    }
    for (size_t i = 0; i < json_array_size(audience); i++) {
        const char *one = json_string_value(json_array_get(audience, i));
        if (one && strcmp(one, wanted) == 0) {
            return true;
        }
    }
    return false;
}

static cella_result check_jwt(const struct attestd *attestd, const char *token,
                              struct cella_error *error)
{
    CELLA_CLEANUP(jose_done) struct jose_jws jws = {0};
    CELLA_TRY(jose_parse(token, strlen(token), false, &jws, error));
    CELLA_TRY(token_check_signature(&jws, attestd->admin_keys, error));
    CELLA_CLEANUP(jose_json_done)
    json_t *claims =
        json_loadb((const char *)jws.payload, jws.payload_size, JSON_REJECT_DUPLICATES, NULL);
    CELLA_ENSURE(json_is_object(claims), BAD_SYNTAX);
    CELLA_TRY(token_check_text(claims, "iss", attestd->settings->admin_issuer, error));
    CELLA_TRY(token_check_times(claims, time_now(), CLOCK_SLACK, error));
    CELLA_ENSURE(audience_fits(claims, attestd->settings->admin_audience), NAME_MISMATCH);
    return CELLA_OK;
}

bool require_admin(struct http_exchange *exchange, const struct attestd *attestd)
{
    struct cella_error error = {0};
    const char *token = http_bearer(exchange);
    if (attestd->settings->insecure_open_admin) {
        return true;
    }
    if (token && token[0]) {
        if (token_is_known(attestd->settings, token)) {
            return true;
        }
        if (attestd->admin_keys && cella_is_ok(check_jwt(attestd, token, &error))) {
            return true;
        }
    }
    http_reply_header(exchange, "WWW-Authenticate", "Bearer");
    reply_error(exchange, 401, "Unauthorized", "%s",
                token ? "the bearer token is not one of an administrator"
                      : "a bearer token of an administrator is needed");
    return false;
}
