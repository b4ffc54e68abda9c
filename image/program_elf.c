/*
 * A program's file as Linux would map it: pieces of pages, a place, its sites replaced.
 * Side: tools (hosted). Called by image/program.c. Never writes to the caller's bytes.
 *
 * The rule for pages is that of the kernel's ELF loader: a PT_LOAD maps whole pages of the file, bytes of its
 * neighbours with them; behind its file bytes the last page is zeros where the segment goes on in memory; where two
 * segments share a page, the later one has it, with its rights.
 */
#include "image/program_inside.h"

#include <string.h>

#include "common/cleanup.h"

void cella_program_elf_done(struct cella_program_elf *program)
{
    cella_buffer_done(&program->file);
    cella_buffer_done(&program->code);
    free(program->replaced);
    program->replaced = NULL;
}

static CELLA_MUST_USE cella_result load_check(const struct cella_program_elf *program,
                                              unsigned index, const Elf64_Phdr *phdr,
                                              struct cella_error *error)
{
    const char *name = program->name;

    if (phdr->p_filesz > phdr->p_memsz || phdr->p_offset > program->elf.file.size ||
        phdr->p_filesz > program->elf.file.size - phdr->p_offset) {
        return cella_error_set(error, CELLA_RESULT(TRUNCATED),
                               "%s: program header %u: file bytes 0x%llx + 0x%llx of a segment of "
                               "0x%llx bytes, in a file of %zu",
                               name, index, (unsigned long long)phdr->p_offset,
                               (unsigned long long)phdr->p_filesz,
                               (unsigned long long)phdr->p_memsz, program->elf.file.size);
    }
    if (phdr->p_vaddr >= CELLA_PROGRAM_KERNEL ||
        phdr->p_memsz > CELLA_PROGRAM_KERNEL - phdr->p_vaddr) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: program header %u: segment at 0x%llx, 0x%llx bytes; programs "
                               "are loaded below 2^36",
                               name, index, (unsigned long long)phdr->p_vaddr,
                               (unsigned long long)phdr->p_memsz);
    }
    if ((phdr->p_offset - phdr->p_vaddr) % SGX_PAGE_SIZE != 0 ||
        (phdr->p_align & (phdr->p_align - 1)) != 0 || phdr->p_align > CELLA_PROGRAM_BASE) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: program header %u: offset 0x%llx and address 0x%llx differ "
                               "modulo 4096, or the alignment 0x%llx is not one",
                               name, index, (unsigned long long)phdr->p_offset,
                               (unsigned long long)phdr->p_vaddr,
                               (unsigned long long)phdr->p_align);
    }
    if ((phdr->p_flags & PF_W) && (phdr->p_flags & PF_X)) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: program header %u: the segment at 0x%llx is writable and "
                               "executable; link without -N and with -z noexecstack",
                               name, index, (unsigned long long)phdr->p_vaddr);
    }
    return CELLA_OK;
}

/* The pages that a later segment has taken are not this piece's. */
static void piece_trim(struct cella_program_piece *piece, uint64_t end)
{
    if (piece->address + piece->size > end) {
        piece->size = end > piece->address ? end - piece->address : 0;
        piece->keep = piece->keep < piece->size ? piece->keep : piece->size;
        piece->zeros = 0;
    } else if (piece->address + piece->size + piece->zeros > end) {
        piece->zeros = end - (piece->address + piece->size);
    }
}

static CELLA_MUST_USE cella_result load_add(struct cella_program_elf *program, unsigned index,
                                            const Elf64_Phdr *phdr, struct cella_error *error)
{
    uint64_t address = cella_page_down(phdr->p_vaddr);
    uint64_t file_end = phdr->p_filesz ? cella_page_up(phdr->p_vaddr + phdr->p_filesz) : address;
    uint64_t end = cella_page_up(phdr->p_vaddr + phdr->p_memsz);
    uint64_t offset = cella_page_down(phdr->p_offset);
    uint64_t keep = file_end - address;

    CELLA_TRY(load_check(program, index, phdr, error));
    if (program->count && phdr->p_vaddr < program->segments[program->count - 1].offset) {
        return cella_error_set(error, CELLA_RESULT(OVERLAP),
                               "%s: program header %u: the segment at 0x%llx is out of order",
                               program->name, index, (unsigned long long)phdr->p_vaddr);
    }
    if (program->count == CELLA_IMAGE_SEGMENT_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: program header %u: more than %u PT_LOAD segments",
                               program->name, index, CELLA_IMAGE_SEGMENT_MAX);
    }
    if (phdr->p_memsz > phdr->p_filesz && phdr->p_filesz) {
        keep = phdr->p_vaddr + phdr->p_filesz - address;
    }
    if (keep > program->elf.file.size - offset) {
        keep = program->elf.file.size - offset; /* the file ends in its last page */
    }
    for (uint32_t i = 0; i < program->count; i++) {
        piece_trim(&program->pieces[i], address);
    }
    program->segments[program->count] = (struct cella_image_segment){
        .offset = phdr->p_vaddr,
        .size = phdr->p_memsz,
        .file_offset = phdr->p_offset,
        .file_size = phdr->p_filesz,
        .flags = (phdr->p_flags & PF_X ? SGX_SECINFO_X : 0) |
                 (phdr->p_flags & PF_W ? SGX_SECINFO_W : 0) | SGX_SECINFO_R,
    };
    program->pieces[program->count++] = (struct cella_program_piece){
        .address = address,
        .size = file_end - address,
        .zeros = end - file_end,
        .offset = offset,
        .keep = keep,
        .rights = phdr->p_flags | PF_R, /* the processor knows no pages that cannot be read */
    };
    program->align = phdr->p_align > program->align ? phdr->p_align : program->align;
    program->high = end > program->high ? end : program->high;
    return CELLA_OK;
}

