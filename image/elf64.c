/*
 * ELF64 reading: headers, sections, symbols and the loadable segments, all through struct
 * cella_bytes. Side: host and tools (hosted). Called inside image/ only. Allocates nothing, never
 * writes, never follows a pointer that the file gives without a bound.
 */
#include "image/elf64.h"

#include <string.h>

/* Copies one fixed-size record out of a table; TRUNCATED when the table ends before it. */
static CELLA_MUST_USE cella_result record_get(struct cella_bytes table, uint64_t offset,
                                              void *record, size_t size)
{
    struct cella_bytes bytes;
    CELLA_TRY(cella_bytes_slice(table, offset, size, &bytes));
    memcpy(record, bytes.data, size);
    return CELLA_OK;
}

/*
 * Number of sections and index of their names. With e_shnum 0 (or e_shstrndx SHN_XINDEX) the number
 * stands in the first section header (ELF, extended numbering): signed images are written that way.
 * A table outside the file counts as none.
 */
static void sections_count(struct cella_elf *elf)
{
    const Elf64_Ehdr *header = &elf->header;
    Elf64_Shdr first = {0};

    if (header->e_shoff == 0 || header->e_shentsize != sizeof(Elf64_Shdr) ||
        !cella_is_ok(record_get(elf->file, header->e_shoff, &first, sizeof(first)))) {
        return;
    }
    uint64_t count = header->e_shnum ? header->e_shnum : first.sh_size;
    elf->section_count = count <= CELLA_ELF_SECTION_MAX ? (uint32_t)count : 0;
    elf->names_index = header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
}

static CELLA_MUST_USE cella_result type_check(const Elf64_Ehdr *header, bool any,
                                              struct cella_error *error)
{
    if (any && header->e_type != ET_EXEC && header->e_type != ET_DYN) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "ELF header: type %u; expected a linked program, ET_EXEC (2) or "
                               "ET_DYN (3)",
                               header->e_type);
    }
    if (!any && header->e_type != ET_DYN) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "ELF header: type %u; expected ET_DYN (3): link with -static-pie",
                               header->e_type);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result parse(struct cella_bytes file, bool any,
                                         struct cella_elf *ret_elf, struct cella_error *error)
{
    struct cella_elf elf = {.file = file};
    cella_result result = record_get(file, 0, &elf.header, sizeof(elf.header));
    const Elf64_Ehdr *header = &elf.header;
    struct cella_bytes table;

    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "ELF header: the file has %zu bytes, 64 are needed",
                               file.size);
    }
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "not an ELF file");
    }
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "ELF header: class %u, data %u, machine %u; expected 64-bit little "
                               "endian x86-64 (2, 1, 62)",
                               header->e_ident[EI_CLASS], header->e_ident[EI_DATA],
                               header->e_machine);
    }
    CELLA_TRY(type_check(header, any, error));
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
        header->e_phnum > CELLA_IMAGE_PHDR_MAX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "ELF header: %u program headers of %u bytes; expected 1..%u of 56",
                               header->e_phnum, header->e_phentsize, CELLA_IMAGE_PHDR_MAX);
    }
    result = cella_bytes_slice(file, header->e_phoff,
                               (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), &table);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               "program header table at 0x%llx: ends behind the file's %zu bytes",
                               (unsigned long long)header->e_phoff, file.size);
    }
    sections_count(&elf);
    *ret_elf = elf;
    return CELLA_OK;
}

cella_result cella_elf_parse(struct cella_bytes file, struct cella_elf *ret_elf,
                             struct cella_error *error)
{
    return parse(file, false, ret_elf, error);
}

cella_result cella_elf_parse_program(struct cella_bytes file, struct cella_elf *ret_elf,
                                     struct cella_error *error)
{
    return parse(file, true, ret_elf, error);
}

cella_result cella_elf_phdr(const struct cella_elf *elf, unsigned index, Elf64_Phdr *ret_phdr)
{
    CELLA_ENSURE(index < elf->header.e_phnum, NOT_FOUND);
    /* No overflow: cella_elf_parse found the whole table in the file. */
    return record_get(elf->file, elf->header.e_phoff + (uint64_t)index * sizeof(*ret_phdr),
                      ret_phdr, sizeof(*ret_phdr));
}

