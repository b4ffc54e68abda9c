/*
 * Intel SGX SDK images: the metadata of section .note.sgxmeta, and the page order of its loader.
 * Side: tools (hosted). Called by cli/. Reads and measures only.
 */
#include <string.h>

#include "common/cleanup.h"
#include "image/foreign.h"
#include "image/measure.h"

#define INTEL_MAGIC 0x86A80294635D0E4Cull
#define INTEL_NOTE_HEADER_SIZE 12u
#define INTEL_NOTE_NAME "sgx_metadata"
#define INTEL_METADATA_MIN 1888u /* up to the two directories that every version has */
#define INTEL_DIRECTORY_AT 1872u
#define INTEL_ENTRY_SIZE 32u
#define INTEL_LAYOUT_MAX 1024u
#define INTEL_PATCH_MAX 64u
#define INTEL_LOAD_MAX 65536u
#define INTEL_PAGE_MAX (1ull << 28)

#define INTEL_VERSION_1_3 0x100000003ull
#define INTEL_ELRANGE_MAJOR 11u /* major versions from here on have an ELRANGE directory */

#define INTEL_GROUP_FLAG 0x1000u
#define INTEL_ATTRIBUTE_EADD 1u
#define INTEL_ATTRIBUTE_EEXTEND 2u
#define INTEL_TCS_TEMPLATE_MAX 4096u

enum intel_directory {
    INTEL_PATCH,
    INTEL_LAYOUT,
    INTEL_ELRANGE,
    INTEL_EXTEND,
};

/* One row of the layout table: an entry, or a group that repeats the entries before it. */
struct layout_row {
    uint16_t id;
    uint16_t attributes; /* group: number of entries */
    uint32_t page_count; /* group: number of repetitions */
    uint64_t rva;        /* group: step */
    uint32_t content_size;
    uint32_t content_offset;
    uint64_t secinfo_flags;
};

struct patch_row {
    uint64_t file_offset;
    uint32_t source;
    uint32_t size;
};

static CELLA_MUST_USE cella_result row_get(const struct cella_intel_image *image, uint64_t index,
                                           struct layout_row *ret_row)
{
    struct cella_bytes bytes;
    CELLA_TRY(cella_bytes_slice(image->layout, index * INTEL_ENTRY_SIZE, INTEL_ENTRY_SIZE, &bytes));
    struct cella_cursor cursor = cella_cursor_of(bytes);
    CELLA_TRY(cella_cursor_u16(&cursor, &ret_row->id));
    CELLA_TRY(cella_cursor_u16(&cursor, &ret_row->attributes));
    CELLA_TRY(cella_cursor_u32(&cursor, &ret_row->page_count));
    CELLA_TRY(cella_cursor_u64(&cursor, &ret_row->rva));
    CELLA_TRY(cella_cursor_u32(&cursor, &ret_row->content_size));
    CELLA_TRY(cella_cursor_u32(&cursor, &ret_row->content_offset));
    CELLA_TRY(cella_cursor_u64(&cursor, &ret_row->secinfo_flags));
    return cella_end(&cursor);
}

static CELLA_MUST_USE cella_result patch_get(const struct cella_intel_image *image, uint64_t index,
                                             struct patch_row *ret_row)
{
    struct cella_bytes bytes;
    CELLA_TRY(
        cella_bytes_slice(image->patches, index * INTEL_ENTRY_SIZE, INTEL_ENTRY_SIZE, &bytes));
    struct cella_cursor cursor = cella_cursor_of(bytes);
    CELLA_TRY(cella_cursor_u64(&cursor, &ret_row->file_offset));
    CELLA_TRY(cella_cursor_u32(&cursor, &ret_row->source));
    return cella_cursor_u32(&cursor, &ret_row->size);
}

/* Behind the note's header and its unpadded name. */
static CELLA_MUST_USE cella_result note_open(const struct cella_elf *elf, const Elf64_Shdr *section,
                                             struct cella_cursor *ret_cursor)
{
    struct cella_bytes note;
    struct cella_bytes name;
    struct cella_cursor cursor;
    uint32_t name_size;

