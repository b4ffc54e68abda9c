/*
 * What making an image of an enclave and of a whole program have in common.
 * Side: tools (hosted). Included by image/build.c and image/program.c only.
 */
#ifndef CELLA_IMAGE_BUILD_INSIDE_H
#define CELLA_IMAGE_BUILD_INSIDE_H

#include "image/build.h"
#include "image/check.h"

/* The information object's fields that the configuration gives. */
void cella_build_info(struct cella_image_info *info, const struct cella_image_config *config);

/* TLS and RELRO. */
void cella_build_segments(struct cella_image_info *info, const struct cella_elf *elf);

/* Where the file bytes of the last segment (and of the headers) end. */
uint64_t cella_build_loaded_end(const struct cella_elf *elf, const struct cella_image_facts *facts);

/* The note with an empty signature: the file's last bytes. */
CELLA_MUST_USE cella_result cella_build_note(struct cella_buffer *output,
                                             const struct cella_image_config *config,
                                             uint64_t info_address);

#endif
