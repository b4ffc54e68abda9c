/*
 * The figures of `make bench`: each a ratio against a peer or a limit measured in the same run.
 * Side: host (bench). Called by bench/run. Prints `name value goal ok|short`; never fails by a time.
 */
#include "bench/bench.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/work.h"
#include "cella/host.h"
#include "image/image.h"

#define ROUNDS 7 /* the best of */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(cella_result result, const char *what)
{
    if (!cella_is_ok(result)) {
        fprintf(stderr, "bench: %s: %s\n", what, cella_result_text(result));
        exit(1);
    }
}

static void report(const char *name, double value, char relation, double goal)
{
    bool good = relation == '<' ? value <= goal : value >= goal;
    printf("%-28s %8.3f %c=%-7g %s\n", name, value, relation, goal, good ? "ok" : "short");
    fflush(stdout);
}

static double best(double (*measure)(void *), void *argument)
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double taken = measure(argument);
        least = taken < least ? taken : least;
    }
    return least;
}

static cella_result out_nothing(void *context, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_OK;
}

static const cella_ocall_function g_ocalls[] = {[BENCH_OUT_NOTHING] = out_nothing};

static cella_enclave *create(const char *path)
{
    const struct cella_enclave_options options = {.ocalls = g_ocalls, .ocall_count = 1};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    if (!cella_is_ok(cella_enclave_create(path, &options, &enclave, &error))) {
        fprintf(stderr, "bench: %s: %s\n", path, error.text);
        exit(1);
    }
    return enclave;
}

/* ------------------------------------------------------------------------- calls */

#define CALLS 300000

static double time_getppid(void *unused)
{
    (void)unused;
    double since = now();
    for (int i = 0; i < CALLS; i++) {
        syscall(SYS_getppid);
    }
    return (now() - since) / CALLS;
}

static double time_ecall(void *enclave)
{
    double since = now();
    for (int i = 0; i < CALLS; i++) {
        must(cella_ecall(enclave, BENCH_NOTHING, NULL, 0, NULL, 0, NULL), "ecall");
    }
    return (now() - since) / CALLS;
}

static double time_ocall(void *enclave)
{
    uint64_t count = CALLS;
    double since = now();
    must(cella_ecall(enclave, BENCH_OCALLS, &count, sizeof(count), NULL, 0, NULL), "ocalls");
    return (now() - since) / CALLS;
}

static double time_batch(void *enclave)
{
    static struct cella_call calls[512];
    double since = now();
    for (int i = 0; i < CALLS / 512; i++) {
        for (int j = 0; j < 512; j++) {
            calls[j].number = BENCH_NOTHING;
        }
        must(cella_ecall_batch(enclave, calls, 512), "batch");
    }
    return (now() - since) / (CALLS / 512 * 512);
}

static double time_switchless(void *enclave)
{
    double since = now();
    for (int i = 0; i < CALLS / 100; i++) {
        must(cella_ecall_switchless(enclave, BENCH_NOTHING, NULL, 0, NULL, 0, NULL), "switchless");
    }
    return (now() - since) / (CALLS / 100);
}

static void bench_calls(cella_enclave *enclave, double getppid)
{
    double ecall = best(time_ecall, enclave);
    report("ecall/getppid", ecall / getppid, '<', 1.0);
    report("ocall/getppid", best(time_ocall, enclave) / getppid, '<', 1.0);
    must(cella_switchless_start(enclave, &(struct cella_switchless_options){.workers = 1}),
         "switchless start");
    report("switchless-rate/ecall-rate", ecall / best(time_batch, enclave), '>', 3.0);
    printf("# ecall %.1f ns, getppid %.1f ns, one switchless call at a time %.1f ns\n", ecall * 1e9,
           getppid * 1e9, best(time_switchless, enclave) * 1e9);
    cella_switchless_stop(enclave);
}

/* ------------------------------------------------------------------------- sealing */

struct gcm {
    EVP_CIPHER_CTX *context;
    unsigned char *data, *out;
};

