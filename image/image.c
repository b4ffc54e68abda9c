/*
 * Cella's own image format: parse, check, walk, SECS.
 * Side: host and tools (hosted). Called by host/ (loader) and cli/. Never allocates, never executes
 * anything.
 */
#include "image/image.h"

#include <string.h>

#include "abi/program.h"
#include "image/elf64.h"
#include "image/pages.h"

/* The note in the file's last bytes, with its constant fields checked. */
static CELLA_MUST_USE cella_result note_parse(struct cella_bytes file,
                                              struct cella_image_note *ret_note,
                                              struct cella_error *error)
{
    struct cella_image_note note;
    struct cella_bytes bytes;

    if (file.size < sizeof(note) ||
        !cella_is_ok(cella_bytes_slice(file, file.size - sizeof(note), sizeof(note), &bytes))) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC),
                               "no Cella note: the file has only %zu bytes", file.size);
    }
    memcpy(&note, bytes.data, sizeof(note));
    if (note.name_size != 6 || memcmp(note.name, "Cella\0\0", sizeof(note.name)) != 0 ||
        note.magic != CELLA_IMAGE_MAGIC) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC),
                               "no Cella note in the last %zu bytes: not signed with `cella sign`",
                               sizeof(note));
    }
    if (note.version != CELLA_IMAGE_VERSION) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED_VERSION),
                               "Cella note: version %u; expected %u", note.version,
                               CELLA_IMAGE_VERSION);
    }
    if (note.type != CELLA_IMAGE_NOTE_TYPE ||
        note.desc_size != sizeof(note) - offsetof(struct cella_image_note, version)) {
        return cella_error_set(
            error, CELLA_RESULT(BAD_FIELD), "Cella note: type %u, size %u; expected 1, %zu",
            note.type, note.desc_size, sizeof(note) - offsetof(struct cella_image_note, version));
    }
    for (size_t i = 0; i < sizeof(note.reserved); i++) {
        if (note.reserved[i] != 0) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "Cella note: reserved byte %zu is not zero", i);
        }
    }
    if (memchr(note.image_name, 0, sizeof(note.image_name)) == NULL) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "Cella note: the image name does not end");
    }
    *ret_note = note;
    return CELLA_OK;
}

/* [offset, offset + size) inside the image's pages. */
static CELLA_MUST_USE cella_result range_check(const char *name, uint64_t offset, uint64_t size,
                                               uint64_t image_size, struct cella_error *error)
{
    if (offset > image_size || size > image_size - offset) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: %s 0x%llx + 0x%llx is outside the image's "
                               "0x%llx bytes",
                               name, (unsigned long long)offset, (unsigned long long)size,
                               (unsigned long long)image_size);
    }
    return CELLA_OK;
}

/* The layout must be the one that the parameters give: nothing in the object is taken on trust. */
static CELLA_MUST_USE cella_result info_check(const struct cella_image_info *info,
                                              uint64_t image_size, struct cella_error *error)
{
    struct cella_image_info expected = *info;

    if (info->magic != CELLA_IMAGE_MAGIC || info->version != CELLA_IMAGE_VERSION ||
        info->size != sizeof(*info)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: magic 0x%llx, version %u, size %u; expected "
                               "0x%llx, %u, %zu",
                               (unsigned long long)info->magic, info->version, info->size,
                               (unsigned long long)CELLA_IMAGE_MAGIC, CELLA_IMAGE_VERSION,
                               sizeof(*info));
    }
    expected.image_size = image_size;
    CELLA_TRY(cella_layout_compute(&expected, error));
    expected.reserved_1 = 0;
    memset(expected.reserved, 0, sizeof(expected.reserved));
    if (memcmp(&expected, info, sizeof(expected)) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: the layout is not the one that its sizes give, "
                               "or a reserved byte is not zero");
    }
    if (info->product_id > UINT16_MAX || info->svn > UINT16_MAX ||
        (info->flags & ~(CELLA_IMAGE_REWRITTEN | CELLA_IMAGE_BASE_ZERO)) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: product %u, svn %u, flags 0x%x out of range",
                               info->product_id, info->svn, info->flags);
    }
    CELLA_TRY(range_check("entry", info->entry, 1, image_size, error));
    CELLA_TRY(range_check("libc entry", info->libc_entry, 1, image_size, error));
    CELLA_TRY(range_check("program headers", info->phdr_offset,
                          (uint64_t)info->phdr_count * sizeof(Elf64_Phdr), image_size, error));
    CELLA_TRY(range_check("relocations", info->rela_offset,
                          (uint64_t)info->rela_count * sizeof(Elf64_Rela), image_size, error));
    CELLA_TRY(
        range_check("TLS template", info->tls_offset, info->tls_file_size, image_size, error));
    return range_check("RELRO", info->relro_offset, info->relro_size, image_size, error);
}

