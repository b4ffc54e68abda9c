/*
 * Certificates with evidence: every form is accepted for the key it names and for no other, and what is wrong is named.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/tls/world.h"
#include "tls/extension.h"
#include "tls/message.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static const uint32_t g_forms[] = {CELLA_TLS_INTEROPERABLE, CELLA_TLS_GRAMINE,
                                   CELLA_TLS_OPEN_ENCLAVE, CELLA_TLS_OPEN_ENCLAVE_REPORT};

static struct cella_tls_peer g_peer;

static cella_result verify(X509 *certificate, const struct cella_tls_verifier *verifier)
{
    return cella_tls_certificate_verify(certificate, verifier, &g_peer);
}

static void assert_refused(X509 *certificate, const struct cella_tls_verifier *verifier,
                           const char *code, const char *reason)
{
    const cella_result result = verify(certificate, verifier);
    if (strcmp(cella_result_name(result), code) != 0 || !strstr(g_peer.reason, reason)) {
        fail_msg("%s, \"%s\"; expected %s, \"%s\"", cella_result_name(result), g_peer.reason, code,
                 reason);
    }
    assert_false(g_peer.evidence.accepted && cella_is_ok(g_peer.result));
}

static void assert_good(X509 *certificate, const struct cella_tls_verifier *verifier)
{
    const cella_result result = verify(certificate, verifier);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), g_peer.reason);
    }
    assert_true(g_peer.evidence.accepted);
    assert_string_equal(g_peer.reason, "");
}

static void test_forms(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    for (size_t i = 0; i < sizeof(g_forms) / sizeof(g_forms[0]); i++) {
        X509 *certificate = world_certificate(world, g_forms[i], key);
        assert_good(certificate, &world->verifier);
        assert_int_equal(g_peer.form, g_forms[i]);
        assert_memory_equal(g_peer.evidence.claims.measurement.data, world->mr_enclave, 32);
        assert_memory_equal(g_peer.evidence.claims.signer.data, world->mr_signer, 32);

        struct cella_tls_verifier others = world->verifier;
        others.forms = CELLA_TLS_ANY & ~g_forms[i];
        assert_refused(certificate, &others, "NOT_FOUND", "no evidence of a form");
        X509_free(certificate);
    }
    world->quotes = 0;
    X509 *all = world_certificate(world, CELLA_TLS_ANY, key);
    assert_int_equal(world->quotes, 4);
    for (size_t i = 0; i < sizeof(g_forms) / sizeof(g_forms[0]); i++) {
        struct cella_tls_verifier one = world->verifier;
        one.forms = g_forms[i];
        assert_good(all, &one);
        assert_int_equal(g_peer.form, g_forms[i]);
    }
    X509_free(all);
    EVP_PKEY_free(key);
}

static const enum tls_extension g_extensions[] = {TLS_EXTENSION_EVIDENCE, TLS_EXTENSION_QUOTE,
                                                  TLS_EXTENSION_OE_EVIDENCE,
                                                  TLS_EXTENSION_OE_REPORT};

/* A certificate without evidence. */
static X509 *plain_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_TIME_set(X509_getm_notBefore(certificate), WORLD_NOW - 600);
    ASN1_TIME_set(X509_getm_notAfter(certificate), WORLD_NOW + WORLD_DAY);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    return certificate;
}

/* Evidence of one certificate in that of another key: an enclave's evidence is public. */
static void test_borrowed_evidence(void **state)
{
    struct world *world = *state;
    static const char *const reasons[] = {"another key", "report_data", "not the certificate's",
                                          "report_data"};
    EVP_PKEY *key = world_key(), *thief = world_key();
    for (size_t i = 0; i < sizeof(g_forms) / sizeof(g_forms[0]); i++) {
        X509 *honest = world_certificate(world, g_forms[i], key);
        X509 *stolen = plain_certificate(thief);
        struct cella_bytes value;
        assert_code(tls_extension_find(honest, g_extensions[i], &value), OK);
        assert_code(tls_extension_add(stolen, g_extensions[i], value), OK);
        assert_true(X509_sign(stolen, thief, EVP_sha256()) > 0);
        const cella_result result = verify(stolen, &world->verifier);
        assert_false(cella_is_ok(result));
        assert_true(strstr(g_peer.reason, reasons[i]) != NULL);

        /* twice is as bad as none: which one would count? */
        assert_code(tls_extension_add(honest, g_extensions[i], value), OK);
        assert_true(X509_sign(honest, key, EVP_sha256()) > 0);
        assert_refused(honest, &world->verifier, "BAD_FIELD", "twice");
        X509_free(stolen);
        X509_free(honest);
    }
    X509 *plain = plain_certificate(key);
    assert_true(X509_sign(plain, key, EVP_sha256()) > 0);
    assert_refused(plain, &world->verifier, "NOT_FOUND", "carries no evidence");
    X509_free(plain);
    EVP_PKEY_free(key);
    EVP_PKEY_free(thief);
}