    CELLA_TRY(cella_elf_section_bytes(elf, section, &note));
    cursor = cella_cursor_of(note);
    CELLA_TRY(cella_cursor_u32(&cursor, &name_size));
    CELLA_TRY(cella_cursor_skip(&cursor, INTEL_NOTE_HEADER_SIZE - sizeof(name_size)));
    CELLA_TRY(cella_cursor_take(&cursor, name_size, &name));
    CELLA_ENSURE(name.size == sizeof(INTEL_NOTE_NAME) &&
                     memcmp(name.data, INTEL_NOTE_NAME, sizeof(INTEL_NOTE_NAME)) == 0,
                 BAD_MAGIC);
    *ret_cursor = cursor;
    return CELLA_OK;
}

/* The metadata blocks stand back to back. */
static CELLA_MUST_USE cella_result block_find(const struct cella_elf *elf, uint32_t index,
                                              struct cella_bytes *ret_block,
                                              struct cella_error *error)
{
    Elf64_Shdr section;
    struct cella_cursor cursor;
    uint64_t magic;
    uint32_t size = 0;

    if (!cella_is_ok(cella_elf_section_find(elf, ".note.sgxmeta", &section))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "no section .note.sgxmeta");
    }
    cella_result result = note_open(elf, &section, &cursor);
    if (!cella_is_ok(result)) {
        return cella_error_set(
            error, result,
            ".note.sgxmeta at file offset 0x%llx: %s; expected a note named " INTEL_NOTE_NAME,
            (unsigned long long)section.sh_offset, cella_result_text(result));
    }
    for (uint32_t i = 0; i <= index; i++) {
        struct cella_cursor at = cursor;
        if (i >= CELLA_INTEL_METADATA_MAX || !cella_is_ok(cella_cursor_u64(&at, &magic)) ||
            magic != INTEL_MAGIC) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   ".note.sgxmeta: no metadata block %u: the image is not signed",
                                   index);
        }
        if (!cella_is_ok(cella_cursor_skip(&at, 8)) || !cella_is_ok(cella_cursor_u32(&at, &size)) ||
            size < INTEL_METADATA_MIN ||
            !cella_is_ok(cella_cursor_take(&cursor, size, ret_block))) {
            return cella_error_set(
                error, CELLA_RESULT(BAD_FIELD),
                ".note.sgxmeta: metadata block %u has size %u; expected at least "
                "%u and all of it in the section",
                i, size, INTEL_METADATA_MIN);
        }
    }
    return CELLA_OK;
}

/* The bytes of a directory; empty when it is not there. */
static CELLA_MUST_USE cella_result directory_get(struct cella_bytes metadata,
                                                 enum intel_directory directory,
                                                 struct cella_bytes *ret_bytes)
{
    struct cella_cursor cursor = cella_cursor_of(metadata);
    uint32_t offset;
    uint32_t size;

    CELLA_TRY(cella_cursor_skip(&cursor, INTEL_DIRECTORY_AT + 8u * directory));
    CELLA_TRY(cella_cursor_u32(&cursor, &offset));
    CELLA_TRY(cella_cursor_u32(&cursor, &size));
    return cella_bytes_slice(metadata, offset, size, ret_bytes);
}

