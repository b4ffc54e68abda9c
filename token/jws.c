/*
 * JSON Web Signatures in compact form.
 * Side: relying party, services. Called by token/token.c and services/. Never decides what may be trusted.
 */
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "token/base64.h"
#include "token/jose.h"

#define ES256_HALF 32

static void free_bytes(uint8_t **bytes)
{
    free(*bytes);
}

void jose_done(struct jose_jws *jws)
{
    json_decref(jws->header);
    free(jws->payload);
    free(jws->signature);
    *jws = (struct jose_jws){0};
}

const char *jose_algorithm_name(enum jose_algorithm algorithm)
{
    static const char *const names[] = {"none", "RS256", "ES256"};
    return names[algorithm];
}

enum jose_algorithm jose_key_algorithm(EVP_PKEY *key)
{
    char group[64];
    size_t size = 0;
    if (EVP_PKEY_is_a(key, "RSA")) {
        int bits = EVP_PKEY_get_bits(key);
        return bits >= JOSE_RSA_BITS_MIN && bits <= JOSE_RSA_BITS_MAX ? JOSE_RS256 : JOSE_NONE;
    }
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_group_name(key, group, sizeof(group), &size) == 1 &&
        strcmp(group, "prime256v1") == 0) {
        return JOSE_ES256;
    }
    return JOSE_NONE;
}

/* One part between dots, decoded, with a zero byte behind it. */
static cella_result decode_part(const char *text, size_t size, const char *name,
                                uint8_t **ret_bytes, size_t *ret_size, struct cella_error *error)
{
    CELLA_CLEANUP(free_bytes) uint8_t *bytes = malloc(size / 4 * 3 + 4);
    CELLA_ENSURE(bytes, OUT_OF_MEMORY);
    cella_result result = base64url_decode(text, size, bytes, ret_size);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "the %s is not base64url", name);
    }
    bytes[*ret_size] = 0;
    *ret_bytes = CELLA_TAKE(bytes);
    return CELLA_OK;
}

static cella_result read_header(const uint8_t *bytes, size_t size, bool quirks,
                                struct jose_jws *jws, struct cella_error *error)
{
    json_error_t what;
    jws->header = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &what);
    if (!json_is_object(jws->header)) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "the header is not a JSON object: %s", what.text);
    }
    if (json_object_get(jws->header, "crit")) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "the header names extensions that must be understood (crit)");
    }
    const json_t *algorithm = json_object_get(jws->header, "alg");
    const char *name = json_string_value(algorithm);
    if (!name || strlen(name) != json_string_length(algorithm)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "the header has no alg");
    }
    if (strcmp(name, "none") == 0) {
        jws->algorithm = JOSE_NONE;
    } else if (strcmp(name, "RS256") == 0 || (quirks && strcmp(name, "RSA256") == 0)) {
        jws->algorithm = JOSE_RS256;
    } else if (strcmp(name, "ES256") == 0) {
        jws->algorithm = JOSE_ES256;
    } else {
        return cella_error_set(error, CELLA_RESULT(ATTRIBUTE_REFUSED),
                               "alg is '%.32s'; expected RS256 or ES256", name);
    }
    return CELLA_OK;
}

static cella_result parse(const char *text, size_t size, bool quirks, struct jose_jws *jws,
                          struct cella_error *error)
{
    const char *first = memchr(text, '.', size);
    const char *second = first ? memchr(first + 1, '.', size - (size_t)(first + 1 - text)) : NULL;
    if (!second || memchr(second + 1, '.', size - (size_t)(second + 1 - text))) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                               "not three parts with dots between them");
    }
    CELLA_CLEANUP(free_bytes) uint8_t *header = NULL;
    size_t header_size;
    CELLA_TRY(decode_part(text, (size_t)(first - text), "header", &header, &header_size, error));
    CELLA_TRY(read_header(header, header_size, quirks, jws, error));
    CELLA_TRY(decode_part(first + 1, (size_t)(second - first - 1), "payload", &jws->payload,
                          &jws->payload_size, error));
    CELLA_TRY(decode_part(second + 1, size - (size_t)(second + 1 - text), "signature",
                          &jws->signature, &jws->signature_size, error));
    if ((jws->algorithm == JOSE_NONE) != (jws->signature_size == 0)) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE),
                               jws->algorithm == JOSE_NONE
                                   ? "alg is none, and there is a signature"
                                   : "there is no signature, though alg names one");
    }
    jws->signed_part = cella_bytes_of(text, (size_t)(second - text));
    return CELLA_OK;
}

cella_result jose_parse(const char *text, size_t size, bool quirks, struct jose_jws *ret_jws,
                        struct cella_error *error)
{
    struct jose_jws jws = {0};
    if (size > JOSE_TEXT_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "longer than %u bytes",
                               JOSE_TEXT_MAX);
    }
    cella_result result = parse(text, size, quirks, &jws, error);
    if (!cella_is_ok(result)) {
        jose_done(&jws);
        return result;
    }
    *ret_jws = jws;
    return CELLA_OK;
}

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static void free_openssl(uint8_t **bytes)
{
    OPENSSL_free(*bytes);
}

