/*
 * Writes small ELF files, so that tests need no linker and can write wrong ones.
 * Side: tests. Called by tests/image. Never checks what it is asked to write.
 */
#ifndef TESTS_IMAGE_MAKE_ELF_H
#define TESTS_IMAGE_MAKE_ELF_H

#include <elf.h>

#include "image/buffer.h"

#define MAKE_ELF_MAX 16u

/* Segment 0 starts at file offset 0 and holds the headers before its own data. */
struct make_segment {
    uint64_t address;
    uint32_t flags; /* PF_R … */
    const void *data;
    uint64_t data_size;
    uint64_t memory_size; /* 0: data_size */
};

/* `address` != 0: bytes of a segment; else `data` is put behind the segments. */
struct make_section {
    const char *name;
    uint32_t type;
    uint64_t flags;
    uint64_t address;
    const void *data;
    uint64_t size;
    uint32_t link;
    uint64_t entry_size;
    uint64_t alignment;
};

#define MAKE_WEAK 0x10u

struct make_symbol {
    const char *name;
    uint64_t address;
    uint64_t size;
    uint8_t type;     /* STT_…, with MAKE_WEAK for a weak one */
    uint16_t section; /* 0: undefined */
};

struct make_elf {
    uint16_t type; /* ET_DYN */
    uint64_t entry;
    struct make_segment segments[MAKE_ELF_MAX];
    unsigned segment_count;
    Elf64_Phdr headers[MAKE_ELF_MAX]; /* further ones: p_offset is filled in from p_vaddr */
    unsigned header_count;
    struct make_section sections[MAKE_ELF_MAX];
    unsigned section_count;
    struct make_symbol symbols[MAKE_ELF_MAX]; /* written as .symtab and as .dynsym */
    unsigned symbol_count;
};

/* The space of the headers at the start of segment 0: its data begins here. */
#define MAKE_ELF_HEADERS_SIZE 0x400u

/* The file; the test fails when memory runs out. */
void make_elf(const struct make_elf *spec, struct cella_buffer *ret_file);

#endif
