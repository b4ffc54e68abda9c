/*
 * The part of CBOR (RFC 8949) that evidence in certificates is made of: definite lengths, no floats, no nesting beyond
 * what the caller walks. A layer over the cursor and a writer into the caller's buffer.
 * Side: both. Called inside tls/. Allocates nothing; no recursion.
 */
#ifndef CELLA_TLS_CBOR_H
#define CELLA_TLS_CBOR_H

#include <stdbool.h>

#include "common/bytes.h"

enum cbor_major {
    CBOR_UNSIGNED = 0,
    CBOR_BYTES = 2,
    CBOR_TEXT = 3,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_TAG = 6,
};

/*
 * The head of an item of that kind: value, length, count or tag number. BAD_SYNTAX: another kind, or an indefinite
 * length; TRUNCATED. On failure nothing is moved.
 */
CELLA_MUST_USE cella_result cbor_take(struct cella_cursor *cursor, enum cbor_major major,
                                      uint64_t *ret_value);
/* A byte or text string whole. */
CELLA_MUST_USE cella_result cbor_take_string(struct cella_cursor *cursor, enum cbor_major major,
                                             struct cella_bytes *ret_string);

/* Writes; `full` stays set once something did not fit. `size` counts on. */
struct cbor_writer {
    uint8_t *out;
    size_t capacity;
    size_t size;
    bool full;
};

void cbor_put(struct cbor_writer *writer, enum cbor_major major, uint64_t value);
void cbor_put_string(struct cbor_writer *writer, enum cbor_major major, const void *data,
                     size_t size);

#endif
