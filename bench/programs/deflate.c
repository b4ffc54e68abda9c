/*
 * Compresses text-like bytes with the shared zlib and prints the milliseconds that took.
 * Side: either (bench): an ordinary program that knows nothing of enclaves. Run by bench/programs/measure.
 */
#include <stdio.h>
#include <time.h>

#include "bench/work.h"

int main(void)
{
    struct timespec start, end;
    unsigned char *data = malloc(BENCH_DEFLATE_SIZE);
    unsigned char *out = malloc(compressBound(BENCH_DEFLATE_SIZE));
    uLongf size = compressBound(BENCH_DEFLATE_SIZE);
    if (!data || !out) {
        return 1;
    }
    bench_fill(data, BENCH_DEFLATE_SIZE / 4);
    bench_fill(out, size);
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (compress2(out, &size, data, BENCH_DEFLATE_SIZE / 4, 6) != Z_OK) {
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.3f\n",
           (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6);
    return 0;
}