/* An image that runs no program starts at 0 and knows nothing of one; for one that does, linux/ checks the rest. */
static CELLA_MUST_USE cella_result program_check(const struct cella_image *image,
                                                 uint64_t image_size, struct cella_error *error)
{
    const struct cella_image_info *info = &image->info;
    uint64_t at;

    if (!(info->flags & CELLA_IMAGE_BASE_ZERO)) {
        CELLA_TRY(cella_elf_starts_at(image->segments, 0, error));
        if (info->kernel_offset || info->program_offset || info->program_size ||
            info->space_offset || info->space_size || info->kernel_bias || info->thread_added) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "information object: it tells of a program, but not that the "
                                   "enclave is at address 0");
        }
        return CELLA_OK;
    }
    if (info->thread_added > info->thread_count ||
        (info->thread_added &&
         info->thread_added < info->thread_count - info->enclave_thread_count)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: %u of %u threads are added, %u of which are "
                               "the enclave's own",
                               info->thread_added, info->thread_count, info->enclave_thread_count);
    }
    if (image->segments[0].offset < CELLA_PROGRAM_LOW ||
        info->kernel_offset != CELLA_PROGRAM_KERNEL || info->space_offset != CELLA_PROGRAM_LOW ||
        info->space_size != CELLA_PROGRAM_KERNEL - CELLA_PROGRAM_LOW) {
        return cella_error_set(
            error, CELLA_RESULT(BAD_FIELD),
            "information object: first segment at 0x%llx, kernel at 0x%llx, "
            "space 0x%llx + 0x%llx; a program image has its program in "
            "[0x%x, 0x%llx) and its kernel behind it",
            (unsigned long long)image->segments[0].offset, (unsigned long long)info->kernel_offset,
            (unsigned long long)info->space_offset, (unsigned long long)info->space_size,
            CELLA_PROGRAM_LOW, (unsigned long long)CELLA_PROGRAM_KERNEL);
    }
    CELLA_TRY(range_check("program", info->program_offset, info->program_size, image_size, error));
    if (info->program_offset < CELLA_PROGRAM_KERNEL ||
        info->program_size < sizeof(struct cella_program) ||
        !cella_is_ok(cella_elf_at(image->segments, image->segment_count, info->program_offset,
                                  info->program_size, &at))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "information object: the program's description 0x%llx + 0x%llx is "
                               "not whole in a segment above the kernel",
                               (unsigned long long)info->program_offset,
                               (unsigned long long)info->program_size);
    }
    return CELLA_OK;
}

/* ADD_PAGES wants R; a page both writable and executable has no place in an enclave that was
 * signed. */
static CELLA_MUST_USE cella_result permissions_check(const struct cella_image *image,
                                                     struct cella_error *error)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        uint64_t flags = image->segments[i].flags;
        if (!(flags & SGX_SECINFO_R) || ((flags & SGX_SECINFO_W) && (flags & SGX_SECINFO_X))) {
            return cella_error_set(
                error, CELLA_RESULT(BAD_FIELD),
                "segment at 0x%llx: permissions %s%s%s; expected R, RW or RX",
                (unsigned long long)image->segments[i].offset, flags & SGX_SECINFO_R ? "R" : "-",
                flags & SGX_SECINFO_W ? "W" : "-", flags & SGX_SECINFO_X ? "X" : "-");
        }
    }
    return CELLA_OK;
}

