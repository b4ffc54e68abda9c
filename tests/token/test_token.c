/*
 * Tokens: what a relying party takes and what it refuses; base64; keys.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the four above */
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cella/token.h"
#include "token/base64.h"
#include "token/jose.h"

#define NOW 1800000000
#define ISSUER "https://attest.test"

static EVP_PKEY *g_rsa, *g_ec, *g_other;
static X509 *g_certificate;
static cella_token_keys *g_keys;

static X509 *certify(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)ISSUER, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static cella_result read_keys(json_t *list, cella_token_keys **ret_keys, struct cella_error *error)
{
    json_t *set = json_pack("{s:o}", "keys", list);
    char *text = json_dumps(set, 0);
    cella_result result = cella_token_keys_read(text, strlen(text), ret_keys, error);
    free(text);
    json_decref(set);
    return result;
}

static int set_up(void **state)
{
    (void)state;
    struct cella_error error = {0};
    g_rsa = EVP_RSA_gen(2048);
    g_ec = EVP_EC_gen("P-256");
    g_other = EVP_EC_gen("P-256");
    g_certificate = certify(g_rsa);
    json_t *list = json_array();
    json_array_append_new(list, jose_key_write(g_rsa, "rsa", g_certificate));
    json_array_append_new(list, jose_key_write(g_ec, "ec", NULL));
    assert_true(cella_is_ok(read_keys(list, &g_keys, &error)));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cella_token_keys_free(g_keys);
    X509_free(g_certificate);
    EVP_PKEY_free(g_rsa);
    EVP_PKEY_free(g_ec);
    EVP_PKEY_free(g_other);
    return 0;
}

static json_t *good_claims(void)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:b, s:i, s:{s:i}}", "iss", ISSUER,
                     "x-ms-attestation-type", "sgx", "iat", NOW - 10, "nbf", NOW - 10, "exp",
                     NOW + 1000, "nonce", "n1", "x-ms-sgx-is-debuggable", 0, "x-ms-sgx-svn", 3,
                     "x-ms-runtime", "k", 1);
}

static char *sign(EVP_PKEY *key, const char *kid, json_t *claims)
{
    char *text = NULL;
    char *payload = json_dumps(claims, JSON_COMPACT);
    json_t *header = json_pack("{s:s}", "typ", "JWT");
    if (kid) {
        json_object_set_new(header, "kid", json_string(kid));
    }
    assert_true(
        cella_is_ok(jose_sign(key, header, cella_bytes_of(payload, strlen(payload)), &text)));
    json_decref(header);
    free(payload);
    return text;
}

static const struct cella_token_rules g_rules = {
    .issuer = ISSUER, .attestation_type = "sgx", .time = NOW};

/* Checks a text and expects `code` and a text in the error. */
static void expect(const char *text, const struct cella_token_rules *rules, uint32_t code,
                   const char *reason)
{
    struct cella_error error = {0};
    cella_token *token = NULL;
    cella_result result = cella_token_check(text, strlen(text), g_keys, rules, &token, &error);
    if (result.code != code || (reason && !strstr(error.text, reason))) {
        fail_msg("%s (%s); expected %s", cella_result_name(result), error.text,
                 reason ? reason : "success");
    }
    cella_token_free(token);
}

static void expect_claim(const char *name, json_t *value, const struct cella_token_rules *rules,
                         uint32_t code, const char *reason)
{
    json_t *claims = good_claims();
    if (value) {
        json_object_set_new(claims, name, value);
    } else {
        json_object_del(claims, name);
    }
    char *text = sign(g_ec, "ec", claims);
    expect(text, rules, code, reason);
    free(text);
    json_decref(claims);
}

static void test_good(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {g_rsa, g_ec};
    const char *kids[] = {"rsa", "ec"};
    for (int i = 0; i < 2; i++) {
        json_t *claims = good_claims();
        char *text = sign(keys[i], kids[i], claims);
        struct cella_error error = {0};
        cella_token *token = NULL;
        int64_t svn = 0;
        bool debug = true;
        assert_true(
            cella_is_ok(cella_token_check(text, strlen(text), g_keys, &g_rules, &token, &error)));
        assert_true(cella_token_is_signed(token));
        assert_string_equal(cella_token_text(token, "iss"), ISSUER);
        assert_true(cella_is_ok(cella_token_integer(token, "x-ms-sgx-svn", &svn)) && svn == 3);
        assert_true(cella_is_ok(cella_token_boolean(token, "x-ms-sgx-is-debuggable", &debug)));
        assert_false(debug);
        assert_string_equal(cella_token_json(token, "x-ms-runtime"), "{\"k\":1}");
        assert_null(cella_token_text(token, "x-ms-sgx-svn"));
        assert_null(cella_token_json(token, "absent"));
        assert_false(cella_is_ok(cella_token_integer(token, "iss", &svn)));
        cella_token_free(token);
        free(text);
        json_decref(claims);
    }
}

