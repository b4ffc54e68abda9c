/*
 * A growing array of bytes for the files that the signer writes.
 * Side: tools (hosted). Called inside image/ and cli/. Never shrinks; freed by _done.
 */
#ifndef CELLA_IMAGE_BUFFER_H
#define CELLA_IMAGE_BUFFER_H

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

/* Zero-initialise. */
struct cella_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Makes the buffer `size` bytes long; new bytes are zero. Never makes it shorter. */
static inline CELLA_MUST_USE cella_result cella_buffer_grow(struct cella_buffer *buffer,
                                                            size_t size)
{
    if (size > buffer->capacity) {
        size_t capacity = buffer->capacity < 4096 ? 4096 : buffer->capacity;
        while (capacity < size) {
            CELLA_ENSURE(capacity <= SIZE_MAX / 2, OUT_OF_MEMORY);
            capacity *= 2;
        }
        uint8_t *data = (uint8_t *)realloc(buffer->data, capacity);
        CELLA_ENSURE(data != NULL, OUT_OF_MEMORY);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (size > buffer->size) {
        memset(buffer->data + buffer->size, 0, size - buffer->size);
        buffer->size = size;
    }
    return CELLA_OK;
}

static inline CELLA_MUST_USE cella_result cella_buffer_append(struct cella_buffer *buffer,
                                                              const void *data, size_t size)
{
    size_t at = buffer->size;
    CELLA_ENSURE(size <= SIZE_MAX - at, OUT_OF_MEMORY);
    CELLA_TRY(cella_buffer_grow(buffer, at + size));
    if (size) {
        memcpy(buffer->data + at, data, size);
    }
    return CELLA_OK;
}

/* Zeros up to a multiple of `alignment`, a power of two. */
static inline CELLA_MUST_USE cella_result cella_buffer_align(struct cella_buffer *buffer,
                                                             size_t alignment)
{
    return cella_buffer_grow(buffer, (buffer->size + alignment - 1) & ~(alignment - 1));
}

static inline struct cella_bytes cella_buffer_bytes(const struct cella_buffer *buffer)
{
    return cella_bytes_of(buffer->data, buffer->size);
}

static inline void cella_buffer_done(struct cella_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct cella_buffer){0};
}

#endif