static void test_policy(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    struct cella_evidence_policy policy = world->policy;
    struct cella_tls_verifier verifier = world->verifier;
    verifier.policy = &policy;

    policy.signers[0].size = 32;
    policy.signer_count = 1;
    memcpy(policy.signers[0].data, world->mr_signer, 32);
    assert_good(certificate, &verifier);
    policy.signers[0].data[31] ^= 1;
    assert_refused(certificate, &verifier, cella_result_name(verify(certificate, &verifier)),
                   "signer");

    verifier.policy = &world->policy;
    world->debug = true;
    X509 *debug = world_certificate(world, 0, key);
    world->debug = false;
    assert_refused(debug, &verifier, cella_result_name(verify(debug, &verifier)), "debug");

    struct world old;
    world_init(&old, "OutOfDate");
    X509 *outdated = world_certificate(&old, 0, key);
    assert_refused(outdated, &old.verifier, cella_result_name(verify(outdated, &old.verifier)),
                   "tcb_status");
    old.policy.statuses |= 1u << CELLA_TCB_OUT_OF_DATE;
    assert_good(outdated, &old.verifier);
    assert_int_equal(g_peer.evidence.status, CELLA_TCB_OUT_OF_DATE);

    X509_free(outdated);
    X509_free(debug);
    X509_free(certificate);
    EVP_PKEY_free(key);
    world_done(&old);
}

static X509 *certificate_of(struct world *world, EVP_PKEY *key, const void *nonce, size_t size,
                            const struct cella_tls_endorsements *endorsements)
{
    const struct cella_tls_identity_options options = {
        .quote = world_quote,
        .quote_context = world,
        .valid_from = WORLD_NOW - 600,
        .valid_until = WORLD_NOW + WORLD_DAY,
        .nonce = nonce,
        .nonce_size = size,
        .endorsements = endorsements,
    };
    X509 *certificate = NULL;
    assert_code(cella_tls_certificate_new(&options, key, &certificate), OK);
    return certificate;
}

static int64_t g_time;

static int64_t given_time(void)
{
    return g_time;
}

static void test_freshness(void **state)
{
    struct world *world = *state;
    uint8_t nonce[CELLA_TLS_NONCE_MAX], other[32] = {1};
    memset(nonce, 0xAB, sizeof(nonce));
    EVP_PKEY *key = world_key();
    X509 *without = world_certificate(world, 0, key);
    X509 *with = certificate_of(world, key, nonce, sizeof(nonce), NULL);
    struct cella_tls_verifier verifier = world->verifier;

    assert_good(with, &verifier);
    assert_int_equal(g_peer.nonce.size, sizeof(nonce));
    verifier.nonce = nonce;
    verifier.nonce_size = sizeof(nonce);
    assert_good(with, &verifier);
    assert_refused(without, &verifier, "ACCESS_DENIED", "stale: the evidence has no nonce");
    verifier.nonce = other;
    verifier.nonce_size = sizeof(other);
    assert_refused(with, &verifier, "ACCESS_DENIED", "stale: the evidence has another nonce");

    verifier = world->verifier;
    verifier.time = given_time;
    verifier.max_age = 3600;
    g_time = WORLD_NOW - 600 + 3600;
    assert_good(without, &verifier);
    g_time++;
    assert_refused(without, &verifier, "ACCESS_DENIED",
                   "stale: the certificate is 3601 seconds old");
    verifier.max_age = 0;
    assert_good(without, &verifier);
    g_time = WORLD_NOW - 601;
    assert_refused(without, &verifier, "ACCESS_DENIED", "not valid yet");
    g_time = WORLD_NOW + WORLD_DAY + 1;
    assert_refused(without, &verifier, "ACCESS_DENIED", "not valid any more");
    X509_free(with);
    X509_free(without);
    EVP_PKEY_free(key);
}

