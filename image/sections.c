/*
 * The sections of a signed image: a new table that names the note, the trampolines and their call
 * frames. Side: tools (hosted). Called by image/build.c. Nothing of it is loaded or measured.
 */
#include "image/sections.h"

#include "common/cleanup.h"

#define CODE_SECTION ".cella.text"
#define FRAME_SECTION ".debug_frame"
#define CODE_SYMBOL "cella_syscall_trampolines"

/* The new table under construction. */
struct writer {
    const struct cella_elf *elf;
    struct cella_buffer *output;
    struct cella_buffer names;
    struct cella_buffer table; /* of Elf64_Shdr */
};

static void writer_done(struct writer *writer)
{
    cella_buffer_done(&writer->names);
    cella_buffer_done(&writer->table);
}

static Elf64_Shdr *row_of(const struct writer *writer, unsigned index)
{
    return (Elf64_Shdr *)writer->table.data + index;
}

static unsigned row_count(const struct writer *writer)
{
    return (unsigned)(writer->table.size / sizeof(Elf64_Shdr));
}

/* The bytes of an old section and `more` behind them, at a new place in the file. */
static CELLA_MUST_USE cella_result section_extend(struct writer *writer, unsigned index,
                                                  const void *more, size_t size)
{
    Elf64_Shdr *row = row_of(writer, index);
    struct cella_bytes old;

    CELLA_TRY(cella_elf_section_bytes(writer->elf, row, &old));
    CELLA_TRY(cella_buffer_align(writer->output, 8));
    row->sh_offset = writer->output->size;
    row->sh_size = old.size + size;
    CELLA_TRY(cella_buffer_append(writer->output, old.data, old.size));
    return cella_buffer_append(writer->output, more, size);
}

static CELLA_MUST_USE cella_result section_add(struct writer *writer, const char *name,
                                               Elf64_Shdr row)
{
    row.sh_name = (uint32_t)writer->names.size;
    CELLA_TRY(cella_buffer_append(&writer->names, name, strlen(name) + 1));
    return cella_buffer_append(&writer->table, &row, sizeof(row));
}

/* The old headers and names. False when the file has none that can be used. */
static bool writer_begin(struct writer *writer)
{
    const Elf64_Ehdr *header = &writer->elf->header;
    Elf64_Shdr section;
    struct cella_bytes names;

    if (header->e_shnum == 0 || header->e_shnum >= SHN_LORESERVE - 8 ||
        !cella_is_ok(cella_elf_section(writer->elf, header->e_shstrndx, &section)) ||
        !cella_is_ok(cella_elf_section_bytes(writer->elf, &section, &names)) ||
        !cella_is_ok(cella_buffer_append(&writer->names, names.data, names.size))) {
        return false;
    }
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (!cella_is_ok(cella_elf_section(writer->elf, i, &section)) ||
            !cella_is_ok(cella_buffer_append(&writer->table, &section, sizeof(section)))) {
            return false;
        }
    }
    return true;
}

/* The index of an old section; 0 when there is none. */
static unsigned section_index(const struct writer *writer, const char *name)
{
    for (unsigned i = 1; i < writer->elf->header.e_shnum; i++) {
        const char *found;
        if (cella_is_ok(cella_elf_section_name(writer->elf, row_of(writer, i), &found)) &&
            strcmp(found, name) == 0) {
            return i;
        }
    }
    return 0;
}

/* A symbol for the trampolines, so that they have a name in a backtrace. */
static CELLA_MUST_USE cella_result symbol_add(struct writer *writer,
                                              const struct cella_addition *addition,
                                              unsigned code_index)
{
    unsigned symbols = section_index(writer, ".symtab");
    unsigned strings = symbols ? row_of(writer, symbols)->sh_link : 0;
    Elf64_Sym symbol = {
        .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
        .st_shndx = (uint16_t)code_index,
        .st_value = addition->code_address,
        .st_size = addition->code_size,
    };

    if (!symbols || strings == 0 || strings >= writer->elf->header.e_shnum ||
        strings == writer->elf->header.e_shstrndx || strings == symbols) {
        return CELLA_OK;
    }
    symbol.st_name = (uint32_t)row_of(writer, strings)->sh_size;
    CELLA_TRY(section_extend(writer, strings, CODE_SYMBOL, sizeof(CODE_SYMBOL)));
    return section_extend(writer, symbols, &symbol, sizeof(symbol));
}