static CELLA_MUST_USE cella_result elrange_read(struct cella_intel_image *image)
{
    struct cella_bytes bytes;
    struct cella_cursor cursor;
    uint64_t image_address;
    uint64_t start;

    image->secs_size = image->enclave_size;
    if (image->version >> 32 < INTEL_ELRANGE_MAJOR) {
        return CELLA_OK;
    }
    CELLA_TRY(directory_get(image->metadata, INTEL_ELRANGE, &bytes));
    cursor = cella_cursor_of(bytes);
    CELLA_TRY(cella_cursor_u64(&cursor, &image_address));
    CELLA_TRY(cella_cursor_u64(&cursor, &start));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->secs_size));
    CELLA_TRY(cella_end(&cursor));
    CELLA_ENSURE(start <= image_address && image->secs_size <= CELLA_IMAGE_SIZE_MAX &&
                     image_address - start < image->secs_size &&
                     image->enclave_size <= image->secs_size - (image_address - start) &&
                     (image_address - start) % SGX_PAGE_SIZE == 0,
                 BAD_FIELD);
    image->page_bias = image_address - start;
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result metadata_read(struct cella_intel_image *image)
{
    struct cella_cursor cursor = cella_cursor_of(image->metadata);

    CELLA_TRY(cella_cursor_skip(&cursor, 8));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->version));
    CELLA_TRY(cella_cursor_skip(&cursor, 4));
    CELLA_TRY(cella_cursor_u32(&cursor, &image->tcs_policy));
    CELLA_TRY(cella_cursor_u32(&cursor, &image->ssa_frame_size));
    CELLA_TRY(cella_cursor_skip(&cursor, 4));
    CELLA_TRY(cella_cursor_u32(&cursor, &image->misc_select));
    CELLA_TRY(cella_cursor_skip(&cursor, 4));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->enclave_size));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->attributes.flags));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->attributes.xfrm));
    CELLA_TRY(cella_cursor_copy(&cursor, &image->sigstruct, sizeof(image->sigstruct)));
    CELLA_ENSURE(image->enclave_size <= CELLA_IMAGE_SIZE_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(directory_get(image->metadata, INTEL_PATCH, &image->patches));
    CELLA_TRY(directory_get(image->metadata, INTEL_LAYOUT, &image->layout));
    CELLA_ENSURE(image->patches.size / INTEL_ENTRY_SIZE <= INTEL_PATCH_MAX &&
                     image->layout.size / INTEL_ENTRY_SIZE <= INTEL_LAYOUT_MAX,
                 LIMIT_EXCEEDED);
    CELLA_ENSURE(image->patches.size % INTEL_ENTRY_SIZE == 0 &&
                     image->layout.size % INTEL_ENTRY_SIZE == 0,
                 BAD_FIELD);
    return elrange_read(image);
}