/* Collateral in the certificate: it is checked like any other, and the root is the verifier's. */
static void test_endorsements(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    X509 *with = certificate_of(world, key, NULL, 0, &world->endorsements);
    X509 *without = world_certificate(world, 0, key);
    struct cella_tls_verifier verifier = world->verifier;
    verifier.prepared = NULL;
    verifier.roots = &world->roots;
    assert_good(with, &verifier);
    assert_refused(without, &verifier, cella_result_name(verify(without, &verifier)), "collateral");
    verifier.roots = NULL;
    assert_refused(with, &verifier, cella_result_name(verify(with, &verifier)), "root_ca");
    verifier.roots = &world->roots;
    verifier.time = given_time;
    g_time = WORLD_CREATED +
             31 * WORLD_DAY; /* behind every nextUpdate; the certificate's own date is first */
    assert_refused(with, &verifier, "ACCESS_DENIED", "not valid any more");
    X509_free(without);
    X509_free(with);
    EVP_PKEY_free(key);
}

/* A certificate signed by somebody else proves its key all the same, but no age. */
static void test_issued(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key(), *authority = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    struct cella_tls_verifier verifier = world->verifier;
    assert_true(X509_sign(certificate, authority, EVP_sha256()) > 0);
    assert_refused(certificate, &verifier, "BAD_SIGNATURE", "signature");
    X509_NAME *name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"authority", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    assert_true(X509_sign(certificate, authority, EVP_sha256()) > 0);
    assert_refused(certificate, &verifier, "BAD_SIGNATURE", "signature");
    verifier.allow_issued = true;
    assert_good(certificate, &verifier);
    verifier.max_age = 3600;
    assert_refused(certificate, &verifier, "ACCESS_DENIED", "does not say its age");
    X509_NAME_free(name);
    X509_free(certificate);
    EVP_PKEY_free(key);
    EVP_PKEY_free(authority);
}

/* Every byte of the certificate counts. */
static void test_flipped_bytes(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    uint8_t *der = NULL;
    const int size = i2d_X509(certificate, &der);
    assert_true(size > 4000);
    for (int i = 0; i < size; i++) {
        const uint8_t *at = der;
        der[i] ^= (uint8_t)(1u << (i % 8));
        X509 *flipped = d2i_X509(NULL, &at, size);
        if (flipped && at == der + size && cella_is_ok(verify(flipped, &world->verifier))) {
            fail_msg("byte %d does not count", i);
        }
        X509_free(flipped);
        der[i] ^= (uint8_t)(1u << (i % 8));
    }
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static const struct {
    const char *hex;
    const char *code;
} g_messages[] = {
    {"", "TRUNCATED"},
    {"d9ea6082", "TRUNCATED"},
    {"d9ea61824100410a", "UNSUPPORTED"},      /* 60001: a report */
    {"82410041a0", "BAD_SYNTAX"},             /* no tag */
    {"d9ea6083410041a04100", "BAD_SYNTAX"},   /* three entries */
    {"d9ea609f410041a0ff", "BAD_SYNTAX"},     /* indefinite array */
    {"d9ea60825f4100ff41a0", "BAD_SYNTAX"},   /* indefinite string */
    {"d9ea6082410041a000", "TRAILING_BYTES"}, /* behind it */
    {"d9ea6082410041a0", "NOT_FOUND"},        /* no claim */
    {"d9ea6082410042a000", "TRAILING_BYTES"}, /* behind the claims */
    {"d9ea6082410041bf", "BAD_SYNTAX"},       /* indefinite map */
    {"d9ea6082410049bbffffffffffffffff", "LIMIT_EXCEEDED"},
    {"d9ea608241005bffffffffffffffff", "TRUNCATED"},
    {"d9ea608241005900", "TRUNCATED"},
    /* {"pubkey-hash": [1, h'00']}, and what can be wrong there */
    {"d9ea6082410052a16b7075626b65792d68617368448201410000", "TRAILING_BYTES"},
    {"d9ea6082410052a16b7075626b65792d686173684482014100", "OK"},
    {"d9ea6082410052a16b7075626b65792d686173684483014100", "BAD_SYNTAX"},
    {"d9ea6082410052a16b7075626b65792d686173684482204100", "BAD_SYNTAX"},
    {"d9ea6082410052a16b7075626b65792d686173686482014100", "BAD_SYNTAX"},
    {"d9ea6082410052a14b7075626b65792d686173684482014100", "BAD_SYNTAX"},
    {"d9ea608241005823a26b7075626b65792d6861736844820141006b7075626b65792d686173684482014100",
     "BAD_FIELD"},
};

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t size = 0;
    for (; hex[0] && hex[1]; hex += 2) {
        const char pair[] = {hex[0], hex[1], 0};
        out[size++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return size;
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_messages) / sizeof(g_messages[0]); i++) {
        uint8_t bytes[128];
        struct tls_message message;
        const cella_result result =
            tls_message_parse(cella_bytes_of(bytes, unhex(g_messages[i].hex, bytes)), &message);
        if (strcmp(cella_result_name(result), g_messages[i].code) != 0) {
            fail_msg("%s: %s; expected %s", g_messages[i].hex, cella_result_name(result),
                     g_messages[i].code);
        }
    }
}

