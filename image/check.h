/*
 * What the signer refuses in a linker's output, each with its own error.
 * Side: tools (hosted). Called by image/build.c. Never changes the file.
 */
#ifndef CELLA_IMAGE_CHECK_H
#define CELLA_IMAGE_CHECK_H

#include "image/elf64.h"

/* What the checks found and the builder needs. Addresses are enclave offsets. */
struct cella_image_facts {
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t segment_count;
    uint64_t image_end; /* page-rounded */
    uint64_t info_address;
    uint64_t info_file_offset;
    uint64_t entry;
    uint64_t libc_entry;    /* 0: none */
    uint64_t syscall_entry; /* 0: no kernel personality in the image */
    uint64_t rela_offset;
    uint64_t plt_offset; /* DT_JMPREL */
    uint32_t rela_count;
    uint32_t plt_count;
};

/* `start`: the address of the first segment. */
CELLA_MUST_USE cella_result cella_image_check(const struct cella_elf *elf, uint64_t start,
                                              struct cella_image_facts *ret_facts,
                                              struct cella_error *error);

#endif
