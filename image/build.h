/*
 * From the linker's static PIE to an unsigned Cella image: checks, rewriting, layout, note.
 * Side: tools (hosted). Called by cli/. Never signs and never opens a file.
 */
#ifndef CELLA_IMAGE_BUILD_H
#define CELLA_IMAGE_BUILD_H

#include "image/buffer.h"
#include "image/config.h"
#include "image/rewrite.h"

struct cella_image_build {
    /* in */
    bool keep_syscalls;         /* no rewriting */
    cella_rewrite_site_fn site; /* may be NULL */
    void *site_context;
    /* out */
    uint32_t site_count;
    uint32_t rewritten_count;
};

/*
 * `input` is the linker's output. The result, appended to the empty buffer `output`, is a Cella
 * image with an empty signature; the same input and configuration give the same bytes. Refuses,
 * each with its own text: another SDK's or an already signed file, a needed library, W+X segments,
 * an executable stack, text relocations, relocation types that nobody in the enclave applies,
 * undefined symbols, a missing entry or information object. An interpreter's name without a needed
 * library is what a link without -static-pie leaves, and means nothing; relocations against the
 * image's own symbols are settled (image/relocate.h).
 */
CELLA_MUST_USE cella_result cella_image_build(struct cella_bytes input,
                                              const struct cella_image_config *config,
                                              struct cella_image_build *build,
                                              struct cella_buffer *output,
                                              struct cella_error *error);

/* Puts a SIGSTRUCT into the note of an image that cella_image_build made. */
CELLA_MUST_USE cella_result cella_image_put_sigstruct(struct cella_buffer *image,
                                                      const struct sgx_sigstruct *sigstruct);

#endif
