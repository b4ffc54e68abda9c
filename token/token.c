/*
 * Checking attestation tokens.
 * Side: relying party. Called through include/cella/token.h. Never fetches anything and has no clock.
 */
#include "cella/token.h"

#include <stdlib.h>
#include <string.h>

#include "token/internal.h"

#define KEYS_MAX 64u
#define KID_MAX 512u

struct token_key {
    char *kid;
    EVP_PKEY *key;
};

struct cella_token_keys {
    struct token_key keys[KEYS_MAX];
    size_t count;
};

struct cella_token {
    json_t *claims;
    json_t *texts; /* what cella_token_json gave out */
    bool is_signed;
};

/* ------------------------------------------------------------------------- keys */

static const struct token_key *find_key(const cella_token_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->keys[i].kid, kid) == 0) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

static cella_result add_key(cella_token_keys *keys, const json_t *jwk, struct cella_error *error)
{
    CELLA_CLEANUP(jose_key_done) EVP_PKEY *key = NULL;
    cella_result result = jose_key_read(jwk, &key, error);
    if (result.code == CELLA_CODE_UNSUPPORTED) {
        return CELLA_OK; /* a key for something else */
    }
    CELLA_TRY(result);
    const json_t *kid = json_object_get(jwk, "kid");
    if (!json_is_string(kid) || json_string_length(kid) == 0 || json_string_length(kid) > KID_MAX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "a key has no kid");
    }
    if (find_key(keys, json_string_value(kid))) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS), "two keys have the kid '%.64s'",
                               json_string_value(kid));
    }
    struct token_key *place = &keys->keys[keys->count];
    place->kid = strdup(json_string_value(kid));
    CELLA_ENSURE(place->kid, OUT_OF_MEMORY);
    place->key = CELLA_TAKE(key);
    keys->count++;
    return CELLA_OK;
}

static cella_result add_keys(cella_token_keys *keys, const json_t *set, struct cella_error *error)
{
    const json_t *list = json_object_get(set, "keys");
    if (!json_is_array(list)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "no list \"keys\" in the key set");
    }
    if (json_array_size(list) > KEYS_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "more than %u keys", KEYS_MAX);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        CELLA_TRY(add_key(keys, json_array_get(list, i), error));
    }
    if (keys->count == 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "no RSA or P-256 key in the key set");
    }
    return CELLA_OK;
}

cella_result cella_token_keys_read(const char *jwks, size_t size, cella_token_keys **ret_keys,
                                   struct cella_error *error)
{
    json_error_t what;
    if (size > CELLA_TOKEN_SIZE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "the key set is too long");
    }
    CELLA_CLEANUP(jose_json_done)
    json_t *set = json_loadb(jwks, size, JSON_REJECT_DUPLICATES, &what);
    if (!set) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "the key set, line %d: %s",
                               what.line, what.text);
    }
    cella_token_keys *keys = calloc(1, sizeof(*keys));
    CELLA_ENSURE(keys, OUT_OF_MEMORY);
    cella_result result = add_keys(keys, set, error);
    if (!cella_is_ok(result)) {
        cella_token_keys_free(keys);
        return result;
    }
    *ret_keys = keys;
    return CELLA_OK;
}

void cella_token_keys_free(cella_token_keys *keys)
{
    if (keys) {
        for (size_t i = 0; i < keys->count; i++) {
            free(keys->keys[i].kid);
            EVP_PKEY_free(keys->keys[i].key);
        }
        free(keys);
    }
}

/* ------------------------------------------------------------------------ checks */

cella_result token_check_signature(const struct jose_jws *jws, const cella_token_keys *keys,
                                   struct cella_error *error)
{
    if (jws->algorithm == JOSE_NONE) {
        return cella_error_set(error, CELLA_RESULT(ATTRIBUTE_REFUSED),
                               "the token is not signed (alg is none)");
    }
    const char *kid = json_string_value(json_object_get(jws->header, "kid"));
    if (!kid) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "the token names no key (kid)");
    }
    const struct token_key *key = find_key(keys, kid);
    if (!key) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "the token's key '%.64s' is not in the key set", kid);
    }
    cella_result result = jose_verify(jws, key->key);
    if (result.code == CELLA_CODE_WRONG_KEY) {
        return cella_error_set(error, result, "alg is %s, and the key '%.64s' is for %s",
                               jose_algorithm_name(jws->algorithm), kid,
                               jose_algorithm_name(jose_key_algorithm(key->key)));
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "the signature is not one of the key '%.64s'", kid);
    }
    return CELLA_OK;
}

/* RFC 7519: a NumericDate; services write whole seconds, fractions are cut. */
static bool date_of(const json_t *claims, const char *name, int64_t *ret_date)
{
    const json_t *value = json_object_get(claims, name);
    double real = json_number_value(value);
    if (!json_is_number(value) || !(real >= 0 && real < 1e12)) {
        return false;
    }
    *ret_date = json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
    return true;
}

