/*
 * Call frame information for the rewriter's trampolines, so that a debugger's backtrace crosses
 * them. Side: tools (hosted). Called by image/rewrite.c and image/sections.c. Goes into
 * .debug_frame, which is not loaded.
 */
#ifndef CELLA_IMAGE_FRAME_H
#define CELLA_IMAGE_FRAME_H

#include "image/buffer.h"

#define CELLA_FRAME_ROW_MAX 24u

/* One instruction of a trampoline. A trampoline shows as a frame of its own, called from the site.
 */
struct cella_frame_row {
    uint64_t address;
    uint64_t rip;       /* what RIP is when this row counts: the return address, for the call */
    uint64_t caller;    /* the address that the frame seems to be called from */
    uint8_t cfa_offset; /* RSP here + this is RSP at the site */
};

struct cella_frame {
    struct cella_frame_row rows[CELLA_FRAME_ROW_MAX];
    uint32_t row_count;
    uint64_t end;
};

/* Appends one FDE, and the CIE before the first. */
CELLA_MUST_USE cella_result cella_frame_append(struct cella_buffer *table,
                                               const struct cella_frame *frame);

/* Moves the CIE references by `section_at`: the table will stand at that offset of its section. */
void cella_frame_place(struct cella_buffer *table, uint32_t section_at);

#endif
