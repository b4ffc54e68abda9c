/*
 * Call frame information for the rewriter's trampolines, so that a debugger's backtrace crosses
 * them. Side: tools (hosted). Called by image/rewrite.c and image/sections.c. Goes into
 * .debug_frame, which is not loaded.
 *
 * DWARF 4, section 6.4. Register 7 is RSP, 16 is the return address.
 */
#include "image/frame.h"

#define FRAME_CIE_SIZE 24u

enum {
    DW_CFA_advance_loc1 = 0x02,
    DW_CFA_def_cfa = 0x0C,
    DW_CFA_def_cfa_offset = 0x0E,
    DW_CFA_val_expression = 0x16,
    DW_OP_breg16 = 0x80,
};

static CELLA_MUST_USE cella_result put(struct cella_buffer *table, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    return cella_buffer_append(table, bytes, size);
}

/* Signed LEB128; gives its length. */
static size_t sleb_of(int64_t value, uint8_t out[10])
{
    size_t size = 0;
    for (;;) {
        uint8_t byte = value & 0x7F;
        value >>= 7; /* arithmetic */
        if ((value == 0 && !(byte & 0x40)) || (value == -1 && (byte & 0x40))) {
            out[size++] = byte;
            return size;
        }
        out[size++] = byte | 0x80;
    }
}

/* CFA is RSP, the return address comes from each row. */
static CELLA_MUST_USE cella_result put_cie(struct cella_buffer *table)
{
    static const uint8_t body[FRAME_CIE_SIZE - 8] = {
        1,
        0, /* version, no augmentation */
        1,
        0x78,
        16, /* code alignment, data alignment -8, return address column */
        DW_CFA_def_cfa,
        7,
        0,
    };
    CELLA_TRY(put(table, FRAME_CIE_SIZE - 4, 4));
    CELLA_TRY(put(table, UINT32_MAX, 4));
    return cella_buffer_append(table, body, sizeof(body));
}

static CELLA_MUST_USE cella_result put_row(struct cella_buffer *table,
                                           const struct cella_frame_row *row, uint64_t *position)
{
    uint8_t offset[10];
    size_t size = sleb_of((int64_t)(row->caller - row->rip), offset);

    CELLA_ENSURE(row->address >= *position && row->address - *position <= UINT8_MAX, INTERNAL);
    CELLA_TRY(put(table, DW_CFA_advance_loc1, 1));
    CELLA_TRY(put(table, row->address - *position, 1));
    *position = row->address;
    CELLA_TRY(put(table, DW_CFA_def_cfa_offset, 1));
    CELLA_TRY(put(table, row->cfa_offset & 0x7F, row->cfa_offset < 0x80 ? 1 : 0));
    if (row->cfa_offset >= 0x80) {
        CELLA_TRY(put(table, 0x80u | (row->cfa_offset & 0x7F), 1));
        CELLA_TRY(put(table, row->cfa_offset >> 7, 1));
    }
    CELLA_TRY(put(table, DW_CFA_val_expression, 1));
    CELLA_TRY(put(table, 16, 1));
    CELLA_TRY(put(table, size + 1, 1));
    CELLA_TRY(put(table, DW_OP_breg16, 1));
    return cella_buffer_append(table, offset, size);
}

cella_result cella_frame_append(struct cella_buffer *table, const struct cella_frame *frame)
{
    uint64_t position = frame->rows[0].address;

    if (table->size == 0) {
        CELLA_TRY(put_cie(table));
    }
    size_t start = table->size;
    CELLA_TRY(put(table, 0, 4));
    CELLA_TRY(put(table, 0, 4)); /* the CIE, at the start of the table */
    CELLA_TRY(put(table, position, 8));
    CELLA_TRY(put(table, frame->end - position, 8));
    for (uint32_t i = 0; i < frame->row_count; i++) {
        CELLA_TRY(put_row(table, &frame->rows[i], &position));
    }
    CELLA_TRY(cella_buffer_align(table, 8)); /* DW_CFA_nop is 0 */
    uint32_t length = (uint32_t)(table->size - start - 4);
    memcpy(table->data + start, &length, sizeof(length));
    return CELLA_OK;
}

void cella_frame_place(struct cella_buffer *table, uint32_t section_at)
{
    size_t at = FRAME_CIE_SIZE;
    while (at + 8 <= table->size) {
        uint32_t length;
        memcpy(&length, table->data + at, sizeof(length));
        memcpy(table->data + at + 4, &section_at, sizeof(section_at));
        at += 4 + (size_t)length;
    }
}