cella_result cella_elf_phdr_find(const struct cella_elf *elf, uint32_t type, Elf64_Phdr *ret_phdr)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type == type) {
            *ret_phdr = phdr;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result cella_elf_section(const struct cella_elf *elf, unsigned index, Elf64_Shdr *ret_section)
{
    struct cella_bytes table;
    CELLA_ENSURE(index < elf->section_count, NOT_FOUND);
    CELLA_ENSURE(elf->header.e_shentsize == sizeof(Elf64_Shdr), BAD_FIELD);
    CELLA_TRY(cella_bytes_slice(elf->file, elf->header.e_shoff,
                                (uint64_t)elf->section_count * sizeof(Elf64_Shdr), &table));
    return record_get(table, (uint64_t)index * sizeof(Elf64_Shdr), ret_section,
                      sizeof(*ret_section));
}

cella_result cella_elf_section_bytes(const struct cella_elf *elf, const Elf64_Shdr *section,
                                     struct cella_bytes *ret_bytes)
{
    if (section->sh_type == SHT_NOBITS) {
        *ret_bytes = cella_bytes_of(NULL, 0);
        return CELLA_OK;
    }
    return cella_bytes_slice(elf->file, section->sh_offset, section->sh_size, ret_bytes);
}

cella_result cella_elf_string(struct cella_bytes strings, uint64_t offset, const char **ret_string)
{
    struct cella_bytes rest;
    CELLA_ENSURE(offset < strings.size, BAD_FIELD);
    CELLA_TRY(cella_bytes_slice(strings, offset, strings.size - offset, &rest));
    CELLA_ENSURE(memchr(rest.data, 0, rest.size) != NULL, BAD_FIELD);
    *ret_string = (const char *)rest.data;
    return CELLA_OK;
}

cella_result cella_elf_section_name(const struct cella_elf *elf, const Elf64_Shdr *section,
                                    const char **ret_name)
{
    Elf64_Shdr names;
    struct cella_bytes strings;
    CELLA_TRY(cella_elf_section(elf, elf->names_index, &names));
    CELLA_TRY(cella_elf_section_bytes(elf, &names, &strings));
    return cella_elf_string(strings, section->sh_name, ret_name);
}

cella_result cella_elf_section_find(const struct cella_elf *elf, const char *name,
                                    Elf64_Shdr *ret_section)
{
    for (unsigned i = 1; i < elf->section_count; i++) {
        Elf64_Shdr section;
        const char *section_name;
        CELLA_TRY(cella_elf_section(elf, i, &section));
        if (cella_is_ok(cella_elf_section_name(elf, &section, &section_name)) &&
            strcmp(section_name, name) == 0) {
            *ret_section = section;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result cella_elf_symbols(const struct cella_elf *elf, uint32_t section_type,
                               struct cella_elf_symbols *ret_symbols)
{
    for (unsigned i = 1; i < elf->section_count; i++) {
        Elf64_Shdr section;
        Elf64_Shdr strings;
        struct cella_elf_symbols symbols;
        CELLA_TRY(cella_elf_section(elf, i, &section));
        if (section.sh_type != section_type) {
            continue;
        }
        CELLA_ENSURE(section.sh_entsize == sizeof(Elf64_Sym), BAD_FIELD);
        CELLA_TRY(cella_elf_section_bytes(elf, &section, &symbols.table));
        CELLA_TRY(cella_elf_section(elf, section.sh_link, &strings));
        CELLA_TRY(cella_elf_section_bytes(elf, &strings, &symbols.strings));
        CELLA_ENSURE(symbols.table.size / sizeof(Elf64_Sym) <= CELLA_ELF_SYMBOL_MAX,
                     LIMIT_EXCEEDED);
        symbols.count = (uint32_t)(symbols.table.size / sizeof(Elf64_Sym));
        *ret_symbols = symbols;
        return CELLA_OK;
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result cella_elf_symbol(const struct cella_elf_symbols *symbols, uint32_t index,
                              Elf64_Sym *ret_symbol, const char **ret_name)
{
    Elf64_Sym symbol;
    CELLA_ENSURE(index < symbols->count, NOT_FOUND);
    CELLA_TRY(
        record_get(symbols->table, (uint64_t)index * sizeof(symbol), &symbol, sizeof(symbol)));
    if (symbol.st_name == 0) {
        *ret_name = "";
    } else {
        CELLA_TRY(cella_elf_string(symbols->strings, symbol.st_name, ret_name));
    }
    *ret_symbol = symbol;
    return CELLA_OK;
}

cella_result cella_elf_symbol_find(const struct cella_elf_symbols *symbols, const char *name,
                                   Elf64_Sym *ret_symbol)
{
    for (uint32_t i = 1; i < symbols->count; i++) {
        Elf64_Sym symbol;
        const char *symbol_name;
        if (!cella_is_ok(cella_elf_symbol(symbols, i, &symbol, &symbol_name))) {
            continue;
        }
        if (symbol.st_shndx != SHN_UNDEF && strcmp(symbol_name, name) == 0) {
            *ret_symbol = symbol;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result cella_elf_dynamic(const struct cella_elf *elf, int64_t tag, uint64_t *ret_value)
{
    Elf64_Phdr phdr;
    struct cella_bytes table;
    Elf64_Dyn entry;

    CELLA_TRY(cella_elf_phdr_find(elf, PT_DYNAMIC, &phdr));
    CELLA_TRY(cella_bytes_slice(elf->file, phdr.p_offset, phdr.p_filesz, &table));
    for (uint64_t offset = 0; cella_is_ok(record_get(table, offset, &entry, sizeof(entry)));
         offset += sizeof(entry)) {
        if (entry.d_tag == DT_NULL) {
            break;
        }
        if (entry.d_tag == tag) {
            *ret_value = entry.d_un.d_val;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

static uint64_t segment_flags(uint32_t p_flags)
{
    return (p_flags & PF_R ? SGX_SECINFO_R : 0) | (p_flags & PF_W ? SGX_SECINFO_W : 0) |
           (p_flags & PF_X ? SGX_SECINFO_X : 0);
}

/* One PT_LOAD against the file and against the end of the segment before it. */
static CELLA_MUST_USE cella_result segment_check(const struct cella_elf *elf, unsigned index,
                                                 const Elf64_Phdr *phdr, bool congruent,
                                                 uint64_t end, struct cella_error *error)
{
    struct cella_bytes bytes;

    if (phdr->p_filesz > phdr->p_memsz) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "program header %u: file size 0x%llx above memory size 0x%llx",
                               index, (unsigned long long)phdr->p_filesz,
                               (unsigned long long)phdr->p_memsz);
    }
    if (phdr->p_memsz > CELLA_IMAGE_SIZE_MAX ||
        phdr->p_vaddr > CELLA_IMAGE_SIZE_MAX - phdr->p_memsz) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "program header %u: segment 0x%llx + 0x%llx ends above the limit of "
                               "2^40",
                               index, (unsigned long long)phdr->p_vaddr,
                               (unsigned long long)phdr->p_memsz);
    }
    if (!cella_is_ok(cella_bytes_slice(elf->file, phdr->p_offset, phdr->p_filesz, &bytes))) {
        return cella_error_set(
            error, CELLA_RESULT(TRUNCATED),
            "program header %u: file bytes 0x%llx + 0x%llx end behind the file's "
            "%zu bytes",
            index, (unsigned long long)phdr->p_offset, (unsigned long long)phdr->p_filesz,
            elf->file.size);
    }
    if (congruent && (phdr->p_offset - phdr->p_vaddr) % SGX_PAGE_SIZE != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "program header %u: offset 0x%llx and address 0x%llx differ modulo "
                               "4096",
                               index, (unsigned long long)phdr->p_offset,
                               (unsigned long long)phdr->p_vaddr);
    }
    if (cella_page_down(phdr->p_vaddr) < end) {
        return cella_error_set(error, CELLA_RESULT(OVERLAP),
                               "program header %u: segment at 0x%llx shares a page with the one "
                               "before it, which ends at 0x%llx, or is out of order",
                               index, (unsigned long long)phdr->p_vaddr, (unsigned long long)end);
    }
    return CELLA_OK;
}

cella_result cella_elf_segments(const struct cella_elf *elf, bool congruent,
                                struct cella_image_segment *ret_segments, uint32_t *ret_count,
                                struct cella_error *error)
{
    uint32_t count = 0;
    uint64_t end = 0;

    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type != PT_LOAD || phdr.p_memsz == 0) {
            continue;
        }
        CELLA_TRY(segment_check(elf, i, &phdr, congruent, end, error));
        if (count == CELLA_IMAGE_SEGMENT_MAX) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   "program header %u: more than %u PT_LOAD segments", i,
                                   CELLA_IMAGE_SEGMENT_MAX);
        }
        ret_segments[count++] = (struct cella_image_segment){
            .offset = phdr.p_vaddr,
            .size = phdr.p_memsz,
            .file_offset = phdr.p_offset,
            .file_size = phdr.p_filesz,
            .flags = segment_flags(phdr.p_flags),
        };
        end = cella_page_up(phdr.p_vaddr + phdr.p_memsz);
    }
    if (count == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "no PT_LOAD segment");
    }
    *ret_count = count;
    return CELLA_OK;
}

cella_result cella_elf_starts_at(const struct cella_image_segment *segments, uint64_t address,
                                 struct cella_error *error)
{
    if (cella_page_down(segments[0].offset) != address) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "first PT_LOAD segment at 0x%llx; expected address %s%llx",
                               (unsigned long long)segments[0].offset, address ? "0x" : "",
                               (unsigned long long)address);
    }
    return CELLA_OK;
}

cella_result cella_elf_at(const struct cella_image_segment *segments, uint32_t count,
                          uint64_t address, uint64_t size, uint64_t *ret_file_offset)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cella_image_segment *segment = &segments[i];
        uint64_t into = address - segment->offset;
        if (address >= segment->offset && into <= segment->file_size &&
            size <= segment->file_size - into) {
            *ret_file_offset = segment->file_offset + into;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}
