/*
 * Relocations that name a symbol, settled before signing.
 * Side: tools (hosted). Called by image/build.c, after image/check.c has seen both tables. Never looks outside the file.
 */
#include "image/relocate.h"

#include <string.h>

#include "common/cleanup.h"

/* Writes `value` where the image has file bytes for `address`; memory without file bytes is zero already. */
static void word_clear(const struct cella_image_facts *facts, struct cella_buffer *output,
                       uint64_t address)
{
    uint64_t at;
    if (cella_is_ok(
            cella_elf_at(facts->segments, facts->segment_count, address, sizeof(uint64_t), &at)) &&
        at <= output->size - sizeof(uint64_t)) {
        memset(output->data + at, 0, sizeof(uint64_t));
    }
}

static CELLA_MUST_USE cella_result settle_one(const struct cella_image_facts *facts,
                                              const struct cella_elf_symbols *symbols,
                                              struct cella_buffer *output, Elf64_Rela *rela,
                                              struct cella_error *error)
{
    const uint32_t type = ELF64_R_TYPE(rela->r_info);
    const uint64_t index = ELF64_R_SYM(rela->r_info);
    Elf64_Sym symbol;
    const char *name = "";

    if (index >= symbols->count ||
        !cella_is_ok(cella_elf_symbol(symbols, (uint32_t)index, &symbol, &name))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "relocation of 0x%llx: symbol %llu is not in the dynamic symbols",
                               (unsigned long long)rela->r_offset, (unsigned long long)index);
    }
    if (ELF64_ST_TYPE(symbol.st_info) == STT_TLS ||
        ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC) {
        return cella_error_set(
            error, CELLA_RESULT(UNSUPPORTED),
            "relocation of 0x%llx against %s, which is no ordinary symbol; hide it, or link with "
            "-Bsymbolic",
            (unsigned long long)rela->r_offset, name);
    }
    if (symbol.st_shndx == SHN_UNDEF) {
        word_clear(facts, output, rela->r_offset);
        rela->r_info = ELF64_R_INFO(0, R_X86_64_NONE);
        rela->r_addend = 0;
        return CELLA_OK;
    }
    rela->r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE);
    rela->r_addend = (int64_t)symbol.st_value + (type == R_X86_64_64 ? rela->r_addend : 0);
    return CELLA_OK;
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
        if (!cella_relocate_is_symbolic(ELF64_R_TYPE(rela.r_info))) {
            continue;
        }
        if (symbols.count == 0 && !cella_is_ok(cella_elf_symbols(elf, SHT_DYNSYM, &symbols))) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   "relocation of 0x%llx names a symbol, and there are no dynamic "
                                   "symbols",
                                   (unsigned long long)rela.r_offset);
        }
        CELLA_TRY(settle_one(facts, &symbols, output, &rela, error));
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
