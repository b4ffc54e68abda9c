/*
 * The first round of TPM attestation: a challenge for a client that asks for one. Evidence of a TPM is not verified here.
 * Side: services. Called by services/attestd/attest.c. Never issues an attestation token.
 *
 * The protocol is {payload, metadata} in base64url both ways; round one is payload {type: aikcert}, answered by
 * {challenge, service_context}. The context is the challenge with its time, signed, so that nothing is kept between rounds.
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "token/base64.h"

#define CHALLENGE_SIZE 16u

static void free_text(char **text)
{
    free(*text);
}

/* The member `data` of the body, decoded, as JSON. */
static json_t *read_data(const struct http_exchange *exchange)
{
    struct cella_bytes body = http_body(exchange);
    CELLA_CLEANUP(jose_json_done)
    json_t *outer =
        body.size ? json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL)
                  : NULL;
    const json_t *data = json_object_get(outer, "data");
    /* One of the official clients sends the bare string. */
    struct cella_bytes text =
        json_is_string(data) ? cella_bytes_of(json_string_value(data), json_string_length(data))
                             : body_token(exchange);
    size_t size = 0;
    uint8_t *bytes = malloc(text.size / 4 * 3 + 4);
    json_t *inner = NULL;
    if (bytes && cella_is_ok(base64_decode_any((const char *)text.data, text.size, bytes, &size))) {
        inner = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    }
    free(bytes);
    return inner;
}

static void reply_challenge(struct http_exchange *exchange, struct attestd *attestd)
{
    unsigned char random[CHALLENGE_SIZE];
    char challenge[BASE64_ROOM(CHALLENGE_SIZE)];
    CELLA_CLEANUP(free_text) char *context = NULL;
    CELLA_CLEANUP(free_text) char *data = NULL;
    if (RAND_bytes(random, sizeof(random)) != 1) {
        reply_error(exchange, 500, "InternalError", "no randomness");
        return;
    }
    base64url_encode(cella_bytes_of(random, sizeof(random)), challenge);
    CELLA_CLEANUP(jose_json_done)
    json_t *claims = json_pack("{s:s, s:I, s:I}", "challenge", challenge, "iat",
                               (json_int_t)time_now(), "exp", (json_int_t)(time_now() + 600));
    cella_result result =
        claims ? keys_sign(attestd, claims, true, &context) : CELLA_RESULT(OUT_OF_MEMORY);
    if (cella_is_ok(result)) {
        CELLA_CLEANUP(jose_json_done)
        json_t *answer = json_pack("{s:{s:s, s:s}}", "payload", "challenge", challenge,
                                   "service_context", context);
        char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
        data = text ? malloc(BASE64_ROOM(strlen(text))) : NULL;
        if (data) {
            base64url_encode(cella_bytes_of(text, strlen(text)), data);
        }
        free(text);
    }
    if (data) {
        http_reply_json(exchange, 200, NULL, json_pack("{s:s}", "data", data));
    } else {
        reply_error(exchange, 500, "InternalError", "the challenge could not be made");
    }
}

void handle_tpm(struct http_exchange *exchange, struct attestd *attestd)
{
    CELLA_CLEANUP(jose_json_done) json_t *data = read_data(exchange);
    const json_t *payload = json_object_get(data, "payload");
    const char *type = json_string_value(json_object_get(payload, "type"));
    if (type && strcmp(type, "aikcert") == 0) {
        reply_challenge(exchange, attestd);
    } else if (payload) {
        reply_error(
            exchange, 400, "InvalidOperation",
            "this service gives challenges (payload.type aikcert) but has no verifier for TPM "
            "evidence");
    } else {
        reply_error(exchange, 400, "InvalidParameter",
                    "expected data: base64url of JSON with payload.type");
    }
}
