/*
 * MRENCLAVE as the processor computes it: SHA-256 over the records of ECREATE, EADD and EEXTEND.
 * Side: host and tools (hosted; libcrypto). Called by image/ and cli/. Never touches a processor.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: as sigstruct.c */
#include "image/measure.h"

#include <string.h>

#include "common/cleanup.h"

#define MEASURE_RECORD_SIZE 64u
#define MEASURE_CHUNK_SIZE 256u
/* A run above these is a damaged file: 64 GiB hashed, 1 TiB only added. */
#define MEASURE_HASHED_PAGES_MAX (1ull << 24)
#define MEASURE_ADDED_PAGES_MAX (1ull << 28)

static const uint8_t g_zero_chunk[MEASURE_CHUNK_SIZE];

static void put_le(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static CELLA_MUST_USE cella_result update(struct cella_measure *measure, const void *data,
                                          size_t size)
{
    CELLA_ENSURE(SHA256_Update(&measure->digest, data, size) == 1, CRYPTO);
    return CELLA_OK;
}

cella_result cella_measure_init(struct cella_measure *measure, uint32_t ssa_frame_size,
                                uint64_t enclave_size)
{
    uint8_t record[MEASURE_RECORD_SIZE] = "ECREATE";

    CELLA_ENSURE(SHA256_Init(&measure->digest) == 1, CRYPTO);
    put_le(record + 8, ssa_frame_size, 4);
    put_le(record + 12, enclave_size, 8);
    return update(measure, record, sizeof(record));
}

static CELLA_MUST_USE cella_result measure_page(struct cella_measure *measure, uint64_t offset,
                                                const uint8_t *page, uint64_t secinfo_flags,
                                                bool measured)
{
    uint8_t record[MEASURE_RECORD_SIZE] = "EADD";

    put_le(record + 8, offset, 8);
    put_le(record + 16, secinfo_flags, 8);
    CELLA_TRY(update(measure, record, sizeof(record)));
    if (!measured) {
        return CELLA_OK;
    }
    memset(record, 0, sizeof(record));
    memcpy(record, "EEXTEND", 7);
    for (size_t chunk = 0; chunk < SGX_PAGE_SIZE; chunk += MEASURE_CHUNK_SIZE) {
        put_le(record + 8, offset + chunk, 8);
        CELLA_TRY(update(measure, record, sizeof(record)));
        CELLA_TRY(update(measure, page ? page + chunk : g_zero_chunk, MEASURE_CHUNK_SIZE));
    }
    return CELLA_OK;
}

cella_result cella_measure_run(void *context, const struct cella_image_run *run)
{
    struct cella_measure *measure = context;

    CELLA_ENSURE(run->page_count <=
                     (run->measured ? MEASURE_HASHED_PAGES_MAX : MEASURE_ADDED_PAGES_MAX),
                 LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < run->page_count; i++) {
        CELLA_TRY(measure_page(measure, run->offset + i * SGX_PAGE_SIZE,
                               run->data ? run->data + i * SGX_PAGE_SIZE : NULL, run->secinfo_flags,
                               run->measured));
    }
    return CELLA_OK;
}

cella_result cella_measure_final(struct cella_measure *measure, uint8_t ret_mr_enclave[32])
{
    CELLA_ENSURE(SHA256_Final(ret_mr_enclave, &measure->digest) == 1, CRYPTO);
    return CELLA_OK;
}

void cella_measure_done(struct cella_measure *measure)
{
    *measure = (struct cella_measure){0};
}

cella_result cella_image_measure(const struct cella_image *image, uint8_t ret_mr_enclave[32])
{
    CELLA_CLEANUP(cella_measure_done) struct cella_measure measure = {0};
    struct cella_image_iterator iterator;
    struct cella_image_run run;

    CELLA_TRY(cella_measure_init(&measure, image->info.ssa_frame_pages, image->info.enclave_size));
    cella_image_iterator_init(&iterator, image);
    while (cella_image_next(&iterator, &run)) {
        CELLA_TRY(cella_measure_run(&measure, &run));
    }
    return cella_measure_final(&measure, ret_mr_enclave);
}
