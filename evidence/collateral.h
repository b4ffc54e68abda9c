/*
 * What the host-side parts of the verifier share: documents taken out of what they are wrapped in.
 * Side: host. Called by evidence/collateral*.c and evidence/decode.c. Never judges: only looks for what is inside.
 */
#ifndef CELLA_EVIDENCE_COLLATERAL_H
#define CELLA_EVIDENCE_COLLATERAL_H

#include "cella/collateral.h"
#include "evidence/json.h"

#define UNWRAP_DEPTH_MAX 4u
#define COLLATERAL_FILE_MAX ((size_t)4 << 20)

/* malloc'd bytes. */
struct unwrapped {
    uint8_t *data;
    size_t size;
};

/* A JSON string with its escapes undone. False: memory, or an escape that makes no character. */
bool ev_unwrap_string(struct ev_json value, struct unwrapped *ret_bytes);
/* Hexadecimal (with or without 0x, white space between) or base64. False: neither. */
bool ev_unwrap_text(struct cella_bytes text, struct unwrapped *ret_bytes);

/* %XX undone, as in issuer chains that were taken out of HTTP headers. False: memory, or a % that starts nothing. */
bool ev_unwrap_percent(struct cella_bytes text, struct unwrapped *ret_bytes);

/* A JSON array of at least 16 numbers that are bytes. False: it is another value, or memory. */
bool ev_unwrap_numbers(struct ev_json value, struct unwrapped *ret_bytes);

#endif
