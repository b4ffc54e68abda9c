/*
 * `cella evidence get`: evidence of an enclave, or out of the certificate that a TLS server shows.
 * Side: tools. Called by cli/cmd_evidence.c. Never says that what it got is true: `cella evidence verify` does.
 */
#include <getopt.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cella/attest.h"
#include "cella/host.h"
#include "cella/tls.h"
#include "cli/evidence.h"
#include "cli/file.h"
#include "common/cleanup.h"

#define COMMAND "cella evidence get"
#define BYTES_MAX 4096u
#define CONNECT_SECONDS 10

static const char g_usage[] =
    "usage: cella evidence get [--nonce HEX] [--data HEX] [--debug] [--out FILE] IMAGE\n"
    "       cella evidence get --tls HOST:PORT [--out FILE]\n"
    "\n"
    "Starts the enclave of a signed image that links the module `attest` and asks it for evidence, "
    "or takes the\n"
    "evidence out of the certificate of a TLS server, which must name the certificate's key.\n"
    "\n"
    "  --nonce HEX       the verifier's nonce: the claim host_nonce\n"
    "  --data HEX        user data: the claim host_user_data\n"
    "  --debug           start it as a debug enclave\n"
    "  --tls HOST:PORT   a server, IPv6 addresses in brackets\n"
    "  --out FILE        where to write; default: standard output, not to a terminal\n"
    "  --help            this text\n"
    "\n"
    "exit status: 0 done, 1 refused or failed, 2 wrong use\n";

struct bytes {
    uint8_t data[BYTES_MAX];
    size_t size;
};

struct request {
    struct bytes nonce, data;
    bool debug;
    const char *server, *out;
};

static bool hex_read(const char *option, const char *text, struct bytes *ret_bytes)
{
    const size_t digits = strlen(text);
    if (digits % 2 != 0 || digits / 2 > BYTES_MAX ||
        strspn(text, "0123456789abcdefABCDEF") != digits) {
        fprintf(stderr, COMMAND ": %s %s: expected hexadecimal digits, two a byte\n", option, text);
        return false;
    }
    for (size_t i = 0; i < digits / 2; i++) {
        const char pair[] = {text[2 * i], text[2 * i + 1], 0};
        ret_bytes->data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    ret_bytes->size = digits / 2;
    return true;
}

static int evidence_write(const struct request *request, const void *data, size_t size)
{
    struct cella_error error = {0};
    if (request->out) {
        if (!cella_is_ok(cella_file_write(request->out, data, size, 0644, &error))) {
            fprintf(stderr, COMMAND ": %s\n", error.text);
            return 1;
        }
        return 0;
    }
    if (isatty(STDOUT_FILENO)) {
        fputs(COMMAND ": evidence is binary: --out FILE, or a pipe\n", stderr);
        return 2;
    }
    return fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : 1;
}

/* ------------------------------------------------------------------------- of an enclave */

static int from_enclave(const struct request *request, cella_enclave *enclave)
{
    static uint8_t evidence[CELLA_QUOTE_MAX];
    struct cella_error error = {0};
    size_t size = 0;
    const cella_result result =
        cella_enclave_evidence(enclave, request->nonce.size ? request->nonce.data : NULL,
                               request->nonce.size, request->data.size ? request->data.data : NULL,
                               request->data.size, evidence, sizeof(evidence), &size, &error);
    if (result.code == CELLA_CODE_NOT_FOUND) {
        fputs(COMMAND ": the enclave does not link the module `attest` (in its project: modules = "
                      "attest)\n",
              stderr);
        return 1;
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, COMMAND ": %s\n", error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return evidence_write(request, evidence, size);
}

static int from_image(const struct request *request, const char *image)
{
    const struct cella_enclave_options options = {.flags =
                                                      request->debug ? CELLA_ENCLAVE_DEBUG : 0};
    struct cella_error error = {0};
    cella_enclave *enclave;
    if (!cella_is_ok(cella_enclave_create(image, &options, &enclave, &error))) {
        fprintf(stderr, COMMAND ": %s\n", error.text);
        return 1;
    }
    const int status = from_enclave(request, enclave);
    cella_enclave_destroy(enclave);
    return status;
}

/* ------------------------------------------------------------------------- of a server */

static int tls_failed(const char *server)
{
    const unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    fprintf(stderr, COMMAND ": %s: %s\n", server, reason ? reason : "no connection");
    return 1;
}

static void ssl_done(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static void bio_done(BIO **bio)
{
    BIO_free_all(*bio);
}

static int from_certificate(const struct request *request, X509 *certificate)
{
    enum cella_tls_form form;
    struct cella_span evidence;
    char reason[CELLA_TLS_REASON_SIZE] = "";
    if (!cella_is_ok(cella_tls_certificate_evidence(certificate, 0, &form, &evidence, reason))) {
        fprintf(stderr, COMMAND ": %s: %s\n", request->server, reason);
        return 1;
    }
    return evidence_write(request, evidence.data, evidence.size);
}

/* The certificate is not checked here by its issuer: it is its evidence that is wanted. */
static int from_server(const struct request *request)
{
    CELLA_CLEANUP(ssl_done) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    CELLA_CLEANUP(bio_done) BIO *bio = NULL;
    SSL *connection = NULL;
    if (!context) {
        return tls_failed(request->server);
    }
    SSL_CTX_set_max_cert_list(context, 1 << 20);
    bio = BIO_new_ssl_connect(context);
    if (!bio || BIO_set_conn_hostname(bio, request->server) != 1 ||
        BIO_get_ssl(bio, &connection) != 1) {
        return tls_failed(request->server);
    }
    BIO_set_nbio(bio, 1);
    const time_t until = time(NULL) + CONNECT_SECONDS;
    while (BIO_do_handshake(bio) != 1) {
        if (!BIO_should_retry(bio) || time(NULL) > until) {
            /* A server may break off because it wants a certificate; its own came before that. */
            break;
        }
        usleep(1000);
    }
    X509 *certificate = SSL_get0_peer_certificate(connection);
    return certificate ? from_certificate(request, certificate) : tls_failed(request->server);
}

int evidence_get(int argc, char **argv)
{
    static const struct option options[] = {
        {"nonce", required_argument, NULL, 'n'},
        {"data", required_argument, NULL, 'd'},
        {"debug", no_argument, NULL, 'g'},
        {"tls", required_argument, NULL, 't'},
        {"out", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct request request;
    for (int option; (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            fputs(g_usage, stdout);
            return 0;
        case 'n':
        case 'd':
            if (!hex_read(option == 'n' ? "--nonce" : "--data", optarg,
                          option == 'n' ? &request.nonce : &request.data)) {
                return 2;
            }
            break;
        case 'g':
            request.debug = true;
            break;
        case 't':
            request.server = optarg;
            break;
        case 'o':
            request.out = optarg;
            break;
        default:
            return 2;
        }
    }
    if ((request.server != NULL) == (optind < argc) || argc - optind > 1) {
        fputs(g_usage, stderr);
        return 2;
    }
    return request.server ? from_server(&request) : from_image(&request, argv[optind]);
}
