/*
 * What every command that signs does: keys, dates, the measurement of what was built.
 * Side: tools. Called inside cli/. Never prints a private key.
 */
#ifndef CELLA_CLI_SIGNING_H
#define CELLA_CLI_SIGNING_H

#include "image/buffer.h"
#include "image/sign.h"

#define SIGNING_KEY_FILE_MAX (1u << 20)

/* BCD yyyymmdd of SOURCE_DATE_EPOCH, or of now. */
CELLA_MUST_USE cella_result signing_date(uint32_t *ret_date, struct cella_error *error);

CELLA_MUST_USE cella_result signing_key_read(const char *path, bool is_private,
                                             struct cella_key *ret_key, struct cella_error *error);

/* The machine's own key for debug enclaves, made at the first use; `command` begins the line on stderr that says so. */
CELLA_MUST_USE cella_result signing_debug_key(const char *command, struct cella_key *ret_key,
                                              struct cella_error *error);

/* Parses and measures what was built, so that nothing is signed that the loader would refuse. */
CELLA_MUST_USE cella_result signing_measure(const struct cella_buffer *output, uint8_t *ret_hash,
                                            struct cella_image *ret_image,
                                            struct cella_error *error);

#endif
