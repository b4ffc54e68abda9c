/*
 * The attestation service against what its verifier and one signature allow, and its memory at idle.
 * Side: host (bench). Called by bench/run: bench_attestd ATTESTD EVIDENCE (a folder of make_evidence). Never fails by a time.
 *
 * Both are taken in processor time, so that the client, which shares the processors, does not count: a request's time in
 * the service, against the time of one verification with prepared collateral and one RS256 signature over the same token.
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cella/collateral.h"
#include "token/base64.h"
#include "token/jose.h"

#define PORT 18447
#define REQUESTS 2000
#define ROUNDS 3

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench_attestd: %s\n", what);
        exit(1);
    }
}

static double cpu_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *read_file(const char *folder, const char *name, size_t *ret_size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    must(file != NULL, path);
    char *text = calloc(1, 65536);
    *ret_size = fread(text, 1, 65535, file);
    fclose(file);
    return text;
}

/* ------------------------------------------------------------------------ the limit */

static struct cella_prepared *prepare(const char *folder, struct cella_collateral_set *set)
{
    char path[4096];
    size_t size;
    size_t count;
    struct cella_roots roots = {.no_built_in = true};
    struct cella_prepared *prepared = NULL;
    snprintf(path, sizeof(path), "%s/collateral", folder);
    must(cella_is_ok(cella_collateral_set_add_directory(set, path)), path);
    char *root = read_file(folder, "root.pem", &size);
    must(cella_is_ok(cella_roots_add(&roots, (struct cella_span){(uint8_t *)root, size})), "root");
    free(root);
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    size_t room = cella_collateral_set_prepared_size(set);
    void *memory = aligned_alloc(16, (room + 15) / 16 * 16);
    must(cella_is_ok(cella_evidence_prepare(items, count, NULL, &roots, memory, room, &prepared)),
         "prepare");
    return prepared;
}

/* Processor seconds of one verification and one signature. */
static double time_limit(const char *folder, size_t token_size)
{
    struct cella_collateral_set *set = cella_collateral_set_new();
    struct cella_prepared *prepared = prepare(folder, set);
    struct cella_evidence_policy policy;
    static struct cella_evidence_result result;
    size_t size;
    char *quote = read_file(folder, "good.quote", &size);
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    EVP_PKEY *key = EVP_RSA_gen(2048);
    char *payload = calloc(1, token_size);
    memset(payload, 'x', token_size - 1);
    cella_evidence_policy_init(&policy);
    double since = cpu_now();
    for (int i = 0; i < REQUESTS; i++) {
        char *token = NULL;
        json_t *header = json_pack("{s:s}", "typ", "JWT");
        must(cella_is_ok(cella_evidence_verify((struct cella_span){(uint8_t *)quote, size},
                                               prepared, (int64_t)time(NULL), &policy, scratch,
                                               CELLA_EVIDENCE_SCRATCH_SIZE, &result)),
             "verify");
        must(cella_is_ok(jose_sign(key, header, cella_bytes_of(payload, token_size - 1), &token)),
             "sign");
        free(token);
        json_decref(header);
    }
    double taken = (cpu_now() - since) / REQUESTS;
    EVP_PKEY_free(key);
    free(payload);
    free(quote);
    free(scratch);
    cella_collateral_set_free(set);
    return taken;
}

/* ---------------------------------------------------------------------- the service */

static pid_t start(const char *program, const char *folder)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/bench.conf", folder);
    FILE *file = fopen(path, "w");
    must(file != NULL, path);
    fprintf(file,
            "listen = tcp://127.0.0.1:%d\nissuer = https://localhost\ndatabase = %s/bench.sqlite\n"
            "root = %s/root.pem\ncollateral = %s/collateral\nbuilt_in_roots = no\naccess_log = no\n"
            "log_level = error\n",
            PORT, folder, folder, folder);
    fclose(file);
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "--config", path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int connect_to(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 400; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
            return fd;
        }
        close(fd);
        usleep(25000);
    }
    must(false, "the service does not listen");
    return -1;
}

static double cpu_of(pid_t pid)
{
    char path[64];
    unsigned long user = 0;
    unsigned long kernel = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    must(file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                        &user, &kernel) == 2,
         path);
    fclose(file);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double memory_of(pid_t pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    must(file && fscanf(file, "%*d %ld", &pages) == 1, path);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static char *make_request(const char *folder, size_t *ret_size)
{
    size_t size;
    char *quote = read_file(folder, "good.quote", &size);
    char *encoded = malloc(BASE64_ROOM(size));
    char *request = malloc(BASE64_ROOM(size) + 512);
    size_t length = base64url_encode(cella_bytes_of(quote, size), encoded);
    *ret_size = (size_t)sprintf(request,
                                "POST /attest/SgxEnclave?api-version=2020-10-01 HTTP/1.1\r\n"
                                "Host: localhost\r\nContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\n\r\n{\"quote\":\"%s\"}",
                                length + 12, encoded);
    free(quote);
    free(encoded);
    return request;
}

/* Size of the answer's body. */
static size_t ask(int fd, const char *request, size_t size)
{
    static char answer[65536];
    size_t used = 0;
    must(write(fd, request, size) == (ssize_t)size, "write");
    for (;;) {
        ssize_t got = read(fd, answer + used, sizeof(answer) - 1 - used);
        must(got > 0, "the service closed the connection");
        used += (size_t)got;
        answer[used] = 0;
        char *end = strstr(answer, "\r\n\r\n");
        char *length = strcasestr(answer, "content-length:");
        if (end && length) {
            size_t body = strtoul(length + 15, NULL, 10);
            if (used >= (size_t)(end + 4 - answer) + body) {
                must(strncmp(answer, "HTTP/1.1 200", 12) == 0, answer);
                return body;
            }
        }
    }
}

static void report(const char *name, double value, char relation, double goal)
{
    bool good = relation == '<' ? value <= goal : value >= goal;
    printf("%-28s %8.3f %c=%-7g %s\n", name, value, relation, goal, good ? "ok" : "short");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    size_t size;
    size_t body = 0;
    double best = 0;
    must(argc == 3, "usage: bench_attestd ATTESTD EVIDENCE");
    char *request = make_request(argv[2], &size);
    pid_t pid = start(argv[1], argv[2]);
    int fd = connect_to();
    sleep(1);
    report("attestd/idle_MiB", memory_of(pid), '<', 32);
    for (int i = 0; i < 100; i++) {
        body = ask(fd, request, size);
    }
    for (int round = 0; round < ROUNDS; round++) {
        double since = cpu_of(pid);
        for (int i = 0; i < REQUESTS; i++) {
            ask(fd, request, size);
        }
        double taken = (cpu_of(pid) - since) / REQUESTS;
        double ratio = time_limit(argv[2], body * 3 / 4) / taken;
        best = ratio > best ? ratio : best;
        printf("# attestd: %.3f ms of processor time a request\n", taken * 1000);
    }
    report("attestd/rate", best, '>', 0.70);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    free(request);
    return 0;
}
