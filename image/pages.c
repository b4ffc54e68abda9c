/*
 * Pages of a segment as runs, and the layout arithmetic behind the information object.
 * Side: host and tools (hosted). Called inside image/ only. Never allocates; never reads outside
 * the file's bytes.
 */
#include "image/pages.h"

#include <string.h>

#include "image/elf64.h"

enum page_kind {
    PAGE_FILE,
    PAGE_ZERO,
    PAGE_COMPOSED,
};

static enum page_kind page_kind_of(const struct cella_image_segment *segment,
                                   const struct cella_overlay *overlay, uint64_t offset)
{
    uint64_t file_end = segment->offset + segment->file_size;

    if (overlay && overlay->touches && overlay->touches(overlay->context, segment, offset)) {
        return PAGE_COMPOSED;
    }
    if (offset >= segment->offset && offset + SGX_PAGE_SIZE <= file_end) {
        return PAGE_FILE;
    }
    if (offset >= file_end || segment->file_size == 0) {
        return PAGE_ZERO;
    }
    return PAGE_COMPOSED;
}

static uint64_t page_flags_of(const struct cella_image_segment *segment,
                              const struct cella_overlay *overlay, uint64_t offset)
{
    uint64_t flags = segment->flags | SGX_SECINFO_REG;
    if (overlay && overlay->flags) {
        flags |= overlay->flags(overlay->context, segment, offset);
    }
    return flags;
}

/* Only the segment's own bytes: what stands before and behind them in the file is not part of the
 * page. */
static void page_compose(struct cella_bytes file, const struct cella_image_segment *segment,
                         const struct cella_overlay *overlay, uint64_t offset, uint8_t *page)
{
    uint64_t file_end = segment->offset + segment->file_size;
    uint64_t from = offset > segment->offset ? offset : segment->offset;
    uint64_t to = offset + SGX_PAGE_SIZE < file_end ? offset + SGX_PAGE_SIZE : file_end;

    memset(page, 0, SGX_PAGE_SIZE);
    if (from < to) {
        memcpy(page + (from - offset), file.data + segment->file_offset + (from - segment->offset),
               to - from);
    }
    if (overlay && overlay->apply) {
        overlay->apply(overlay->context, segment, offset, page);
    }
}

void cella_segment_run(struct cella_bytes file, const struct cella_image_segment *segment,
                       const struct cella_overlay *overlay, uint64_t offset, uint8_t *page,
                       struct cella_image_run *ret_run)
{
    uint64_t end = cella_page_up(segment->offset + segment->size);
    enum page_kind kind = page_kind_of(segment, overlay, offset);
    uint64_t flags = page_flags_of(segment, overlay, offset);
    uint64_t next = offset + SGX_PAGE_SIZE;

    ret_run->offset = offset;
    ret_run->secinfo_flags = flags;
    ret_run->measured = true;
    ret_run->data = NULL;
    if (kind == PAGE_COMPOSED) {
        page_compose(file, segment, overlay, offset, page);
        ret_run->data = page;
    } else if (!overlay || (kind == PAGE_ZERO && offset >= overlay->limit)) {
        /* No page in between can be of another kind. */
        uint64_t file_end = cella_page_down(segment->offset + segment->file_size);
        next = kind == PAGE_FILE && file_end < end ? file_end : end;
        ret_run->data = kind == PAGE_FILE
                            ? file.data + segment->file_offset + (offset - segment->offset)
                            : NULL;
    } else {
        while (next < end && page_kind_of(segment, overlay, next) == kind &&
               page_flags_of(segment, overlay, next) == flags) {
            next += SGX_PAGE_SIZE;
        }
        if (kind == PAGE_FILE) {
            ret_run->data = file.data + segment->file_offset + (offset - segment->offset);
        }
    }
    ret_run->page_count = (next - offset) / SGX_PAGE_SIZE;
}

cella_result cella_segment_walk(struct cella_bytes file, const struct cella_image_segment *segment,
                                uint32_t index, const struct cella_overlay *overlay, uint8_t *page,
                                cella_image_visit_fn visit, void *context)
{
    struct cella_image_run run = {.kind = CELLA_IMAGE_RUN_SEGMENT, .index = index};
    uint64_t end = segment->offset + segment->size;

    for (uint64_t offset = cella_page_down(segment->offset); offset < end;
         offset += run.page_count * SGX_PAGE_SIZE) {
        cella_segment_run(file, segment, overlay, offset, page, &run);
        CELLA_TRY(visit(context, &run));
    }
    return CELLA_OK;
}

