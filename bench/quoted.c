/*
 * Quotes per second through cella-quoted: clients on as many threads as processors, a connection for each request, as all
 * clients of AESM do.
 * Side: host (bench). Called by bench/run: DAEMON IMAGE. Prints `name value goal ok|short`; never fails by a time.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cella/attest.h"
#include "cella/host.h"

#define GOAL 1000
#define SECONDS 3
#define THREADS 4

static struct sgx_report g_report;
static _Atomic unsigned g_quotes;
static _Atomic int g_stop;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void *client_run(void *argument)
{
    static _Thread_local uint8_t quote[CELLA_QUOTE_MAX];
    size_t size;
    while (!g_stop) {
        if (!cella_is_ok(cella_quote_of_report(1, &g_report, NULL, quote, sizeof(quote), &size,
                                               (struct cella_error *)argument))) {
            return argument;
        }
        g_quotes++;
    }
    return NULL;
}

static pid_t daemon_start(const char *program, const char *socket)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "--socket", socket, "--log-level", "error", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && access(socket, F_OK) < 0; i++) {
        usleep(20000);
    }
    usleep(50000);
    return pid;
}

static bool report_make(const char *image, struct cella_error *error)
{
    const struct cella_enclave_options options = {.flags = CELLA_ENCLAVE_SOFTWARE};
    cella_enclave *enclave = NULL;
    struct sgx_targetinfo target;
    size_t size;
    return cella_is_ok(cella_enclave_create(image, &options, &enclave, error)) &&
           cella_is_ok(cella_quote_target(1, &target, NULL, error)) &&
           cella_is_ok(cella_ecall(enclave, 1, &target, sizeof(target), &g_report, sizeof(g_report),
                                   &size));
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/cella-bench-XXXXXX", socket[64], command[80];
    struct cella_error error = {0};
    pthread_t threads[THREADS];
    if (argc != 3 || !mkdtemp(folder)) {
        return 2;
    }
    snprintf(socket, sizeof(socket), "%s/aesm.socket", folder);
    setenv("CELLA_PLATFORM_DIR", folder, 1);
    const pid_t daemon = daemon_start(argv[1], socket);
    bool good =
        cella_is_ok(cella_quotes_use(CELLA_QUOTE_SOCKET, socket)) && report_make(argv[2], &error);
    const double start = now();
    for (int i = 0; good && i < THREADS; i++) {
        good = pthread_create(&threads[i], NULL, client_run, &error) == 0;
    }
    sleep(SECONDS);
    g_stop = 1;
    for (int i = 0; good && i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        good = failed == NULL;
    }
    const double rate = g_quotes / (now() - start);
    kill(daemon, SIGTERM);
    waitpid(daemon, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (!good || system(command) != 0) {
        fprintf(stderr, "bench_quoted: %s\n", error.text);
        return 1;
    }
    printf("%-28s %8.0f >=%-7d %s\n", "quoted/rate", rate, GOAL, rate >= GOAL ? "ok" : "short");
    return 0;
}
