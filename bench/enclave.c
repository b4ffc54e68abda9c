/*
 * The benchmark's enclave: static glibc, with Debian's zlib and libcrypto.
 * Side: enclave (bench).
 */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/work.h"
#include "cella/enclave.h"
#include "cella/seal.h"

static cella_result nothing(const void *in, size_t in_size, void *out, size_t out_capacity,
                            size_t *ret_size)
{
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_OK;
}

static cella_result ocalls(const void *in, size_t in_size, void *out, size_t out_capacity,
                           size_t *ret_size)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    uint64_t count;
    CELLA_ENSURE(in_size == sizeof(count), INVALID_ARGUMENT);
    memcpy(&count, in, sizeof(count));
    for (uint64_t i = 0; i < count; i++) {
        CELLA_TRY(cella_ocall(BENCH_OUT_NOTHING, NULL, 0, NULL, 0, NULL));
    }
    return CELLA_OK;
}

static cella_result seal(const void *in, size_t in_size, void *out, size_t out_capacity,
                         size_t *ret_size)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    static unsigned char *data, *sealed;
    const size_t room = cella_seal_size(0, BENCH_SEAL_SIZE);
    uint64_t count;
    CELLA_ENSURE(in_size == sizeof(count), INVALID_ARGUMENT);
    memcpy(&count, in, sizeof(count));
    if (!data) {
        data = malloc(BENCH_SEAL_SIZE);
        sealed = malloc(room);
        CELLA_ENSURE(data && sealed, OUT_OF_MEMORY);
        bench_fill(data, BENCH_SEAL_SIZE);
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t size;
        CELLA_TRY(
            cella_seal(CELLA_SEAL_MRENCLAVE, NULL, 0, data, BENCH_SEAL_SIZE, sealed, room, &size));
    }
    return CELLA_OK;
}

static cella_result deflate_data(const void *in, size_t in_size, void *out, size_t out_capacity,
                                 size_t *ret_size)
{
    (void)in;
    (void)in_size;
    static unsigned char *data, *compressed;
    CELLA_ENSURE(out_capacity >= sizeof(uint64_t), BUFFER_TOO_SMALL);
    if (!data) {
        data = malloc(BENCH_DEFLATE_SIZE);
        compressed = malloc(compressBound(BENCH_DEFLATE_SIZE));
        CELLA_ENSURE(data && compressed, OUT_OF_MEMORY);
        bench_fill(data, BENCH_DEFLATE_SIZE);
        memset(compressed, 1, compressBound(BENCH_DEFLATE_SIZE));
    }
    uint64_t size = bench_deflate(data, compressed);
    memcpy(out, &size, sizeof(size));
    *ret_size = sizeof(size);
    return size ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
}

CELLA_ECALLS([BENCH_NOTHING] = {nothing, 0, 0}, [BENCH_OCALLS] = {ocalls, 8, 0},
             [BENCH_SEAL] = {seal, 8, 0}, [BENCH_DEFLATE] = {deflate_data, 0, 8});