static void test_claims(void **state)
{
    (void)state;
    struct cella_token_rules rules = g_rules;
    expect_claim("iss", json_string("https://evil.test"), &rules, CELLA_CODE_NAME_MISMATCH,
                 "iss is");
    expect_claim("iss", json_string(ISSUER "/"), &rules, CELLA_CODE_NAME_MISMATCH, "iss is");
    expect_claim("iss", NULL, &rules, CELLA_CODE_NAME_MISMATCH, "no iss");
    expect_claim("iss", json_pack("[s]", ISSUER), &rules, CELLA_CODE_NAME_MISMATCH, "no iss");
    expect_claim("x-ms-attestation-type", json_string("tdxvm"), &rules, CELLA_CODE_NAME_MISMATCH,
                 "x-ms-attestation-type is 'tdxvm'");
    expect_claim("x-ms-attestation-type", NULL, &rules, CELLA_CODE_NAME_MISMATCH, "no x-ms");
    expect_claim("exp", NULL, &rules, CELLA_CODE_BAD_FIELD, "no expiry");
    expect_claim("exp", json_string("never"), &rules, CELLA_CODE_BAD_FIELD, "no expiry");
    expect_claim("exp", json_integer(NOW), &rules, CELLA_CODE_ROLLED_BACK, "expired 0 seconds");
    expect_claim("exp", json_integer(NOW - 5), &rules, CELLA_CODE_ROLLED_BACK, "expired 5");
    expect_claim("exp", json_integer(-1), &rules, CELLA_CODE_BAD_FIELD, "no expiry");
    expect_claim("nbf", json_integer(NOW + 2), &rules, CELLA_CODE_ROLLED_BACK, "nbf is 2 seconds");
    expect_claim("iat", json_integer(NOW + 2), &rules, CELLA_CODE_ROLLED_BACK, "iat is 2 seconds");
    expect_claim("nbf", json_string("x"), &rules, CELLA_CODE_BAD_FIELD, "nbf is not a date");
    rules.slack = 5;
    expect_claim("exp", json_integer(NOW - 4), &rules, CELLA_CODE_OK, NULL);
    expect_claim("nbf", json_integer(NOW + 5), &rules, CELLA_CODE_OK, NULL);
    rules.slack = 0;
    rules.age_max = 9;
    expect_claim("x", json_true(), &rules, CELLA_CODE_ROLLED_BACK, "older than 9");
    rules.age_max = 10;
    expect_claim("x", json_true(), &rules, CELLA_CODE_OK, NULL);
    rules.nonce = "n1";
    expect_claim("x", json_true(), &rules, CELLA_CODE_OK, NULL);
    expect_claim("nonce", json_string("n2"), &rules, CELLA_CODE_NAME_MISMATCH, "nonce is 'n2'");
    expect_claim("nonce", NULL, &rules, CELLA_CODE_NAME_MISMATCH, "no nonce");
    rules.issuer = NULL;
    expect_claim("x", json_true(), &rules, CELLA_CODE_INVALID_ARGUMENT, "an issuer");
    rules = g_rules;
    rules.time = 0;
    expect_claim("x", json_true(), &rules, CELLA_CODE_INVALID_ARGUMENT, "a time");
}

/* A token with another header over the same payload, signed as HMAC with the public key's text, or not at all. */
static char *forge(const char *header, const char *payload, const char *signature)
{
    static char text[4096];
    size_t used = base64url_encode(cella_bytes_of(header, strlen(header)), text);
    text[used++] = '.';
    used += base64url_encode(cella_bytes_of(payload, strlen(payload)), text + used);
    text[used++] = '.';
    strcpy(text + used, signature);
    return text;
}

