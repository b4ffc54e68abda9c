/*
 * A party. party.h is the manual.
 * Side: host. No enclave runs here: what is trusted is this program, and what it verifies.
 */
#include "party.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cella/collateral.h"
#include "cella/tls.h"

#define FILE_MAX (1u << 20)

char *file_read(const char *path, size_t *ret_size)
{
    char *bytes = malloc(FILE_MAX);
    FILE *file = bytes ? fopen(path, "rbe") : NULL;
    if (!file) {
        fprintf(stderr, "aggregate: %s: %s\n", path, strerror(errno));
        free(bytes);
        return NULL;
    }
    *ret_size = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    return bytes;
}

/* ------------------------------------------------------------------------- the party's key */

static EVP_PKEY *key_read(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file) {
        fclose(file);
    }
    return key;
}

static EVP_PKEY *key_make(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    const int good = key && file && PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    if ((file && fclose(file) != 0) || !good) {
        fprintf(stderr, "aggregate: %s: %s\n", path, strerror(errno));
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

int party_key(const char *path, const char *name)
{
    uint8_t digest[32], *der = NULL;
    EVP_PKEY *key = access(path, F_OK) == 0 ? key_read(path) : key_make(path);
    const int size = key ? i2d_PUBKEY(key, &der) : -1;
    const int good = size > 0 && EVP_Digest(der, (size_t)size, digest, NULL, EVP_sha256(), NULL);
    if (good) {
        printf("party %s ", name);
        for (size_t i = 0; i < sizeof(digest); i++) {
            printf("%02x", digest[i]);
        }
        printf("\n");
    } else {
        fprintf(stderr, "aggregate: %s: no private key\n", path);
    }
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return good ? 0 : 1;
}

/* TLS wants a certificate around the key; what is in it says nothing. */
static X509 *certificate_make(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    if (!certificate || !X509_set_version(certificate, 2) ||
        !ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) ||
        !X509_set_pubkey(certificate, key) || !X509_sign(certificate, key, EVP_sha256())) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* ------------------------------------------------------------------------- what is believed */

struct belief {
    struct cella_roots roots;
    struct cella_collateral_set *set;
    void *memory;
    struct cella_prepared *prepared;
    struct cella_evidence_policy policy;
    struct cella_tls_verifier verifier;
    uint8_t roster[32];
};

static void belief_done(struct belief *belief)
{
    if (belief->prepared) {
        cella_evidence_prepared_done(belief->prepared);
    }
    free(belief->memory);
    cella_collateral_set_free(belief->set);
}

/* This very enclave, not a debug one, whose evidence has this very roster in it. */
static int policy_make(struct belief *belief, const struct party_options *options)
{
    size_t size;
    char *roster = file_read(options->roster, &size);
    struct cella_policy_digest *measurement = &belief->policy.measurements[0];
    if (!roster || !EVP_Digest(roster, size, belief->roster, NULL, EVP_sha256(), NULL)) {
        free(roster);
        return -1;
    }
    free(roster);
    if (strlen(options->enclave) != 64 || strspn(options->enclave, "0123456789abcdef") != 64) {
        fprintf(stderr, "aggregate: --enclave %s: 64 hexadecimal digits\n", options->enclave);
        return -1;
    }
    cella_evidence_policy_init(&belief->policy);
    measurement->size = 32;
    for (size_t i = 0; i < 32; i++) {
        const char pair[] = {options->enclave[2 * i], options->enclave[2 * i + 1], 0};
        measurement->data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    belief->policy.measurement_count = 1;
    return 0;
}

static int belief_make(struct belief *belief, const struct party_options *options)
{
    size_t count, size = 0;
    char *root = options->root ? file_read(options->root, &size) : NULL;
    cella_result result = CELLA_OK;
    if (options->root) {
        result = root ? cella_roots_add(&belief->roots, (struct cella_span){(uint8_t *)root, size})
                      : CELLA_RESULT(NOT_FOUND);
    }
    free(root);
    belief->set = cella_collateral_set_new();
    if (cella_is_ok(result)) {
        result = belief->set ? cella_collateral_set_add_directory(belief->set, options->collateral)
                             : CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (cella_is_ok(result)) {
        const struct cella_collateral_item *items = cella_collateral_set_items(belief->set, &count);
        size = (cella_collateral_set_prepared_size(belief->set) + 15) & ~(size_t)15;
        belief->memory = aligned_alloc(16, size);
        result = belief->memory ? cella_evidence_prepare(items, count, NULL, &belief->roots,
                                                         belief->memory, size, &belief->prepared)
                                : CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "aggregate: root and collateral: %s\n", cella_result_text(result));
        return -1;
    }
    belief->verifier = (struct cella_tls_verifier){.policy = &belief->policy,
                                                   .prepared = belief->prepared,
                                                   .forms = CELLA_TLS_INTEROPERABLE,
                                                   .nonce = belief->roster,
                                                   .nonce_size = sizeof(belief->roster)};
    return policy_make(belief, options);
}

/* ------------------------------------------------------------------------- one question */

static int refused(const SSL *connection)
{
    const struct cella_tls_peer *peer = cella_tls_peer(connection);
    const unsigned long code = ERR_peek_last_error();
    fprintf(stderr, "refused: %s\n",
            peer && peer->reason[0] ? peer->reason
            : code                  ? ERR_reason_error_string(code)
                                    : "the other side has closed the connection");
    return 1;
}

/* The number leaves this program in the SSL_write, which is reached only behind the verifier. */
static int talk(SSL *connection, const char *line)
{
    char text[128];
    int used = 0, got;
    if (SSL_connect(connection) != 1 || SSL_write(connection, line, (int)strlen(line)) <= 0) {
        return refused(connection);
    }
    while (used < (int)sizeof(text) - 1 &&
           (got = SSL_read(connection, text + used, (int)sizeof(text) - 1 - used)) > 0) {
        used += got;
    }
    text[used] = 0;
    if (used == 0) {
        return refused(connection);
    }
    fputs(text, stdout);
    return strncmp(text, "refused", 7) == 0 ? 1 : 0;
}

static int ask_with(const struct cella_tls_context_options *options,
                    const struct sockaddr_in *address, const char *line)
{
    SSL_CTX *context = NULL;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        fprintf(stderr, "aggregate: connect: %s\n", strerror(errno));
    } else if (!options->certificate || !cella_is_ok(cella_tls_context_new(options, &context))) {
        fprintf(stderr, "aggregate: no key, or no memory\n");
    } else {
        SSL_CTX_set_block_padding(context, 256); /* no length tells the digits of a number */
        SSL *connection = SSL_new(context);
        status = connection && SSL_set_fd(connection, fd) == 1 ? talk(connection, line) : 1;
        SSL_free(connection);
    }
    SSL_CTX_free(context);
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

int party_ask(const struct party_options *options, const struct sockaddr_in *address,
              const char *line)
{
    struct belief belief = {.set = NULL};
    int status = 2;
    if (belief_make(&belief, options) == 0) {
        struct cella_tls_context_options tls = {
            .side = CELLA_TLS_CLIENT, .key = key_read(options->key), .verifier = &belief.verifier};
        tls.certificate = tls.key ? certificate_make(tls.key) : NULL;
        status = ask_with(&tls, address, line);
        X509_free(tls.certificate);
        EVP_PKEY_free(tls.key);
    }
    belief_done(&belief);
    return status;
}
