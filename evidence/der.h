/*
 * DER (X.690): a layer over the cursor. Definite minimal lengths only, no tag numbers above 30.
 * Side: both; freestanding. Called by evidence/x509.c, pck.c, snp_certificate.c. Never recurses, never copies.
 */
#ifndef CELLA_EVIDENCE_DER_H
#define CELLA_EVIDENCE_DER_H

#include <stdbool.h>

#include "evidence/place.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0A,
    DER_UTF8_STRING = 0x0C,
    DER_PRINTABLE_STRING = 0x13,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xA0, /* constructed; + n */
    DER_CONTEXT_PRIMITIVE_0 = 0x80,
};

struct der {
    struct cella_cursor cursor;
    struct ev_place *place;
};

static inline struct der ev_der_of(struct cella_bytes bytes, struct ev_place *place)
{
    return (struct der){.cursor = cella_cursor_of(bytes), .place = place};
}

/* Is there something left, and does it start with this tag? */
bool ev_der_next_is(const struct der *der, uint8_t tag);
bool ev_der_at_end(const struct der *der);

/* Takes one element of that tag; `ret_content` without header, `ret_whole` (may be NULL) with it. */
CELLA_MUST_USE cella_result ev_der_take(struct der *der, uint8_t tag,
                                        struct cella_bytes *ret_content,
                                        struct cella_bytes *ret_whole);
/* The same for any tag. */
CELLA_MUST_USE cella_result ev_der_take_any(struct der *der, uint8_t *ret_tag,
                                            struct cella_bytes *ret_content,
                                            struct cella_bytes *ret_whole);
/* Takes one constructed element and gives a reader of its content. */
CELLA_MUST_USE cella_result ev_der_enter(struct der *der, uint8_t tag, struct der *ret_inner);
CELLA_MUST_USE cella_result ev_der_end(const struct der *der);

/* A non-negative INTEGER (or ENUMERATED) that is at most `max`. */
CELLA_MUST_USE cella_result ev_der_number(struct der *der, uint8_t tag, uint64_t max,
                                          uint64_t *ret_value);
/* An INTEGER in minimal encoding; its content bytes. */
CELLA_MUST_USE cella_result ev_der_integer(struct der *der, struct cella_bytes *ret_content);
CELLA_MUST_USE cella_result ev_der_boolean(struct der *der, bool *ret_value);
/* A BIT STRING without unused bits. */
CELLA_MUST_USE cella_result ev_der_bits(struct der *der, struct cella_bytes *ret_content);
/* UTCTime or GeneralizedTime as RFC 5280 wants them. */
CELLA_MUST_USE cella_result ev_der_time(struct der *der, int64_t *ret_time);

#endif