/* Behind the old .debug_frame, or a new one. A compressed one is left alone, and the trampolines
 * without. */
static CELLA_MUST_USE cella_result frames_add(struct writer *writer,
                                              struct cella_addition *addition)
{
    unsigned old = section_index(writer, FRAME_SECTION);

    if (old && ((row_of(writer, old)->sh_flags & SHF_COMPRESSED) ||
                row_of(writer, old)->sh_size > UINT32_MAX)) {
        return CELLA_OK;
    }
    if (old) {
        cella_frame_place(&addition->frames, (uint32_t)row_of(writer, old)->sh_size);
        return section_extend(writer, old, addition->frames.data, addition->frames.size);
    }
    CELLA_TRY(cella_buffer_align(writer->output, 8));
    Elf64_Shdr row = {
        .sh_type = SHT_PROGBITS,
        .sh_offset = writer->output->size,
        .sh_size = addition->frames.size,
        .sh_addralign = 8,
    };
    CELLA_TRY(cella_buffer_append(writer->output, addition->frames.data, addition->frames.size));
    return section_add(writer, FRAME_SECTION, row);
}

static CELLA_MUST_USE cella_result code_add(struct writer *writer, struct cella_addition *addition)
{
    if (addition->code_size == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(section_add(writer, CODE_SECTION,
                          (Elf64_Shdr){
                              .sh_type = SHT_PROGBITS,
                              .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                              .sh_addr = addition->code_address,
                              .sh_offset = addition->code_offset,
                              .sh_size = addition->code_size,
                              .sh_addralign = 16,
                          }));
    CELLA_TRY(symbol_add(writer, addition, row_count(writer) - 1));
    return frames_add(writer, addition);
}

/* Names, then the headers; the note comes right behind them. */
static CELLA_MUST_USE cella_result writer_end(struct writer *writer)
{
    unsigned names = writer->elf->header.e_shstrndx;
    Elf64_Ehdr header;

    CELLA_TRY(section_add(writer, CELLA_IMAGE_NOTE_SECTION,
                          (Elf64_Shdr){
                              .sh_type = SHT_NOTE,
                              .sh_size = sizeof(struct cella_image_note),
                              .sh_addralign = 4,
                          }));
    row_of(writer, names)->sh_offset = writer->output->size;
    row_of(writer, names)->sh_size = writer->names.size;
    CELLA_TRY(cella_buffer_append(writer->output, writer->names.data, writer->names.size));
    CELLA_TRY(cella_buffer_align(writer->output, 8));
    uint64_t table_offset = writer->output->size;
    row_of(writer, row_count(writer) - 1)->sh_offset = table_offset + writer->table.size;
    CELLA_TRY(cella_buffer_append(writer->output, writer->table.data, writer->table.size));

    memcpy(&header, writer->output->data, sizeof(header));
    header.e_shoff = table_offset;
    header.e_shnum = (uint16_t)row_count(writer);
    memcpy(writer->output->data, &header, sizeof(header));
    return CELLA_OK;
}

cella_result cella_sections_append(const struct cella_elf *elf, struct cella_addition *addition,
                                   struct cella_buffer *output)
{
    CELLA_CLEANUP(writer_done) struct writer writer = {.elf = elf, .output = output};

    if (!writer_begin(&writer)) {
        return CELLA_OK;
    }
    CELLA_TRY(code_add(&writer, addition));
    return writer_end(&writer);
}
