/*
 * The enclave of the benchmark of generated bridges: functions that do next to nothing.
 * Side: enclave (bench).
 */
#include "edl_t.h"

void bench_copy(uint8_t *bytes, size_t size)
{
    bytes[0]++;
    bytes[size - 1]++;
}

void bench_bare(void)
{
}
