/*
 * Relocations that name a symbol, settled before signing.
 * Side: tools (hosted). Called by image/build.c, after image/check.c has seen both tables. Never looks outside the file.
 */
#include "image/relocate.h"

#include <string.h>

#include "common/cleanup.h"

/* Writes `value` where the image has file bytes for `address`, and makes the relocation NONE. */
static CELLA_MUST_USE cella_result word_settle(const struct cella_image_facts *facts,
                                               struct cella_buffer *output, Elf64_Rela *rela,
                                               uint64_t value, struct cella_error *error)
{
    uint64_t at = 0;
    bool in_file = cella_is_ok(cella_elf_at(facts->segments, facts->segment_count, rela->r_offset,
                                            sizeof(value), &at)) &&
                   at <= output->size - sizeof(value);
    if (!in_file && value != 0) { /* memory without file bytes is zero already */
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "relocation of 0x%llx, which has no bytes in the file",
                               (unsigned long long)rela->r_offset);
    }
    if (in_file) {
        memcpy(output->data + at, &value, sizeof(value));
    }
    rela->r_info = ELF64_R_INFO(0, R_X86_64_NONE);
    rela->r_addend = 0;
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result settle_ordinary(const struct cella_image_facts *facts,
                                                   const Elf64_Sym *symbol, const char *name,
                                                   struct cella_buffer *output, Elf64_Rela *rela,
                                                   struct cella_error *error)
{
    if (ELF64_ST_TYPE(symbol->st_info) == STT_TLS ||
        ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC) {
        return cella_error_set(
            error, CELLA_RESULT(UNSUPPORTED),
            "relocation of 0x%llx against %s, which is no ordinary symbol; hide it, or link with "
            "-Bsymbolic",
            (unsigned long long)rela->r_offset, name);
    }
    if (symbol->st_shndx == SHN_UNDEF) {
        return word_settle(facts, output, rela, 0, error);
    }
    const int64_t addend = ELF64_R_TYPE(rela->r_info) == R_X86_64_64 ? rela->r_addend : 0;
    rela->r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE);
    rela->r_addend = (int64_t)symbol->st_value + addend;
    return CELLA_OK;
}

/*
 * Thread-local storage of a program without libraries: module 1, the block right below the thread pointer (System V ABI
 * for x86-64, variant II). A static libc's start code cannot do these: it has no thread yet.
 */
static CELLA_MUST_USE cella_result settle_thread_local(const struct cella_elf *elf,
                                                       const struct cella_image_facts *facts,
                                                       const Elf64_Sym *symbol, const char *name,
                                                       struct cella_buffer *output,
                                                       Elf64_Rela *rela, struct cella_error *error)
{
    Elf64_Phdr tls;
    const uint32_t type = ELF64_R_TYPE(rela->r_info);
    if (type == R_X86_64_DTPMOD64) {
        return word_settle(facts, output, rela, 1, error);
    }
    if ((ELF64_R_SYM(rela->r_info) != 0 && symbol->st_shndx == SHN_UNDEF) ||
        !cella_is_ok(cella_elf_phdr_find(elf, PT_TLS, &tls))) {
        return cella_error_set(
            error, CELLA_RESULT(UNSUPPORTED),
            "relocation of 0x%llx against %s: the image has no such thread-local "
            "variable",
            (unsigned long long)rela->r_offset, name);
    }
    uint64_t value = symbol->st_value + (uint64_t)rela->r_addend;
    if (type == R_X86_64_TPOFF64) {
        const uint64_t align = tls.p_align > 1 ? tls.p_align : 1;
        value -= (tls.p_memsz + align - 1) / align * align;
    }
    return word_settle(facts, output, rela, value, error);
}

static CELLA_MUST_USE cella_result settle_one(const struct cella_elf *elf,
                                              const struct cella_image_facts *facts,
                                              const struct cella_elf_symbols *symbols,
                                              struct cella_buffer *output, Elf64_Rela *rela,
                                              struct cella_error *error)
{
    const uint64_t index = ELF64_R_SYM(rela->r_info);
    Elf64_Sym symbol = {.st_value = 0};
    const char *name = "";

    if (index != 0 && (index >= symbols->count ||
                       !cella_is_ok(cella_elf_symbol(symbols, (uint32_t)index, &symbol, &name)))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "relocation of 0x%llx: symbol %llu is not in the dynamic symbols",
                               (unsigned long long)rela->r_offset, (unsigned long long)index);
    }
    if (cella_relocate_is_thread_local(ELF64_R_TYPE(rela->r_info))) {
        return settle_thread_local(elf, facts, &symbol, name, output, rela, error);
    }
    return settle_ordinary(facts, &symbol, name, output, rela, error);
}

static CELLA_MUST_USE cella_result settle_table(const struct cella_elf *elf,
                                                const struct cella_image_facts *facts,
                                                uint64_t address, uint32_t count,
                                                struct cella_buffer *output,
                                                struct cella_error *error)
{
    struct cella_elf_symbols symbols = {.count = 0};
    uint64_t at = 0;

    if (count == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_elf_at(facts->segments, facts->segment_count, address,
                           count * (uint64_t)sizeof(Elf64_Rela), &at));
    for (uint32_t i = 0; i < count; i++, at += sizeof(Elf64_Rela)) {
        Elf64_Rela rela;
        memcpy(&rela, output->data + at, sizeof(rela));
        if (!cella_relocate_is_symbolic(ELF64_R_TYPE(rela.r_info)) &&
            !cella_relocate_is_thread_local(ELF64_R_TYPE(rela.r_info))) {
            continue;
        }
        if (ELF64_R_SYM(rela.r_info) != 0 && symbols.count == 0 &&
            !cella_is_ok(cella_elf_symbols(elf, SHT_DYNSYM, &symbols))) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   "relocation of 0x%llx names a symbol, and there are no dynamic "
                                   "symbols",
                                   (unsigned long long)rela.r_offset);
        }
        CELLA_TRY(settle_one(elf, facts, &symbols, output, &rela, error));
        memcpy(output->data + at, &rela, sizeof(rela));
    }
    return CELLA_OK;
}

cella_result cella_relocate_settle(const struct cella_elf *elf,
                                   const struct cella_image_facts *facts,
                                   struct cella_buffer *output, struct cella_error *error)
{
    CELLA_TRY(settle_table(elf, facts, facts->rela_offset, facts->rela_count, output, error));
    return settle_table(elf, facts, facts->plt_offset, facts->plt_count, output, error);
}
