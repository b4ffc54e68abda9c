/*
 * cella-quoted: makes quotes for the enclaves of a machine, on the AESM socket.
 * Side: host, service. The program's entry. cella-quoted(8) is the manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "host/aesm_client.h"
#include "services/common/log.h"
#include "services/quoted/server.h"

static const char g_help[] =
    "usage: cella-quoted [OPTIONS]\n"
    "\n"
    "Answers ECDSA quote requests on the AESM socket, for unmodified clients of Intel's daemon. "
    "On\n"
    "the software processor quotes are made by Cella's quoting enclave; on SGX hardware by\n"
    "libsgx_dcap_ql.so.1, where it is installed.\n"
    "\n"
    "  --socket PATH             default " CELLA_AESM_PATH "\n"
    "  --processor P             hardware, software or auto (the default): hardware where it is\n"
    "  --platform DIR            the software platform; the enclaves' hosts must use the same one\n"
    "  --threads N               worker threads (default: as many as processors, at least 4)\n"
    "  --connections N           of all clients together (default 2048)\n"
    "  --client-connections N    of one client at a time (default 1024, 0: no limit)\n"
    "  --client-rate N           requests a second of one client (default 0: no limit)\n"
    "  --timeout SECONDS         for a frame to come in or an answer to be taken (default 10)\n"
    "  --log-level LEVEL         error, warning, info (the default) or debug\n"
    "  --check                   load the quoting enclave, say what it is, and end\n"
    "  --version, --help\n"
    "\n"
    "A client is a user and a control group. The log is JSON, a line an event, on standard "
    "error.\n";

struct settings {
    struct server_options server;
    const char *processor;
    bool check;
};

static bool number_read(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || value < least || value > most) {
        fprintf(stderr, "cella-quoted: '%s': expected a number from %u to %u\n", text, least, most);
        return false;
    }
    *ret_number = (uint32_t)value;
    return true;
}

static bool level_read(const char *text)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            log_set_level((enum log_level)i);
            return true;
        }
    }
    fprintf(stderr, "cella-quoted: --log-level %s: expected error, warning, info or debug\n", text);
    return false;
}

static bool processor_read(const char *text, struct settings *settings)
{
    settings->processor = text;
    if (strcmp(text, "auto") != 0 && strcmp(text, "hardware") != 0 &&
        strcmp(text, "software") != 0) {
        fprintf(stderr, "cella-quoted: --processor %s: expected hardware, software or auto\n",
                text);
        return false;
    }
    return true;
}

/* -1: go on; else the exit status. */
static int options_read(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"processor", required_argument, NULL, 'p'},
        {"platform", required_argument, NULL, 'd'},
        {"threads", required_argument, NULL, 't'},
        {"connections", required_argument, NULL, 'c'},
        {"client-connections", required_argument, NULL, 'C'},
        {"client-rate", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 'T'},
        {"log-level", required_argument, NULL, 'l'},
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct server_options *server = &settings->server;
    bool good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            server->path = optarg;
            break;
        case 'p':
            good = processor_read(optarg, settings);
            break;
        case 'd':
            setenv("CELLA_PLATFORM_DIR", optarg, 1);
            break;
        case 't':
            good = number_read(optarg, 1, 256, &server->threads);
            break;
        case 'c':
            good = number_read(optarg, 1, 1000000, &server->connections);
            break;
        case 'C':
            good = number_read(optarg, 0, 1000000, &server->limits.connections);
            break;
        case 'r':
            good = number_read(optarg, 0, 1000000, &server->limits.rate);
            break;
        case 'T':
            good = number_read(optarg, 1, 3600, &server->timeout);
            break;
        case 'l':
            good = level_read(optarg);
            break;
        case 'k':
            settings->check = true;
            break;
        case 'V':
            puts("cella-quoted " CELLA_VERSION);
            return 0;
        case 'h':
            fputs(g_help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (good && optind < argc) {
        fprintf(stderr, "cella-quoted: '%s': no argument expected\n", argv[optind]);
        return 2;
    }
    return good ? -1 : 2;
}

static bool use_software(const char *processor)
{
    if (strcmp(processor, "auto") != 0) {
        return strcmp(processor, "software") == 0;
    }
    const char *forced = getenv("CELLA_PROCESSOR");
    return (forced && strncmp(forced, "soft", 4) == 0) || access("/dev/sgx_enclave", R_OK) < 0;
}

/* A listening socket from a service manager (sd_listen_fds(3)); -1: none. */
static int socket_inherited(void)
{
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!process || !count || strtol(process, NULL, 10) != getpid() || strcmp(count, "1") != 0) {
        return -1;
    }
    fcntl(3, F_SETFD, FD_CLOEXEC);
    return 3;
}

static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void hex_print(const char *name, const uint8_t *bytes, size_t size)
{
    printf("%-20s ", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
}

/* --check: what quotes would be signed with. */
static int describe(const struct aesm_backend *backend, bool software)
{
    struct cella_error error = {0};
    struct cella_quote_identity identity;
    uint32_t size = 0;
    if (!cella_is_ok(backend->source->target(NULL, &size, &error)) ||
        (software && !cella_is_ok(cella_quote_local_identity(&identity, &error)))) {
        log_say(LOG_ERROR, "check", "%s", error.text);
        return 1;
    }
    printf("%-20s %s\n%-20s %u\n", "processor", software ? "software" : "hardware", "quote_size",
           size);
    if (software) {
        hex_print("qe_mr_enclave", identity.report.body.mr_enclave, 32);
        hex_print("qe_mr_signer", identity.report.body.mr_signer, 32);
        printf("%-20s %u\n%-20s %u\n", "qe_svn", identity.report.body.isv_svn, "pce_svn",
               identity.pce_svn);
        hex_print("attestation_key_id", identity.key_id, sizeof(identity.key_id));
    }
    return 0;
}

static int serve(struct settings *settings)
{
    struct cella_error error = {0};
    struct aesm_backend backend;
    struct server *server;
    sigset_t signals;
    int got = 0;
    const bool software = use_software(settings->processor);
    const cella_result ready = aesm_backend_init(software, &backend, &error);
    if (!cella_is_ok(ready)) {
        log_say(LOG_ERROR, "start", "%s", error.text[0] ? error.text : cella_result_text(ready));
        return 1;
    }
    log_say(LOG_INFO, "ready", "%s processor, %s", software ? "software" : "hardware",
            backend.source->name);
    if (settings->check) {
        return describe(&backend, software);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    settings->server.backend = &backend;
    const cella_result started = server_start(&settings->server, &server, &error);
    if (!cella_is_ok(started)) {
        log_say(LOG_ERROR, "start", "%s", error.text[0] ? error.text : cella_result_text(started));
        return 1;
    }
    log_say(LOG_INFO, "listening", "%s, %u threads", settings->server.path,
            settings->server.threads);
    sigwait(&signals, &got);
    log_say(LOG_INFO, "stopping", "signal %d", got);
    server_stop(server);
    return 0;
}

int main(int argc, char **argv)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct settings settings = {
        .server = {.path = CELLA_AESM_PATH,
                   .connections = 2048,
                   .limits = {.connections = 1024},
                   .threads = processors > 4 && processors <= 256 ? (uint32_t)processors : 4,
                   .timeout = 10},
        .processor = "auto",
    };
    const int status = options_read(argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    log_start("cella-quoted");
    settings.server.socket = socket_inherited();
    descriptors_raise();
    return serve(&settings);
}
