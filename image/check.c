/*
 * What the signer refuses in a linker's output, each with its own error.
 * Side: tools (hosted). Called by image/build.c. Never changes the file.
 */
#include "image/check.h"

#include <string.h>

#include "common/cleanup.h"

#define CHECK_RELA_MAX (1u << 24)

/* The segment that holds an address, or NULL. */
static const struct cella_image_segment *segment_of(const struct cella_image_facts *facts,
                                                    uint64_t address)
{
    for (uint32_t i = 0; i < facts->segment_count; i++) {
        const struct cella_image_segment *segment = &facts->segments[i];
        if (address >= segment->offset && address - segment->offset < segment->size) {
            return segment;
        }
    }
    return NULL;
}

static CELLA_MUST_USE cella_result check_headers(const struct cella_elf *elf,
                                                 struct cella_error *error)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type == PT_GNU_STACK && (phdr.p_flags & PF_X)) {
            return cella_error_set(
                error, CELLA_RESULT(UNSUPPORTED),
                "program header %u: the image asks for an executable stack; link "
                "with -z noexecstack",
                i);
        }
        if (phdr.p_type == PT_LOAD && (phdr.p_flags & PF_W) && (phdr.p_flags & PF_X)) {
            return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                                   "program header %u: the segment at 0x%llx is writable and "
                                   "executable; expected R, RW or RX",
                                   i, (unsigned long long)phdr.p_vaddr);
        }
        if (phdr.p_type == PT_LOAD && phdr.p_memsz && !(phdr.p_flags & PF_R)) {
            return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                                   "program header %u: the segment at 0x%llx is not readable; "
                                   "expected R, RW or RX",
                                   i, (unsigned long long)phdr.p_vaddr);
        }
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result check_dynamic(const struct cella_elf *elf,
                                                 struct cella_error *error)
{
    static const struct {
        int64_t tag;
        const char *text;
    } refused[] = {
        {DT_NEEDED, "DT_NEEDED: the image needs a shared library; link with -static-pie"},
        {DT_TEXTREL, "DT_TEXTREL: the image has text relocations; compile all of it with -fPIE"},
        {DT_REL, "DT_REL: relocations without addends; expected DT_RELA"},
        {36 /* DT_RELR */, "DT_RELR: packed relative relocations; link with "
                           "-z nopack-relative-relocs"},
    };
    uint64_t value;

    for (size_t i = 0; i < CELLA_COUNT(refused); i++) {
        if (cella_is_ok(cella_elf_dynamic(elf, refused[i].tag, &value))) {
            return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "%s", refused[i].text);
        }
    }
    if (cella_is_ok(cella_elf_dynamic(elf, DT_FLAGS, &value)) && (value & DF_TEXTREL)) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "DF_TEXTREL: the image has text relocations; compile all of it with "
                               "-fPIE");
    }
    return CELLA_OK;
}

static bool relocation_known(uint32_t type)
{
    switch (type) {
    case R_X86_64_NONE:
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_RELATIVE:
    case R_X86_64_IRELATIVE:
    case R_X86_64_TPOFF64:
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
        return true;
    default:
        return false;
    }
}

static CELLA_MUST_USE cella_result check_relocation(const struct cella_image_facts *facts,
                                                    const char *table, uint64_t index,
                                                    const Elf64_Rela *rela,
                                                    struct cella_error *error)
{
    uint32_t type = ELF64_R_TYPE(rela->r_info);
    const struct cella_image_segment *segment = segment_of(facts, rela->r_offset);

    if (!relocation_known(type)) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: relocation %llu at 0x%llx has type %u; an image may have "
                               "RELATIVE (8), IRELATIVE (37), TLS types (16, 17, 18), and 64 (1), "
                               "GLOB_DAT (6) and JUMP_SLOT (7) against its own symbols only",
                               table, (unsigned long long)index, (unsigned long long)rela->r_offset,
                               type);
    }
    if (type == R_X86_64_NONE) {
        return CELLA_OK;
    }
    if (!segment || segment->size - (rela->r_offset - segment->offset) < sizeof(uint64_t)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: relocation %llu changes 0x%llx, which is in no segment", table,
                               (unsigned long long)index, (unsigned long long)rela->r_offset);
    }
    if (!(segment->flags & SGX_SECINFO_W)) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: relocation %llu changes 0x%llx in a read-only segment (text "
                               "relocation); compile all of the image with -fPIE",
                               table, (unsigned long long)index,
                               (unsigned long long)rela->r_offset);
    }
    return CELLA_OK;
}

