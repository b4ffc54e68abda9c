/*
 * Lines for people, put together without a libc.
 * Side: both; freestanding. Called inside evidence/. A line too long is cut; it is always terminated.
 */
#ifndef CELLA_EVIDENCE_TEXT_H
#define CELLA_EVIDENCE_TEXT_H

#include "common/bytes.h"

struct ev_text {
    char *data;
    size_t size;
    size_t used;
};

static inline struct ev_text ev_text_of(char *data, size_t size)
{
    data[0] = 0;
    return (struct ev_text){.data = data, .size = size};
}

void ev_text_add(struct ev_text *text, const char *more);
/* Control characters and what is no ASCII become '?'. */
void ev_text_bytes(struct ev_text *text, struct cella_bytes bytes);
void ev_text_hex(struct ev_text *text, struct cella_bytes bytes);
void ev_text_number(struct ev_text *text, uint64_t number);
/* "2026-01-31T12:00:00Z" */
void ev_text_time(struct ev_text *text, int64_t time);

#endif
