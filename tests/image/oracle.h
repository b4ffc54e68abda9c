/*
 * MRENCLAVE once more, written plainly: all records into one buffer, one hash over it.
 * Side: tests. Called by tests/image to check image/measure.c. Never shares code with it.
 */
#ifndef TESTS_IMAGE_ORACLE_H
#define TESTS_IMAGE_ORACLE_H

#include "image/buffer.h"

void oracle_create(struct cella_buffer *log, uint32_t ssa_frame_pages, uint64_t size);
/* `page` NULL: zeros. */
void oracle_page(struct cella_buffer *log, uint64_t offset, uint64_t flags, const void *page,
                 int measured);
/* Frees the log. */
void oracle_hash(struct cella_buffer *log, uint8_t ret_hash[32]);

#endif