/* A row's pages lie in the enclave, its content in the metadata. */
static CELLA_MUST_USE cella_result row_check(const struct cella_intel_image *image,
                                             const struct layout_row *row, uint64_t delta)
{
    struct cella_bytes content;
    uint64_t size = (uint64_t)row->page_count * SGX_PAGE_SIZE;

    CELLA_ENSURE(row->rva <= image->enclave_size && delta <= image->enclave_size - row->rva &&
                     size <= image->enclave_size - row->rva - delta &&
                     (row->rva + delta) % SGX_PAGE_SIZE == 0,
                 BAD_FIELD);
    if (row->content_offset) {
        CELLA_TRY(
            cella_bytes_slice(image->metadata, row->content_offset, row->content_size, &content));
        CELLA_ENSURE(content.size <= size, BAD_FIELD);
        if (row->secinfo_flags == SGX_SECINFO_TCS) {
            CELLA_ENSURE(content.size >= sizeof(uint64_t) * 8 &&
                             content.size <= INTEL_TCS_TEMPLATE_MAX,
                         BAD_FIELD);
        }
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result layout_check(const struct cella_intel_image *image)
{
    uint64_t count = image->layout.size / INTEL_ENTRY_SIZE;
    uint64_t pages = 0;

    for (uint64_t i = 0; i < count; i++) {
        struct layout_row row;
        CELLA_TRY(row_get(image, i, &row));
        if (!(row.id & INTEL_GROUP_FLAG)) {
            CELLA_TRY(row_check(image, &row, 0));
            pages += row.page_count;
            continue;
        }
        CELLA_ENSURE(row.attributes <= i && row.page_count <= INTEL_LOAD_MAX &&
                         row.rva <= image->enclave_size,
                     BAD_FIELD);
        for (uint64_t k = i - row.attributes; k < i; k++) {
            struct layout_row entry;
            CELLA_TRY(row_get(image, k, &entry));
            CELLA_ENSURE(!(entry.id & INTEL_GROUP_FLAG), BAD_FIELD);
            /* The last repetition reaches farthest. No overflow: 2^16 times 2^40. */
            CELLA_TRY(row_check(image, &entry, row.rva * row.page_count));
            pages += (uint64_t)entry.page_count * row.page_count;
        }
        CELLA_ENSURE(pages <= INTEL_PAGE_MAX, LIMIT_EXCEEDED);
    }
    CELLA_ENSURE(pages <= INTEL_PAGE_MAX, LIMIT_EXCEEDED);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result patches_check(const struct cella_intel_image *image)
{
    for (uint64_t i = 0; i < image->patches.size / INTEL_ENTRY_SIZE; i++) {
        struct patch_row row;
        struct cella_bytes bytes;
        CELLA_TRY(patch_get(image, i, &row));
        CELLA_TRY(cella_bytes_slice(image->file, row.file_offset, row.size, &bytes));
        CELLA_TRY(cella_bytes_slice(image->metadata, row.source, row.size, &bytes));
    }
    return CELLA_OK;
}

/* With DT_TEXTREL every page that holds a relocation is added writable. */
static CELLA_MUST_USE cella_result text_relocations_read(const struct cella_elf *elf,
                                                         struct cella_intel_image *image)
{
    static const int64_t tags[2][2] = {{DT_RELA, DT_RELASZ}, {DT_JMPREL, DT_PLTRELSZ}};
    uint64_t address;
    uint64_t size;
    uint64_t offset;

    if (!cella_is_ok(cella_elf_dynamic(elf, DT_TEXTREL, &address))) {
        return CELLA_OK;
    }
    image->has_text_relocations = true;
    for (size_t i = 0; i < 2; i++) {
        if (cella_is_ok(cella_elf_dynamic(elf, tags[i][0], &address)) &&
            cella_is_ok(cella_elf_dynamic(elf, tags[i][1], &size))) {
            CELLA_TRY(cella_elf_at(image->segments, image->segment_count, address, size, &offset));
            CELLA_TRY(cella_bytes_slice(image->file, offset, size, &image->rela[i]));
        }
    }
    return CELLA_OK;
}

cella_result cella_intel_parse(struct cella_bytes file, uint32_t index,
                               struct cella_intel_image *ret_image, struct cella_error *error)
{
    struct cella_intel_image *image = ret_image;
    struct cella_elf elf;

    memset(image, 0, sizeof(*image));
    image->file = file;
    CELLA_TRY(cella_elf_parse(file, &elf, error));
    CELLA_TRY(block_find(&elf, index, &image->metadata, error));
    CELLA_TRY(cella_elf_segments(&elf, false, image->segments, &image->segment_count, error));
    CELLA_TRY(cella_elf_starts_at(image->segments, 0, error));
    cella_result result = metadata_read(image);
    if (cella_is_ok(result)) {
        result = layout_check(image);
    }
    if (cella_is_ok(result)) {
        result = patches_check(image);
    }
    if (cella_is_ok(result)) {
        result = text_relocations_read(&elf, image);
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               ".note.sgxmeta: metadata block %u: a field, patch or layout row is "
                               "out of range: %s",
                               index, cella_result_text(result));
    }
    return CELLA_OK;
}

/*
 * Patches name places in the file; a page shows those of its segment's file bytes. True when one
 * lies on the page; `page` may be NULL.
 */
static bool patches_apply(const struct cella_intel_image *image,
                          const struct cella_image_segment *segment, uint64_t page_offset,
                          uint8_t *page)
{
    /* The page's own bytes of the segment, as places in the file. */
    uint64_t skip = segment->offset > page_offset ? segment->offset - page_offset : 0;
    uint64_t start = segment->file_offset + (page_offset + skip - segment->offset);
    uint64_t file_end = segment->file_offset + segment->file_size;
    uint64_t end = start + (SGX_PAGE_SIZE - skip);
    bool touched = false;

    end = end > file_end ? file_end : end;
    for (uint64_t i = 0; i < image->patches.size / INTEL_ENTRY_SIZE; i++) {
        struct patch_row row;
        if (!cella_is_ok(patch_get(image, i, &row))) {
            break;
        }
        uint64_t from = row.file_offset > start ? row.file_offset : start;
        uint64_t to = row.file_offset + row.size < end ? row.file_offset + row.size : end;
        if (from >= to) {
            continue;
        }
        touched = true;
        if (page) {
            memcpy(page + skip + (from - start),
                   image->metadata.data + row.source + (from - row.file_offset), to - from);
        }
    }
    return touched;
}

static bool overlay_touches(const void *context, const struct cella_image_segment *segment,
                            uint64_t offset)
{
    return patches_apply(context, segment, offset, NULL);
}

static void overlay_apply(const void *context, const struct cella_image_segment *segment,
                          uint64_t offset, uint8_t *page)
{
    (void)patches_apply(context, segment, offset, page);
}

static uint64_t overlay_flags(const void *context, const struct cella_image_segment *segment,
                              uint64_t offset)
{
    const struct cella_intel_image *image = context;

    for (size_t i = 0; i < 2; i++) {
        for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= image->rela[i].size;
             at += sizeof(Elf64_Rela)) {
            Elf64_Rela rela;
            memcpy(&rela, image->rela[i].data + at, sizeof(rela));
            /* Only pages with file bytes are looked at one by one by the upstream loader. */
            if (ELF64_R_TYPE(rela.r_info) != R_X86_64_NONE && rela.r_offset + 8 > offset &&
                rela.r_offset < offset + SGX_PAGE_SIZE &&
                offset < segment->offset + segment->file_size) {
                return SGX_SECINFO_W;
            }
        }
    }
    return 0;
}

/* State of one walk. */
struct walk {
    const struct cella_intel_image *image;
    cella_image_visit_fn visit;
    void *context;
    uint32_t thread;
    uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(64)));
};

