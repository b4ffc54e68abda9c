/*
 * Strict JSON (RFC 8259), read in place: no numbers but integers are needed, no escapes in the strings that are used.
 * Side: both; freestanding. Called by evidence/tcb_info.c, qe_identity.c, policy.c. Never recurses, never copies.
 */
#ifndef CELLA_EVIDENCE_JSON_H
#define CELLA_EVIDENCE_JSON_H

#include <stdbool.h>

#include "evidence/place.h"

#define EV_JSON_DEPTH_MAX 16u
#define EV_JSON_MEMBERS_MAX 40u

enum ev_json_kind {
    EV_JSON_OBJECT,
    EV_JSON_ARRAY,
    EV_JSON_STRING,
    EV_JSON_NUMBER,
    EV_JSON_TRUE,
    EV_JSON_FALSE,
    EV_JSON_NULL,
};

/* A value of a text that ev_json_parse has found to be well-formed; `text` are its very bytes. */
struct ev_json {
    enum ev_json_kind kind;
    struct cella_bytes text;
};

struct ev_json_iterator {
    struct cella_cursor cursor;
    bool is_object;
};

/* One value with white space around it. TRUNCATED, BAD_SYNTAX, LIMIT_EXCEEDED (nesting), TRAILING_BYTES. */
CELLA_MUST_USE cella_result ev_json_parse(struct cella_bytes text, struct ev_place *place,
                                          struct ev_json *ret_value);

/* Members or elements, in order. `ret_key`: the key without quotes, escapes untouched; empty in arrays. */
struct ev_json_iterator ev_json_items(struct ev_json container);
bool ev_json_next(struct ev_json_iterator *iterator, struct cella_bytes *ret_key,
                  struct ev_json *ret_value);

/* The members of an object, found in one pass. */
struct ev_json_members {
    const uint8_t *at; /* of the object */
    struct cella_bytes keys[EV_JSON_MEMBERS_MAX];
    struct ev_json values[EV_JSON_MEMBERS_MAX];
    size_t count;
};

/* BAD_FIELD: this is no object, or a key stands there twice. LIMIT_EXCEEDED. */
CELLA_MUST_USE cella_result ev_json_open(struct ev_json object, struct ev_place *place,
                                         struct ev_json_members *ret_members);

/* The member `key`; NULL: there is none. */
const struct ev_json *ev_json_member(const struct ev_json_members *members, const char *key);
/* The member `key`, which must be there and of that kind. */
CELLA_MUST_USE cella_result ev_json_get(const struct ev_json_members *members, const char *key,
                                        enum ev_json_kind kind, struct ev_place *place,
                                        struct ev_json *ret_value);

/* Without quotes; BAD_FIELD when there are escapes. */
CELLA_MUST_USE cella_result ev_json_string(struct ev_json value, struct ev_place *place,
                                           struct cella_bytes *ret_text);
CELLA_MUST_USE cella_result ev_json_unsigned(struct ev_json value, uint64_t max,
                                             struct ev_place *place, uint64_t *ret_value);
/* A string of exactly 2 * size hexadecimal digits. */
CELLA_MUST_USE cella_result ev_json_hex(struct ev_json value, struct ev_place *place, uint8_t *out,
                                        size_t size);
CELLA_MUST_USE cella_result ev_json_time(struct ev_json value, struct ev_place *place,
                                         int64_t *ret_time);

/* ev_json_get and the reader of its kind in one. */
CELLA_MUST_USE cella_result ev_json_get_string(const struct ev_json_members *members,
                                               const char *key, struct ev_place *place,
                                               struct cella_bytes *ret_text);
CELLA_MUST_USE cella_result ev_json_get_unsigned(const struct ev_json_members *members,
                                                 const char *key, uint64_t max,
                                                 struct ev_place *place, uint64_t *ret_value);
CELLA_MUST_USE cella_result ev_json_get_hex(const struct ev_json_members *members, const char *key,
                                            struct ev_place *place, uint8_t *out, size_t size);
CELLA_MUST_USE cella_result ev_json_get_time(const struct ev_json_members *members, const char *key,
                                             struct ev_place *place, int64_t *ret_time);

#endif
