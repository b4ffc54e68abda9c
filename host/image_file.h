/*
 * An image's file in memory, for as long as an enclave is made of it.
 * Side: host. Included by enclave.c and load.c. Never lets the host read a mapped file (image_file.c says why).
 */
#ifndef CELLA_HOST_IMAGE_FILE_H
#define CELLA_HOST_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/result.h"

/* Caller-owned, zeroed before use. `data` is page-aligned. */
struct cella_host_image_file {
    uint8_t *data;
    size_t size;
    size_t mapped; /* bytes to unmap */
    const char *path;
    int fd;
    bool opened;  /* `fd` is to be closed */
    bool in_part; /* whole pages of segments are mapped, and are for the processor only */
};

/* Room for an image of `size` bytes, to be filled by the caller. OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_host_image_file_new(struct cella_host_image_file *file,
                                                      size_t size, struct cella_error *error);

/* Reads a file; `path` is borrowed. `whole`: every byte will be read here, so nothing is mapped. NOT_FOUND, IO,
 * LIMIT_EXCEEDED, OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_host_image_file_read(const char *path, bool whole,
                                                       struct cella_host_image_file *file,
                                                       struct cella_error *error);

/* Copies what is mapped, at the same place: from here on the host may read every byte. IO, OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_host_image_file_settle(struct cella_host_image_file *file,
                                                         struct cella_error *error);

void cella_host_image_file_done(struct cella_host_image_file *file);

#endif
