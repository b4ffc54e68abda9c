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
bool unwrap_string(struct json value, struct unwrapped *ret_bytes);
/* Hexadecimal (with or without 0x, white space between) or base64. False: neither. */
bool unwrap_text(struct cella_bytes text, struct unwrapped *ret_bytes);

#endif
