/*
 * Go's table of functions (.gopclntab), which is there even in stripped programs.
 * Side: tools (hosted). Called by image/flow_program.c. Never trusts an offset; allocates nothing.
 *
 * The format is that of cmd/link and debug/gosym: a header of words, then (since 1.16) tables at offsets from it.
 */
#include "image/pclntab.h"

#include <string.h>

#include "common/cleanup.h"

#define WORD 8u

/* runtime.moduledata, in words: the header's address comes first, then six slices and a pointer. */
#define MODULE_MINPC 20u
#define MODULE_TEXT 22u
#define MODULE_WORDS 24u

static CELLA_MUST_USE cella_result u32_at(struct cella_bytes bytes, uint64_t offset,
                                          uint32_t *ret_value)
{
    struct cella_bytes part;
    CELLA_TRY(cella_bytes_slice(bytes, offset, 4, &part));
    *ret_value = (uint32_t)cella_le_get(part.data, 4);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result u64_at(struct cella_bytes bytes, uint64_t offset,
                                          uint64_t *ret_value)
{
    struct cella_bytes part;
    CELLA_TRY(cella_bytes_slice(bytes, offset, 8, &part));
    *ret_value = cella_le_get(part.data, 8);
    return CELLA_OK;
}

/* Bytes of one entry: since 1.18 two uint32_t, before two words. One more address ends the table. */
static uint64_t entry_size(const struct cella_pclntab *table)
{
    return table->version >= 18 ? 8 : 16;
}

/* Words of the header, counted behind its first eight bytes. */
static CELLA_MUST_USE cella_result words_parse(struct cella_pclntab *table)
{
    unsigned names = table->version >= 18 ? 3 : 2;
    uint64_t count;
    uint64_t tables;

    CELLA_TRY(u64_at(table->bytes, 8, &count));
    CELLA_ENSURE(count > 0 && count <= CELLA_PCLNTAB_FUNCTION_MAX, LIMIT_EXCEEDED);
    table->count = (uint32_t)count;
    if (table->version == 2) {
        table->functions = 8 + WORD;
    } else {
        CELLA_TRY(u64_at(table->bytes, 8 + names * WORD, &table->names));
        CELLA_TRY(u64_at(table->bytes, 8 + (names + 4) * WORD, &table->functions));
    }
    if (table->version >= 18) {
        CELLA_TRY(u64_at(table->bytes, 8 + 2 * WORD, &table->text));
    }
    tables = count * entry_size(table) + entry_size(table) / 2;
    CELLA_ENSURE(table->functions <= table->bytes.size &&
                     tables <= table->bytes.size - table->functions,
                 TRUNCATED);
    return CELLA_OK;
}

cella_result cella_pclntab_parse(struct cella_bytes bytes, struct cella_pclntab *ret_table)
{
    static const struct {
        uint32_t magic;
        uint32_t version;
    } known[] = {{0xFFFFFFFB, 2}, {0xFFFFFFFA, 16}, {0xFFFFFFF0, 18}, {0xFFFFFFF1, 20}};
    struct cella_pclntab table = {.bytes = bytes};
    uint32_t magic;
    uint32_t rest;

    CELLA_TRY(u32_at(bytes, 0, &magic));
    CELLA_TRY(u32_at(bytes, 4, &rest));
    for (size_t i = 0; i < CELLA_COUNT(known); i++) {
        table.version = magic == known[i].magic ? known[i].version : table.version;
    }
    /* Two zeros, the size of the smallest instruction, that of a pointer. */
    CELLA_ENSURE(table.version != 0 && rest == 0x08010000, BAD_MAGIC);
    CELLA_TRY(words_parse(&table));
    *ret_table = table;
    return CELLA_OK;
}

/* Where a function's record is; its second word is the name. */
static CELLA_MUST_USE cella_result name_find(const struct cella_pclntab *table, uint64_t entry,
                                             const char **ret_name)
{
    uint64_t record;
    uint32_t name;
    struct cella_bytes names;

    if (table->version >= 18) {
        uint32_t offset;
        CELLA_TRY(u32_at(table->bytes, entry + 4, &offset));
        record = table->functions + offset;
    } else {
        CELLA_TRY(u64_at(table->bytes, entry + WORD, &record));
        CELLA_ENSURE(record <= table->bytes.size, BAD_FIELD);
        record += table->version == 2 ? 0 : table->functions;
    }
    CELLA_TRY(u32_at(table->bytes, record + (table->version >= 18 ? 4 : WORD), &name));
    CELLA_ENSURE(table->names <= table->bytes.size, BAD_FIELD);
    CELLA_TRY(
        cella_bytes_slice(table->bytes, table->names, table->bytes.size - table->names, &names));
    return cella_elf_string(names, name, ret_name);
}

cella_result cella_pclntab_function(const struct cella_pclntab *table, uint32_t index,
                                    uint64_t *ret_start, uint64_t *ret_end, const char **ret_name)
{
    uint64_t at[2];

    CELLA_ENSURE(index < table->count, NOT_FOUND);
    uint64_t entry = table->functions + index * entry_size(table);
    for (unsigned i = 0; i < 2; i++) {
        if (table->version >= 18) {
            uint32_t offset;
            CELLA_TRY(u32_at(table->bytes, entry + i * entry_size(table), &offset));
            at[i] = table->text + offset;
        } else {
            CELLA_TRY(u64_at(table->bytes, entry + i * entry_size(table), &at[i]));
        }
    }
    CELLA_ENSURE(at[0] < at[1], BAD_FIELD);
    if (!cella_is_ok(name_find(table, entry, ret_name))) {
        *ret_name = "";
    }
    *ret_start = at[0];
    *ret_end = at[1];
    return CELLA_OK;
}

/* ------------------------------------------------------------------- in a program */

struct finder {
    const struct cella_elf *elf;
    const struct cella_image_segment *segments;
    uint32_t segment_count;
    struct cella_bytes relocations; /* DT_RELA; empty: none */
    uint64_t address;               /* of the table */
};

static bool is_code(const struct finder *finder, uint64_t address)
{
    for (uint32_t i = 0; i < finder->segment_count; i++) {
        const struct cella_image_segment *segment = &finder->segments[i];
        if ((segment->flags & SGX_SECINFO_X) && address >= segment->offset &&
            address - segment->offset < segment->file_size) {
            return true;
        }
    }
    return false;
}

static Elf64_Rela relocation_at(const struct finder *finder, size_t index)
{
    Elf64_Rela rela;
    memcpy(&rela, finder->relocations.data + index * sizeof(rela), sizeof(rela));
    return rela;
}

/* The word at an address as it will be once it is relocated (load base 0). */
static CELLA_MUST_USE cella_result word_at(const struct finder *finder, uint64_t address,
                                           uint64_t *ret_value)
{
    uint64_t offset;

    for (size_t i = 0; i < finder->relocations.size / sizeof(Elf64_Rela); i++) {
        Elf64_Rela rela = relocation_at(finder, i);
        if (rela.r_offset == address && ELF64_R_TYPE(rela.r_info) == R_X86_64_RELATIVE) {
            *ret_value = (uint64_t)rela.r_addend;
            return CELLA_OK;
        }
    }
    CELLA_TRY(cella_elf_at(finder->segments, finder->segment_count, address, 8, &offset));
    return u64_at(finder->elf->file, offset, ret_value);
}

/* Whether `module` is the runtime.moduledata of the table: the lowest function is the first one's address. */
static bool module_try(const struct finder *finder, uint64_t module, struct cella_pclntab *table)
{
    uint64_t lowest;
    uint64_t text;
    uint32_t first;

    if (!cella_is_ok(word_at(finder, module + MODULE_MINPC * WORD, &lowest)) ||
        !cella_is_ok(word_at(finder, module + MODULE_TEXT * WORD, &text)) ||
        !cella_is_ok(u32_at(table->bytes, table->functions, &first)) || !is_code(finder, text) ||
        lowest != text + first) {
        return false;
    }
    table->text = text;
    return true;
}

static bool module_find(const struct finder *finder, struct cella_pclntab *table)
{
    for (size_t i = 0; i < finder->relocations.size / sizeof(Elf64_Rela); i++) {
        Elf64_Rela rela = relocation_at(finder, i);
        if ((uint64_t)rela.r_addend == finder->address &&
            ELF64_R_TYPE(rela.r_info) == R_X86_64_RELATIVE &&
            module_try(finder, rela.r_offset, table)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < finder->segment_count; i++) {
        const struct cella_image_segment *segment = &finder->segments[i];
        struct cella_bytes bytes;
        if (!(segment->flags & SGX_SECINFO_W) ||
            !cella_is_ok(cella_bytes_slice(finder->elf->file, segment->file_offset,
                                           segment->file_size, &bytes))) {
            continue;
        }
        for (uint64_t at = -segment->offset & (WORD - 1); at + MODULE_WORDS * WORD <= bytes.size;
             at += WORD) {
            if (cella_le_get(bytes.data + at, WORD) == finder->address &&
                module_try(finder, segment->offset + at, table)) {
                return true;
            }
        }
    }
    return false;
}

/* runtime.text: its symbol, what the header says, what the module says. */
static CELLA_MUST_USE cella_result text_find(const struct finder *finder,
                                             struct cella_pclntab *table)
{
    struct cella_elf_symbols symbols;
    Elf64_Sym symbol;
    uint64_t said;

    if (table->version < 18) {
        table->text = 0;
        return CELLA_OK;
    }
    if (cella_is_ok(cella_elf_symbols(finder->elf, SHT_SYMTAB, &symbols)) &&
        cella_is_ok(cella_elf_symbol_find(&symbols, "runtime.text", &symbol)) &&
        is_code(finder, symbol.st_value)) {
        table->text = symbol.st_value;
        return CELLA_OK;
    }
    if (cella_is_ok(word_at(finder, finder->address + 8 + 2 * WORD, &said)) &&
        is_code(finder, said)) {
        table->text = said;
        return CELLA_OK;
    }
    CELLA_ENSURE(module_find(finder, table), NOT_FOUND);
    return CELLA_OK;
}

static void relocations_find(struct finder *finder)
{
    uint64_t address;
    uint64_t size;
    uint64_t offset;

    if (!cella_is_ok(cella_elf_dynamic(finder->elf, DT_RELA, &address)) ||
        !cella_is_ok(cella_elf_dynamic(finder->elf, DT_RELASZ, &size)) ||
        !cella_is_ok(
            cella_elf_at(finder->segments, finder->segment_count, address, size, &offset)) ||
        !cella_is_ok(cella_bytes_slice(finder->elf->file, offset, size, &finder->relocations))) {
        finder->relocations = (struct cella_bytes){0};
    }
}

cella_result cella_pclntab_find(const struct cella_elf *elf,
                                const struct cella_image_segment *segments, uint32_t segment_count,
                                struct cella_pclntab *ret_table)
{
    static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
    struct finder finder = {.elf = elf, .segments = segments, .segment_count = segment_count};
    Elf64_Shdr section;
    struct cella_bytes bytes;
    bool found = false;

    for (size_t i = 0; !found && i < CELLA_COUNT(names); i++) {
        found = cella_is_ok(cella_elf_section_find(elf, names[i], &section));
    }
    CELLA_ENSURE(found, NOT_FOUND);
    CELLA_TRY(cella_elf_section_bytes(elf, &section, &bytes));
    CELLA_TRY(cella_pclntab_parse(bytes, ret_table));
    finder.address = section.sh_addr;
    relocations_find(&finder);
    return text_find(&finder, ret_table);
}
