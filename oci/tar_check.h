/*
 * Refuses tar archives that different readers may understand in different ways (ADR 0145).
 * Side: tools. Called inside oci/ with every byte of an archive, before or while libarchive reads it; by its fuzz target.
 * Never says what is in the archive: only that there is one way to read it.
 */
#ifndef CELLA_OCI_TAR_CHECK_H
#define CELLA_OCI_TAR_CHECK_H

#include <stdbool.h>

#include "common/bytes.h"

#define OCI_TAR_EXTENSION_MAX (1u << 20) /* bytes of one extension header */

struct oci_tar_check {
    const char *wrong;  /* what, once something is */
    uint8_t *extension; /* the body that is being read */
    size_t extension_size, extension_wanted, extension_room;
    uint8_t block[512];
    size_t block_used;
    uint64_t skip; /* bytes of content and padding to come */
    uint64_t headers;
    char kind; /* of the extension header whose body is read; 0: none */
    bool has_pax, has_long_name, has_long_link; /* for the next file */
    bool pax_path, pax_linkpath, pax_size,
        name_is_folder; /* name_is_folder: the extension's name ends in '/' */
    bool has_name;      /* the extension has a name */
    uint64_t size_said; /* by pax_size */
    unsigned zero_blocks;
};

/* Zero-initialise before; _done in any case. */
void oci_tar_check_done(struct oci_tar_check *check);
/* The next bytes. BAD_SYNTAX with check->wrong; OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result oci_tar_check_feed(struct oci_tar_check *check,
                                               struct cella_bytes bytes);
/* There are no more. */
CELLA_MUST_USE cella_result oci_tar_check_end(struct oci_tar_check *check);

#endif
