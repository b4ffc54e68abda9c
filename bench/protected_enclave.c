/*
 * The benchmark's enclave for protected files.
 * Side: enclave (bench).
 */
#include <string.h>

#include "bench/protected.h"
#include "cella/enclave.h"
#include "cella/protected_file.h"

static uint8_t g_bytes[BENCH_PROTECTED_CHUNK];
static cella_protected_file *g_file;

/* Without fsync: the disk's speed is not what is measured. */
static const struct cella_protected_options g_options = {
    .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER},
    .cache_size = BENCH_PROTECTED_CACHE,
    .flags = CELLA_PROTECTED_NO_SYNC,
};

static cella_result sequential(int writing)
{
    size_t done;
    CELLA_TRY(cella_protected_open("bench", writing ? "w" : "r", &g_options, &g_file));
    cella_result result = CELLA_OK;
    for (uint64_t at = 0; cella_is_ok(result) && at < BENCH_PROTECTED_SIZE; at += sizeof(g_bytes)) {
        result = writing ? cella_protected_write(g_file, g_bytes, sizeof(g_bytes), &done)
                         : cella_protected_read(g_file, g_bytes, sizeof(g_bytes), &done);
    }
    cella_result closed = cella_protected_close(g_file);
    return cella_is_ok(result) ? closed : result;
}

static cella_result random_reads(const struct bench_protected *call)
{
    uint32_t state = call->seed;
    size_t done;
    for (uint32_t i = 0; i < call->count; i++) {
        CELLA_TRY(cella_protected_read_at(g_file, bench_protected_page(&state) * 4096, g_bytes,
                                          4096, &done));
    }
    return CELLA_OK;
}

static cella_result run(const void *in, size_t in_size, void *out, size_t out_capacity,
                        size_t *ret_size)
{
    struct bench_protected call;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size == sizeof(call), INVALID_ARGUMENT);
    memcpy(&call, in, sizeof(call));
    switch (call.step) {
    case BENCH_PROTECTED_WRITE:
    case BENCH_PROTECTED_READ:
        return sequential(call.step == BENCH_PROTECTED_WRITE);
    case BENCH_PROTECTED_OPEN:
        return cella_protected_open("bench", "r", &g_options, &g_file);
    case BENCH_PROTECTED_RANDOM:
        return random_reads(&call);
    default:
        return cella_protected_close(g_file);
    }
}

CELLA_ECALLS({run, sizeof(struct bench_protected), 0});