static void test_confusion(void **state)
{
    (void)state;
    json_t *claims = good_claims();
    char *payload = json_dumps(claims, JSON_COMPACT);
    char *text = sign(NULL, NULL, claims);
    struct cella_token_rules lenient = g_rules;
    lenient.insecure_unsigned = true;

    expect(text, &g_rules, CELLA_CODE_ATTRIBUTE_REFUSED, "not signed");
    expect(text, &lenient, CELLA_CODE_OK, NULL);
    expect(forge("{\"alg\":\"None\"}", payload, ""), &lenient, CELLA_CODE_ATTRIBUTE_REFUSED,
           "None");
    expect(forge("{\"alg\":\"none\"}", payload, "AAAA"), &lenient, CELLA_CODE_BAD_SIGNATURE,
           "there is a signature");
    expect(forge("{\"alg\":\"ES256\",\"kid\":\"ec\"}", payload, ""), &lenient,
           CELLA_CODE_BAD_SIGNATURE, "no signature");
    expect(forge("{\"alg\":\"HS256\",\"kid\":\"rsa\"}", payload, "AAAA"), &g_rules,
           CELLA_CODE_ATTRIBUTE_REFUSED, "HS256");
    expect(forge("{\"alg\":\"RSA256\",\"kid\":\"rsa\"}", payload, "AAAA"), &g_rules,
           CELLA_CODE_ATTRIBUTE_REFUSED, "RSA256");
    expect(forge("{\"alg\":\"RS256\",\"kid\":\"ec\"}", payload, "AAAA"), &g_rules,
           CELLA_CODE_WRONG_KEY, "the key 'ec' is for ES256");
    expect(forge("{\"alg\":\"ES256\",\"kid\":\"rsa\"}", payload, "AAAA"), &g_rules,
           CELLA_CODE_WRONG_KEY, "the key 'rsa' is for RS256");
    expect(
        forge("{\"alg\":\"ES256\",\"kid\":\"ec\",\"crit\":[\"b64\"],\"b64\":false}", payload, "AA"),
        &g_rules, CELLA_CODE_UNSUPPORTED, "crit");
    expect(forge("{\"alg\":\"ES256\",\"alg\":\"none\",\"kid\":\"ec\"}", payload, ""), &lenient,
           CELLA_CODE_BAD_SYNTAX, "header");
    expect(forge("[]", payload, ""), &lenient, CELLA_CODE_BAD_SYNTAX, "header");
    expect(forge("{}", payload, ""), &lenient, CELLA_CODE_BAD_FIELD, "no alg");
    expect(forge("{\"alg\":5}", payload, ""), &lenient, CELLA_CODE_BAD_FIELD, "no alg");
    expect(forge("{\"alg\":\"none\"}", "[]", ""), &lenient, CELLA_CODE_BAD_SYNTAX, "payload");
    expect(forge("{\"alg\":\"none\"}", "{\"iss\":\"a\",\"iss\":\"b\"}", ""), &lenient,
           CELLA_CODE_BAD_SYNTAX, "duplicate");
    expect("", &lenient, CELLA_CODE_BAD_SYNTAX, "three parts");
    expect("a.b", &lenient, CELLA_CODE_BAD_SYNTAX, "three parts");
    expect("e30.e30..", &lenient, CELLA_CODE_BAD_SYNTAX, "three parts");
    expect("e30=.e30.", &lenient, CELLA_CODE_BAD_SYNTAX, "not base64url");
    free(text);
    free(payload);
    json_decref(claims);
}

static void test_signatures(void **state)
{
    (void)state;
    json_t *claims = good_claims();
    EVP_PKEY *keys[] = {g_rsa, g_ec};
    const char *kids[] = {"rsa", "ec"};
    for (int i = 0; i < 2; i++) {
        char *text = sign(keys[i], kids[i], claims);
        /* One changed character anywhere behind the header is a refusal. */
        size_t size = strlen(text);
        for (size_t at = (size_t)(strchr(text, '.') - text) + 1; at < size; at += 7) {
            char kept = text[at];
            text[at] = kept == 'A' ? 'B' : 'A';
            if (kept != '.') {
                struct cella_error error = {0};
                cella_token *token = NULL;
                assert_false(
                    cella_is_ok(cella_token_check(text, size, g_keys, &g_rules, &token, &error)));
                assert_true(error.text[0] != 0);
            }
            text[at] = kept;
        }
        text[size - 2] = 0;
        expect(text, &g_rules, CELLA_CODE_BAD_SIGNATURE, "signature");
        free(text);
    }
    char *text = sign(g_other, "ec", claims);
    expect(text, &g_rules, CELLA_CODE_BAD_SIGNATURE, "not one of the key 'ec'");
    free(text);
    text = sign(g_ec, "absent", claims);
    expect(text, &g_rules, CELLA_CODE_NOT_FOUND, "'absent' is not in the key set");
    free(text);
    text = sign(g_ec, NULL, claims);
    expect(text, &g_rules, CELLA_CODE_NOT_FOUND, "names no key");
    free(text);
    json_decref(claims);
}

static void expect_keys(json_t *list, uint32_t code, const char *reason)
{
    struct cella_error error = {0};
    cella_token_keys *keys = NULL;
    cella_result result = read_keys(list, &keys, &error);
    if (result.code != code || (reason && !strstr(error.text, reason))) {
        fail_msg("%s (%s); expected %s", cella_result_name(result), error.text,
                 reason ? reason : "success");
    }
    cella_token_keys_free(keys);
}

