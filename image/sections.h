/*
 * The sections of a signed image: a new table that names the note, the trampolines and their call
 * frames. Side: tools (hosted). Called by image/build.c. Nothing of it is loaded or measured.
 */
#ifndef CELLA_IMAGE_SECTIONS_H
#define CELLA_IMAGE_SECTIONS_H

#include "image/buffer.h"
#include "image/elf64.h"
#include "image/frame.h"

/* What is added to the linker's output, and where. Zero-initialise; freed by _done. */
struct cella_addition {
    uint64_t phdr_address; /* of the moved program headers */
    uint64_t code_address; /* trampolines; code_size 0: none */
    uint64_t code_offset;
    uint64_t code_size;
    struct cella_buffer frames; /* their .debug_frame */
};

static inline void cella_addition_done(struct cella_addition *addition)
{
    cella_buffer_done(&addition->frames);
}

/*
 * Appends section names, symbols, call frames and section headers to `output`, whose next bytes
 * will be the note. A file without sections stays without.
 */
CELLA_MUST_USE cella_result cella_sections_append(const struct cella_elf *elf,
                                                  struct cella_addition *addition,
                                                  struct cella_buffer *output);

#endif
