/*
 * Small comparisons of borrowed bytes.
 * Side: both; freestanding. Called inside evidence/. Never reads past a span.
 */
#ifndef CELLA_EVIDENCE_BYTES_UTIL_H
#define CELLA_EVIDENCE_BYTES_UTIL_H

#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"

static inline bool ev_equal(struct cella_bytes a, struct cella_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool ev_is(struct cella_bytes bytes, const char *text)
{
    return ev_equal(bytes, cella_bytes_of(text, strlen(text)));
}

static inline bool ev_starts(struct cella_bytes bytes, const char *text)
{
    size_t size = strlen(text);
    return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

/* The first place of `text` from `from` on; bytes.size when there is none. */
static inline size_t ev_find(struct cella_bytes bytes, size_t from, const char *text)
{
    size_t size = strlen(text);
    while (from < bytes.size && size <= bytes.size - from) {
        const uint8_t *start = bytes.data + from;
        const uint8_t *found = memchr(start, text[0], bytes.size - from - (size - 1));
        if (!found) {
            break;
        }
        if (memcmp(found, text, size) == 0) {
            return (size_t)(found - bytes.data);
        }
        from = (size_t)(found - bytes.data) + 1;
    }
    return bytes.size;
}

static inline bool ev_contains(struct cella_bytes bytes, const char *text)
{
    return ev_find(bytes, 0, text) < bytes.size;
}

static inline bool ev_is_zero(struct cella_bytes bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        sum |= bytes.data[i];
    }
    return sum == 0;
}

static inline struct cella_bytes ev_part(struct cella_bytes bytes, size_t offset, size_t size)
{
    struct cella_bytes part = {0};
    return cella_is_ok(cella_bytes_slice(bytes, offset, size, &part)) ? part
                                                                      : (struct cella_bytes){0};
}

#endif