uint64_t cella_power_of_two(uint64_t value)
{
    uint64_t power = 1;
    while (power < value) {
        power <<= 1;
    }
    return power;
}

/* A byte size inside [low, high] and a multiple of the page size. */
static CELLA_MUST_USE cella_result size_check(const char *name, uint64_t value, uint64_t low,
                                              uint64_t high, struct cella_error *error)
{
    if (value < low || value > high || value % SGX_PAGE_SIZE != 0) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s is 0x%llx; expected a multiple of 4096 from 0x%llx to 0x%llx",
                               name, (unsigned long long)value, (unsigned long long)low,
                               (unsigned long long)high);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result count_check(const char *name, uint64_t value, uint64_t low,
                                               uint64_t high, struct cella_error *error)
{
    if (value < low || value > high) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s is %llu; expected %llu to %llu", name, (unsigned long long)value,
                               (unsigned long long)low, (unsigned long long)high);
    }
    return CELLA_OK;
}

#define LAYOUT_HEAP_MAX (1ull << 38)
#define LAYOUT_STACK_MIN 0x2000ull
#define LAYOUT_STACK_MAX (1ull << 30)
#define LAYOUT_NSSA_MIN 2u
#define LAYOUT_NSSA_MAX 16u

cella_result cella_layout_compute(struct cella_image_info *info, struct cella_error *error)
{
    const uint64_t page = SGX_PAGE_SIZE;

    CELLA_TRY(size_check("image size", info->image_size, page, CELLA_IMAGE_SIZE_MAX / 4, error));
    CELLA_TRY(size_check("heap_size", info->heap_size, 0, LAYOUT_HEAP_MAX, error));
    CELLA_TRY(size_check("heap_initial", info->heap_initial, 0, info->heap_size, error));
    CELLA_TRY(
        size_check("stack_size", info->stack_size, LAYOUT_STACK_MIN, LAYOUT_STACK_MAX, error));
    CELLA_TRY(
        count_check("number of threads", info->thread_count, 1, CELLA_IMAGE_THREAD_MAX, error));
    CELLA_TRY(count_check("number of enclave threads", info->enclave_thread_count, 0,
                          info->thread_count - 1, error));
    CELLA_TRY(count_check("nssa", info->nssa, LAYOUT_NSSA_MIN, LAYOUT_NSSA_MAX, error));
    CELLA_TRY(count_check("SSA frame pages", info->ssa_frame_pages, 1, 1, error));
    CELLA_TRY(count_check("thread data pages", info->td_pages, 1, 16, error));

    info->heap_offset = info->image_size + page;
    info->threads_offset = info->heap_offset + info->heap_size;
    info->slot_stack = page;
    info->slot_tcs = info->slot_stack + info->stack_size + page;
    info->slot_ssa = info->slot_tcs + page;
    info->slot_td = info->slot_ssa + (uint64_t)info->nssa * info->ssa_frame_pages * page;
    info->thread_stride = info->slot_td + info->td_pages * page;
    /* Below 2^40 * 2: no overflow with the limits above. */
    uint64_t end = info->threads_offset + info->thread_count * info->thread_stride + page;
    info->enclave_size = cella_power_of_two(end);
    if (info->enclave_size > CELLA_IMAGE_SIZE_MAX) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "enclave size 0x%llx is above the limit of 2^40",
                               (unsigned long long)info->enclave_size);
    }
    return CELLA_OK;
}

void cella_layout_tcs(const struct cella_image_info *info, uint32_t index, struct sgx_tcs *ret_tcs)
{
    uint64_t slot = info->threads_offset + index * info->thread_stride;

    memset(ret_tcs, 0, sizeof(*ret_tcs));
    ret_tcs->ossa = slot + info->slot_ssa;
    ret_tcs->nssa = info->nssa;
    ret_tcs->oentry = info->entry;
    ret_tcs->ofs_base = slot + info->slot_td;
    ret_tcs->ogs_base = slot + info->slot_td;
    ret_tcs->fs_limit = 0xFFFFFFFF;
    ret_tcs->gs_limit = 0xFFFFFFFF;
}