cella_result cella_program_elf_parse(struct cella_bytes file, const char *name,
                                     struct cella_program_elf *program, struct cella_error *error)
{
    struct cella_error inner = {0};
    cella_result result = cella_elf_parse_program(file, &program->elf, &inner);

    program->name = name;
    program->align = SGX_PAGE_SIZE;
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: %s", name, inner.text);
    }
    for (unsigned i = 0; i < program->elf.header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(&program->elf, i, &phdr));
        if (phdr.p_type == PT_LOAD && phdr.p_memsz) {
            CELLA_TRY(load_add(program, i, &phdr, error));
        }
    }
    if (program->count == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s: no PT_LOAD segment", name);
    }
    program->low = program->pieces[0].address;
    return cella_buffer_append(&program->file, file.data, file.size);
}

/* ------------------------------------------------------------------- sites */

struct collector {
    struct cella_program_elf *program;
    struct cella_program_report *report;
    bool out_of_memory;
};

static void collect(void *context, const struct cella_rewrite_site *site)
{
    struct collector *collector = context;
    struct cella_program_elf *program = collector->program;

    if (collector->report->site) {
        collector->report->site(collector->report->site_context, site);
    }
    if (site->left_because) {
        return;
    }
    if (program->replaced_count == program->replaced_capacity) {
        uint32_t capacity = program->replaced_capacity ? program->replaced_capacity * 2 : 256;
        void *replaced = realloc(program->replaced, capacity * sizeof(*program->replaced));
        if (!replaced) {
            collector->out_of_memory = true;
            return;
        }
        program->replaced = replaced;
        program->replaced_capacity = capacity;
    }
    program->replaced[program->replaced_count++] = (struct cella_program_replaced){
        .address = site->address,
        .entry = site->entry,
        .window = site->window,
        .window_size = site->window_size,
    };
}

cella_result cella_program_elf_rewrite(struct cella_program_elf *program,
                                       struct cella_program_report *report,
                                       struct cella_error *error)
{
    struct collector collector = {.program = program, .report = report};
    struct cella_rewrite state = {
        .elf = &program->elf,
        .segments = program->segments,
        .segment_count = program->count,
        .trampolines = program->high,
        .is_program = true,
        .site = collect,
        .site_context = &collector,
    };

    report->file = program->name;
    CELLA_TRY(cella_rewrite_sites(&state, &program->file, &program->code, error));
    CELLA_ENSURE(!collector.out_of_memory, OUT_OF_MEMORY);
    report->site_count += state.site_count;
    report->rewritten_count += state.rewritten_count;
    return CELLA_OK;
}

/* ------------------------------------------------------------------- its place */

uint64_t cella_program_elf_end(const struct cella_program_elf *program)
{
    return program->high + program->bias + cella_page_up(program->code.size);
}

cella_result cella_program_elf_place(struct cella_program_elf *program, uint64_t wanted,
                                     struct cella_error *error)
{
    uint64_t size = program->high - program->low + cella_page_up(program->code.size);
    uint64_t start = program->low;

    if (program->elf.header.e_type == ET_DYN) {
        /* Addresses keep their places modulo the alignment. */
        program->bias = (wanted - program->low) & ~(program->align - 1);
        start = program->low + program->bias;
    }
    if (start < CELLA_PROGRAM_LOW || start >= CELLA_PROGRAM_KERNEL ||
        size > CELLA_PROGRAM_KERNEL - start) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: 0x%llx bytes at 0x%llx; programs are loaded in [0x%x, 2^36)",
                               program->name, (unsigned long long)size, (unsigned long long)start,
                               CELLA_PROGRAM_LOW);
    }
    return CELLA_OK;
}

