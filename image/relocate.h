/*
 * Relocations that name a symbol, settled before signing: nobody looks symbols up inside an enclave.
 * Side: tools (hosted). Called by image/build.c, after image/check.c. Never touches bytes outside the two tables and
 * the words that they relocate.
 */
#ifndef CELLA_IMAGE_RELOCATE_H
#define CELLA_IMAGE_RELOCATE_H

#include "image/buffer.h"
#include "image/check.h"

/* Whether a relocation of this type is one that cella_relocate_settle rewrites. */
static inline bool cella_relocate_is_symbolic(uint32_t type)
{
    return type == R_X86_64_64 || type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT;
}

/* The same of those about thread-local variables. */
static inline bool cella_relocate_is_thread_local(uint32_t type)
{
    return type == R_X86_64_TPOFF64 || type == R_X86_64_DTPMOD64 || type == R_X86_64_DTPOFF64;
}

/*
 * What a linker leaves when it was not told -static-pie: R_X86_64_64, GLOB_DAT and JUMP_SLOT. Against a symbol of the
 * image each becomes RELATIVE; against a weak one that nobody defines it becomes NONE and its word zero. Those about
 * thread-local variables become NONE, and their words what they are in a program without libraries. `output` holds the
 * loaded part of the file.
 */
CELLA_MUST_USE cella_result cella_relocate_settle(const struct cella_elf *elf,
                                                  const struct cella_image_facts *facts,
                                                  struct cella_buffer *output,
                                                  struct cella_error *error);

#endif
