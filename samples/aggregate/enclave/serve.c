/*
 * Serves one round over attested TLS: parties are who their keys say, and see this enclave's evidence first.
 * Side: enclave. Called by samples/aggregate/host/main.c.
 * Never prints or sends a value. Believes the host in nothing: the roster it was given is in the evidence.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "aggregate_t.h"
#include "cella/attest.h"
#include "cella/tls.h"
#include "round.h"

#define DAY 86400
#define LINE_MAX_SIZE 64
#define PATIENCE 5 /* seconds for a party to say something */

static struct round g_round;

static cella_result quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)context;
    return cella_quote_create(data, out, out_capacity, ret_size);
}

/* A key that was made here, and a certificate whose evidence binds it and the roster. */
static cella_result identity_make(const char *roster, size_t size, EVP_PKEY **ret_key,
                                  X509 **ret_certificate)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    const int64_t now = time(NULL);
    const struct cella_tls_identity_options options = {
        .quote = quote,
        .subject = "Cella aggregate sample",
        .valid_from = now - 60,
        .valid_until = now + 30 * DAY,
        .nonce = SHA256((const uint8_t *)roster, size, digest),
        .nonce_size = sizeof(digest),
    };
    CELLA_TRY(cella_tls_key_new(ret_key));
    return cella_tls_certificate_new(&options, *ret_key, ret_certificate);
}

/* Any certificate will do: what counts is its key, and TLS proves that the party has it. */
static int any_certificate(X509_STORE_CTX *store, void *context)
{
    (void)store;
    (void)context;
    return 1;
}

static cella_result context_make(const char *roster, size_t size, SSL_CTX **ret_context)
{
    struct cella_tls_context_options options = {.side = CELLA_TLS_SERVER};
    CELLA_TRY(identity_make(roster, size, &options.key, &options.certificate));
    CELLA_TRY(cella_tls_context_new(&options, ret_context));
    SSL_CTX_set_verify(*ret_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(*ret_context, any_certificate, NULL);
    SSL_CTX_set_block_padding(*ret_context, 256); /* no length tells the digits of a sum */
    return CELLA_OK;
}

static struct round_party *party_of(const SSL *connection)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint8_t *key = NULL;
    X509 *certificate = SSL_get0_peer_certificate(connection);
    const int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key) : -1;
    if (size <= 0) {
        return NULL;
    }
    SHA256(key, (size_t)size, digest);
    OPENSSL_free(key);
    return round_party_of(&g_round, digest);
}

/* One line without its end. */
static bool line_get(SSL *connection, char line[LINE_MAX_SIZE])
{
    for (size_t used = 0; used < LINE_MAX_SIZE; used++) {
        if (SSL_read(connection, line + used, 1) != 1) {
            return false;
        }
        if (line[used] == '\n') {
            line[used] = 0;
            return true;
        }
    }
    return false;
}

static void answer(struct round_party *party, const char *line, char *text, size_t room)
{
    char *end = NULL;
    if (strncmp(line, "submit ", 7) == 0) {
        errno = 0;
        const long long value = strtoll(line + 7, &end, 10);
        const cella_result result = errno || end == line + 7 || *end
                                        ? CELLA_RESULT(OUT_OF_RANGE)
                                        : round_submit(&g_round, party, value);
        snprintf(text, room, "%s, %u of %u\n",
                 cella_is_ok(result)                        ? "accepted"
                 : result.code == CELLA_CODE_ALREADY_EXISTS ? "refused: a number of yours is there"
                 : result.code == CELLA_CODE_WRONG_STATE    ? "refused: the round is over"
                                                            : "refused: not a number, or too large",
                 g_round.sent, g_round.quorum);
    } else if (strcmp(line, "result") != 0) {
        snprintf(text, room, "refused: expected 'submit NUMBER' or 'result'\n");
    } else if (round_is_over(&g_round)) {
        snprintf(text, room, "sum %" PRId64 " of %u numbers\n", g_round.sum, g_round.sent);
    } else {
        snprintf(text, room, "waiting, %u of %u\n", g_round.sent, g_round.quorum);
    }
}

static void serve_one(SSL_CTX *context, int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    char line[LINE_MAX_SIZE], text[128] = "refused: this key is not on the roster\n";
    SSL *connection = SSL_new(context);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connection && SSL_set_fd(connection, fd) == 1 && SSL_accept(connection) == 1 &&
        line_get(connection, line)) {
        struct round_party *party = party_of(connection);
        if (party) {
            answer(party, line, text, sizeof(text));
        }
        SSL_write(connection, text, (int)strlen(text));
        SSL_shutdown(connection);
        printf("enclave: %s, %u of %u\n", party ? party->name : "a stranger", g_round.sent,
               g_round.quorum); /* the host sees who connects anyway */
    } else {
        printf("enclave: a connection came to nothing\n");
    }
    fflush(stdout);
    ERR_clear_error();
    SSL_free(connection);
    close(fd);
}

static int listen_on(const char *text, uint16_t port)
{
    const int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

cella_result aggregate_serve(const char *address, uint16_t port, const char *roster, size_t size,
                             char *why, size_t room)
{
    SSL_CTX *context;
    why[0] = 0;
    CELLA_ENSURE(roster != NULL && g_round.party_count == 0, WRONG_STATE);
    CELLA_TRY(round_read(roster, size, &g_round, why, room));
    CELLA_TRY(context_make(roster, size, &context));
    const int fd = listen_on(address, port);
    if (fd < 0) {
        snprintf(why, room, "%s:%u: %s", address, port, strerror(errno));
        SSL_CTX_free(context);
        return CELLA_RESULT(IO);
    }
    printf("enclave: listening on %s:%u, %u parties, quorum %u\n", address, port,
           g_round.party_count, g_round.quorum);
    fflush(stdout);
    for (;;) {
        const int client = accept(fd, NULL, NULL);
        if (client >= 0) {
            serve_one(context, client);
        }
    }
}