static bool all_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

cella_result cella_image_parse(struct cella_bytes file, struct cella_image *ret_image,
                               struct cella_error *error)
{
    struct cella_image_note note;
    struct cella_elf elf;
    uint64_t info_at;
    struct cella_bytes bytes;

    if (file.size > CELLA_IMAGE_FILE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "the file has %zu bytes; at most 2^32 are read", file.size);
    }
    CELLA_TRY(cella_elf_parse(file, &elf, error));
    CELLA_TRY(note_parse(file, &note, error));
    memset(ret_image, 0, sizeof(*ret_image));
    CELLA_TRY(
        cella_elf_segments(&elf, true, ret_image->segments, &ret_image->segment_count, error));
    const struct cella_image_segment *last = &ret_image->segments[ret_image->segment_count - 1];
    uint64_t image_size = cella_page_up(last->offset + last->size);

    cella_result result = cella_elf_at(ret_image->segments, ret_image->segment_count,
                                       note.info_offset, sizeof(struct cella_image_info), &info_at);
    if (!cella_is_ok(result) ||
        !cella_is_ok(cella_bytes_slice(file, info_at, sizeof(struct cella_image_info), &bytes))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "Cella note: information object at 0x%llx is in no segment",
                               (unsigned long long)note.info_offset);
    }
    ret_image->file = file;
    ret_image->info_offset = note.info_offset;
    memcpy(&ret_image->info, bytes.data, sizeof(ret_image->info));
    ret_image->sigstruct = note.sigstruct;
    ret_image->is_signed = !all_zero(note.sigstruct.signature, SGX_RSA_SIZE);
    memcpy(ret_image->name, note.image_name, sizeof(ret_image->name));
    CELLA_TRY(permissions_check(ret_image, error));
    CELLA_TRY(info_check(&ret_image->info, image_size, error));
    return program_check(ret_image, image_size, error);
}

/* The stages of the iterator, in adding order. The slot stages repeat for each thread. */
enum walk_stage {
    WALK_SEGMENTS,
    WALK_HEAP,
    WALK_STACK,
    WALK_TCS,
    WALK_SSA,
    WALK_TD,
    WALK_END,
};

void cella_image_iterator_init(struct cella_image_iterator *iterator,
                               const struct cella_image *image)
{
    iterator->image = image;
    iterator->stage = WALK_SEGMENTS;
    iterator->index = 0;
    iterator->position = cella_page_down(image->segments[0].offset);
}

static void next_segment_run(struct cella_image_iterator *iterator, struct cella_image_run *run)
{
    const struct cella_image *image = iterator->image;
    const struct cella_image_segment *segment = &image->segments[iterator->index];

    run->kind = CELLA_IMAGE_RUN_SEGMENT;
    run->index = iterator->index;
    cella_segment_run(image->file, segment, NULL, iterator->position, iterator->page, run);
    iterator->position += run->page_count * SGX_PAGE_SIZE;
    if (iterator->position < segment->offset + segment->size) {
        return;
    }
    iterator->index++;
    if (iterator->index < image->segment_count) {
        iterator->position = cella_page_down(image->segments[iterator->index].offset);
        return;
    }
    iterator->index = 0;
    iterator->stage = image->info.heap_initial ? WALK_HEAP : WALK_STACK;
}