/* The bytes at the start of a line, before its explanation. */
static size_t line_bytes(const char *line, uint8_t *out)
{
    char hex[256] = {0};
    size_t used = 0;
    line += strspn(line, " ");
    for (; *line && *line != '\n' && strncmp(line, "  ", 2) != 0; line++) {
        if (*line != ' ') {
            hex[used++] = *line;
        }
    }
    return unhex(hex, out);
}

/* The example of docs/formats/attested-tls.md. */
static void test_example(void **state)
{
    (void)state;
    char line[256];
    uint8_t bytes[256], hash[32];
    size_t size = 0;
    struct tls_message message;
    FILE *file = fopen(DOCS_DIR "/attested-tls.md", "re");
    assert_non_null(file);
    for (int fences = 0; fgets(line, sizeof(line), file);) {
        if (strncmp(line, "```", 3) == 0) {
            fences++;
        } else if (fences == 1) {
            size += line_bytes(line, bytes + size);
        }
    }
    fclose(file);
    assert_code(tls_message_parse(cella_bytes_of(bytes, size), &message), OK);
    assert_int_equal(message.quote.size, 2);
    assert_int_equal(message.nonce.size, 4);
    memset(hash, 0x11, sizeof(hash));
    assert_int_equal(message.key_hash.size, 32);
    assert_memory_equal(message.key_hash.data, hash, 32);
}

static cella_result no_quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                             size_t *ret_size)
{
    (void)data, (void)out;
    *ret_size = *(size_t *)context;
    return *ret_size > out_capacity ? CELLA_RESULT(BUFFER_TOO_SMALL) : CELLA_RESULT(HOST_REFUSED);
}

static void test_quote_failures(void **state)
{
    (void)state;
    size_t size = 0;
    EVP_PKEY *key = world_key();
    X509 *certificate = NULL;
    struct cella_tls_identity_options options = {
        .quote = no_quote, .quote_context = &size, .valid_from = 1, .valid_until = 2};
    assert_code(cella_tls_certificate_new(&options, key, &certificate), HOST_REFUSED);
    size = 1u << 19; /* still too small the second time */
    assert_code(cella_tls_certificate_new(&options, key, &certificate), HOST_REFUSED);
    size = SIZE_MAX;
    assert_code(cella_tls_certificate_new(&options, key, &certificate), BUFFER_TOO_SMALL);
    options.valid_until = 1;
    assert_code(cella_tls_certificate_new(&options, key, &certificate), INVALID_ARGUMENT);
    assert_null(certificate);
    EVP_PKEY_free(key);
}

int main(void)
{
    static struct world world;
    world_init(&world, "UpToDate");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_forms, &world),
        cmocka_unit_test_prestate(test_borrowed_evidence, &world),
        cmocka_unit_test_prestate(test_policy, &world),
        cmocka_unit_test_prestate(test_freshness, &world),
        cmocka_unit_test_prestate(test_endorsements, &world),
        cmocka_unit_test_prestate(test_issued, &world),
        cmocka_unit_test_prestate(test_flipped_bytes, &world),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_quote_failures),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_done(&world);
    return failed;
}
