/*
 * A signed program image behind the end of the program's own file: one file that runs natively and in an enclave.
 * Side: host and tools (hosted). Called by cli/. Allocates nothing, opens no file.
 * docs/formats/attached-image.md is the manual, ADR 0162 the reasons.
 */
#ifndef CELLA_IMAGE_ATTACH_H
#define CELLA_IMAGE_ATTACH_H

#include <stdbool.h>

#include "abi/sgx.h"
#include "common/bytes.h"
#include "common/error.h"
#include "image/buffer.h"

#define CELLA_ATTACH_MAGIC "CELLA ATTACHED 1" /* without its zero */

/* The last bytes of the file. */
struct cella_attach_footer {
    uint8_t magic[16];
    uint64_t program_size; /* of the file as it was; what lies between it and the image is zero */
    uint64_t image_offset; /* page-aligned */
    uint64_t image_size;   /* up to the footer */
    uint8_t reserved[24];  /* zero */
};
CELLA_ABI_ASSERT(sizeof(struct cella_attach_footer) == 64);

/* The parts of a file, borrowed from it. Without an image all of it is the program. */
struct cella_attach_parts {
    struct cella_bytes program;
    struct cella_bytes image; /* size 0: none */
};

/* MALFORMED codes: there is a footer, and it is wrong. Says nothing about the image. */
CELLA_MUST_USE cella_result cella_attach_parse(struct cella_bytes file,
                                               struct cella_attach_parts *ret_parts,
                                               struct cella_error *error);

/* Appends program, image and footer to the empty buffer `output`. `program` must have no image yet. */
CELLA_MUST_USE cella_result cella_attach_write(struct cella_bytes program, struct cella_bytes image,
                                               struct cella_buffer *output);

#endif
