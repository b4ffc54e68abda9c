/*
 * MRENCLAVE once more, written plainly: all records into one buffer, one hash over it.
 * Side: tests. Called by tests/image to check image/measure.c. Never shares code with it.
 */
#include "tests/image/oracle.h"

#include <openssl/sha.h>
#include <stdlib.h>

static void append(struct cella_buffer *log, const void *data, size_t size)
{
    if (!cella_is_ok(cella_buffer_append(log, data, size))) {
        abort();
    }
}

void oracle_create(struct cella_buffer *log, uint32_t ssa_frame_pages, uint64_t size)
{
    struct __attribute__((packed)) {
        char tag[8];
        uint32_t ssa;
        uint64_t size;
        char zero[44];
    } record = {"ECREATE", ssa_frame_pages, size, {0}};
    append(log, &record, 64);
}

void oracle_page(struct cella_buffer *log, uint64_t offset, uint64_t flags, const void *page,
                 int measured)
{
    static const uint8_t zeros[4096];
    struct {
        char tag[8];
        uint64_t offset;
        uint64_t flags;
        char zero[40];
    } record = {"EADD", offset, flags, {0}};

    append(log, &record, 64);
    for (unsigned chunk = 0; measured && chunk < 16; chunk++) {
        memset(&record, 0, sizeof(record));
        memcpy(record.tag, "EEXTEND", 8);
        record.offset = offset + 256 * chunk;
        append(log, &record, 64);
        append(log, (const uint8_t *)(page ? page : zeros) + 256 * chunk, 256);
    }
}

void oracle_hash(struct cella_buffer *log, uint8_t ret_hash[32])
{
    SHA256(log->data, log->size, ret_hash);
    cella_buffer_done(log);
}