/* One table of the dynamic section. Absent: count 0. */
static CELLA_MUST_USE cella_result check_relocations(const struct cella_elf *elf,
                                                     const struct cella_image_facts *facts,
                                                     const char *table, int64_t address_tag,
                                                     int64_t size_tag, uint64_t *ret_address,
                                                     uint32_t *ret_count, struct cella_error *error)
{
    uint64_t address = 0;
    uint64_t size = 0;
    uint64_t file_offset;
    struct cella_bytes bytes;

    *ret_address = 0;
    *ret_count = 0;
    if (!cella_is_ok(cella_elf_dynamic(elf, address_tag, &address)) ||
        !cella_is_ok(cella_elf_dynamic(elf, size_tag, &size)) || size == 0) {
        return CELLA_OK;
    }
    if (size % sizeof(Elf64_Rela) != 0 || size / sizeof(Elf64_Rela) > CHECK_RELA_MAX ||
        !cella_is_ok(
            cella_elf_at(facts->segments, facts->segment_count, address, size, &file_offset))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: relocation table 0x%llx + 0x%llx is not whole in a segment",
                               table, (unsigned long long)address, (unsigned long long)size);
    }
    CELLA_TRY(cella_bytes_slice(elf->file, file_offset, size, &bytes));
    for (uint64_t i = 0; i < size / sizeof(Elf64_Rela); i++) {
        Elf64_Rela rela;
        memcpy(&rela, bytes.data + i * sizeof(rela), sizeof(rela));
        CELLA_TRY(check_relocation(facts, table, i, &rela, error));
    }
    *ret_address = address;
    *ret_count = (uint32_t)(size / sizeof(Elf64_Rela));
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result check_undefined(const struct cella_elf *elf, uint32_t type,
                                                   struct cella_error *error)
{
    struct cella_elf_symbols symbols;

    cella_result result = cella_elf_symbols(elf, type, &symbols);
    if (result.code == CELLA_CODE_NOT_FOUND) {
        return CELLA_OK;
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "symbol table: malformed section header or size");
    }
    for (uint32_t i = 1; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name;
        result = cella_elf_symbol(&symbols, i, &symbol, &name);
        if (!cella_is_ok(result)) {
            return cella_error_set(error, result, "symbol %u: its name is not in the string table",
                                   i);
        }
        /* The linker leaves this name behind when it has relaxed the last thread-local access that
         * used it. */
        const bool relaxed = strcmp(name, "__tls_get_addr") == 0;
        if (symbol.st_shndx == SHN_UNDEF && ELF64_ST_BIND(symbol.st_info) != STB_WEAK &&
            name[0] != 0 && !relaxed) {
            return cella_error_set(
                error, CELLA_RESULT(UNSUPPORTED),
                "symbol %u: %s is undefined; an enclave has no one to ask for it", i, name);
        }
    }
    return CELLA_OK;
}

