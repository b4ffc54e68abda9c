/*
 * The sections of a signed image: a new table that names the note, the trampolines and their call
 * frames. Side: tools (hosted). Called by image/build.c. Nothing of it is loaded or measured.
 */
#include "image/sections.h"

#include "common/cleanup.h"

#define CODE_SECTION ".cella.text"
#define FRAME_SECTION ".debug_frame"
#define CODE_SYMBOL "cella_syscall_trampolines"

#define ADDED_ROWS_MAX 3u
#define REST_ALIGNMENT 64u

/* The new table under construction. */
struct writer {
    const struct cella_elf *elf;
    struct cella_buffer *output;
    struct cella_buffer names;
    struct cella_buffer table; /* of Elf64_Shdr */
    uint64_t table_offset;     /* where it will stand */
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
    Elf64_Shdr old_row;
    struct cella_bytes old;

    CELLA_TRY(cella_elf_section(writer->elf, index, &old_row));
    CELLA_TRY(cella_elf_section_bytes(writer->elf, &old_row, &old));
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

/* Space for the table, then the linker's bytes that are not loaded; their sections move with them.
 */
static CELLA_MUST_USE cella_result move_rest(struct writer *writer, uint64_t loaded_end,
                                             struct cella_error *error)
{
    struct cella_buffer *output = writer->output;
    struct cella_bytes rest;

    CELLA_TRY(cella_buffer_align(output, 8));
    writer->table_offset = output->size;
    CELLA_TRY(cella_buffer_grow(
        output,
        output->size + (writer->elf->section_count + (size_t)ADDED_ROWS_MAX) * sizeof(Elf64_Shdr)));
    /* Sections keep their alignment when they move by a multiple of it. */
    CELLA_TRY(cella_buffer_align(output, REST_ALIGNMENT));
    CELLA_TRY(cella_buffer_grow(output, output->size + loaded_end % REST_ALIGNMENT));
    uint64_t moved_by = output->size - loaded_end;
    CELLA_TRY(cella_bytes_slice(writer->elf->file, loaded_end, writer->elf->file.size - loaded_end,
                                &rest));
    CELLA_TRY(cella_buffer_append(output, rest.data, rest.size));
    for (unsigned i = 1; i < row_count(writer); i++) {
        Elf64_Shdr *row = row_of(writer, i);
        if (row->sh_type == SHT_NOBITS || row->sh_offset < loaded_end) {
            if (row->sh_type != SHT_NOBITS && row->sh_size > loaded_end - row->sh_offset) {
                return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                       "section %u: file bytes 0x%llx + 0x%llx are loaded in part",
                                       i, (unsigned long long)row->sh_offset,
                                       (unsigned long long)row->sh_size);
            }
            continue;
        }
        row->sh_offset += moved_by;
    }
    return CELLA_OK;
}

/* The old headers and names. */
static CELLA_MUST_USE cella_result writer_begin(struct writer *writer)
{
    Elf64_Shdr section;
    struct cella_bytes names;

    CELLA_TRY(cella_elf_section(writer->elf, writer->elf->names_index, &section));
    CELLA_TRY(cella_elf_section_bytes(writer->elf, &section, &names));
    CELLA_TRY(cella_buffer_append(&writer->names, names.data, names.size));
    for (unsigned i = 0; i < writer->elf->section_count; i++) {
        CELLA_TRY(cella_elf_section(writer->elf, i, &section));
        CELLA_TRY(cella_buffer_append(&writer->table, &section, sizeof(section)));
    }
    return CELLA_OK;
}

/* The index of an old section; 0 when there is none. */
static unsigned section_index(const struct writer *writer, const char *name)
{
    for (unsigned i = 1; i < writer->elf->section_count; i++) {
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

    if (!symbols || strings == 0 || strings >= writer->elf->section_count ||
        strings == writer->elf->names_index || strings == symbols) {
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

/* Names, then the headers into their place; the note comes right behind the names. */
static CELLA_MUST_USE cella_result writer_end(struct writer *writer)
{
    unsigned names = writer->elf->names_index;
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
    row_of(writer, row_count(writer) - 1)->sh_offset = writer->output->size;
    row_of(writer, 0)->sh_size = row_count(writer);
    row_of(writer, 0)->sh_link = names;
    memcpy(writer->output->data + writer->table_offset, writer->table.data, writer->table.size);

    memcpy(&header, writer->output->data, sizeof(header));
    header.e_shoff = writer->table_offset;
    header.e_shnum = 0;
    header.e_shstrndx = SHN_XINDEX;
    memcpy(writer->output->data, &header, sizeof(header));
    return CELLA_OK;
}

cella_result cella_sections_append(const struct cella_elf *elf, uint64_t loaded_end,
                                   struct cella_addition *addition, struct cella_buffer *output,
                                   struct cella_error *error)
{
    CELLA_CLEANUP(writer_done) struct writer writer = {.elf = elf, .output = output};

    CELLA_ENSURE(loaded_end <= elf->file.size, INTERNAL);
    cella_result result = writer_begin(&writer);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "section header table: malformed");
    }
    CELLA_TRY(move_rest(&writer, loaded_end, error));
    CELLA_TRY(code_add(&writer, addition));
    return writer_end(&writer);
}
