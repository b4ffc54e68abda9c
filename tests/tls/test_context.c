/*
 * Connections between enclaves and ordinary clients, over OpenSSL and in memory: who is accepted gets through, who is not
 * is told nothing, and the reason is there.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "tests/tls/world.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

/* Two ends of one connection. */
struct pair {
    SSL *client, *server;
};

static SSL_CTX *context_new(enum cella_tls_side side, EVP_PKEY *key, X509 *certificate,
                            const struct cella_tls_verifier *verifier)
{
    const struct cella_tls_context_options options = {
        .side = side, .key = key, .certificate = certificate, .verifier = verifier};
    SSL_CTX *context = NULL;
    assert_code(cella_tls_context_new(&options, &context), OK);
    return context;
}

static struct pair pair_new(SSL_CTX *client, SSL_CTX *server)
{
    BIO *one, *two;
    struct pair pair = {SSL_new(client), SSL_new(server)};
    assert_true(pair.client && pair.server);
    assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(pair.client, one, one);
    SSL_set_bio(pair.server, two, two);
    SSL_set_connect_state(pair.client);
    SSL_set_accept_state(pair.server);
    return pair;
}

static void pair_free(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    ERR_clear_error();
}

static bool waits(SSL *end, int result)
{
    const int error = SSL_get_error(end, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Both sides' handshakes, then a word each way. false: one of them has given up. */
static bool talk(struct pair *pair)
{
    char word[8] = {0};
    for (int round = 0; round < 20; round++) {
        const int client = SSL_do_handshake(pair->client);
        const int server = SSL_do_handshake(pair->server);
        if ((client != 1 && !waits(pair->client, client)) ||
            (server != 1 && !waits(pair->server, server))) {
            return false;
        }
        if (client == 1 && server == 1) {
            break;
        }
    }
    return SSL_write(pair->client, "ping", 4) == 4 && SSL_read(pair->server, word, 8) == 4 &&
           memcmp(word, "ping", 4) == 0 && SSL_write(pair->server, "pong", 4) == 4 &&
           SSL_read(pair->client, word, 8) == 4 && memcmp(word, "pong", 4) == 0;
}

static void test_attested_server(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    SSL_CTX *server = context_new(CELLA_TLS_SERVER, key, certificate, NULL);
    SSL_CTX *client = context_new(CELLA_TLS_CLIENT, NULL, NULL, &world->verifier);
    struct pair pair = pair_new(client, server);
    assert_null(cella_tls_peer(pair.client));
    assert_true(talk(&pair));
    const struct cella_tls_peer *peer = cella_tls_peer(pair.client);
    assert_non_null(peer);
    assert_true(cella_is_ok(peer->result));
    assert_memory_equal(peer->evidence.claims.measurement.data, world->mr_enclave, 32);
    assert_int_equal(SSL_get_verify_result(pair.client), X509_V_OK);
    assert_int_equal(SSL_version(pair.client), TLS1_3_VERSION);
    assert_null(cella_tls_peer(pair.server)); /* which has not asked */
    pair_free(&pair);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_mutual(void **state)
{
    struct world *world = *state;
    EVP_PKEY *keys[2] = {world_key(), world_key()};
    X509 *certificates[2] = {world_certificate(world, CELLA_TLS_OPEN_ENCLAVE, keys[0]),
                             world_certificate(world, CELLA_TLS_INTEROPERABLE, keys[1])};
    SSL_CTX *server = context_new(CELLA_TLS_SERVER, keys[0], certificates[0], &world->verifier);
    SSL_CTX *client = context_new(CELLA_TLS_CLIENT, keys[1], certificates[1], &world->verifier);
    struct pair pair = pair_new(client, server);
    assert_true(talk(&pair));
    assert_int_equal(cella_tls_peer(pair.client)->form, CELLA_TLS_OPEN_ENCLAVE);
    assert_int_equal(cella_tls_peer(pair.server)->form, CELLA_TLS_INTEROPERABLE);
    assert_false(SSL_session_reused(pair.client));
    pair_free(&pair);

    /* a client without evidence is not let in */
    SSL_CTX *plain = context_new(CELLA_TLS_CLIENT, NULL, NULL, &world->verifier);
    pair = pair_new(plain, server);
    assert_false(talk(&pair));
    pair_free(&pair);
    SSL_CTX_free(plain);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    for (int i = 0; i < 2; i++) {
        X509_free(certificates[i]);
        EVP_PKEY_free(keys[i]);
    }
}

/* Each is refused by the client, with its reason, before a byte is said. */
static void refused(struct world *server_world, const struct cella_tls_verifier *verifier,
                    const char *reason)
{
    EVP_PKEY *key = world_key();
    X509 *certificate = world_certificate(server_world, 0, key);
    SSL_CTX *server = context_new(CELLA_TLS_SERVER, key, certificate, NULL);
    SSL_CTX *client = context_new(CELLA_TLS_CLIENT, NULL, NULL, verifier);
    struct pair pair = pair_new(client, server);
    assert_false(talk(&pair));
    const struct cella_tls_peer *peer = cella_tls_peer(pair.client);
    assert_non_null(peer);
    if (cella_is_ok(peer->result) || !strstr(peer->reason, reason)) {
        fail_msg("%s; expected %s", peer->reason, reason);
    }
    assert_int_equal(SSL_get_verify_result(pair.client), X509_V_ERR_APPLICATION_VERIFICATION);
    pair_free(&pair);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_refusals(void **state)
{
    struct world *world = *state;
    struct world old;
    struct cella_evidence_policy policy = world->policy;
    struct cella_tls_verifier verifier = world->verifier;
    verifier.policy = &policy;
    policy.signer_count = 1;
    policy.signers[0].size = 32;
    refused(world, &verifier, "signer");

    world->debug = true;
    refused(world, &world->verifier, "debug");
    world->debug = false;

    world_init(&old, "OutOfDate");
    refused(&old, &old.verifier, "tcb_status");
    world_done(&old);

    verifier = world->verifier;
    verifier.max_age = 60;
    refused(world, &verifier, "stale");

    verifier = world->verifier;
    verifier.nonce = "nonce";
    verifier.nonce_size = 5;
    refused(world, &verifier, "stale");
}

/* The certificate of an enclave does not help whoever has not its key. */
static void test_other_key(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key(), *other = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    SSL_CTX *context = NULL;
    const struct cella_tls_context_options options = {
        .side = CELLA_TLS_SERVER, .key = other, .certificate = certificate};
    assert_code(cella_tls_context_new(&options, &context), CRYPTO);
    assert_null(context);
    X509_free(certificate);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    ERR_clear_error();
}

static void test_old_protocol(void **state)
{
    struct world *world = *state;
    EVP_PKEY *key = world_key();
    X509 *certificate = world_certificate(world, 0, key);
    SSL_CTX *server = context_new(CELLA_TLS_SERVER, key, certificate, NULL);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    struct pair pair = pair_new(client, server);
    assert_false(talk(&pair));
    pair_free(&pair);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_usage(void **state)
{
    struct world *world = *state;
    SSL_CTX *context = NULL;
    struct cella_tls_context_options options = {.side = CELLA_TLS_SERVER};
    struct cella_tls_verifier verifier = {.prepared = world->prepared};
    assert_code(cella_tls_context_new(&options, &context), INVALID_ARGUMENT);
    options.side = CELLA_TLS_CLIENT; /* that checks nobody */
    assert_code(cella_tls_context_new(&options, &context), INVALID_ARGUMENT);
    options.verifier = &verifier; /* without a policy */
    assert_code(cella_tls_context_new(&options, &context), INVALID_ARGUMENT);
    assert_null(context);
}

int main(void)
{
    static struct world world;
    world_init(&world, "UpToDate");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_attested_server, &world),
        cmocka_unit_test_prestate(test_mutual, &world),
        cmocka_unit_test_prestate(test_refusals, &world),
        cmocka_unit_test_prestate(test_other_key, &world),
        cmocka_unit_test_prestate(test_old_protocol, &world),
        cmocka_unit_test_prestate(test_usage, &world),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_done(&world);
    return failed;
}