cella_result token_check_times(const json_t *claims, int64_t time, uint32_t slack,
                               struct cella_error *error)
{
    int64_t date;
    if (!date_of(claims, "exp", &date)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "the token has no expiry (exp)");
    }
    if (time >= date + slack) {
        return cella_error_set(error, CELLA_RESULT(ROLLED_BACK),
                               "the token has expired %lld seconds ago", (long long)(time - date));
    }
    static const char *const starts[] = {"nbf", "iat"};
    for (unsigned i = 0; i < CELLA_COUNT(starts); i++) {
        if (!json_object_get(claims, starts[i])) {
            continue;
        }
        if (!date_of(claims, starts[i], &date)) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s is not a date", starts[i]);
        }
        if (time + slack < date) {
            return cella_error_set(error, CELLA_RESULT(ROLLED_BACK),
                                   "the token is of the future: %s is %lld seconds ahead",
                                   starts[i], (long long)(date - time));
        }
    }
    return CELLA_OK;
}

static cella_result check_age(const json_t *claims, const struct cella_token_rules *rules,
                              struct cella_error *error)
{
    int64_t date;
    if (rules->age_max && (!date_of(claims, "iat", &date) ||
                           rules->time > date + (int64_t)rules->age_max + rules->slack)) {
        return cella_error_set(error, CELLA_RESULT(ROLLED_BACK),
                               "the token is older than %u seconds", rules->age_max);
    }
    return CELLA_OK;
}

cella_result token_check_text(const json_t *claims, const char *name, const char *wanted,
                              struct cella_error *error)
{
    const json_t *value = json_object_get(claims, name);
    if (!json_is_string(value)) {
        return cella_error_set(error, CELLA_RESULT(NAME_MISMATCH),
                               "the token has no %s; expected '%s'", name, wanted);
    }
    if (json_string_length(value) != strlen(wanted) ||
        strcmp(json_string_value(value), wanted) != 0) {
        return cella_error_set(error, CELLA_RESULT(NAME_MISMATCH), "%s is '%.100s'; expected '%s'",
                               name, json_string_value(value), wanted);
    }
    return CELLA_OK;
}

static cella_result check_claims(const json_t *claims, const struct cella_token_rules *rules,
                                 struct cella_error *error)
{
    CELLA_TRY(token_check_text(claims, "iss", rules->issuer, error));
    CELLA_TRY(token_check_times(claims, rules->time, rules->slack, error));
    CELLA_TRY(check_age(claims, rules, error));
    CELLA_TRY(token_check_text(claims, "x-ms-attestation-type", rules->attestation_type, error));
    return rules->nonce ? token_check_text(claims, "nonce", rules->nonce, error) : CELLA_OK;
}

static cella_result check(const char *text, size_t size, const cella_token_keys *keys,
                          const struct cella_token_rules *rules, cella_token *token,
                          struct cella_error *error)
{
    CELLA_CLEANUP(jose_done) struct jose_jws jws = {0};
    json_error_t what;
    CELLA_TRY(jose_parse(text, size, false, &jws, error));
    if (jws.algorithm != JOSE_NONE || !rules->insecure_unsigned) {
        CELLA_TRY(token_check_signature(&jws, keys, error));
    }
    token->is_signed = jws.algorithm != JOSE_NONE;
    token->claims =
        json_loadb((const char *)jws.payload, jws.payload_size, JSON_REJECT_DUPLICATES, &what);
    if (!json_is_object(token->claims)) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "the payload is not a JSON object: %s", what.text);
    }
    return check_claims(token->claims, rules, error);
}

cella_result cella_token_check(const char *text, size_t size, const cella_token_keys *keys,
                               const struct cella_token_rules *rules, cella_token **ret_token,
                               struct cella_error *error)
{
    if (!rules->issuer || !rules->issuer[0] || !rules->attestation_type || rules->time <= 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "an issuer, an attestation type and a time are required");
    }
    cella_token *token = calloc(1, sizeof(*token));
    CELLA_ENSURE(token, OUT_OF_MEMORY);
    cella_result result = check(text, size, keys, rules, token, error);
    if (!cella_is_ok(result)) {
        if (error && error->text[0] == 0) {
            cella_ignore(cella_error_set(error, result, "%s", cella_result_text(result)));
        }
        cella_token_free(token);
        return result;
    }
    *ret_token = token;
    return CELLA_OK;
}

void cella_token_free(cella_token *token)
{
    if (token) {
        json_decref(token->claims);
        json_decref(token->texts);
        free(token);
    }
}

/* ------------------------------------------------------------------------ claims */

const char *cella_token_text(const cella_token *token, const char *claim)
{
    return json_string_value(json_object_get(token->claims, claim));
}

cella_result cella_token_integer(const cella_token *token, const char *claim, int64_t *ret_value)
{
    const json_t *value = json_object_get(token->claims, claim);
    CELLA_ENSURE(json_is_integer(value), NOT_FOUND);
    *ret_value = json_integer_value(value);
    return CELLA_OK;
}

cella_result cella_token_boolean(const cella_token *token, const char *claim, bool *ret_value)
{
    const json_t *value = json_object_get(token->claims, claim);
    CELLA_ENSURE(json_is_boolean(value), NOT_FOUND);
    *ret_value = json_is_true(value);
    return CELLA_OK;
}

const char *cella_token_json(cella_token *token, const char *claim)
{
    const json_t *value = json_object_get(token->claims, claim);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (!text) {
        return NULL;
    }
    token->texts = token->texts ? token->texts : json_object();
    json_object_set_new(token->texts, claim, json_string(text));
    free(text);
    return json_string_value(json_object_get(token->texts, claim));
}

bool cella_token_is_signed(const cella_token *token)
{
    return token->is_signed;
}
