/*
 * A Marble's one call: TLS over bytes that the host carries, gRPC in it, the manifest's parameters out of it.
 * Side: enclave, ordinary code of the kernel's libc. Called by marble.c. Source of the messages: MarbleRun's Marble service.
 * Never verifies the coordinator, as MarbleRun has it: who that is shows in what it can hand out. What the host can do to
 * the bytes, anybody on the way could.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "enclave/kernel.h"
#include "linux/marble.h"
#include "marble.pb-c.h"
#include "rpc/rpc.h"

#define METHOD "/rpc.Marble/Activate"
#define SECONDS 60u
#define ANSWER_MAX ((size_t)64 << 20)
#define HOST_MAX 255u
static const unsigned char g_protocols[] = {2, 'h', '2'}; /* ALPN */

struct marble_link {
    struct marble *marble;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out; /* the connection's bytes; `ssl` owns them */
    struct rpc_session *session;
    bool has_answer;
    uint8_t buffer[4 + CELLA_MARBLE_CHUNK_MAX];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct marble_link *link, const char *format,
                                                       ...)
{
    va_list values;
    if (link->marble->reason[0] == 0) { /* the first one is the cause */
        va_start(values, format);
        vsnprintf(link->marble->reason, sizeof(link->marble->reason), format, values);
        va_end(values);
    }
    return false;
}

static bool fail_tls(struct marble_link *link, const char *what)
{
    char text[160] = "out of memory";
    const unsigned long code = ERR_peek_error();
    if (code != 0) {
        ERR_error_string_n(code, text, sizeof(text));
    }
    return fail(link, "%s: %s", what, text);
}

/* ------------------------------------------------------------------ the host's part */

static cella_result ask(struct marble_link *link, uint32_t operation, size_t in_size, void *out,
                        size_t room, size_t *ret_size)
{
    memcpy(link->buffer, &operation, sizeof(operation));
    return cella_system_ocall(CELLA_OCALL_PROGRAM_MARBLE, link->buffer, sizeof(operation) + in_size,
                              out, room, ret_size);
}

static bool connect_to(struct marble_link *link)
{
    const size_t size = strlen(link->marble->coordinator);
    if (size > HOST_MAX) {
        return fail(link, "the coordinator's name is too long");
    }
    memcpy(link->buffer + 4, link->marble->coordinator, size);
    if (!cella_is_ok(ask(link, CELLA_MARBLE_CONNECT, size, NULL, 0, NULL))) {
        return fail(link, "no coordinator at %s", link->marble->coordinator);
    }
    return true;
}

/* What TLS wants to send goes out. */
static bool flush(struct marble_link *link)
{
    for (;;) {
        const int size = BIO_read(link->out, link->buffer + 4, CELLA_MARBLE_CHUNK_MAX);
        if (size <= 0) {
            return true;
        }
        if (!cella_is_ok(ask(link, CELLA_MARBLE_SEND, (size_t)size, NULL, 0, NULL))) {
            return fail(link, "the connection to %s broke", link->marble->coordinator);
        }
    }
}

/* Waits for bytes of the peer. */
static bool fill(struct marble_link *link)
{
    size_t size = 0;
    if (!flush(link)) {
        return false;
    }
    if (!cella_is_ok(
            ask(link, CELLA_MARBLE_RECEIVE, 0, link->buffer, CELLA_MARBLE_CHUNK_MAX, &size)) ||
        size == 0) {
        return fail(link, "the connection to %s ended without an answer",
                    link->marble->coordinator);
    }
    return BIO_write(link->in, link->buffer, (int)size) == (int)size || fail(link, "out of memory");
}

/* ------------------------------------------------------------------ TLS */

