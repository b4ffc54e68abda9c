/*
 * Writes small ELF files, so that tests need no linker and can write wrong ones.
 * Side: tests. Called by tests/image. Never checks what it is asked to write.
 */
#include "tests/image/make_elf.h"

#include <stdlib.h>

/* Tests and fuzz targets share this file, so it does not use a test library. */
static void must(cella_result result)
{
    if (!cella_is_ok(result)) {
        abort();
    }
}

static uint64_t file_offset_of(const struct make_elf *spec, const uint64_t *offsets,
                               uint64_t address)
{
    for (unsigned i = 0; i < spec->segment_count; i++) {
        const struct make_segment *segment = &spec->segments[i];
        uint64_t size = segment->data_size + (i ? 0 : MAKE_ELF_HEADERS_SIZE);
        if (address >= segment->address && address - segment->address <= size) {
            return offsets[i] + (address - segment->address);
        }
    }
    return 0;
}

static void write_segments(const struct make_elf *spec, struct cella_buffer *file,
                           uint64_t *offsets)
{
    for (unsigned i = 0; i < spec->segment_count; i++) {
        const struct make_segment *segment = &spec->segments[i];
        must(cella_buffer_align(file, 4096));
        offsets[i] = file->size + segment->address % 4096;
        must(cella_buffer_grow(file, offsets[i] + (i ? 0 : MAKE_ELF_HEADERS_SIZE)));
        must(cella_buffer_append(file, segment->data, segment->data_size));
    }
}

static void write_headers(const struct make_elf *spec, struct cella_buffer *file,
                          const uint64_t *offsets)
{
    Elf64_Phdr *out = (Elf64_Phdr *)(file->data + sizeof(Elf64_Ehdr));

    for (unsigned i = 0; i < spec->segment_count; i++) {
        const struct make_segment *segment = &spec->segments[i];
        uint64_t size = segment->data_size + (i ? 0 : MAKE_ELF_HEADERS_SIZE);
        *out++ = (Elf64_Phdr){
            .p_type = PT_LOAD,
            .p_flags = segment->flags,
            .p_offset = offsets[i],
            .p_vaddr = segment->address,
            .p_filesz = size,
            .p_memsz = segment->memory_size ? segment->memory_size : size,
            .p_align = 4096,
        };
    }
    for (unsigned i = 0; i < spec->header_count; i++) {
        *out = spec->headers[i];
        out->p_offset = file_offset_of(spec, offsets, out->p_vaddr);
        out++;
    }
}

static uint32_t add_name(struct cella_buffer *names, const char *name)
{
    uint32_t at = (uint32_t)names->size;
    must(cella_buffer_append(names, name, strlen(name) + 1));
    return at;
}

static void write_symbols(const struct make_elf *spec, struct cella_buffer *table,
                          struct cella_buffer *names)
{
    Elf64_Sym empty = {0};

    must(cella_buffer_append(names, "", 1));
    must(cella_buffer_append(table, &empty, sizeof(empty)));
    for (unsigned i = 0; i < spec->symbol_count; i++) {
        const struct make_symbol *symbol = &spec->symbols[i];
        Elf64_Sym row = {
            .st_name = add_name(names, symbol->name),
            .st_info =
                ELF64_ST_INFO(symbol->type & MAKE_WEAK ? STB_WEAK : STB_GLOBAL, symbol->type & 0xF),
            .st_shndx = symbol->section,
            .st_value = symbol->address,
            .st_size = symbol->size,
        };
        must(cella_buffer_append(table, &row, sizeof(row)));
    }
}

/* Bytes behind the segments; gives their file offset. */
static uint64_t append_bytes(struct cella_buffer *file, const void *data, uint64_t size)
{
    must(cella_buffer_align(file, 8));
    uint64_t at = file->size;
    must(cella_buffer_append(file, data, size));
    return at;
}

static void write_sections(const struct make_elf *spec, struct cella_buffer *file,
                           const uint64_t *offsets)
{
    struct cella_buffer names = {0};
    struct cella_buffer symbols = {0};
    struct cella_buffer symbol_names = {0};
    Elf64_Shdr table[MAKE_ELF_MAX + 6] = {{0}};
    unsigned count = 1;

    must(cella_buffer_append(&names, "", 1));
    for (unsigned i = 0; i < spec->section_count; i++) {
        const struct make_section *section = &spec->sections[i];
        table[count++] = (Elf64_Shdr){
            .sh_name = add_name(&names, section->name),
            .sh_type = section->type,
            .sh_flags = section->flags,
            .sh_addr = section->address,
            .sh_offset = section->address ? file_offset_of(spec, offsets, section->address)
                                          : append_bytes(file, section->data, section->size),
            .sh_size = section->size,
            .sh_link = section->link,
            .sh_addralign = section->alignment,
            .sh_entsize = section->entry_size,
        };
    }
    write_symbols(spec, &symbols, &symbol_names);
    uint64_t symbols_at = append_bytes(file, symbols.data, symbols.size);
    uint64_t strings_at = append_bytes(file, symbol_names.data, symbol_names.size);
    for (unsigned dynamic = 0; dynamic < 2; dynamic++) {
        table[count] = (Elf64_Shdr){
            .sh_name = add_name(&names, dynamic ? ".dynsym" : ".symtab"),
            .sh_type = dynamic ? SHT_DYNSYM : SHT_SYMTAB,
            .sh_offset = symbols_at,
            .sh_size = symbols.size,
            .sh_link = count + 1,
            .sh_entsize = sizeof(Elf64_Sym),
        };
        table[count + 1] = (Elf64_Shdr){
            .sh_name = add_name(&names, dynamic ? ".dynstr" : ".strtab"),
            .sh_type = SHT_STRTAB,
            .sh_offset = strings_at,
            .sh_size = symbol_names.size,
        };
        count += 2;
    }
    table[count].sh_name = add_name(&names, ".shstrtab");
    table[count].sh_type = SHT_STRTAB;
    table[count].sh_size = names.size;
    table[count].sh_offset = append_bytes(file, names.data, names.size);
    count++;
    uint64_t table_at = append_bytes(file, table, count * sizeof(table[0]));
    Elf64_Ehdr *header = (Elf64_Ehdr *)file->data;
    header->e_shoff = table_at;
    header->e_shnum = (uint16_t)count;
    header->e_shstrndx = (uint16_t)(count - 1);
    cella_buffer_done(&names);
    cella_buffer_done(&symbols);
    cella_buffer_done(&symbol_names);
}

void make_elf(const struct make_elf *spec, struct cella_buffer *ret_file)
{
    uint64_t offsets[MAKE_ELF_MAX];
    Elf64_Ehdr header = {
        .e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = spec->type,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = spec->entry,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)(spec->segment_count + spec->header_count),
        .e_shentsize = sizeof(Elf64_Shdr),
    };

    *ret_file = (struct cella_buffer){0};
    write_segments(spec, ret_file, offsets);
    memcpy(ret_file->data, &header, sizeof(header));
    write_headers(spec, ret_file, offsets);
    write_sections(spec, ret_file, offsets);
}
