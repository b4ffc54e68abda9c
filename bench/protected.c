/*
 * Protected files against AES-256-GCM on the same core and against plain pread, in the same run.
 * Side: host (bench). Called by bench/run. Prints `name value goal ok|short`; never fails by a time. Takes 1.1 GiB of
 * disk below $TMPDIR (/tmp) while it runs.
 */
#include "bench/protected.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cella/host.h"

#define ROUNDS 3
#define RANDOM_ROUNDS 5
#define RANDOM_COUNT 50000u
#define GCM_SIZE (1u << 20)
#define GCM_COUNT 64

static cella_enclave *g_enclave;
static char g_folder[4096];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void report(const char *name, double value, double goal)
{
    printf("%-28s %8.3f >=%-7g %s\n", name, value, goal, value >= goal ? "ok" : "short");
    fflush(stdout);
}

/* Seconds of one step. */
static double step(enum bench_protected_step what, uint32_t seed)
{
    const struct bench_protected call = {.step = what, .count = RANDOM_COUNT, .seed = seed};
    const double since = now();
    const cella_result result = cella_ecall(g_enclave, 0, &call, sizeof(call), NULL, 0, NULL);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "bench: protected files: %s\n", cella_result_text(result));
        exit(1);
    }
    return now() - since;
}

/* Seconds a byte. */
static double gcm(void)
{
    static unsigned char data[GCM_SIZE], out[GCM_SIZE + 64];
    static const unsigned char key[32], iv[12];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size;
    const double since = now();
    for (int i = 0; i < GCM_COUNT; i++) {
        if (EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
            EVP_EncryptUpdate(context, out, &size, data, GCM_SIZE) != 1 ||
            EVP_EncryptFinal_ex(context, out + size, &size) != 1) {
            exit(1);
        }
    }
    const double taken = now() - since;
    EVP_CIPHER_CTX_free(context);
    return taken / ((double)GCM_SIZE * GCM_COUNT);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Seconds of one read, the file being in the page cache. */
static double plain_random(uint32_t seed)
{
    static unsigned char page[4096];
    char path[5000];
    snprintf(path, sizeof(path), "%s/bench", g_folder);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const double since = now();
    for (uint32_t i = 0; i < RANDOM_COUNT; i++) {
        if (pread(fd, page, sizeof(page), (off_t)bench_protected_page(&seed) * 4096) != 4096) {
            exit(1);
        }
    }
    const double taken = now() - since;
    close(fd);
    return taken / RANDOM_COUNT;
}

static void remove_file(void)
{
    char path[5000];
    snprintf(path, sizeof(path), "%s/bench", g_folder);
    unlink(path);
}

/* One sequential step against the cipher's speed just before and after it; the best of the rounds is kept. */
static void sequential(enum bench_protected_step what, double *ratio, double *rate)
{
    const double before = gcm();
    const double taken = step(what, 0);
    const double cipher = (before + gcm()) / 2 * (double)BENCH_PROTECTED_SIZE;
    if (cipher / taken > *ratio) {
        *ratio = cipher / taken;
        *rate = (double)BENCH_PROTECTED_SIZE / taken / 1e9;
    }
}

static void bench_all(void)
{
    double writing = 0, reading = 0, write_rate = 0, read_rate = 0, plain = 1e9, random = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        remove_file(); /* taking back its pages is no part of writing */
        sequential(BENCH_PROTECTED_WRITE, &writing, &write_rate);
        sequential(BENCH_PROTECTED_READ, &reading, &read_rate);
    }
    step(BENCH_PROTECTED_OPEN, 0);
    for (uint32_t i = 1; i <= RANDOM_ROUNDS; i++) {
        plain = least(plain, plain_random(i));
        random = least(random, step(BENCH_PROTECTED_RANDOM, i) / RANDOM_COUNT);
    }
    step(BENCH_PROTECTED_CLOSE, 0);
    report("protected/seq_write", writing, 0.6);
    report("protected/seq_read", reading, 0.6);
    report("protected/random_read", plain / random, 0.25);
    printf("# aes-256-gcm %.2f GB/s then, write %.2f GB/s, read %.2f GB/s; pread %.0f ns, random "
           "read %.0f ns\n",
           write_rate / writing, write_rate, read_rate, plain * 1e9, random * 1e9);
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    if (argc != 2) {
        fprintf(stderr, "usage: bench_protected IMAGE    (see bench/run)\n");
        return 2;
    }
    snprintf(g_folder, sizeof(g_folder), "%s/cella-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(g_folder)) {
        perror(g_folder);
        return 1;
    }
    const struct cella_enclave_options options = {.file_root = g_folder};
    struct cella_error error = {0};
    if (!cella_is_ok(cella_enclave_create(argv[1], &options, &g_enclave, &error))) {
        fprintf(stderr, "bench: %s: %s\n", argv[1], error.text);
        return 1;
    }
    bench_all();
    cella_enclave_destroy(g_enclave);
    remove_file();
    rmdir(g_folder);
    return 0;
}
