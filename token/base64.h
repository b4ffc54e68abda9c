/*
 * Base64 in both alphabets (RFC 4648).
 * Side: relying party, services. Called by token/ and services/. Strict: no blanks, no wrong padding, no stray bits.
 */
#ifndef CELLA_TOKEN_BASE64_H
#define CELLA_TOKEN_BASE64_H

#include <stdbool.h>

#include "common/bytes.h"

/* Room for `size` bytes encoded, with the zero byte. */
#define BASE64_ROOM(size) (((size) + 2) / 3 * 4 + 1)

/* With '-' and '_', without padding; zero-terminated. Gives the length. */
size_t base64url_encode(struct cella_bytes bytes, char *out);
/* With '+' and '/', padded; zero-terminated. */
size_t base64_encode(struct cella_bytes bytes, char *out);

/* Decodes into `out`, which has room for size / 4 * 3 + 3 bytes. */
CELLA_MUST_USE cella_result base64url_decode(const char *text, size_t size, uint8_t *out,
                                             size_t *ret_size);
CELLA_MUST_USE cella_result base64_decode(const char *text, size_t size, uint8_t *out,
                                          size_t *ret_size);
/* Either alphabet, padded or not: for fields where clients differ. */
CELLA_MUST_USE cella_result base64_decode_any(const char *text, size_t size, uint8_t *out,
                                              size_t *ret_size);

#endif
