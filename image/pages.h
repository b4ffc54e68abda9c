/*
 * Pages of a segment as runs, and the layout arithmetic behind the information object.
 * Side: host and tools (hosted). Called inside image/ only. Never allocates; never reads outside
 * the file's bytes.
 */
#ifndef CELLA_IMAGE_PAGES_H
#define CELLA_IMAGE_PAGES_H

#include "image/image.h"

/*
 * Bytes that a foreign loader changes before it adds a page. `touches` says whether page `offset`
 * is changed; `apply` changes the composed page; `flags` adds SECINFO flags to a page. Any may be
 * NULL. `limit`: no page at or above it that has no file bytes is changed.
 */
struct cella_overlay {
    const void *context;
    uint64_t limit;
    bool (*touches)(const void *context, const struct cella_image_segment *segment,
                    uint64_t offset);
    void (*apply)(const void *context, const struct cella_image_segment *segment, uint64_t offset,
                  uint8_t *page);
    uint64_t (*flags)(const void *context, const struct cella_image_segment *segment,
                      uint64_t offset);
};

/*
 * The run that starts at page `offset` of the segment: as long as the pages are of one kind (whole
 * in the file, zeros, or composed in `page`, one at a time). Sets offset, page_count, data,
 * secinfo_flags and measured.
 */
void cella_segment_run(struct cella_bytes file, const struct cella_image_segment *segment,
                       const struct cella_overlay *overlay, uint64_t offset, uint8_t *page,
                       struct cella_image_run *ret_run);

/* Receives the runs of an image in adding order. */
typedef cella_result (*cella_image_visit_fn)(void *context, const struct cella_image_run *run);

/* All pages of a segment to `visit`. `page` is a scratch page. */
CELLA_MUST_USE cella_result cella_segment_walk(struct cella_bytes file,
                                               const struct cella_image_segment *segment,
                                               uint32_t index, const struct cella_overlay *overlay,
                                               uint8_t *page, cella_image_visit_fn visit,
                                               void *context);

/*
 * Computes every layout field of `info` (enclave_size … slot_td) from image_size, heap_size,
 * heap_initial, stack_size, thread_count, enclave_thread_count, nssa, ssa_frame_pages and td_pages,
 * which must be set. Refuses values outside their limits, naming the field.
 */
CELLA_MUST_USE cella_result cella_layout_compute(struct cella_image_info *info,
                                                 struct cella_error *error);

/* The TCS of slot `index`. */
void cella_layout_tcs(const struct cella_image_info *info, uint32_t index, struct sgx_tcs *ret_tcs);

/* The smallest power of two >= value, which must be at most 2^63. */
uint64_t cella_power_of_two(uint64_t value);

#endif
