/*
 * The image behind a path: as it is, or built and signed in memory.
 * Side: host. Included by create.c.
 * Never writes a file.
 */
#ifndef CELLA_COMPAT_OE_IMAGE_H
#define CELLA_COMPAT_OE_IMAGE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "image/buffer.h"

/* Zero-initialise. */
struct oe_image {
    struct cella_buffer output; /* empty: the file itself is the image */
    bool is_debug;              /* create it as a debug enclave */
};
void oe_image_done(struct oe_image *image);

/*
 * `flags` are oe_create_enclave's. DEBUG_MISMATCH: a debug enclave wanted, and the image is signed without; ACCESS_DENIED:
 * not signed, and no debug enclave wanted.
 */
CELLA_MUST_USE cella_result oe_image_open(const char *path, uint32_t flags,
                                          struct oe_image *ret_image, struct cella_error *error);

#endif
