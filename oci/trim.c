/*
 * Debugging information stays at home.
 * Side: tools. Called inside oci/. Never changes a byte that is loaded.
 */
#include "oci/trim.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "oci/loader.h"

void oci_free_data(uint8_t **data)
{
    free(*data);
}

void oci_trim_program(uint8_t *data, size_t *size)
{
    struct oci_elf elf;
    Elf64_Ehdr header;
    /* Only what has a loaded segment at all; an object file is not a program. */
    if (!cella_is_ok(oci_elf_parse(cella_bytes_of(data, *size), &elf)) ||
        elf.loaded_end <= sizeof(header) || elf.loaded_end > *size) {
        return;
    }
    memcpy(&header, data, sizeof(header));
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = SHN_UNDEF;
    memcpy(data, &header, sizeof(header));
    *size = (size_t)elf.loaded_end;
}

#define SECTIONS_MAX 4096u

struct sections {
    struct cella_bytes file;
    uint64_t table;
    uint64_t count;
    struct cella_bytes names;
};

static cella_result section_get(const struct sections *sections, uint64_t index,
                                Elf64_Shdr *ret_section)
{
    struct cella_bytes bytes;
    CELLA_ENSURE(index < sections->count, NOT_FOUND);
    CELLA_TRY(cella_bytes_slice(sections->file, sections->table + index * sizeof(*ret_section),
                                sizeof(*ret_section), &bytes));
    memcpy(ret_section, bytes.data, sizeof(*ret_section));
    return CELLA_OK;
}

static cella_result sections_open(struct cella_bytes file, struct sections *ret_sections)
{
    Elf64_Ehdr header;
    Elf64_Shdr first, names;
    struct cella_cursor cursor = cella_cursor_of(file);
    CELLA_TRY(cella_cursor_copy(&cursor, &header, sizeof(header)));
    CELLA_ENSURE(header.e_shoff != 0 && header.e_shoff < file.size &&
                     header.e_shentsize == sizeof(Elf64_Shdr),
                 NOT_FOUND);
    *ret_sections = (struct sections){.file = file, .table = header.e_shoff, .count = 1};
    CELLA_TRY(section_get(ret_sections, 0, &first));
    /* More sections, or a later table of names, than the header's fields hold: the first section says it. */
    ret_sections->count = header.e_shnum ? header.e_shnum : first.sh_size;
    CELLA_ENSURE(ret_sections->count <= SECTIONS_MAX &&
                     ret_sections->count <= (file.size - header.e_shoff) / sizeof(first),
                 LIMIT_EXCEEDED);
    uint64_t index = header.e_shstrndx == SHN_XINDEX ? first.sh_link : header.e_shstrndx;
    CELLA_TRY(section_get(ret_sections, index, &names));
    return cella_bytes_slice(file, names.sh_offset, names.sh_size, &ret_sections->names);
}

static bool is_debugging(const struct sections *sections, const Elf64_Shdr *section)
{
    if ((section->sh_flags & SHF_ALLOC) || section->sh_type == SHT_NOBITS ||
        section->sh_name >= sections->names.size) {
        return false;
    }
    const char *name = (const char *)sections->names.data + section->sh_name;
    const size_t left = sections->names.size - section->sh_name;
    const size_t length = strnlen(name, left);
    return length < left && (strncmp(name, ".debug_", 7) == 0 || strcmp(name, ".symtab") == 0 ||
                             strcmp(name, ".strtab") == 0);
}

#define MEETS(start, length) ((start) < offset + size && offset < (start) + (length))

/* Whether a segment has a byte of [offset, offset + size). */
static bool is_loaded(const struct sections *sections, const Elf64_Ehdr *header, uint64_t offset,
                      uint64_t size)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, sections->file.data + header->e_phoff + i * sizeof(segment),
               sizeof(segment));
        if (MEETS(segment.p_offset, segment.p_filesz)) {
            return true;
        }
    }
    return false;
}

/* Whether a segment, a header table or a section that is kept has a byte of [offset, offset + size). */
static bool is_used(const struct sections *sections, const Elf64_Ehdr *header, uint64_t offset,
                    uint64_t size)
{
    if (MEETS(0, sizeof(*header)) ||
        MEETS(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr)) ||
        MEETS(sections->table, sections->count * sizeof(Elf64_Shdr)) ||
        is_loaded(sections, header, offset, size)) {
        return true;
    }
    for (uint64_t i = 0; i < sections->count; i++) {
        Elf64_Shdr other;
        if (cella_is_ok(section_get(sections, i, &other)) && other.sh_type != SHT_NOBITS &&
            !is_debugging(sections, &other) && MEETS(other.sh_offset, other.sh_size)) {
            return true;
        }
    }
    return false;
}

size_t oci_trim_enclave(uint8_t *data, size_t size)
{
    struct oci_elf elf;
    struct sections sections;
    Elf64_Ehdr header;
    struct cella_bytes part;
    size_t blanked = 0;
    if (!cella_is_ok(oci_elf_parse(cella_bytes_of(data, size), &elf)) ||
        !cella_is_ok(sections_open(cella_bytes_of(data, size), &sections))) {
        return 0;
    }
    memcpy(&header, data, sizeof(header));
    if (is_loaded(&sections, &header, sections.table, sections.count * sizeof(Elf64_Shdr))) {
        return 0; /* the table itself is measured */
    }
    for (uint64_t i = 1; i < sections.count; i++) {
        Elf64_Shdr section;
        if (!cella_is_ok(section_get(&sections, i, &section)) || section.sh_size == 0 ||
            !is_debugging(&sections, &section) ||
            !cella_is_ok(
                cella_bytes_slice(sections.file, section.sh_offset, section.sh_size, &part)) ||
            is_used(&sections, &header, section.sh_offset, section.sh_size)) {
            continue;
        }
        memset(data + section.sh_offset, 0, (size_t)section.sh_size);
        section.sh_type = SHT_NOBITS;
        memcpy(data + sections.table + i * sizeof(section), &section, sizeof(section));
        blanked += (size_t)section.sh_size;
    }
    return blanked < size ? blanked : size; /* sections of a damaged file may lie over each other */
}
