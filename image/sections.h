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
 * Appends to `output`, which holds the loaded part of the file (and a new segment): a section
 * header table, the rest of the linker's output, new symbols, call frames and names. Its next bytes
 * will be the note. `loaded_end`: where the rest begins in the linker's output.
 *
 * The table comes first and its length stands in its first row, so that nothing of the ELF header,
 * which is measured, depends on what is not loaded: with or without debug information, in whatever
 * folder it was made, MRENCLAVE is the same.
 */
CELLA_MUST_USE cella_result cella_sections_append(const struct cella_elf *elf, uint64_t loaded_end,
                                                  struct cella_addition *addition,
                                                  struct cella_buffer *output,
                                                  struct cella_error *error);

#endif
