/*
 * Borrowed bytes and the cursor that reads them: everything from outside is parsed through these.
 * Side: both; freestanding. Called by every parser. Never owns memory; a failed read moves nothing.
 */
#ifndef CELLA_COMMON_BYTES_H
#define CELLA_COMMON_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/* `size` bytes at `data`, borrowed and never written. data may be NULL when size is 0. */
struct cella_bytes {
    const uint8_t *data;
    size_t size;
};

/* A reading position in borrowed bytes. `offset` <= `bytes.size` always. */
struct cella_cursor {
    struct cella_bytes bytes;
    size_t offset;
};

static inline struct cella_bytes cella_bytes_of(const void *data, size_t size)
{
    return (struct cella_bytes){.data = (const uint8_t *)data, .size = size};
}

/* The byte at `offset` <= size; NULL has an offset 0, which adding to it would not have. */
static inline const uint8_t *cella_bytes_at(struct cella_bytes bytes, size_t offset)
{
    return offset ? bytes.data + offset : bytes.data;
}

/* The part [offset, offset+size) of `bytes`; TRUNCATED unless all of it is there. */
static inline CELLA_MUST_USE cella_result cella_bytes_slice(struct cella_bytes bytes,
                                                            uint64_t offset, uint64_t size,
                                                            struct cella_bytes *ret_slice)
{
    CELLA_ENSURE(offset <= bytes.size && size <= bytes.size - offset, TRUNCATED);
    *ret_slice = cella_bytes_of(cella_bytes_at(bytes, (size_t)offset), (size_t)size);
    return CELLA_OK;
}

static inline struct cella_cursor cella_cursor_of(struct cella_bytes bytes)
{
    return (struct cella_cursor){.bytes = bytes, .offset = 0};
}

static inline size_t cella_cursor_left(const struct cella_cursor *cursor)
{
    return cursor->bytes.size - cursor->offset;
}

/* Takes `size` bytes. TRUNCATED (nothing moved) when fewer are left. */
static inline CELLA_MUST_USE cella_result cella_cursor_take(struct cella_cursor *cursor,
                                                            uint64_t size,
                                                            struct cella_bytes *ret_bytes)
{
    CELLA_ENSURE(size <= cella_cursor_left(cursor), TRUNCATED);
    *ret_bytes = cella_bytes_of(cella_bytes_at(cursor->bytes, cursor->offset), (size_t)size);
    cursor->offset += (size_t)size;
    return CELLA_OK;
}

static inline CELLA_MUST_USE cella_result cella_cursor_skip(struct cella_cursor *cursor,
                                                            uint64_t size)
{
    struct cella_bytes ignored;
    return cella_cursor_take(cursor, size, &ignored);
}

/* Copies exactly `size` bytes to `out`. TRUNCATED (nothing moved or written) when fewer are left. */
static inline CELLA_MUST_USE cella_result cella_cursor_copy(struct cella_cursor *cursor, void *out,
                                                            size_t size)
{
    struct cella_bytes bytes;
    CELLA_TRY(cella_cursor_take(cursor, size, &bytes));
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = bytes.data[i];
    }
    return CELLA_OK;
}

static inline uint64_t cella_le_get(const uint8_t *data, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)data[i] << (8 * i);
    }
    return value;
}

#define CELLA_CURSOR_LE(bits)                                                                      \
    static inline CELLA_MUST_USE cella_result cella_cursor_u##bits(struct cella_cursor *cursor,    \
                                                                   uint##bits##_t *ret_value)      \
    {                                                                                              \
        struct cella_bytes bytes;                                                                  \
        CELLA_TRY(cella_cursor_take(cursor, bits / 8, &bytes));                                    \
        *ret_value = (uint##bits##_t)cella_le_get(bytes.data, bits / 8);                           \
        return CELLA_OK;                                                                           \
    }
CELLA_CURSOR_LE(8)
CELLA_CURSOR_LE(16)
CELLA_CURSOR_LE(32)
CELLA_CURSOR_LE(64)
#undef CELLA_CURSOR_LE

/* Every parser ends here: TRAILING_BYTES when something is left. */
static inline CELLA_MUST_USE cella_result cella_end(const struct cella_cursor *cursor)
{
    CELLA_ENSURE(cella_cursor_left(cursor) == 0, TRAILING_BYTES);
    return CELLA_OK;
}

#endif
