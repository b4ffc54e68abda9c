/*
 * The channel's host: starts the enclave that serves or asks, or asks itself as an ordinary client that checks evidence.
 * Side: host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cella/collateral.h"
#include "channel_u.h"
#include "talk.h"

static const char g_usage[] =
    "usage: channel IMAGE serve [HOST:]PORT [OPTION...]   an enclave serves TLS\n"
    "       channel IMAGE peer [HOST:]PORT [OPTION...]    an enclave asks; the server must be of "
    "its signer\n"
    "       channel - ask [HOST:]PORT [OPTION...]         this program asks, without an enclave\n"
    "\n"
    "  --collateral DIR    certificates, lists and TCB info to check evidence with\n"
    "  --root PEM          trust this root too: that of a software platform\n"
    "  --mutual            serve, peer: both ends show evidence\n"
    "  --connections N     serve: so many, then end (default 1; 0: no end)\n"
    "  --signer HEX        ask: the MRSIGNER that the server must have\n"
    "  --allow-debug       ask: also debug enclaves\n"
    "  --max-age SECONDS   ask: of the server's certificate\n"
    "  --forms N           forms of evidence, a sum of 1 interoperable, 2 Gramine, 4 and 8 Open "
    "Enclave\n";

struct options {
    const char *collateral, *root, *signer;
    uint32_t flags, connections, max_age, forms;
    int allow_debug;
};

struct place {
    char address[INET_ADDRSTRLEN];
    uint16_t port;
};

/* [HOST:]PORT; 127.0.0.1 without a host. What a name leads to need not be trusted: evidence says who it is. */
static int place_read(const char *text, struct place *place)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    char host[256] = "127.0.0.1";
    struct addrinfo *found;
    const char *colon = strrchr(text, ':');
    if (colon) {
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    }
    if (getaddrinfo(host, colon ? colon + 1 : text, &hints, &found) != 0) {
        fprintf(stderr, "channel: %s: expected [HOST:]PORT\n", text);
        return -1;
    }
    const struct sockaddr_in *address = (const struct sockaddr_in *)found->ai_addr;
    inet_ntop(AF_INET, &address->sin_addr, place->address, sizeof(place->address));
    place->port = ntohs(address->sin_port);
    freeaddrinfo(found);
    return place->port ? 0 : -1;
}

static int options_read(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"collateral", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, 'r'},
        {"mutual", no_argument, NULL, 'm'},
        {"connections", required_argument, NULL, 'n'},
        {"signer", required_argument, NULL, 's'},
        {"allow-debug", no_argument, NULL, 'd'},
        {"max-age", required_argument, NULL, 'a'},
        {"forms", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.connections = 1};
    for (int which; (which = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (which) {
        case 'c':
            options->collateral = optarg;
            break;
        case 'r':
            options->root = optarg;
            break;
        case 'm':
            options->flags |= CHANNEL_MUTUAL;
            break;
        case 'n':
            options->connections = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->signer = optarg;
            break;
        case 'd':
            options->allow_debug = 1;
            break;
        case 'a':
            options->max_age = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options->forms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return -1;
        }
    }
    return 0;
}

static int failed(const char *what, cella_result result)
{
    fprintf(stderr, "channel: %s: %s\n", what, cella_result_text(result));
    return 1;
}

