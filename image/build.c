/*
 * From the linker's static PIE to an unsigned Cella image: checks, rewriting, layout, note.
 * Side: tools (hosted). Called by cli/. Never signs and never opens a file.
 */
#include "image/build.h"

#include <string.h>

#include "common/cleanup.h"
#include "image/build_inside.h"
#include "image/pages.h"
#include "image/relocate.h"
#include "image/sections.h"

#define CODE_ALIGNMENT 16u

/* The trampolines stand behind the moved program headers, which get one entry more. */
static uint64_t code_start(const struct cella_elf *elf)
{
    uint64_t headers_size = (elf->header.e_phnum + 1ull) * sizeof(Elf64_Phdr);
    return (headers_size + CODE_ALIGNMENT - 1) & ~(uint64_t)(CODE_ALIGNMENT - 1);
}

/* The old headers, with the new segment's behind the last PT_LOAD. */
static CELLA_MUST_USE cella_result append_headers(const struct cella_elf *elf,
                                                  struct cella_buffer *output,
                                                  const Elf64_Phdr *added)
{
    uint64_t headers_size = (elf->header.e_phnum + 1ull) * sizeof(Elf64_Phdr);
    unsigned last_load = 0;

    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        last_load = phdr.p_type == PT_LOAD ? i : last_load;
    }
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type == PT_PHDR) {
            phdr.p_offset = added->p_offset;
            phdr.p_vaddr = phdr.p_paddr = added->p_vaddr;
            phdr.p_filesz = phdr.p_memsz = headers_size;
        }
        CELLA_TRY(cella_buffer_append(output, &phdr, sizeof(phdr)));
        if (i == last_load) {
            CELLA_TRY(cella_buffer_append(output, added, sizeof(*added)));
        }
    }
    return CELLA_OK;
}

/*
 * One more segment behind the image, R and X: a copy of the program header table, which had no room
 * to grow where it was, and the trampolines. AT_PHDR then points there, and so does e_phoff, so
 * that code which starts from __ehdr_start agrees.
 */
static CELLA_MUST_USE cella_result append_segment(
    const struct cella_elf *elf, const struct cella_image_facts *facts, struct cella_buffer *output,
    const struct cella_buffer *code, struct cella_addition *addition, struct cella_error *error)
{
    unsigned count = elf->header.e_phnum + 1u;

    if (count > CELLA_IMAGE_PHDR_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%u program headers: no room for one more below %u",
                               elf->header.e_phnum, CELLA_IMAGE_PHDR_MAX);
    }
    CELLA_TRY(cella_buffer_align(output, SGX_PAGE_SIZE));
    Elf64_Phdr added = {
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_offset = output->size,
        .p_vaddr = facts->image_end,
        .p_paddr = facts->image_end,
        .p_filesz = code_start(elf) + code->size,
        .p_memsz = code_start(elf) + code->size,
        .p_align = SGX_PAGE_SIZE,
    };
    addition->phdr_address = facts->image_end;
    addition->code_address = facts->image_end + code_start(elf);
    addition->code_offset = output->size + code_start(elf);
    addition->code_size = code->size;
    CELLA_TRY(append_headers(elf, output, &added));
    CELLA_TRY(cella_buffer_grow(output, addition->code_offset));
    CELLA_TRY(cella_buffer_append(output, code->data, code->size));

    Elf64_Ehdr header = elf->header;
    header.e_phoff = added.p_offset;
    header.e_phnum = (uint16_t)count;
    memcpy(output->data, &header, sizeof(header));
    return CELLA_OK;
}

cella_result cella_build_note(struct cella_buffer *output, const struct cella_image_config *config,
                              uint64_t info_address)
{
    struct cella_image_note note = {
        .name_size = 6,
        .desc_size = sizeof(note) - offsetof(struct cella_image_note, version),
        .type = CELLA_IMAGE_NOTE_TYPE,
        .name = "Cella",
        .version = CELLA_IMAGE_VERSION,
        .magic = CELLA_IMAGE_MAGIC,
        .info_offset = info_address,
    };
    memcpy(note.image_name, config->name, sizeof(note.image_name));
    CELLA_TRY(cella_buffer_align(output, 8));
    return cella_buffer_append(output, &note, sizeof(note));
}

void cella_build_info(struct cella_image_info *info, const struct cella_image_config *config)
{
    info->heap_size = config->heap_size;
    info->heap_initial =
        config->heap_initial == CELLA_CONFIG_HEAP_ALL ? config->heap_size : config->heap_initial;
    info->stack_size = config->stack_size;
    info->thread_count = config->threads + config->enclave_threads;
    info->enclave_thread_count = config->enclave_threads;
    info->nssa = config->nssa;
    info->ssa_frame_pages = 1;
    info->td_pages = CELLA_IMAGE_TD_PAGES;
    info->product_id = config->product_id;
    info->svn = config->svn;
}