static void free_ecdsa(ECDSA_SIG **signature)
{
    ECDSA_SIG_free(*signature);
}

/* RFC 7518 3.4: r and s, 32 bytes each; libcrypto wants them in DER. */
static cella_result ecdsa_to_der(const uint8_t *raw, uint8_t **ret_der, size_t *ret_size)
{
    CELLA_CLEANUP(free_ecdsa) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, ES256_HALF, NULL);
    BIGNUM *s = BN_bin2bn(raw + ES256_HALF, ES256_HALF, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    int size = i2d_ECDSA_SIG(signature, ret_der);
    CELLA_ENSURE(size > 0, CRYPTO);
    *ret_size = (size_t)size;
    return CELLA_OK;
}

static cella_result ecdsa_from_der(const uint8_t *der, size_t size, uint8_t *raw)
{
    CELLA_CLEANUP(free_ecdsa) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
    CELLA_ENSURE(signature, CRYPTO);
    CELLA_ENSURE(BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, ES256_HALF) == ES256_HALF &&
                     BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + ES256_HALF, ES256_HALF) ==
                         ES256_HALF,
                 CRYPTO);
    return CELLA_OK;
}

cella_result jose_verify(const struct jose_jws *jws, EVP_PKEY *key)
{
    CELLA_CLEANUP(free_openssl) uint8_t *der = NULL;
    CELLA_CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();
    const uint8_t *signature = jws->signature;
    size_t size = jws->signature_size;

    CELLA_ENSURE(context, OUT_OF_MEMORY);
    CELLA_ENSURE(jws->algorithm != JOSE_NONE, BAD_SIGNATURE);
    /* The key decides what is verified; a token cannot choose for it. */
    CELLA_ENSURE(jose_key_algorithm(key) == jws->algorithm, WRONG_KEY);
    if (jws->algorithm == JOSE_ES256) {
        CELLA_ENSURE(size == (size_t)2 * ES256_HALF, BAD_SIGNATURE);
        CELLA_TRY(ecdsa_to_der(signature, &der, &size));
        signature = der;
    }
    CELLA_ENSURE(EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1,
                 CRYPTO);
    CELLA_ENSURE(EVP_DigestVerify(context, signature, size, jws->signed_part.data,
                                  jws->signed_part.size) == 1,
                 BAD_SIGNATURE);
    return CELLA_OK;
}

/* Room for header '.' payload '.' signature. Gives the length of the first two. */
static cella_result start_text(json_t *header, struct cella_bytes payload, size_t signature_max,
                               char **ret_text, size_t *ret_size)
{
    char *json = json_dumps(header, JSON_COMPACT);
    CELLA_ENSURE(json, OUT_OF_MEMORY);
    size_t header_size = strlen(json);
    char *text = malloc(BASE64_ROOM(header_size) + BASE64_ROOM(payload.size) +
                        BASE64_ROOM(signature_max) + 2);
    if (!text) {
        free(json);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    size_t used = base64url_encode(cella_bytes_of(json, header_size), text);
    free(json);
    text[used++] = '.';
    used += base64url_encode(payload, text + used);
    *ret_text = text;
    *ret_size = used;
    return CELLA_OK;
}

static cella_result sign_text(EVP_PKEY *key, enum jose_algorithm algorithm, char *text, size_t used)
{
    uint8_t signature[JOSE_RSA_BITS_MAX / 8];
    uint8_t raw[2 * ES256_HALF];
    size_t size = sizeof(signature);
    CELLA_CLEANUP(free_context) EVP_MD_CTX *context = EVP_MD_CTX_new();

    CELLA_ENSURE(context, OUT_OF_MEMORY);
    CELLA_ENSURE(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                     EVP_DigestSign(context, signature, &size, (const uint8_t *)text, used) == 1,
                 CRYPTO);
    text[used++] = '.';
    if (algorithm == JOSE_ES256) {
        CELLA_TRY(ecdsa_from_der(signature, size, raw));
        base64url_encode(cella_bytes_of(raw, sizeof(raw)), text + used);
    } else {
        base64url_encode(cella_bytes_of(signature, size), text + used);
    }
    return CELLA_OK;
}

cella_result jose_sign(EVP_PKEY *key, json_t *header, struct cella_bytes payload, char **ret_text)
{
    enum jose_algorithm algorithm = key ? jose_key_algorithm(key) : JOSE_NONE;
    char *text = NULL;
    size_t used = 0;

    CELLA_ENSURE(!key || algorithm != JOSE_NONE, WRONG_KEY);
    CELLA_ENSURE(json_object_set_new(header, "alg", json_string(jose_algorithm_name(algorithm))) ==
                     0,
                 OUT_OF_MEMORY);
    CELLA_TRY(start_text(header, payload, JOSE_RSA_BITS_MAX / 8, &text, &used));
    if (!key) {
        text[used] = '.';
        text[used + 1] = 0;
        *ret_text = text;
        return CELLA_OK;
    }
    cella_result result = sign_text(key, algorithm, text, used);
    if (!cella_is_ok(result)) {
        free(text);
        return result;
    }
    *ret_text = text;
    return CELLA_OK;
}
