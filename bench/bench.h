/*
 * Call numbers of the benchmark's enclave.
 * Side: both (bench).
 */
#ifndef CELLA_BENCH_H
#define CELLA_BENCH_H

#include <stdint.h>

enum bench_ecall {
    BENCH_NOTHING,
    BENCH_OCALLS,  /* in: u64 count: so many ocalls that do nothing */
    BENCH_SEAL,    /* in: u64 count: seals 1 MiB so often */
    BENCH_DEFLATE, /* out: u64 size of 64 MiB, compressed */
};

enum bench_ocall {
    BENCH_OUT_NOTHING,
};

#define BENCH_SEAL_SIZE (1u << 20)
#define BENCH_DEFLATE_SIZE (64u << 20)

/* Text-like bytes that compress; the same inside and outside. */
static inline void bench_fill(unsigned char *data, uint64_t size)
{
    uint32_t state = 12345;
    for (uint64_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (unsigned char)"etaoin shrdlu the of and to in"[(state >> 24) % 30];
    }
}

#endif
