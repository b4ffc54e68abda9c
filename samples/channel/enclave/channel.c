/*
 * A TLS server and client inside an enclave. The key is made here and never leaves; its certificate carries evidence.
 * Side: enclave.
 * Believes nothing of the host but collateral, which is signed, and what is called insecure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "cella/attest.h"
#include "cella/report.h"
#include "channel_t.h"
#include "talk.h"

#define DOCUMENTS_MAX 16
#define DOCUMENT_SIZE_MAX (1u << 20)
#define DAY 86400

static struct cella_collateral_item g_documents[DOCUMENTS_MAX];
static size_t g_document_count;
static struct cella_roots g_roots;
static struct cella_prepared *g_prepared;
static struct cella_evidence_policy g_policy;
static struct cella_tls_verifier g_verifier;
static EVP_PKEY *g_key;
static X509 *g_certificate;
static int64_t g_renewal; /* seconds since 1970 */
static uint32_t g_forms;
static struct sgx_report g_self;

cella_result channel_collateral(const void *document, size_t size)
{
    CELLA_ENSURE(document && size <= DOCUMENT_SIZE_MAX && g_document_count < DOCUMENTS_MAX,
                 LIMIT_EXCEEDED);
    void *copy = malloc(size);
    CELLA_ENSURE(copy != NULL, OUT_OF_MEMORY);
    memcpy(copy, document, size);
    g_documents[g_document_count++] =
        (struct cella_collateral_item){.name = "the host's collateral", .bytes = {copy, size}};
    return CELLA_OK;
}

cella_result channel_insecure_root(const void *pem, size_t size)
{
    CELLA_ENSURE(pem != NULL, INVALID_ARGUMENT);
    printf(
        "enclave: insecure_root: the host says who makes processors; good for trying out only\n");
    return cella_roots_add(&g_roots, (struct cella_span){pem, size});
}

static cella_result quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)context;
    return cella_quote_create(data, out, out_capacity, ret_size);
}

/* Peers are enclaves of the same signer, debug ones only if this is one. */
static cella_result verifier_make(void)
{
    void *memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE);
    CELLA_ENSURE(memory != NULL, OUT_OF_MEMORY);
    CELLA_TRY(cella_evidence_prepare(g_documents, g_document_count, NULL, &g_roots, memory,
                                     CELLA_EVIDENCE_PREPARED_SIZE, &g_prepared));
    cella_evidence_policy_init(&g_policy);
    g_policy.signer_count = 1;
    g_policy.signers[0].size = sizeof(g_self.body.mr_signer);
    memcpy(g_policy.signers[0].data, g_self.body.mr_signer, sizeof(g_self.body.mr_signer));
    g_policy.allow_debug = (g_self.body.attributes.flags & SGX_FLAGS_DEBUG) != 0;
    g_verifier =
        (struct cella_tls_verifier){.policy = &g_policy, .prepared = g_prepared, .max_age = DAY};
    return CELLA_OK;
}

/* The key stays; who has served for half the certificate's time gets another one. */
static cella_result certificate_make(void)
{
    const int64_t now = time(NULL);
    const struct cella_tls_identity_options options = {
        .quote = quote,
        .forms = g_forms,
        .subject = "Cella channel sample",
        .valid_from = now - 60,
        .valid_until = now + DAY,
    };
    X509 *certificate;
    CELLA_TRY(cella_tls_certificate_new(&options, g_key, &certificate));
    X509_free(g_certificate);
    g_certificate = certificate;
    g_renewal = now + DAY / 2;
    return CELLA_OK;
}

cella_result channel_identity(uint32_t forms)
{
    CELLA_ENSURE(g_key == NULL, WRONG_STATE);
    CELLA_TRY(cella_report_self(&g_self));
    CELLA_TRY(verifier_make());
    CELLA_TRY(cella_tls_key_new(&g_key));
    g_forms = forms;
    return certificate_make();
}

static void hex(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++) {
        sprintf(out + 2 * i, "%02x", bytes[i]);
    }
}