static double time_gcm(void *argument)
{
    struct gcm *gcm = argument;
    static const unsigned char key[32], iv[12];
    unsigned char tag[16];
    int size;
    double since = now();
    for (int i = 0; i < 100; i++) {
        if (EVP_EncryptInit_ex(gcm->context, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
            EVP_EncryptUpdate(gcm->context, gcm->out, &size, gcm->data, BENCH_SEAL_SIZE) != 1 ||
            EVP_EncryptFinal_ex(gcm->context, gcm->out + size, &size) != 1 ||
            EVP_CIPHER_CTX_ctrl(gcm->context, EVP_CTRL_GCM_GET_TAG, 16, tag) != 1) {
            exit(1);
        }
    }
    return (now() - since) / 100;
}

static double time_seal(void *enclave)
{
    uint64_t count = 100;
    double since = now();
    must(cella_ecall(enclave, BENCH_SEAL, &count, sizeof(count), NULL, 0, NULL), "seal");
    return (now() - since) / 100;
}

static void bench_seal(cella_enclave *enclave)
{
    struct gcm gcm = {EVP_CIPHER_CTX_new(), malloc(BENCH_SEAL_SIZE), malloc(BENCH_SEAL_SIZE + 64)};
    bench_fill(gcm.data, BENCH_SEAL_SIZE);
    memset(gcm.out, 0, BENCH_SEAL_SIZE + 64);
    report("seal-1MiB/aes-256-gcm", best(time_gcm, &gcm) / best(time_seal, enclave), '>', 0.85);
    EVP_CIPHER_CTX_free(gcm.context);
    free(gcm.data);
    free(gcm.out);
}

/* ------------------------------------------------------------------------- computing */

static void bench_compute(cella_enclave *enclave)
{
    unsigned char *data = malloc(BENCH_DEFLATE_SIZE),
                  *out = malloc(compressBound(BENCH_DEFLATE_SIZE));
    double inside = 1e9, outside = 1e9;
    uint64_t size_inside = 0, size_outside = 0;
    bench_fill(data, BENCH_DEFLATE_SIZE);
    memset(out, 1, compressBound(BENCH_DEFLATE_SIZE));
    for (int i = 0; i < 3; i++) {
        double since = now();
        must(cella_ecall(enclave, BENCH_DEFLATE, NULL, 0, &size_inside, sizeof(size_inside), NULL),
             "deflate");
        double between = now();
        size_outside = bench_deflate(data, out);
        double end = now();
        bool warm = i > 0; /* the first round touches the pages */
        inside = warm && between - since < inside ? between - since : inside;
        outside = warm && end - between < outside ? end - between : outside;
    }
    if (size_inside != size_outside) {
        fprintf(stderr, "bench: zlib gives another size inside\n");
        exit(1);
    }
    report("zlib-inside/outside", inside / outside, '<', 1.02);
    free(data);
    free(out);
}

/* ------------------------------------------------------------------------- creation */

static double time_sha256(void *unused)
{
    (void)unused;
    static unsigned char block[16384];
    unsigned char digest[32];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    double since = now();
    for (int i = 0; i < 4096; i++) {
        EVP_DigestUpdate(context, block, sizeof(block));
    }
    EVP_DigestFinal_ex(context, digest, NULL);
    double taken = now() - since;
    EVP_MD_CTX_free(context);
    return taken / (4096.0 * sizeof(block)); /* seconds a byte */
}

static double time_create(void *path)
{
    double since = now();
    cella_enclave *enclave = create(path);
    double taken = now() - since;
    cella_enclave_destroy(enclave);
    return taken;
}

/* Bytes that EADD (64 a page) and EEXTEND (16 times 320 a measured page) hash for the image. */
static double hashed_bytes(const char *path)
{
    FILE *file = fopen(path, "rbe");
    static uint8_t bytes[64u << 20];
    size_t size = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
    struct cella_image image;
    struct cella_error error = {0};
    if (file) {
        fclose(file);
    }
    must(cella_image_parse(cella_bytes_of(bytes, size), &image, &error), path);
    double sum = 64;
    static struct cella_image_iterator iterator;
    struct cella_image_run run;
    cella_image_iterator_init(&iterator, &image);
    while (cella_image_next(&iterator, &run)) {
        sum += (double)run.page_count * (run.measured ? 64 + 16 * 320 : 64);
    }
    return sum;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench BENCH-IMAGE LARGE-IMAGE    (see bench/run)\n");
        return 2;
    }
    double getppid = best(time_getppid, NULL); /* before the thread enters an enclave */
    cella_enclave *enclave = create(argv[1]);
    bench_calls(enclave, getppid);
    bench_seal(enclave);
    bench_compute(enclave);
    cella_enclave_destroy(enclave);
    double allowed = best(time_sha256, NULL) * hashed_bytes(argv[2]);
    report("create/sha256", allowed / best(time_create, argv[2]), '>', 0.8);
    return 0;
}