void cella_build_segments(struct cella_image_info *info, const struct cella_elf *elf)
{
    Elf64_Phdr phdr;

    if (cella_is_ok(cella_elf_phdr_find(elf, PT_TLS, &phdr))) {
        info->tls_offset = phdr.p_vaddr;
        info->tls_file_size = phdr.p_filesz;
        info->tls_size = phdr.p_memsz;
        info->tls_align = phdr.p_align;
    }
    if (cella_is_ok(cella_elf_phdr_find(elf, PT_GNU_RELRO, &phdr))) {
        info->relro_offset = phdr.p_vaddr;
        info->relro_size = phdr.p_memsz;
    }
}

static CELLA_MUST_USE cella_result info_from_elf(struct cella_image_info *info,
                                                 const struct cella_elf *elf,
                                                 const struct cella_image_facts *facts,
                                                 const struct cella_addition *addition,
                                                 struct cella_error *error)
{
    info->entry = facts->entry;
    info->libc_entry = facts->libc_entry;
    info->rela_offset = facts->rela_offset;
    info->rela_count = facts->rela_count;
    info->phdr_count = elf->header.e_phnum;
    if (addition->code_size) {
        info->image_size = cella_page_up(addition->code_address + addition->code_size);
        info->phdr_offset = addition->phdr_address;
        info->phdr_count += 1;
        info->flags |= CELLA_IMAGE_REWRITTEN;
    } else {
        const struct cella_image_segment *first = &facts->segments[0];
        uint64_t end = elf->header.e_phoff + (uint64_t)info->phdr_count * sizeof(Elf64_Phdr);
        info->image_size = facts->image_end;
        if (elf->header.e_phoff < first->file_offset ||
            end > first->file_offset + first->file_size) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "the program headers at file offset 0x%llx are not in the first "
                                   "segment",
                                   (unsigned long long)elf->header.e_phoff);
        }
        info->phdr_offset = elf->header.e_phoff - first->file_offset + first->offset;
    }
    cella_build_segments(info, elf);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result rewrite(const struct cella_elf *elf,
                                           const struct cella_image_facts *facts,
                                           struct cella_image_build *build,
                                           struct cella_buffer *output, struct cella_buffer *code,
                                           struct cella_addition *addition,
                                           struct cella_error *error)
{
    struct cella_rewrite state = {
        .elf = elf,
        .segments = facts->segments,
        .segment_count = facts->segment_count,
        .trampolines = facts->image_end + code_start(elf),
        .target = facts->syscall_entry,
        .site = build->site,
        .site_context = build->site_context,
        .frames = &addition->frames,
    };
    CELLA_TRY(cella_rewrite_sites(&state, output, code, error));
    build->site_count = state.site_count;
    build->rewritten_count = state.rewritten_count;
    if (state.rewritten_count == 0) {
        return CELLA_OK;
    }
    return append_segment(elf, facts, output, code, addition, error);
}

uint64_t cella_build_loaded_end(const struct cella_elf *elf, const struct cella_image_facts *facts)
{
    uint64_t end = elf->header.e_phoff + elf->header.e_phnum * sizeof(Elf64_Phdr);

    for (uint32_t i = 0; i < facts->segment_count; i++) {
        uint64_t segment_end = facts->segments[i].file_offset + facts->segments[i].file_size;
        end = segment_end > end ? segment_end : end;
    }
    return end;
}

cella_result cella_image_build(struct cella_bytes input, const struct cella_image_config *config,
                               struct cella_image_build *build, struct cella_buffer *output,
                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer code = {0};
    struct cella_image_info info = CELLA_IMAGE_INFO_INIT;
    struct cella_image_facts facts;
    CELLA_CLEANUP(cella_addition_done) struct cella_addition addition = {0};
    struct cella_elf elf;

    CELLA_TRY(cella_elf_parse(input, &elf, error));
    CELLA_TRY(cella_image_check(&elf, 0, &facts, error));
    uint64_t loaded_end = cella_build_loaded_end(&elf, &facts);
    CELLA_TRY(cella_buffer_append(output, input.data, loaded_end));
    CELLA_TRY(cella_relocate_settle(&elf, &facts, output, error));
    if (facts.syscall_entry && !build->keep_syscalls) {
        CELLA_TRY(rewrite(&elf, &facts, build, output, &code, &addition, error));
    }
    cella_build_info(&info, config);
    CELLA_TRY(info_from_elf(&info, &elf, &facts, &addition, error));
    CELLA_TRY(cella_layout_compute(&info, error));
    memcpy(output->data + facts.info_file_offset, &info, sizeof(info));
    CELLA_TRY(cella_sections_append(&elf, loaded_end, &addition, output, error));
    return cella_build_note(output, config, facts.info_address);
}

cella_result cella_image_put_sigstruct(struct cella_buffer *image,
                                       const struct sgx_sigstruct *sigstruct)
{
    CELLA_ENSURE(image->size >= sizeof(struct cella_image_note), INVALID_ARGUMENT);
    size_t note = image->size - sizeof(struct cella_image_note);
    memcpy(image->data + note + offsetof(struct cella_image_note, sigstruct), sigstruct,
           sizeof(*sigstruct));
    return CELLA_OK;
}