/* A file whole; NULL with a message. */
static uint8_t *file_read(const char *path, size_t *ret_size)
{
    static uint8_t bytes[1u << 20];
    FILE *file = fopen(path, "rbe");
    if (!file) {
        fprintf(stderr, "channel: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    *ret_size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return bytes;
}

static struct cella_collateral_set *collateral_read(const struct options *options)
{
    struct cella_collateral_set *set = cella_collateral_set_new();
    if (set && options->collateral) {
        const cella_result result = cella_collateral_set_add_directory(set, options->collateral);
        if (!cella_is_ok(result)) {
            failed(options->collateral, result);
            cella_collateral_set_free(set);
            return NULL;
        }
    }
    return set;
}

static void print_answer(const char *who, cella_result result, const struct channel_answer *answer)
{
    if (cella_is_ok(result)) {
        printf("%s: %s\n", who, answer->text);
    } else {
        fprintf(stderr, "%s: refused: %s\n", who, answer->text);
    }
}

/* ------------------------------------------------------------------------- without an enclave */

static int signer_read(const char *hex, struct cella_evidence_policy *policy)
{
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdefABCDEF") != 64) {
        fprintf(stderr, "channel: --signer: 64 hexadecimal digits, not '%s'\n", hex);
        return -1;
    }
    for (size_t i = 0; i < 32; i++) {
        const char pair[] = {hex[2 * i], hex[2 * i + 1], 0};
        policy->signers[0].data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    policy->signers[0].size = 32;
    policy->signer_count = 1;
    return 0;
}

static int ask_with(const struct options *options, const struct place *place,
                    const struct cella_roots *roots, struct cella_collateral_set *set)
{
    size_t count;
    struct cella_evidence_policy policy;
    struct cella_prepared *prepared;
    SSL_CTX *context;
    struct channel_answer answer;
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    const size_t size = cella_collateral_set_prepared_size(set);
    void *memory = aligned_alloc(16, (size + 15) & ~(size_t)15);
    cella_evidence_policy_init(&policy);
    policy.allow_debug = options->allow_debug != 0;
    if (!memory || (options->signer && signer_read(options->signer, &policy) != 0)) {
        free(memory);
        return 2;
    }
    cella_result result =
        cella_evidence_prepare(items, count, NULL, roots, memory, size, &prepared);
    if (!cella_is_ok(result)) {
        free(memory);
        return failed("collateral", result);
    }
    const struct cella_tls_verifier verifier = {
        .policy = &policy, .prepared = prepared, .max_age = options->max_age};
    const struct cella_tls_context_options tls = {.side = CELLA_TLS_CLIENT, .verifier = &verifier};
    result = cella_tls_context_new(&tls, &context);
    if (cella_is_ok(result)) {
        const int fd = talk_connect(place->address, place->port);
        snprintf(answer.text, sizeof(answer.text), "%s:%u: %s", place->address, place->port,
                 strerror(errno));
        result = fd < 0 ? CELLA_RESULT(IO) : talk_ask(context, fd, &answer);
        print_answer("client", result, &answer);
        SSL_CTX_free(context);
    }
    cella_evidence_prepared_done(prepared);
    free(memory);
    return cella_is_ok(result) ? 0 : 1;
}

static int ask(const struct options *options, const struct place *place)
{
    struct cella_roots roots = {0};
    size_t size = 0;
    if (options->root) {
        const uint8_t *pem = file_read(options->root, &size);
        if (!pem || !cella_is_ok(cella_roots_add(&roots, (struct cella_span){pem, size}))) {
            fprintf(stderr, "channel: %s: no root certificate\n", options->root);
            return 2;
        }
    }
    struct cella_collateral_set *set = collateral_read(options);
    const int status = set ? ask_with(options, place, &roots, set) : 2;
    cella_collateral_set_free(set);
    return status;
}

/* ------------------------------------------------------------------------- with one */

static cella_result trust_hand_over(cella_enclave *enclave, const struct options *options)
{
    size_t count, size = 0;
    struct cella_collateral_set *set = collateral_read(options);
    CELLA_ENSURE(set != NULL, NOT_FOUND);
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    cella_result answer = CELLA_OK, result = CELLA_OK;
    for (size_t i = 0; i < count && cella_is_ok(result) && cella_is_ok(answer); i++) {
        result = channel_collateral(enclave, &answer, items[i].bytes.data, items[i].bytes.size);
    }
    cella_collateral_set_free(set);
    CELLA_TRY(result);
    CELLA_TRY(answer);
    const uint8_t *pem = options->root ? file_read(options->root, &size) : NULL;
    CELLA_ENSURE(!options->root || pem, NOT_FOUND);
    if (pem) {
        CELLA_TRY(channel_insecure_root(enclave, &answer, pem, size));
    }
    return answer;
}

static int enclave_work(cella_enclave *enclave, const char *verb, const struct place *place,
                        const struct options *options)
{
    struct channel_answer words = {0};
    cella_result answer, result = trust_hand_over(enclave, options);
    if (!cella_is_ok(result)) {
        return failed("collateral", result);
    }
    result = channel_identity(enclave, &answer, options->forms);
    if (!cella_is_ok(result) || !cella_is_ok(answer)) {
        return failed("certificate", cella_is_ok(result) ? answer : result);
    }
    if (strcmp(verb, "serve") == 0) {
        result = channel_serve(enclave, &answer, place->address, place->port, options->connections,
                               options->flags);
        return cella_is_ok(result) && cella_is_ok(answer)
                   ? 0
                   : failed("serve", cella_is_ok(result) ? answer : result);
    }
    result = channel_ask(enclave, &answer, place->address, place->port, options->flags, &words);
    if (!cella_is_ok(result)) {
        return failed("peer", result);
    }
    print_answer("peer", answer, &words);
    return cella_is_ok(answer) ? 0 : 1;
}

static int with_enclave(const char *image, const char *verb, const struct place *place,
                        const struct options *options)
{
    const struct cella_enclave_options how = {.flags = CELLA_ENCLAVE_NETWORK};
    struct cella_error error = {0};
    cella_enclave *enclave;
    if (!cella_is_ok(cella_create_channel(image, &how, &enclave, &error))) {
        fprintf(stderr, "channel: %s\n", error.text);
        return 1;
    }
    const int status = enclave_work(enclave, verb, place, options);
    cella_enclave_destroy(enclave);
    return status;
}

static void end(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    struct options options;
    struct place place;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(g_usage, stdout);
        return 0;
    }
    const char *verb = argc > 3 ? argv[2] : "";
    const int is_ask = strcmp(verb, "ask") == 0;
    if ((!is_ask && strcmp(verb, "serve") != 0 && strcmp(verb, "peer") != 0) ||
        options_read(argc - 3, argv + 3, &options) != 0 || place_read(argv[3], &place) != 0) {
        fputs(g_usage, stderr);
        return 2;
    }
    signal(SIGTERM, end); /* process 1 of a container would not hear of it */
    return is_ask ? ask(&options, &place) : with_enclave(argv[1], verb, &place, &options);
}
