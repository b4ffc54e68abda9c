/*
 * Whole files for the commands: read, and written so that a reader never sees half of one.
 * Side: tools. Called inside cli/. Never follows a partial write with a rename.
 */
#ifndef CELLA_CLI_FILE_H
#define CELLA_CLI_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/bytes.h"
#include "common/error.h"

/* Zero-initialise. */
struct cella_file {
    uint8_t *data;
    size_t size;
};

/* Reads all of `path`, at most `limit` bytes. */
CELLA_MUST_USE cella_result cella_file_read(const char *path, size_t limit,
                                            struct cella_file *ret_file, struct cella_error *error);
void cella_file_done(struct cella_file *file);

static inline struct cella_bytes cella_file_bytes(const struct cella_file *file)
{
    return cella_bytes_of(file->data, file->size);
}

/* Writes `path` through a temporary file beside it, with `mode`. */
CELLA_MUST_USE cella_result cella_file_write(const char *path, const void *data, size_t size,
                                             mode_t mode, struct cella_error *error);

#endif
