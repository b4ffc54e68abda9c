/*
 * CBOR items with definite lengths (RFC 8949, section 3).
 * Side: both. Called inside tls/. Allocates nothing; no recursion.
 */
#include "tls/cbor.h"

#include <string.h>

#define INFO_ONE 24u /* the value is in the next byte; 25, 26, 27: in 2, 4, 8 */
#define INFO_EIGHT 27u

cella_result cbor_take(struct cella_cursor *cursor, enum cbor_major major, uint64_t *ret_value)
{
    struct cella_cursor at = *cursor;
    struct cella_bytes bytes;
    uint8_t head;
    CELLA_TRY(cella_cursor_u8(&at, &head));
    const unsigned info = head & 31u;
    CELLA_ENSURE(head >> 5 == (unsigned)major && info <= INFO_EIGHT, BAD_SYNTAX);
    uint64_t value = info;
    if (info >= INFO_ONE) {
        CELLA_TRY(cella_cursor_take(&at, 1u << (info - INFO_ONE), &bytes));
        value = 0;
        for (size_t i = 0; i < bytes.size; i++) {
            value = value << 8 | bytes.data[i];
        }
    }
    *cursor = at;
    *ret_value = value;
    return CELLA_OK;
}

cella_result cbor_take_string(struct cella_cursor *cursor, enum cbor_major major,
                              struct cella_bytes *ret_string)
{
    struct cella_cursor at = *cursor;
    uint64_t size;
    CELLA_TRY(cbor_take(&at, major, &size));
    CELLA_TRY(cella_cursor_take(&at, size, ret_string));
    *cursor = at;
    return CELLA_OK;
}

static void put(struct cbor_writer *writer, const void *data, size_t size)
{
    if (writer->full || size > writer->capacity - writer->size) {
        writer->full = true;
        return;
    }
    if (size > 0) {
        memcpy(writer->out + writer->size, data, size);
    }
    writer->size += size;
}

void cbor_put(struct cbor_writer *writer, enum cbor_major major, uint64_t value)
{
    uint8_t head[9];
    size_t width = 0; /* bytes behind the first */
    unsigned info = (unsigned)value;
    if (value >= INFO_ONE) {
        unsigned power = value > UINT32_MAX   ? 3
                         : value > UINT16_MAX ? 2
                         : value > UINT8_MAX  ? 1
                                              : 0;
        info = INFO_ONE + power;
        width = (size_t)1 << power;
    }
    head[0] = (uint8_t)((unsigned)major << 5 | info);
    for (size_t i = 0; i < width; i++) {
        head[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    put(writer, head, 1 + width);
}

void cbor_put_string(struct cbor_writer *writer, enum cbor_major major, const void *data,
                     size_t size)
{
    cbor_put(writer, major, size);
    put(writer, data, size);
}
