/*
 * Generated bridges: an ecall with a 4 KiB in+out buffer against two copies of 4 KiB and an ecall without
 * parameters through a bridge of the same EDL, in turns.
 * Side: host (bench). Called by bench/run. Prints `name value goal ok|short`; never fails by a time.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "edl_u.h"

#define SIZE 4096u
#define CALLS 1000u
#define ROUNDS 400u

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint8_t g_here[SIZE], g_there[SIZE];

static double time_generated(cella_enclave *enclave)
{
    const double start = seconds();
    for (unsigned i = 0; i < CALLS; i++) {
        if (!cella_is_ok(bench_copy(enclave, g_here, SIZE))) {
            return 1e9;
        }
    }
    return seconds() - start;
}

static double time_parts(cella_enclave *enclave)
{
    const double start = seconds();
    for (unsigned i = 0; i < CALLS; i++) {
        memcpy(g_there, g_here, SIZE);
        __asm__ volatile("" : : "r"(g_there) : "memory");
        if (!cella_is_ok(bench_bare(enclave))) {
            return 1e9;
        }
        memcpy(g_here, g_there, SIZE);
        __asm__ volatile("" : : "r"(g_here) : "memory");
    }
    return seconds() - start;
}

int main(int argc, char **argv)
{
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    double generated = 1e9, parts = 1e9;
    if (argc != 2 || !cella_is_ok(cella_create_edl(argv[1], NULL, &enclave, &error))) {
        fprintf(stderr, "bench_edl: %s\n", error.text);
        return 1;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        const double a = time_generated(enclave), b = time_parts(enclave);
        generated = a < generated ? a : generated;
        parts = b < parts ? b : parts;
    }
    const double ratio = generated / parts;
    printf("# generated %.0f ns, parts %.0f ns\n", generated / CALLS * 1e9, parts / CALLS * 1e9);
    printf("%-28s %8.3f <=%-7g %s\n", "edl/ecall_4k", ratio, 1.3, ratio <= 1.3 ? "ok" : "short");
    cella_enclave_destroy(enclave);
    return 0;
}
