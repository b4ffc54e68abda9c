/*
 * cella-attestd-enclave: starts the enclave that the attestation service runs in, and brings it signals.
 * Side: host. The service's files and sockets are this process's.
 */
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cella/host.h"
#include "services/attestd/enclave/calls.h"

static const char g_usage[] =
    "usage: cella-attestd-enclave --config FILE [--image FILE] [--debug]\n"
    "\n"
    "Runs cella-attestd inside an enclave. Its signing keys are made there, leave it sealed only,\n"
    "and their certificates in /certs carry evidence of the enclave.\n"
    "\n"
    "  --config FILE   as of cella-attestd\n"
    "  --image FILE    the signed image; default: cella-attestd.signed beside this program, or\n"
    "                  " CELLA_ATTESTD_IMAGE "\n"
    "  --debug         as a debug enclave\n"
    "  --help          this text\n";

struct options {
    const char *config, *image;
    uint32_t flags;
};

static sigset_t g_signals;

/* The image beside this program, as in a build's folder, when there is one; else the installed one. */
static const char *find_image(void)
{
    static const char name[] = "cella-attestd.signed";
    static char path[PATH_MAX + sizeof(name)];
    const ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (size > 0) {
        path[size] = 0;
        strcpy(strrchr(path, '/') + 1, name);
        if (access(path, R_OK) == 0) {
            return path;
        }
    }
    return CELLA_ATTESTD_IMAGE;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"image", required_argument, NULL, 'i'},
        {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.image = find_image(), .flags = CELLA_ENCLAVE_NETWORK};
    for (int which; (which = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (which) {
        case 'c':
            options->config = optarg;
            break;
        case 'i':
            options->image = optarg;
            break;
        case 'd':
            options->flags |= CELLA_ENCLAVE_DEBUG;
            break;
        case 'h':
            fputs(g_usage, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (optind != argc || !options->config || strlen(options->config) > ATTESTD_PATH_MAX) {
        fputs(g_usage, stderr);
        return 2;
    }
    return -1;
}

static void *bring_signals(void *argument)
{
    for (;;) {
        int number = 0;
        sigwait(&g_signals, &number);
        const int32_t wire = number;
        cella_result result =
            cella_ecall(argument, ATTESTD_SIGNAL, &wire, sizeof(wire), NULL, 0, NULL);
        if (!cella_is_ok(result)) {
            fprintf(stderr, "cella-attestd-enclave: signal %d: %s\n", number,
                    cella_result_text(result));
        }
    }
    return NULL;
}

static int run(cella_enclave *enclave, const char *config)
{
    pthread_t thread;
    char *path = realpath(config, NULL); /* the enclave sees / and no current directory */
    if (!path || pthread_create(&thread, NULL, bring_signals, enclave) != 0) {
        perror(config);
        free(path);
        return 1;
    }
    cella_result result = cella_ecall(enclave, ATTESTD_RUN, path, strlen(path), NULL, 0, NULL);
    if (!cella_is_ok(result) && cella_enclave_abort_text(enclave)[0]) {
        fprintf(stderr, "cella-attestd-enclave: %s\n", cella_enclave_abort_text(enclave));
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    free(path);
    return cella_is_ok(result) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    int status = read_options(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    sigemptyset(&g_signals);
    sigaddset(&g_signals, SIGHUP);
    sigaddset(&g_signals, SIGTERM);
    sigaddset(&g_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &g_signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    const struct cella_enclave_options choices = {.flags = options.flags, .file_root = "/"};
    cella_result result = cella_enclave_create(options.image, &choices, &enclave, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella-attestd-enclave: %s: %s\n", options.image,
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    status = run(enclave, options.config);
    cella_enclave_destroy(enclave);
    return status;
}