/* What curl sees too: who answers, and who asked. */
static void answer(SSL *connection)
{
    char request[1024], own[65], other[65] = "nobody that was checked";
    char body[CHANNEL_TEXT_SIZE], text[CHANNEL_TEXT_SIZE + 256];
    const int got = SSL_read(connection, request, sizeof(request));
    const struct cella_tls_peer *peer = cella_tls_peer(connection);
    if (got <= 0) {
        return;
    }
    hex(g_self.body.mr_enclave, 32, own);
    if (peer) {
        hex(peer->evidence.claims.measurement.data, 32, other);
    }
    snprintf(body, sizeof(body), "{\"server\": \"%s\", \"client\": \"%s\"}\n", own, other);
    const int size = snprintf(text, sizeof(text),
                              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                              strlen(body), body);
    SSL_write(connection, text, size);
}

static void serve_one(SSL_CTX *context, int fd)
{
    const struct timeval patience = {.tv_sec = 5}; /* others wait meanwhile */
    SSL *connection = SSL_new(context);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connection && SSL_set_fd(connection, fd) == 1 && SSL_accept(connection) == 1) {
        answer(connection);
        SSL_shutdown(connection);
    } else {
        const struct cella_tls_peer *peer = cella_tls_peer(connection);
        const unsigned long code = ERR_peek_last_error();
        printf("enclave: a client was refused: %s\n", peer && peer->reason[0] ? peer->reason
                                                      : code ? ERR_reason_error_string(code)
                                                             : "it has gone");
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
    if (fd < 0) {
        return -1;
    }
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static cella_result context_make(enum cella_tls_side side, uint32_t flags, SSL_CTX **ret_context)
{
    const bool mutual = (flags & CHANNEL_MUTUAL) != 0;
    const bool server = side == CELLA_TLS_SERVER;
    CELLA_ENSURE(g_key != NULL, WRONG_STATE);
    const struct cella_tls_context_options options = {
        .side = side,
        .key = server || mutual ? g_key : NULL,
        .certificate = server || mutual ? g_certificate : NULL,
        .verifier = !server || mutual ? &g_verifier : NULL,
    };
    return cella_tls_context_new(&options, ret_context);
}

/* Without a new certificate the old one goes on being shown, and clients refuse it when its time is over. */
static void renew(SSL_CTX **context, uint32_t flags)
{
    SSL_CTX *newer;
    if (time(NULL) >= g_renewal && cella_is_ok(certificate_make()) &&
        cella_is_ok(context_make(CELLA_TLS_SERVER, flags, &newer))) {
        SSL_CTX_free(*context);
        *context = newer;
    }
}

cella_result channel_serve(const char *address, uint16_t port, uint32_t connections, uint32_t flags)
{
    SSL_CTX *context;
    CELLA_TRY(context_make(CELLA_TLS_SERVER, flags, &context));
    const int fd = listen_on(address, port);
    if (fd < 0) {
        printf("enclave: %s:%u: %s\n", address, port, strerror(errno));
        SSL_CTX_free(context);
        return CELLA_RESULT(IO);
    }
    printf("enclave: listening on %s:%u\n", address, port);
    fflush(stdout);
    for (uint32_t i = 0; connections == 0 || i < connections; i++) {
        const int client = accept(fd, NULL, NULL);
        renew(&context, flags);
        if (client >= 0) {
            serve_one(context, client);
        }
    }
    close(fd);
    SSL_CTX_free(context);
    return CELLA_OK;
}

cella_result channel_ask(const char *address, uint16_t port, uint32_t flags,
                         struct channel_answer *ret_answer)
{
    SSL_CTX *context;
    memset(ret_answer, 0, sizeof(*ret_answer));
    CELLA_TRY(context_make(CELLA_TLS_CLIENT, flags, &context));
    const int fd = talk_connect(address, port);
    cella_result result = CELLA_RESULT(IO);
    if (fd < 0) {
        snprintf(ret_answer->text, sizeof(ret_answer->text), "%s:%u: %s", address, port,
                 strerror(errno));
    } else {
        result = talk_ask(context, fd, ret_answer);
    }
    SSL_CTX_free(context);
    return result;
}
