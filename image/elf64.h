/*
 * ELF64 reading: headers, sections, symbols and the loadable segments, all through struct
 * cella_bytes. Side: host and tools (hosted). Called inside image/ only. Allocates nothing, never
 * writes, never follows a pointer that the file gives without a bound.
 */
#ifndef CELLA_IMAGE_ELF64_H
#define CELLA_IMAGE_ELF64_H

#include <elf.h>

#include "image/image.h"

#define CELLA_ELF_SECTION_MAX 65535u
#define CELLA_ELF_SYMBOL_MAX (1u << 22)

struct cella_elf {
    struct cella_bytes file;
    Elf64_Ehdr header;
    uint32_t section_count; /* 0: no section headers, or none that can be used */
    uint32_t names_index;   /* of the section of section names */
};

/* Checks the ELF header and that the program header table lies in the file. ET_DYN for x86-64 only.
 */
CELLA_MUST_USE cella_result cella_elf_parse(struct cella_bytes file, struct cella_elf *ret_elf,
                                            struct cella_error *error);

/* The same for an ordinary program: ET_EXEC too. */
CELLA_MUST_USE cella_result cella_elf_parse_program(struct cella_bytes file,
                                                    struct cella_elf *ret_elf,
                                                    struct cella_error *error);

/* Program header `index`, which must be below header.e_phnum. */
CELLA_MUST_USE cella_result cella_elf_phdr(const struct cella_elf *elf, unsigned index,
                                           Elf64_Phdr *ret_phdr);

/* The first program header of a type; NOT_FOUND when there is none. */
CELLA_MUST_USE cella_result cella_elf_phdr_find(const struct cella_elf *elf, uint32_t type,
                                                Elf64_Phdr *ret_phdr);

/* Section header `index`, its name and its bytes in the file. NOT_FOUND behind the last. */
CELLA_MUST_USE cella_result cella_elf_section(const struct cella_elf *elf, unsigned index,
                                              Elf64_Shdr *ret_section);
CELLA_MUST_USE cella_result cella_elf_section_name(const struct cella_elf *elf,
                                                   const Elf64_Shdr *section,
                                                   const char **ret_name);
CELLA_MUST_USE cella_result cella_elf_section_find(const struct cella_elf *elf, const char *name,
                                                   Elf64_Shdr *ret_section);
CELLA_MUST_USE cella_result cella_elf_section_bytes(const struct cella_elf *elf,
                                                    const Elf64_Shdr *section,
                                                    struct cella_bytes *ret_bytes);

/* A symbol table: section type SHT_SYMTAB or SHT_DYNSYM. NOT_FOUND when the file has none. */
struct cella_elf_symbols {
    struct cella_bytes table;
    struct cella_bytes strings;
    uint32_t count;
};
CELLA_MUST_USE cella_result cella_elf_symbols(const struct cella_elf *elf, uint32_t section_type,
                                              struct cella_elf_symbols *ret_symbols);
CELLA_MUST_USE cella_result cella_elf_symbol(const struct cella_elf_symbols *symbols,
                                             uint32_t index, Elf64_Sym *ret_symbol,
                                             const char **ret_name);
/* The first defined symbol of that name. */
CELLA_MUST_USE cella_result cella_elf_symbol_find(const struct cella_elf_symbols *symbols,
                                                  const char *name, Elf64_Sym *ret_symbol);

/* The zero-terminated string at `offset` of a string table; BAD_FIELD when it does not end there.
 */
CELLA_MUST_USE cella_result cella_elf_string(struct cella_bytes strings, uint64_t offset,
                                             const char **ret_string);

/* The value of a dynamic tag; NOT_FOUND without one. */
CELLA_MUST_USE cella_result cella_elf_dynamic(const struct cella_elf *elf, int64_t tag,
                                              uint64_t *ret_value);

/*
 * The PT_LOAD segments, checked: ascending, file bytes in the file, no two on one page, at least
 * one, at most CELLA_IMAGE_SEGMENT_MAX. Empty ones are left out. `congruent`: offset and
 * address must agree modulo 4096.
 */
CELLA_MUST_USE cella_result cella_elf_segments(const struct cella_elf *elf, bool congruent,
                                               struct cella_image_segment *ret_segments,
                                               uint32_t *ret_count, struct cella_error *error);

/* BAD_FIELD unless the page of the first segment is `address`. */
CELLA_MUST_USE cella_result cella_elf_starts_at(const struct cella_image_segment *segments,
                                                uint64_t address, struct cella_error *error);

/* Where [address, address + size) lies in the file, if it lies whole in one segment's file bytes;
 * else NOT_FOUND. */
CELLA_MUST_USE cella_result cella_elf_at(const struct cella_image_segment *segments, uint32_t count,
                                         uint64_t address, uint64_t size,
                                         uint64_t *ret_file_offset);

/* Address arithmetic of the page walkers. */
static inline uint64_t cella_page_down(uint64_t value)
{
    return value & ~(uint64_t)(SGX_PAGE_SIZE - 1);
}

static inline uint64_t cella_page_up(uint64_t value)
{
    return cella_page_down(value + SGX_PAGE_SIZE - 1);
}

#endif
