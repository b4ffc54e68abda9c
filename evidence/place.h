/*
 * Where a reader stood when it gave up: what every reader of evidence and collateral fills in on failure.
 * Side: both; freestanding. Called inside evidence/. Never owns memory.
 */
#ifndef CELLA_EVIDENCE_PLACE_H
#define CELLA_EVIDENCE_PLACE_H

#include "common/bytes.h"

/* `at` points into the bytes that were read; `expected` is a static string. Zero-initialise. */
struct ev_place {
    const uint8_t *at;
    const char *expected;
};

/* Records the place and gives `result` back. Keeps the first place that was recorded. */
static inline cella_result ev_fail(struct ev_place *place, const uint8_t *at, cella_result result,
                                   const char *expected)
{
    if (!place->expected) {
        place->at = at;
        place->expected = expected;
    }
    return result;
}

#define EV_ENSURE(place, condition, at, name, expected)                                            \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            return ev_fail((place), (at), CELLA_RESULT(name), (expected));                         \
        }                                                                                          \
    } while (0)

static inline const uint8_t *ev_cursor_at(const struct cella_cursor *cursor)
{
    return cella_bytes_at(cursor->bytes, cursor->offset);
}

#endif