static bool tls_start(struct marble_link *link, X509 *certificate, EVP_PKEY *key)
{
    char host[HOST_MAX + 1];
    snprintf(host, sizeof(host), "%s", link->marble->coordinator);
    char *port = strrchr(host, ':');
    if (port) {
        *port = 0;
    }
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    link->context = SSL_CTX_new(TLS_client_method());
    if (!link->context || SSL_CTX_set_min_proto_version(link->context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate(link->context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(link->context, key) != 1 ||
        SSL_CTX_set_alpn_protos(link->context, g_protocols, sizeof(g_protocols)) != 0) {
        return fail_tls(link, "TLS");
    }
    link->ssl = SSL_new(link->context);
    link->in = BIO_new(BIO_s_mem());
    link->out = BIO_new(BIO_s_mem());
    if (!link->ssl || !link->in || !link->out) {
        BIO_free(link->in);
        BIO_free(link->out);
        return fail_tls(link, "TLS");
    }
    SSL_set_bio(link->ssl, link->in, link->out);
    SSL_set_tlsext_host_name(link->ssl, host); /* an address is no name: it is not sent then */
    SSL_set_connect_state(link->ssl);
    for (;;) {
        const int done = SSL_do_handshake(link->ssl);
        if (done == 1) {
            return flush(link);
        }
        if (SSL_get_error(link->ssl, done) != SSL_ERROR_WANT_READ) {
            flush(link); /* the alert */
            return fail_tls(link, "TLS with the coordinator");
        }
        if (!fill(link)) {
            return false;
        }
    }
}

/* Decrypted bytes of the peer; their number, 0: it failed. */
static int tls_read(struct marble_link *link, uint8_t *to, int room)
{
    for (;;) {
        const int size = SSL_read(link->ssl, to, room);
        if (size > 0) {
            return size;
        }
        if (SSL_get_error(link->ssl, size) != SSL_ERROR_WANT_READ) {
            fail_tls(link, "the coordinator has ended the connection");
            return 0;
        }
        if (!fill(link)) {
            return 0;
        }
    }
}

/* ------------------------------------------------------------------ the call */

static bool pairs_make(struct marble_pair **ret_pairs, size_t count)
{
    *ret_pairs = calloc(count + 1, sizeof(**ret_pairs));
    return *ret_pairs != NULL;
}

static bool answer_take(struct marble_link *link, struct cella_bytes message)
{
    struct marble *marble = link->marble;
    Marble__Answer *answer = marble__answer__unpack(NULL, message.size, message.data);
    if (!answer) {
        return fail(link, "the coordinator's answer is not well-formed");
    }
    marble->answer = answer;
    const Marble__Parameters *parameters = answer->parameters;
    if (!parameters) {
        return true;
    }
    if (!pairs_make(&marble->files, parameters->n_files) ||
        !pairs_make(&marble->variables, parameters->n_variables)) {
        return fail(link, "out of memory");
    }
    for (size_t i = 0; i < parameters->n_files; i++) {
        const Marble__Parameters__FilesEntry *entry = parameters->files[i];
        marble->files[marble->file_count++] = (struct marble_pair){
            .name = entry->key, .value = entry->value.data, .size = entry->value.len};
    }
    for (size_t i = 0; i < parameters->n_variables; i++) {
        const Marble__Parameters__VariablesEntry *entry = parameters->variables[i];
        marble->variables[marble->variable_count++] = (struct marble_pair){
            .name = entry->key, .value = entry->value.data, .size = entry->value.len};
    }
    marble->arguments = (const char *const *)parameters->arguments;
    marble->argument_count = parameters->n_arguments;
    return true;
}

static void on_answer(void *context, const struct rpc_outcome *outcome)
{
    struct marble_link *link = context;
    if (outcome->status != RPC_OK) {
        fail(link, "the coordinator refused: %s: %s", rpc_status_name(outcome->status),
             outcome->text);
        return;
    }
    link->has_answer = answer_take(link, outcome->message);
}

static bool exchange(struct marble_link *link)
{
    uint8_t *plain = malloc(CELLA_MARBLE_CHUNK_MAX);
    bool done = plain != NULL || fail(link, "out of memory");
    while (done && !rpc_session_is_over(link->session)) {
        struct cella_bytes next = {0};
        done = cella_is_ok(rpc_session_next(link->session, &next)) || fail(link, "HTTP/2");
        if (done && next.size > 0) {
            done = SSL_write(link->ssl, next.data, (int)next.size) == (int)next.size
                       ? flush(link)
                       : fail_tls(link, "TLS with the coordinator");
            continue;
        }
        const int size = done ? tls_read(link, plain, CELLA_MARBLE_CHUNK_MAX) : 0;
        done = size > 0;
        if (done && !cella_is_ok(rpc_session_receive(link->session,
                                                     cella_bytes_of(plain, (size_t)size), 0))) {
            done = fail(link, "HTTP/2: %s", rpc_session_trouble(link->session));
        }
    }
    free(plain);
    return done && link->has_answer;
}

static bool activate(struct marble_link *link, struct cella_bytes message)
{
    const struct rpc_request request = {
        .path = METHOD,
        .authority = link->marble->coordinator,
        .is_tls = true,
        .message = message,
        .milliseconds = SECONDS * 1000,
        .answer_max = ANSWER_MAX,
    };
    if (!cella_is_ok(rpc_client_new(&request, 0, on_answer, link, &link->session))) {
        return fail(link, "out of memory");
    }
    const bool done = exchange(link);
    if (!done) { /* what broke has been said; that nothing came is no reason of its own */
        rpc_session_forget(link->session);
    }
    rpc_session_free(link->session);
    return done;
}

static bool message_make(struct marble_link *link, X509 *certificate, EVP_PKEY *key,
                         uint8_t **ret_message, size_t *ret_size)
{
    struct marble *marble = link->marble;
    Marble__Request request = MARBLE__REQUEST__INIT;
    request.csr.len = marble_csr(marble, key, &request.csr.data);
    request.quote.len = marble_quote(certificate, &request.quote.data);
    request.type = (char *)(uintptr_t)marble->type;
    request.uuid = marble->uuid;
    marble->has_quote = request.quote.len > 0;
    *ret_size = marble__request__get_packed_size(&request);
    *ret_message = request.csr.len > 0 ? malloc(*ret_size) : NULL;
    if (*ret_message) {
        marble__request__pack(&request, *ret_message);
    }
    free(request.csr.data);
    free(request.quote.data);
    return *ret_message != NULL || fail_tls(link, "no request for a certificate");
}

static bool run(struct marble_link *link)
{
    uint8_t *message = NULL;
    size_t size = 0;
    EVP_PKEY *key = marble_key();
    X509 *certificate = key ? marble_certificate(link->marble, key) : NULL;
    bool done = certificate || fail_tls(link, "no certificate");
    done = done && message_make(link, certificate, key, &message, &size) && connect_to(link) &&
           tls_start(link, certificate, key) && activate(link, cella_bytes_of(message, size));
    cella_ignore(ask(link, CELLA_MARBLE_CLOSE, 0, NULL, 0, NULL));
    free(message);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return done;
}

long cella_linux_marble_call(void *argument)
{
    struct marble *marble = argument;
    struct marble_link *link = calloc(1, sizeof(*link));
    if (!link) {
        return -1;
    }
    link->marble = marble;
    const bool done = run(link);
    SSL_free(link->ssl);
    SSL_CTX_free(link->context);
    ERR_clear_error();
    free(link);
    return done ? 0 : -1;
}
