/*
 * The CPU-bound work that is timed inside and outside.
 * Side: both (bench).
 */
#ifndef CELLA_BENCH_WORK_H
#define CELLA_BENCH_WORK_H

#include <stdlib.h>
#include <zlib.h>

#include "bench/bench.h"

/* Size of BENCH_DEFLATE_SIZE bytes after compress2 at level 6; 0 when memory runs out. */
static inline uint64_t bench_deflate(unsigned char *data, unsigned char *out)
{
    uLongf size = compressBound(BENCH_DEFLATE_SIZE);
    return compress2(out, &size, data, BENCH_DEFLATE_SIZE, 6) == Z_OK ? size : 0;
}

#endif
