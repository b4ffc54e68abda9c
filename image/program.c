/*
 * Whole programs as enclave images: the kernel's file, the program, its interpreter and what it may see, in one image.
 * Side: tools (hosted). Called by cli/. Never opens a file: the caller brings bytes.
 *
 * The image's file is the kernel's, with segments behind it: the program's and the interpreter's pages, trampolines, and
 * one with the description and the program headers of all of it.
 */
#include "image/program.h"

#include <string.h>

#include "common/cleanup.h"
#include "image/build_inside.h"
#include "image/pages.h"
#include "image/program_inside.h"
#include "image/sections.h"

#define THREADS_ADDED 7u /* of the program's, beside the first: what Go's runtime begins with */

struct maker {
    const struct cella_program_config *config;
    struct cella_program_report *report;
    struct cella_program_elf program;
    struct cella_program_elf interpreter;
    bool has_interpreter;
    struct cella_program_kernel kernel;
    Elf64_Phdr loads[CELLA_IMAGE_SEGMENT_MAX];
    unsigned load_count;
    struct cella_buffer description;
    struct cella_addition addition; /* none: for the section writer */
};

static void maker_done(struct maker *maker)
{
    cella_program_elf_done(&maker->program);
    cella_program_elf_done(&maker->interpreter);
    cella_program_kernel_done(&maker->kernel);
    cella_buffer_done(&maker->description);
    cella_addition_done(&maker->addition);
}

/* One more PT_LOAD of whole pages, whose bytes begin at the output's end. */
static CELLA_MUST_USE cella_result load_add(struct maker *maker, uint64_t address, uint64_t size,
                                            uint32_t rights, uint64_t offset,
                                            struct cella_error *error)
{
    if (maker->load_count + maker->kernel.facts.segment_count == CELLA_IMAGE_SEGMENT_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "program, interpreter and kernel have more than %u segments",
                               CELLA_IMAGE_SEGMENT_MAX);
    }
    maker->loads[maker->load_count++] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = rights,
        .p_offset = offset,
        .p_vaddr = address,
        .p_paddr = address,
        .p_filesz = size,
        .p_memsz = size,
        .p_align = SGX_PAGE_SIZE,
    };
    return CELLA_OK;
}

/* The pages of a program that have file bytes, and its trampolines. */
static CELLA_MUST_USE cella_result append_program(struct maker *maker,
                                                  const struct cella_program_elf *program,
                                                  struct cella_buffer *output,
                                                  struct cella_error *error)
{
    for (uint32_t i = 0; i < program->count; i++) {
        const struct cella_program_piece *piece = &program->pieces[i];
        if (piece->size == 0) {
            continue;
        }
        CELLA_TRY(cella_buffer_align(output, SGX_PAGE_SIZE));
        CELLA_TRY(load_add(maker, piece->address + program->bias, piece->size, piece->rights,
                           output->size, error));
        CELLA_TRY(cella_buffer_append(output, program->file.data + piece->offset, piece->keep));
        CELLA_TRY(cella_buffer_align(output, SGX_PAGE_SIZE));
    }
    if (program->code.size == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_buffer_align(output, SGX_PAGE_SIZE));
    CELLA_TRY(load_add(maker, program->high + program->bias, cella_page_up(program->code.size),
                       PF_R | PF_X, output->size, error));
    CELLA_TRY(cella_buffer_append(output, program->code.data, program->code.size));
    return cella_buffer_align(output, SGX_PAGE_SIZE);
}

/* PT_LOADs ascend: the program's, the kernel's, the description's. Then the kernel's other headers. */
static CELLA_MUST_USE cella_result headers_append(struct maker *maker, struct cella_buffer *output,
                                                  uint16_t *ret_count)
{
    uint64_t start = output->size;
    Elf64_Phdr phdr;

    for (unsigned i = 0; i + 1 < maker->load_count; i++) {
        CELLA_TRY(cella_buffer_append(output, &maker->loads[i], sizeof(phdr)));
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < maker->kernel.elf.header.e_phnum; i++) {
            CELLA_TRY(cella_elf_phdr(&maker->kernel.elf, i, &phdr));
            if ((phdr.p_type == PT_LOAD) == (pass == 0) && phdr.p_type != PT_PHDR) {
                CELLA_TRY(cella_buffer_append(output, &phdr, sizeof(phdr)));
            }
        }
        if (pass == 0) {
            CELLA_TRY(
                cella_buffer_append(output, &maker->loads[maker->load_count - 1], sizeof(phdr)));
        }
    }
    *ret_count = (uint16_t)((output->size - start) / sizeof(phdr));
    Elf64_Ehdr header = maker->kernel.elf.header;
    header.e_type = ET_DYN;
    header.e_phoff = start;
    header.e_phnum = *ret_count;
    memcpy(output->data, &header, sizeof(header));
    return CELLA_OK;
}

/* The last segment: the description, then the program headers of the image. */
static CELLA_MUST_USE cella_result append_description(struct maker *maker,
                                                      struct cella_image_info *info,
                                                      struct cella_buffer *output,
                                                      struct cella_error *error)
{
    uint64_t at = maker->kernel.facts.image_end;
    uint64_t headers = (maker->description.size + 7) & ~7ull;
    unsigned count = maker->load_count + 1 + maker->kernel.elf.header.e_phnum;
    uint64_t size = headers + count * sizeof(Elf64_Phdr);
    uint16_t written;

