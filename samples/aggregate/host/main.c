/*
 * The aggregate's host program: starts the enclave that serves, or is a party.
 * Side: host.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate_u.h"
#include "party.h"

static const char g_usage[] =
    "usage: aggregate IMAGE serve [ADDRESS:]PORT --roster FILE\n"
    "       aggregate - key FILE NAME                      a party's key, and its line for the "
    "roster\n"
    "       aggregate - submit [HOST:]PORT NUMBER OPTION...\n"
    "       aggregate - result [HOST:]PORT OPTION...\n"
    "\n"
    "  --roster FILE      who takes part; the same file for all\n"
    "  --key FILE         the party's own\n"
    "  --enclave HEX      MRENCLAVE of the enclave that a party is willing to talk to\n"
    "  --collateral DIR   certificates, lists and TCB info to check evidence with\n"
    "  --root PEM         trust this root too: that of a software platform\n";

static int options_read(int argc, char **argv, struct party_options *options)
{
    static const struct option names[] = {
        {"roster", required_argument, NULL, 'r'},  {"key", required_argument, NULL, 'k'},
        {"enclave", required_argument, NULL, 'e'}, {"collateral", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, 'o'},    {NULL, 0, NULL, 0},
    };
    for (int which; (which = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (which) {
        case 'r':
            options->roster = optarg;
            break;
        case 'k':
            options->key = optarg;
            break;
        case 'e':
            options->enclave = optarg;
            break;
        case 'c':
            options->collateral = optarg;
            break;
        case 'o':
            options->root = optarg;
            break;
        default:
            return -1;
        }
    }
    return 0;
}

/* [HOST:]PORT; 127.0.0.1 without a host. What a name leads to need not be trusted: evidence says who it is. */
static int address_read(const char *text, struct sockaddr_in *ret_address)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    char host[256] = "127.0.0.1";
    struct addrinfo *found;
    const char *colon = strrchr(text, ':');
    if (colon) {
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    }
    if (getaddrinfo(host, colon ? colon + 1 : text, &hints, &found) != 0) {
        fprintf(stderr, "aggregate: %s: expected [HOST:]PORT\n", text);
        return -1;
    }
    memcpy(ret_address, found->ai_addr, sizeof(*ret_address));
    freeaddrinfo(found);
    return 0;
}

static void end(int number)
{
    (void)number;
    _exit(0);
}

static int serve(const char *image, const struct sockaddr_in *address, const char *roster_path)
{
    const struct cella_enclave_options how = {.flags = CELLA_ENCLAVE_NETWORK};
    char text[INET_ADDRSTRLEN], why[256] = "";
    struct cella_error error = {0};
    cella_enclave *enclave;
    cella_result answer;
    size_t size;
    char *roster = file_read(roster_path, &size);
    if (!roster) {
        return 2;
    }
    if (!cella_is_ok(cella_create_aggregate(image, &how, &enclave, &error))) {
        fprintf(stderr, "aggregate: %s\n", error.text);
        return 1;
    }
    signal(SIGTERM, end); /* process 1 of a container would not hear of it */
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
    const cella_result result = aggregate_serve(enclave, &answer, text, ntohs(address->sin_port),
                                                roster, size, why, sizeof(why));
    fprintf(stderr, "aggregate: %s %s\n", why,
            cella_result_text(cella_is_ok(result) ? answer : result));
    cella_enclave_destroy(enclave);
    free(roster);
    return 1;
}

int main(int argc, char **argv)
{
    struct party_options options = {0};
    struct sockaddr_in address;
    char line[64] = "result\n";
    const char *verb = argc > 3 ? argv[2] : "";
    const int submits = strcmp(verb, "submit") == 0 && argc > 4;
    const int serves = strcmp(verb, "serve") == 0;
    if (strcmp(verb, "key") == 0 && argc == 5) {
        return party_key(argv[3], argv[4]);
    }
    if ((!submits && !serves && strcmp(verb, "result") != 0) ||
        options_read(argc - 3 - submits, argv + 3 + submits, &options) != 0 || !options.roster ||
        (!serves && (!options.key || !options.enclave || !options.collateral))) {
        fputs(g_usage, stderr);
        return 2;
    }
    if (address_read(argv[3], &address) != 0) {
        return 2;
    }
    if (submits && snprintf(line, sizeof(line), "submit %s\n", argv[4]) >= (int)sizeof(line)) {
        fprintf(stderr, "aggregate: %s: too long\n", argv[4]);
        return 2;
    }
    return serves ? serve(argv[1], &address, options.roster) : party_ask(&options, &address, line);
}