static void next_slot_run(struct cella_image_iterator *iterator, struct cella_image_run *run)
{
    const struct cella_image_info *info = &iterator->image->info;
    uint64_t slot = info->threads_offset + iterator->index * info->thread_stride;

    run->index = iterator->index;
    run->data = NULL;
    run->measured = true;
    run->secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    switch (iterator->stage) {
    case WALK_STACK:
        run->kind = CELLA_IMAGE_RUN_STACK;
        run->offset = slot + info->slot_stack;
        run->page_count = info->stack_size / SGX_PAGE_SIZE;
        break;
    case WALK_TCS:
        run->kind = CELLA_IMAGE_RUN_TCS;
        run->offset = slot + info->slot_tcs;
        run->page_count = 1;
        run->secinfo_flags = SGX_SECINFO_TCS;
        run->data = iterator->page;
        cella_layout_tcs(info, iterator->index, (struct sgx_tcs *)iterator->page);
        break;
    case WALK_SSA:
        run->kind = CELLA_IMAGE_RUN_SSA;
        run->offset = slot + info->slot_ssa;
        run->page_count = (uint64_t)info->nssa * info->ssa_frame_pages;
        break;
    default:
        run->kind = CELLA_IMAGE_RUN_TD;
        run->offset = slot + info->slot_td;
        run->page_count = info->td_pages;
        break;
    }
    if (iterator->stage != WALK_TD) {
        iterator->stage++;
        return;
    }
    iterator->index++;
    iterator->stage =
        iterator->index < (info->thread_added ? info->thread_added : info->thread_count)
            ? WALK_STACK
            : WALK_END;
}

bool cella_image_next(struct cella_image_iterator *iterator, struct cella_image_run *ret_run)
{
    const struct cella_image_info *info = &iterator->image->info;

    switch (iterator->stage) {
    case WALK_SEGMENTS:
        next_segment_run(iterator, ret_run);
        return true;
    case WALK_HEAP:
        *ret_run = (struct cella_image_run){
            .kind = CELLA_IMAGE_RUN_HEAP,
            .offset = info->heap_offset,
            .page_count = info->heap_initial / SGX_PAGE_SIZE,
            .secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W,
        };
        iterator->stage = WALK_STACK;
        return true;
    case WALK_END:
        return false;
    default:
        next_slot_run(iterator, ret_run);
        return true;
    }
}

cella_result cella_image_secs(const struct cella_image *image,
                              const struct cella_image_processor *processor,
                              struct sgx_secs *ret_secs, struct cella_error *error)
{
    const struct sgx_sigstruct *signed_ = &image->sigstruct;
    struct sgx_attributes attributes = signed_->attributes;
    /* What the mask leaves free follows the processor. */
    uint64_t xfrm_free = ~signed_->attribute_mask.xfrm & processor->xfrm;
    uint32_t misc_free = ~signed_->misc_mask & processor->misc_select & SGX_MISC_EXINFO;

    if ((attributes.xfrm & ~processor->xfrm) != 0) {
        return cella_error_set(error, CELLA_RESULT(ATTRIBUTE_REFUSED),
                               "the image demands XFRM 0x%llx, the processor offers 0x%llx",
                               (unsigned long long)attributes.xfrm,
                               (unsigned long long)processor->xfrm);
    }
    if ((signed_->misc_select & ~processor->misc_select) != 0) {
        return cella_error_set(error, CELLA_RESULT(ATTRIBUTE_REFUSED),
                               "the image demands MISCSELECT 0x%x, the processor offers 0x%x",
                               signed_->misc_select, processor->misc_select);
    }
    attributes.flags &= ~SGX_FLAGS_DEBUG;
    if (processor->debug) {
        attributes.flags |= SGX_FLAGS_DEBUG;
    }
    if (((attributes.flags ^ signed_->attributes.flags) & signed_->attribute_mask.flags &
         SGX_FLAGS_DEBUG) != 0) {
        return cella_error_set(error, CELLA_RESULT(DEBUG_MISMATCH),
                               "the image is signed for %s and cannot run as a %s enclave",
                               processor->debug ? "production" : "debug only",
                               processor->debug ? "debug" : "production");
    }
    attributes.xfrm |= xfrm_free & (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512);
    memset(ret_secs, 0, sizeof(*ret_secs));
    ret_secs->size = image->info.enclave_size;
    ret_secs->ssa_frame_size = image->info.ssa_frame_pages;
    ret_secs->misc_select = signed_->misc_select | misc_free;
    ret_secs->attributes = attributes;
    return CELLA_OK;
}