/* The address of a symbol in .symtab or else .dynsym; NOT_FOUND. */
static CELLA_MUST_USE cella_result symbol_address(const struct cella_elf *elf, const char *name,
                                                  uint64_t *ret_address)
{
    static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (size_t i = 0; i < CELLA_COUNT(types); i++) {
        struct cella_elf_symbols symbols;
        Elf64_Sym symbol;
        if (cella_is_ok(cella_elf_symbols(elf, types[i], &symbols)) &&
            cella_is_ok(cella_elf_symbol_find(&symbols, name, &symbol))) {
            *ret_address = symbol.st_value;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

static bool is_code(const struct cella_image_facts *facts, uint64_t address)
{
    const struct cella_image_segment *segment = segment_of(facts, address);
    return segment && (segment->flags & SGX_SECINFO_X);
}

static CELLA_MUST_USE cella_result find_entries(const struct cella_elf *elf,
                                                struct cella_image_facts *facts,
                                                struct cella_error *error)
{
    if (!cella_is_ok(symbol_address(elf, CELLA_IMAGE_ENTRY_SYMBOL, &facts->entry))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "symbol " CELLA_IMAGE_ENTRY_SYMBOL " not found: link with "
                               "libcella_enclave.a and strip only after signing");
    }
    if (!is_code(facts, facts->entry)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "symbol " CELLA_IMAGE_ENTRY_SYMBOL
                               " at 0x%llx is in no executable segment",
                               (unsigned long long)facts->entry);
    }
    facts->libc_entry = elf->header.e_entry == facts->entry ? 0 : elf->header.e_entry;
    if (facts->libc_entry && !is_code(facts, facts->libc_entry)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "ELF entry 0x%llx is in no executable segment",
                               (unsigned long long)facts->libc_entry);
    }
    facts->syscall_entry = 0;
    if (cella_is_ok(symbol_address(elf, CELLA_IMAGE_SYSCALL_SYMBOL, &facts->syscall_entry)) &&
        !is_code(facts, facts->syscall_entry)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "symbol " CELLA_IMAGE_SYSCALL_SYMBOL
                               " at 0x%llx is in no executable segment",
                               (unsigned long long)facts->syscall_entry);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result find_info(const struct cella_elf *elf,
                                             struct cella_image_facts *facts,
                                             struct cella_error *error)
{
    static const struct cella_image_info empty = CELLA_IMAGE_INFO_INIT;
    Elf64_Shdr section;
    struct cella_bytes bytes;

    if (!cella_is_ok(cella_elf_section_find(elf, CELLA_IMAGE_INFO_SECTION, &section))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "section " CELLA_IMAGE_INFO_SECTION
                               " not found: link with libcella_enclave.a");
    }
    const struct cella_image_segment *segment = segment_of(facts, section.sh_addr);
    if (section.sh_size != sizeof(empty) || !segment || (segment->flags & SGX_SECINFO_W) ||
        !cella_is_ok(cella_elf_at(facts->segments, facts->segment_count, section.sh_addr,
                                  section.sh_size, &facts->info_file_offset)) ||
        !cella_is_ok(
            cella_bytes_slice(elf->file, facts->info_file_offset, section.sh_size, &bytes))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "section " CELLA_IMAGE_INFO_SECTION
                               ": %llu bytes at 0x%llx; expected %zu in a read-only segment",
                               (unsigned long long)section.sh_size,
                               (unsigned long long)section.sh_addr, sizeof(empty));
    }
    if (memcmp(bytes.data, &empty, sizeof(empty)) != 0) {
        return cella_error_set(
            error, CELLA_RESULT(WRONG_STATE),
            "section " CELLA_IMAGE_INFO_SECTION
            " is filled already or of another version: sign the linker's output");
    }
    facts->info_address = section.sh_addr;
    return CELLA_OK;
}

cella_result cella_image_check(const struct cella_elf *elf, uint64_t start,
                               struct cella_image_facts *ret_facts, struct cella_error *error)
{
    struct cella_image_facts *facts = ret_facts;
    Elf64_Shdr section;

    memset(facts, 0, sizeof(*facts));
    if (!cella_is_ok(cella_elf_section_find(elf, CELLA_IMAGE_INFO_SECTION, &section)) &&
        (cella_is_ok(cella_elf_section_find(elf, ".oeinfo", &section)) ||
         cella_is_ok(cella_elf_section_find(elf, ".note.sgxmeta", &section)))) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "the file is an enclave of another SDK; expected one linked with "
                               "libcella_enclave.a");
    }
    CELLA_TRY(check_headers(elf, error));
    CELLA_TRY(cella_elf_segments(elf, true, facts->segments, &facts->segment_count, error));
    CELLA_TRY(cella_elf_starts_at(facts->segments, start, error));
    const struct cella_image_segment *last = &facts->segments[facts->segment_count - 1];
    facts->image_end = cella_page_up(last->offset + last->size);
    CELLA_TRY(check_dynamic(elf, error));
    CELLA_TRY(check_relocations(elf, facts, "DT_RELA", DT_RELA, DT_RELASZ, &facts->rela_offset,
                                &facts->rela_count, error));
    CELLA_TRY(check_relocations(elf, facts, "DT_JMPREL", DT_JMPREL, DT_PLTRELSZ, &facts->plt_offset,
                                &facts->plt_count, error));
    CELLA_TRY(check_undefined(elf, SHT_DYNSYM, error));
    CELLA_TRY(check_undefined(elf, SHT_SYMTAB, error));
    CELLA_TRY(find_info(elf, facts, error));
    return find_entries(elf, facts, error);
}
