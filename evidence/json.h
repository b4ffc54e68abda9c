/*
 * Strict JSON (RFC 8259), read in place: no numbers but integers are needed, no escapes in the strings that are used.
 * Side: both; freestanding. Called by evidence/tcb_info.c, qe_identity.c, policy.c. Never recurses, never copies.
 */
#ifndef CELLA_EVIDENCE_JSON_H
#define CELLA_EVIDENCE_JSON_H

#include <stdbool.h>

#include "evidence/place.h"

#define JSON_DEPTH_MAX 16u

enum json_kind {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

/* A value of a text that json_parse has found to be well-formed; `text` are its very bytes. */
struct json {
    enum json_kind kind;
    struct cella_bytes text;
};

struct json_iterator {
    struct cella_cursor cursor;
    bool is_object;
};

/* One value with white space around it. TRUNCATED, BAD_SYNTAX, LIMIT_EXCEEDED (nesting), TRAILING_BYTES. */
CELLA_MUST_USE cella_result json_parse(struct cella_bytes text, struct ev_place *place,
                                       struct json *ret_value);

/* Members or elements, in order. `ret_key`: the key without quotes, escapes untouched; empty in arrays. */
struct json_iterator json_items(struct json container);
bool json_next(struct json_iterator *iterator, struct cella_bytes *ret_key, struct json *ret_value);

/* The member `key`; false: there is none. BAD_FIELD: twice, or this is no object. */
CELLA_MUST_USE cella_result json_find(struct json object, const char *key, struct ev_place *place,
                                      bool *ret_found, struct json *ret_value);
/* The member `key`, which must be there and of that kind. */
CELLA_MUST_USE cella_result json_get(struct json object, const char *key, enum json_kind kind,
                                     struct ev_place *place, struct json *ret_value);

/* Without quotes; BAD_FIELD when there are escapes. */
CELLA_MUST_USE cella_result json_string(struct json value, struct ev_place *place,
                                        struct cella_bytes *ret_text);
CELLA_MUST_USE cella_result json_unsigned(struct json value, uint64_t max, struct ev_place *place,
                                          uint64_t *ret_value);
/* A string of exactly 2 * size hexadecimal digits. */
CELLA_MUST_USE cella_result json_hex(struct json value, struct ev_place *place, uint8_t *out,
                                     size_t size);
CELLA_MUST_USE cella_result json_time(struct json value, struct ev_place *place, int64_t *ret_time);

/* json_get and the reader of its kind in one. */
CELLA_MUST_USE cella_result json_get_string(struct json object, const char *key,
                                            struct ev_place *place, struct cella_bytes *ret_text);
CELLA_MUST_USE cella_result json_get_unsigned(struct json object, const char *key, uint64_t max,
                                              struct ev_place *place, uint64_t *ret_value);
CELLA_MUST_USE cella_result json_get_hex(struct json object, const char *key,
                                         struct ev_place *place, uint8_t *out, size_t size);
CELLA_MUST_USE cella_result json_get_time(struct json object, const char *key,
                                          struct ev_place *place, int64_t *ret_time);

#endif