uint64_t cella_program_elf_headers(const struct cella_program_elf *program)
{
    const Elf64_Ehdr *header = &program->elf.header;
    uint64_t size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);

    for (uint32_t i = 0; i < program->count; i++) {
        const struct cella_image_segment *segment = &program->segments[i];
        uint64_t into = header->e_phoff - segment->file_offset;
        if (header->e_phoff >= segment->file_offset && into <= segment->file_size &&
            size <= segment->file_size - into) {
            return segment->offset + into + program->bias;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------- relocation */

/* Adds the load base to a word, or makes it `value` + base when `is_rela`. */
static CELLA_MUST_USE cella_result word_relocate(struct cella_program_elf *program,
                                                 uint64_t address, bool is_rela, uint64_t value,
                                                 struct cella_error *error)
{
    uint64_t offset;

    if (!cella_is_ok(
            cella_elf_at(program->segments, program->count, address, sizeof(value), &offset))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: relocation of 0x%llx, which has no bytes in the file",
                               program->name, (unsigned long long)address);
    }
    value = (is_rela ? value : cella_le_get(program->elf.file.data + offset, 8)) + program->bias;
    memcpy(program->file.data + offset, &value, sizeof(value));
    return CELLA_OK;
}

/* A table of the dynamic section; size 0 when there is none. */
static CELLA_MUST_USE cella_result table_find(const struct cella_program_elf *program,
                                              int64_t address_tag, int64_t size_tag,
                                              struct cella_bytes *ret_table,
                                              struct cella_error *error)
{
    uint64_t address;
    uint64_t size;
    uint64_t offset;

    *ret_table = (struct cella_bytes){0};
    if (!cella_is_ok(cella_elf_dynamic(&program->elf, address_tag, &address)) ||
        !cella_is_ok(cella_elf_dynamic(&program->elf, size_tag, &size)) || size == 0) {
        return CELLA_OK;
    }
    if (!cella_is_ok(cella_elf_at(program->segments, program->count, address, size, &offset)) ||
        !cella_is_ok(cella_bytes_slice(program->elf.file, offset, size, ret_table))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: relocation table 0x%llx + 0x%llx is not whole in a segment",
                               program->name, (unsigned long long)address,
                               (unsigned long long)size);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result rela_apply(struct cella_program_elf *program,
                                              struct cella_bytes table, struct cella_error *error)
{
    for (uint64_t i = 0; i < table.size / sizeof(Elf64_Rela); i++) {
        Elf64_Rela rela;
        memcpy(&rela, table.data + i * sizeof(rela), sizeof(rela));
        uint32_t type = ELF64_R_TYPE(rela.r_info);
        if (type == R_X86_64_NONE) {
            continue;
        }
        if (type != R_X86_64_RELATIVE) {
            return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                                   "%s: relocation %llu at 0x%llx has type %u, which only its "
                                   "interpreter can apply",
                                   program->name, (unsigned long long)i,
                                   (unsigned long long)rela.r_offset, type);
        }
        CELLA_TRY(word_relocate(program, rela.r_offset, true, (uint64_t)rela.r_addend, error));
    }
    return CELLA_OK;
}

/* DT_RELR: an even word is an address, an odd one a bitmap of the 63 words behind the last. */
static CELLA_MUST_USE cella_result relr_apply(struct cella_program_elf *program,
                                              struct cella_bytes table, struct cella_error *error)
{
    uint64_t next = 0;

    for (uint64_t i = 0; i + 8 <= table.size; i += 8) {
        uint64_t entry = cella_le_get(table.data + i, 8);
        if (!(entry & 1)) {
            CELLA_TRY(word_relocate(program, entry, false, 0, error));
            next = entry + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; bit++) {
            if (entry >> bit & 1) {
                CELLA_TRY(word_relocate(program, next + (bit - 1) * 8, false, 0, error));
            }
        }
        next += 63 * 8;
    }
    return CELLA_OK;
}

cella_result cella_program_elf_relocate(struct cella_program_elf *program,
                                        struct cella_error *error)
{
    struct cella_bytes table;
    uint64_t value;

    if (cella_is_ok(cella_elf_dynamic(&program->elf, DT_NEEDED, &value))) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: it needs shared libraries and so its interpreter, which was "
                               "not given",
                               program->name);
    }
    CELLA_TRY(table_find(program, DT_JMPREL, DT_PLTRELSZ, &table, error));
    CELLA_TRY(rela_apply(program, table, error));
    CELLA_TRY(table_find(program, DT_RELA, DT_RELASZ, &table, error));
    CELLA_TRY(rela_apply(program, table, error));
    CELLA_TRY(table_find(program, 36 /* DT_RELR */, 35 /* DT_RELRSZ */, &table, error));
    return relr_apply(program, table, error);
}