    if (count > CELLA_IMAGE_PHDR_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "the image has %u program headers; at most %u", count,
                               CELLA_IMAGE_PHDR_MAX);
    }
    CELLA_TRY(cella_buffer_align(output, SGX_PAGE_SIZE));
    CELLA_TRY(load_add(maker, at, cella_page_up(size), PF_R, output->size, error));
    info->program_offset = at;
    info->program_size = maker->description.size;
    info->image_size = at + cella_page_up(size);
    CELLA_TRY(cella_buffer_append(output, maker->description.data, maker->description.size));
    CELLA_TRY(cella_buffer_align(output, 8));
    CELLA_TRY(headers_append(maker, output, &written));
    return cella_buffer_align(output, SGX_PAGE_SIZE);
}

static CELLA_MUST_USE cella_result stack_check(const struct cella_program_elf *program,
                                               const struct cella_program_config *config,
                                               struct cella_error *error)
{
    Elf64_Phdr phdr;

    if (cella_is_ok(cella_elf_phdr_find(&program->elf, PT_GNU_STACK, &phdr)) &&
        (phdr.p_flags & PF_X) && !config->executable_memory) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: it asks for an executable stack; link it with -z noexecstack, "
                               "or allow executable memory (the stack will not be executable "
                               "even then)",
                               program->name);
    }
    return CELLA_OK;
}

/* The program and its interpreter, in their places and rewritten. */
static CELLA_MUST_USE cella_result programs_make(struct maker *maker, struct cella_bytes program,
                                                 struct cella_bytes interpreter,
                                                 struct cella_error *error)
{
    Elf64_Phdr phdr;
    bool asks;

    CELLA_TRY(cella_program_elf_parse(program, "program", &maker->program, error));
    CELLA_TRY(stack_check(&maker->program, maker->config, error));
    asks = cella_is_ok(cella_elf_phdr_find(&maker->program.elf, PT_INTERP, &phdr));
    maker->has_interpreter = asks && interpreter.size > 0;
    CELLA_TRY(cella_program_elf_rewrite(&maker->program, maker->report, error));
    CELLA_TRY(cella_program_elf_place(&maker->program, CELLA_PROGRAM_BASE, error));
    if (!maker->has_interpreter) {
        return asks ? cella_program_elf_relocate(&maker->program, error) : CELLA_OK;
    }
    CELLA_TRY(cella_program_elf_parse(interpreter, "interpreter", &maker->interpreter, error));
    CELLA_TRY(cella_program_elf_rewrite(&maker->interpreter, maker->report, error));
    uint64_t at = cella_program_elf_end(&maker->program) + CELLA_PROGRAM_INTERPRETER_GAP +
                  maker->interpreter.align - 1;
    CELLA_TRY(cella_program_elf_place(&maker->interpreter, at, error));
    if (maker->interpreter.low + maker->interpreter.bias < cella_program_elf_end(&maker->program)) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "interpreter: it is not position-independent and lies where the "
                               "program is");
    }
    return CELLA_OK;
}

static void info_fill(const struct maker *maker, struct cella_image_info *info)
{
    cella_build_info(info, &maker->config->image);
    cella_build_segments(info, &maker->kernel.elf);
    info->entry = maker->kernel.facts.entry;
    info->libc_entry = maker->kernel.facts.libc_entry;
    info->rela_offset = maker->kernel.facts.rela_offset;
    info->rela_count = maker->kernel.facts.rela_count;
    info->flags = CELLA_IMAGE_BASE_ZERO;
    info->kernel_offset = CELLA_PROGRAM_KERNEL;
    info->kernel_bias = maker->kernel.bias;
    info->phdr_offset = maker->kernel.headers;
    info->phdr_count = maker->kernel.header_count;
    if (info->enclave_thread_count > THREADS_ADDED) {
        info->thread_added = info->thread_count - info->enclave_thread_count + THREADS_ADDED;
    }
    info->space_offset = CELLA_PROGRAM_LOW;
    info->space_size = CELLA_PROGRAM_KERNEL - CELLA_PROGRAM_LOW;
}

static CELLA_MUST_USE cella_result make(struct maker *maker, struct cella_buffer *output,
                                        struct cella_error *error)
{
    struct cella_image_info info = CELLA_IMAGE_INFO_INIT;
    const struct cella_program_parts parts = {
        .config = maker->config,
        .program = &maker->program,
        .interpreter = maker->has_interpreter ? &maker->interpreter : NULL,
    };
    uint64_t loaded_end = cella_build_loaded_end(&maker->kernel.elf, &maker->kernel.facts);

    CELLA_TRY(cella_program_describe(&parts, maker->report, &maker->description, error));
    CELLA_TRY(cella_buffer_append(output, maker->kernel.loaded.data, loaded_end));
    CELLA_TRY(append_program(maker, &maker->program, output, error));
    if (maker->has_interpreter) {
        CELLA_TRY(append_program(maker, &maker->interpreter, output, error));
    }
    info_fill(maker, &info);
    CELLA_TRY(append_description(maker, &info, output, error));
    CELLA_TRY(cella_layout_compute(&info, error));
    memcpy(output->data + maker->kernel.facts.info_file_offset, &info, sizeof(info));
    CELLA_TRY(
        cella_sections_append(&maker->kernel.elf, loaded_end, &maker->addition, output, error));
    return cella_build_note(output, &maker->config->image, maker->kernel.facts.info_address);
}

cella_result cella_program_build(struct cella_bytes kernel, struct cella_bytes program,
                                 struct cella_bytes interpreter,
                                 const struct cella_program_config *config,
                                 struct cella_program_report *report, struct cella_buffer *output,
                                 struct cella_error *error)
{
    CELLA_CLEANUP(maker_done) struct maker maker = {.config = config, .report = report};

    report->site_count = 0;
    report->rewritten_count = 0;
    CELLA_TRY(cella_program_kernel_parse(kernel, &maker.kernel, error));
    CELLA_TRY(programs_make(&maker, program, interpreter, error));
    return make(&maker, output, error);
}
