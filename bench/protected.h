/*
 * The ecall of the benchmark's enclave for protected files.
 * Side: both (bench).
 */
#ifndef CELLA_BENCH_PROTECTED_H
#define CELLA_BENCH_PROTECTED_H

#include <stdint.h>

enum bench_protected_step {
    BENCH_PROTECTED_WRITE, /* a new file, closed */
    BENCH_PROTECTED_READ,  /* all of it */
    BENCH_PROTECTED_OPEN,  /* for the next: */
    BENCH_PROTECTED_RANDOM,
    BENCH_PROTECTED_CLOSE,
};

struct bench_protected {
    uint32_t step;
    uint32_t count; /* RANDOM: reads */
    uint32_t seed;
    uint32_t reserved;
};

#define BENCH_PROTECTED_SIZE (1ull << 30)
#define BENCH_PROTECTED_CHUNK (1u << 20)  /* of a sequential write or read */
#define BENCH_PROTECTED_CACHE (16u << 20) /* index nodes of 1 GiB fit; 1.5 % of the data does */

/* Page of the next random read. */
static inline uint64_t bench_protected_page(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % (BENCH_PROTECTED_SIZE / 4096);
}

#endif
