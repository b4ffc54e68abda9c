/*
 * Text forms of bytes: hexadecimal, base64, PEM.
 * Side: both; freestanding. Called inside evidence/ and by cli/. Never allocates; output goes where the caller says.
 */
#ifndef CELLA_EVIDENCE_ARMOR_H
#define CELLA_EVIDENCE_ARMOR_H

#include <stdbool.h>

#include "evidence/place.h"

/* 0..15; -1: no hexadecimal digit. */
int ev_armor_hex_digit(uint8_t byte);

/* An even number of digits and nothing else; writes text.size / 2 bytes. BAD_SYNTAX. */
CELLA_MUST_USE cella_result ev_armor_hex(struct cella_bytes text, uint8_t *out);

/*
 * Base64 (RFC 4648) of either alphabet, line ends inside, padding as it should be or none with `is_loose`; bits
 * behind the last byte must be zero. Writes at most text.size / 4 * 3 + 3 bytes.
 */
CELLA_MUST_USE cella_result ev_armor_base64(struct cella_bytes text, bool is_loose,
                                            struct ev_place *place, uint8_t *out, size_t *ret_size);

/*
 * The next PEM block with this label from the cursor on. Strict: only white space (and zero bytes at the end) may
 * stand before it. `ret_found` false: there is none. `ret_body` is the base64 text.
 */
CELLA_MUST_USE cella_result ev_armor_pem(struct cella_cursor *cursor, const char *label,
                                         bool is_strict, struct ev_place *place, bool *ret_found,
                                         struct cella_bytes *ret_body);

#endif