static enum cella_image_run_kind kind_of(uint16_t id)
{
    switch (id) {
    case 1:
    case 2:
    case 3:
    case 11:
    case 12:
    case 13:
        return CELLA_IMAGE_RUN_HEAP;
    case 4:
    case 14:
        return CELLA_IMAGE_RUN_TCS;
    case 5:
    case 15:
        return CELLA_IMAGE_RUN_TD;
    case 6:
    case 16:
        return CELLA_IMAGE_RUN_SSA;
    case 7:
    case 8:
    case 17:
    case 18:
        return CELLA_IMAGE_RUN_STACK;
    default:
        return CELLA_IMAGE_RUN_OTHER;
    }
}

/* Every run passes here: the image may start inside a larger ELRANGE. */
static cella_result emit(void *context, const struct cella_image_run *run)
{
    const struct walk *walk = context;
    struct cella_image_run moved = *run;
    moved.offset += walk->image->page_bias;
    return moved.page_count ? walk->visit(walk->context, &moved) : CELLA_OK;
}

/* The TCS template with its three offsets made absolute; every page of the row is the same. */
static void tcs_compose(struct walk *walk, const struct layout_row *row, uint64_t rva)
{
    struct sgx_tcs *tcs = (struct sgx_tcs *)walk->page;

    memset(walk->page, 0, sizeof(walk->page));
    memcpy(walk->page, walk->image->metadata.data + row->content_offset, row->content_size);
    tcs->ossa += rva;
    tcs->ofs_base += rva;
    tcs->ogs_base += rva;
}

static CELLA_MUST_USE cella_result walk_content(struct walk *walk, const struct layout_row *row,
                                                uint64_t rva)
{
    const struct cella_image_segment segment = {
        .offset = rva,
        .size = (uint64_t)row->page_count * SGX_PAGE_SIZE,
        .file_offset = row->content_offset,
        .file_size = row->content_size,
        .flags = row->secinfo_flags,
    };
    return cella_segment_walk(walk->image->metadata, &segment, row->id, NULL, walk->page, emit,
                              walk);
}

