/*
 * The kernel of a program image: a static PIE, which the image holds as it is and places at CELLA_PROGRAM_KERNEL.
 * Side: tools (hosted). Called by image/program.c. Never changes a byte that the kernel's own start code reads.
 *
 * A static libc relocates itself by the distance from its link address, so what is loaded keeps the linker's addresses.
 * The rest of image/ reads addresses as they will be: it gets a copy in which they are moved.
 */
#include <string.h>

#include "image/program_inside.h"
#include "image/relocate.h"

static bool is_address(int64_t tag)
{
    switch (tag) {
    case DT_PLTGOT:
    case DT_HASH:
    case DT_STRTAB:
    case DT_SYMTAB:
    case DT_RELA:
    case DT_INIT:
    case DT_FINI:
    case DT_JMPREL:
    case DT_INIT_ARRAY:
    case DT_FINI_ARRAY:
    case DT_GNU_HASH:
    case DT_VERSYM:
        return true;
    default:
        return false;
    }
}

/* Calls `move` on each whole record of `size` bytes in [offset, offset + length) of the copy. */
static void records_move(struct cella_buffer *copy, uint64_t offset, uint64_t length, size_t size,
                         void (*move)(void *record, uint64_t by), uint64_t by)
{
    if (offset > copy->size || length > copy->size - offset) {
        return; /* the parser will say so */
    }
    for (uint64_t at = 0; at + size <= length; at += size) {
        uint8_t record[sizeof(Elf64_Shdr)];
        memcpy(record, copy->data + offset + at, size);
        move(record, by);
        memcpy(copy->data + offset + at, record, size);
    }
}

static void phdr_move(void *record, uint64_t by)
{
    Elf64_Phdr *phdr = record;
    if (phdr->p_memsz > 0) {
        phdr->p_vaddr += by;
        phdr->p_paddr += by;
    }
}

static void section_move(void *record, uint64_t by)
{
    Elf64_Shdr *section = record;
    if (section->sh_flags & SHF_ALLOC) {
        section->sh_addr += by;
    }
}

static void symbol_move(void *record, uint64_t by)
{
    Elf64_Sym *symbol = record;
    if (symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS &&
        ELF64_ST_TYPE(symbol->st_info) != STT_TLS) {
        symbol->st_value += by;
    }
}

static void relocation_move(void *record, uint64_t by)
{
    Elf64_Rela *rela = record;
    const uint32_t type = ELF64_R_TYPE(rela->r_info);
    rela->r_offset += by;
    if (type == R_X86_64_RELATIVE || type == R_X86_64_IRELATIVE) {
        rela->r_addend += (int64_t)by;
    }
}

static void dynamic_move(void *record, uint64_t by)
{
    Elf64_Dyn *entry = record;
    if (is_address(entry->d_tag)) {
        entry->d_un.d_ptr += by;
    }
}

/* Every address of the copy, moved. `elf` describes the file before. */
static void copy_move(const struct cella_elf *elf, struct cella_buffer *copy, uint64_t by)
{
    Elf64_Ehdr header = elf->header;
    for (unsigned i = 0; i < elf->section_count; i++) {
        Elf64_Shdr section;
        if (!cella_is_ok(cella_elf_section(elf, i, &section))) {
            continue;
        }
        if (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM) {
            records_move(copy, section.sh_offset, section.sh_size, sizeof(Elf64_Sym), symbol_move,
                         by);
        } else if (section.sh_type == SHT_RELA && (section.sh_flags & SHF_ALLOC)) {
            records_move(copy, section.sh_offset, section.sh_size, sizeof(Elf64_Rela),
                         relocation_move, by);
        } else if (section.sh_type == SHT_DYNAMIC) {
            records_move(copy, section.sh_offset, section.sh_size, sizeof(Elf64_Dyn), dynamic_move,
                         by);
        }
    }
    records_move(copy, header.e_shoff, (uint64_t)elf->section_count * sizeof(Elf64_Shdr),
                 sizeof(Elf64_Shdr), section_move, by);
    records_move(copy, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr),
                 sizeof(Elf64_Phdr), phdr_move, by);
    header.e_entry += by;
    memcpy(copy->data, &header, sizeof(header));
}

void cella_program_kernel_done(struct cella_program_kernel *kernel)
{
    cella_buffer_done(&kernel->loaded);
    cella_buffer_done(&kernel->moved);
}

static CELLA_MUST_USE cella_result kernel_parse(struct cella_bytes file,
                                                struct cella_program_kernel *kernel,
                                                struct cella_error *error)
{
    struct cella_elf elf;
    struct cella_image_facts facts;
    Elf64_Phdr first;

    /* Linkers call a static PIE with addresses of its own ET_EXEC. */
    CELLA_TRY(cella_elf_parse_program(file, &elf, error));
    CELLA_TRY(cella_elf_phdr_find(&elf, PT_LOAD, &first));
    CELLA_TRY(cella_image_check(&elf, first.p_vaddr, &facts, error));
    CELLA_ENSURE(first.p_vaddr <= CELLA_PROGRAM_KERNEL && first.p_offset == 0, BAD_FIELD);
    kernel->bias = CELLA_PROGRAM_KERNEL - first.p_vaddr;
    kernel->headers = CELLA_PROGRAM_KERNEL + elf.header.e_phoff;
    kernel->header_count = elf.header.e_phnum;
    CELLA_TRY(cella_buffer_append(&kernel->loaded, file.data, file.size));
    CELLA_TRY(cella_relocate_settle(&elf, &facts, &kernel->loaded, error));
    CELLA_TRY(cella_buffer_append(&kernel->moved, kernel->loaded.data, kernel->loaded.size));
    copy_move(&elf, &kernel->moved, kernel->bias);
    CELLA_TRY(cella_elf_parse_program(cella_buffer_bytes(&kernel->moved), &kernel->elf, error));
    return cella_image_check(&kernel->elf, CELLA_PROGRAM_KERNEL, &kernel->facts, error);
}

cella_result cella_program_kernel_parse(struct cella_bytes file,
                                        struct cella_program_kernel *ret_kernel,
                                        struct cella_error *error)
{
    struct cella_error inner = {0};
    cella_result result = kernel_parse(file, ret_kernel, &inner);

    return cella_is_ok(result)
               ? result
               : cella_error_set(error, result, "program kernel: %s",
                                 inner.text[0] ? inner.text : cella_result_text(result));
}
