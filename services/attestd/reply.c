/*
 * Answers of the attestation service: errors, tokens, headers of every answer.
 * Side: services. Called by the handlers. Never decides anything.
 */
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"

#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif

int64_t time_now(void)
{
    return (int64_t)time(NULL);
}

void reply_error(struct http_exchange *exchange, int status, const char *code, const char *format,
                 ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    http_note(exchange, "%s: %.120s", code, message);
    http_reply_header(exchange, "x-ms-error-code", code);
    json_t *body = json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message);
    if (!body) { /* what a client sent was not UTF-8 */
        body = json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", code);
    }
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    http_reply(exchange, status, "application/json; charset=utf-8",
               cella_bytes_of(text, text ? strlen(text) : 0));
    free(text);
    json_decref(body);
}

void attestd_fail(struct http_exchange *exchange, int status, const char *message)
{
    const char *code = status == 404   ? "NotFound"
                       : status == 405 ? "InvalidOperation"
                       : status == 503 ? "ServiceUnavailable"
                       : status >= 500 ? "InternalError"
                                       : "InvalidParameter";
    reply_error(exchange, status, code, "%s", message);
}

void attestd_finish(struct http_exchange *exchange, void *context)
{
    (void)context;
    http_reply_header(exchange, "x-ms-request-id", http_id(exchange));
    http_reply_header(exchange, "x-ms-maa-service-version", "cella/" CELLA_VERSION);
    http_reply_header(exchange, "X-Content-Type-Options", "nosniff");
    http_reply_header(exchange, "Cache-Control", "no-store");
    http_reply_header(exchange, "Strict-Transport-Security", "max-age=31536000");
}

bool require_version(struct http_exchange *exchange)
{
    static const char *const known[] = {"2020-10-01", "2022-08-01", "2022-09-01-preview",
                                        "2023-04-01-preview", "2025-06-01"};
    const char *version = http_query(exchange, "api-version");
    for (size_t i = 0; version && i < CELLA_COUNT(known); i++) {
        if (strcmp(version, known[i]) == 0) {
            return true;
        }
    }
    if (version) {
        reply_error(exchange, 400, "InvalidParameter",
                    "api-version '%.40s' is not supported; expected 2020-10-01 or 2022-08-01",
                    version);
    } else {
        reply_error(exchange, 400, "InvalidParameter",
                    "api-version is missing; expected 2020-10-01 or 2022-08-01");
    }
    return false;
}

static bool complete(const struct attestd *attestd, json_t *claims)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[32];
    char id[65] = "";
    int64_t now = time_now();
    if (RAND_bytes(random, sizeof(random)) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        id[2 * i] = digits[random[i] >> 4];
        id[2 * i + 1] = digits[random[i] & 15];
    }
    return json_object_set_new(claims, "iss", json_string(attestd->issuer)) == 0 &&
           json_object_set_new(claims, "iat", json_integer(now)) == 0 &&
           json_object_set_new(claims, "nbf", json_integer(now)) == 0 &&
           json_object_set_new(claims, "exp", json_integer(now + TOKEN_SECONDS)) == 0 &&
           json_object_set_new(claims, "jti", json_string(id)) == 0;
}

void reply_token(struct http_exchange *exchange, struct attestd *attestd, json_t *claims,
                 bool is_signed)
{
    char *token = NULL;
    if (claims && complete(attestd, claims) &&
        cella_is_ok(keys_sign(attestd, claims, is_signed, &token))) {
        http_reply_json(exchange, 200, NULL, json_pack("{s:s}", "token", token));
    } else {
        reply_error(exchange, 500, "InternalError", "the token could not be made");
    }
    free(token);
    json_decref(claims);
}