static CELLA_MUST_USE cella_result walk_row(struct walk *walk, const struct layout_row *row,
                                            uint64_t delta)
{
    const uint16_t both = INTEL_ATTRIBUTE_EADD | INTEL_ATTRIBUTE_EEXTEND;
    struct cella_image_run run = {
        .kind = kind_of(row->id),
        .index = walk->thread,
        .offset = row->rva + delta,
        .page_count = row->page_count,
        .secinfo_flags = row->secinfo_flags,
        .measured = (row->attributes & both) == both,
    };
    bool same_pages = false;

    if (!(row->attributes & INTEL_ATTRIBUTE_EADD)) {
        return CELLA_OK;
    }
    if (row->content_offset && row->secinfo_flags != SGX_SECINFO_TCS) {
        return walk_content(walk, row, run.offset);
    }
    if (row->content_offset) {
        tcs_compose(walk, row, run.offset);
        same_pages = true;
    } else if (row->secinfo_flags == 0) {
        return CELLA_OK; /* guard pages */
    } else if (row->content_size) {
        /* Without an offset the size is a pattern of 32 bits. */
        for (size_t i = 0; i < SGX_PAGE_SIZE; i++) {
            walk->page[i] = (uint8_t)(row->content_size >> (8 * (i % 4)));
        }
        same_pages = true;
    }
    if (!same_pages) {
        return emit(walk, &run);
    }
    run.data = walk->page;
    run.page_count = 1;
    for (uint32_t i = 0; i < row->page_count; i++) {
        CELLA_TRY(emit(walk, &run));
        run.offset += SGX_PAGE_SIZE;
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result walk_layout(struct walk *walk)
{
    const struct cella_intel_image *image = walk->image;

    for (uint64_t i = 0; i < image->layout.size / INTEL_ENTRY_SIZE; i++) {
        struct layout_row row;
        CELLA_TRY(row_get(image, i, &row));
        if (!(row.id & INTEL_GROUP_FLAG)) {
            CELLA_TRY(walk_row(walk, &row, 0));
            continue;
        }
        for (uint32_t load = 1; load <= row.page_count; load++) {
            walk->thread++;
            for (uint64_t k = i - row.attributes; k < i; k++) {
                struct layout_row entry;
                CELLA_TRY(row_get(image, k, &entry));
                CELLA_TRY(walk_row(walk, &entry, row.rva * load));
            }
        }
    }
    return CELLA_OK;
}

/* Metadata 1.3: one more zero page behind a segment whose size and end round differently. */
static CELLA_MUST_USE cella_result walk_old_padding(struct walk *walk, uint32_t index)
{
    const struct cella_intel_image *image = walk->image;
    const struct cella_image_segment *segment = &image->segments[index];
    uint64_t end = cella_page_up(segment->offset + segment->size);
    uint64_t old_end = cella_page_up(segment->offset + cella_page_up(segment->size));

    if (image->version != INTEL_VERSION_1_3 || end >= old_end ||
        (index + 1 < image->segment_count &&
         end >= cella_page_down(image->segments[index + 1].offset))) {
        return CELLA_OK;
    }
    return emit(walk, &(struct cella_image_run){
                          .kind = CELLA_IMAGE_RUN_SEGMENT,
                          .index = index,
                          .offset = end,
                          .page_count = 1,
                          .secinfo_flags = segment->flags | SGX_SECINFO_REG,
                          .measured = true,
                      });
}

cella_result cella_intel_walk(const struct cella_intel_image *image, cella_image_visit_fn visit,
                              void *context)
{
    /* Patches and relocations lie in file bytes: all pages behind those run together. */
    const struct cella_overlay overlay = {
        .context = image,
        .limit = 0,
        .touches = overlay_touches,
        .apply = overlay_apply,
        .flags = image->has_text_relocations ? overlay_flags : NULL,
    };
    struct walk walk = {.image = image, .visit = visit, .context = context};

    for (uint32_t i = 0; i < image->segment_count; i++) {
        CELLA_TRY(cella_segment_walk(image->file, &image->segments[i], i, &overlay, walk.page, emit,
                                     &walk));
        CELLA_TRY(walk_old_padding(&walk, i));
    }
    return walk_layout(&walk);
}

cella_result cella_intel_measure(const struct cella_intel_image *image, uint8_t ret_mr_enclave[32])
{
    CELLA_CLEANUP(cella_measure_done) struct cella_measure measure = {0};

    CELLA_TRY(cella_measure_init(&measure, image->ssa_frame_size, image->secs_size));
    CELLA_TRY(cella_intel_walk(image, cella_measure_run, &measure));
    return cella_measure_final(&measure, ret_mr_enclave);
}