static json_t *changed(EVP_PKEY *key, X509 *certificate, const char *name, json_t *value)
{
    json_t *jwk = jose_key_write(key, "k", certificate);
    json_object_set_new(jwk, name, value);
    return json_pack("[o]", jwk);
}

static void test_keys(void **state)
{
    (void)state;
    EVP_PKEY *small = EVP_RSA_gen(1024);
    X509 *foreign = certify(g_other);
    json_t *jwk = jose_key_write(g_other, "k", foreign);

    expect_keys(json_array(), CELLA_CODE_NOT_FOUND, "no RSA or P-256");
    expect_keys(json_pack("[{s:s,s:s}]", "kty", "oct", "k", "AAAA"), CELLA_CODE_NOT_FOUND,
                "no RSA");
    expect_keys(json_pack("[s]", "x"), CELLA_CODE_BAD_SYNTAX, "not a JSON object");
    expect_keys(changed(g_rsa, NULL, "kid", json_string("")), CELLA_CODE_BAD_FIELD, "no kid");
    expect_keys(
        json_pack("[o,o]", jose_key_write(g_ec, "k", NULL), jose_key_write(g_rsa, "k", NULL)),
        CELLA_CODE_ALREADY_EXISTS, "two keys");
    /* The certificate is another key's. */
    expect_keys(changed(g_ec, NULL, "x5c", json_incref(json_object_get(jwk, "x5c"))),
                CELLA_CODE_WRONG_KEY, "not the one of its certificate");
    /* Only a certificate. */
    expect_keys(
        json_pack("[{s:s,s:s,s:O}]", "kty", "EC", "kid", "k", "x5c", json_object_get(jwk, "x5c")),
        CELLA_CODE_OK, NULL);
    expect_keys(changed(g_ec, NULL, "x", json_string("AAAA")), CELLA_CODE_BAD_FIELD, "32 bytes");
    expect_keys(changed(g_ec, NULL, "y", json_incref(json_object_get(jwk, "x"))),
                CELLA_CODE_BAD_FIELD, "not on the curve");
    expect_keys(changed(g_rsa, NULL, "e", json_string("AQ")), CELLA_CODE_BAD_FIELD, "odd exponent");
    expect_keys(changed(g_rsa, NULL, "n", json_string("AQAB")), CELLA_CODE_BAD_FIELD, "bits");
    expect_keys(changed(g_rsa, NULL, "x5c", json_string("x")), CELLA_CODE_BAD_FIELD, "x5c");
    expect_keys(changed(g_rsa, NULL, "x5c", json_pack("[s]", "AAAA")), CELLA_CODE_BAD_FIELD,
                "certificate 0");
    assert_int_equal(jose_key_algorithm(small), JOSE_NONE);
    json_decref(jwk);
    X509_free(foreign);
    EVP_PKEY_free(small);
}

static void test_base64(void **state)
{
    (void)state;
    /* RFC 4648, section 10. */
    static const char *const rows[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"\xfb\xff", "+/8=", "-_8"},
    };
    static const char *const wrong[] = {
        "A", "Zh", "Zm9=", "Zg==", "Zg=", "Z g", "-/", "Zg.", "Zm9vY"};
    char text[64];
    uint8_t bytes[64];
    size_t size;
    for (size_t i = 0; i < CELLA_COUNT(rows); i++) {
        struct cella_bytes in = cella_bytes_of(rows[i][0], strlen(rows[i][0]));
        base64_encode(in, text);
        assert_string_equal(text, rows[i][1]);
        assert_true(cella_is_ok(base64_decode(text, strlen(text), bytes, &size)));
        assert_int_equal(size, in.size);
        assert_memory_equal(bytes, in.data, size);
        base64url_encode(in, text);
        assert_string_equal(text, rows[i][2]);
        assert_true(cella_is_ok(base64url_decode(text, strlen(text), bytes, &size)));
        assert_memory_equal(bytes, in.data, size);
        assert_true(cella_is_ok(base64_decode_any(rows[i][1], strlen(rows[i][1]), bytes, &size)));
        assert_memory_equal(bytes, in.data, size);
    }
    for (size_t i = 0; i < CELLA_COUNT(wrong); i++) {
        assert_false(cella_is_ok(base64url_decode(wrong[i], strlen(wrong[i]), bytes, &size)));
    }
    assert_false(cella_is_ok(base64_decode("Zg", 2, bytes, &size)));
    assert_false(cella_is_ok(base64_decode("====", 4, bytes, &size)));
    assert_false(cella_is_ok(base64_decode("-_8=", 4, bytes, &size)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_claims),
        cmocka_unit_test(test_confusion), cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_keys),      cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
