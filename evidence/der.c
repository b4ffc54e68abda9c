/*
 * DER (X.690): a layer over the cursor. Definite minimal lengths only, no tag numbers above 30.
 * Side: both; freestanding. Called by evidence/x509.c, pck.c, snp_certificate.c. Never recurses, never copies.
 */
#include "evidence/der.h"

#include "evidence/time.h"

bool ev_der_at_end(const struct der *der)
{
    return cella_cursor_left(&der->cursor) == 0;
}

bool ev_der_next_is(const struct der *der, uint8_t tag)
{
    return !ev_der_at_end(der) && *ev_cursor_at(&der->cursor) == tag;
}

/* X.690 8.1.3 and 10.1: the shortest form, at most four bytes of length. */
static cella_result length_read(struct cella_cursor *cursor, struct ev_place *place,
                                size_t *ret_length)
{
    const uint8_t *at = ev_cursor_at(cursor);
    struct cella_bytes bytes;
    uint8_t first;
    EV_ENSURE(place, cella_is_ok(cella_cursor_u8(cursor, &first)), at, TRUNCATED, "a DER length");
    if (first < 0x80) {
        *ret_length = first;
        return CELLA_OK;
    }
    size_t count = first & 0x7Fu;
    EV_ENSURE(place, count >= 1 && count <= 4, at, BAD_SYNTAX, "a definite DER length");
    EV_ENSURE(place, cella_is_ok(cella_cursor_take(cursor, count, &bytes)), at, TRUNCATED,
              "a DER length");
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length = length << 8 | bytes.data[i];
    }
    EV_ENSURE(place, bytes.data[0] != 0 && length >= 0x80, at, BAD_SYNTAX, "a minimal DER length");
    *ret_length = length;
    return CELLA_OK;
}

cella_result ev_der_take_any(struct der *der, uint8_t *ret_tag, struct cella_bytes *ret_content,
                             struct cella_bytes *ret_whole)
{
    struct cella_cursor cursor = der->cursor;
    const uint8_t *at = ev_cursor_at(&cursor);
    struct cella_bytes content;
    uint8_t tag;
    size_t length;
    EV_ENSURE(der->place, cella_is_ok(cella_cursor_u8(&cursor, &tag)), at, TRUNCATED,
              "a DER element");
    EV_ENSURE(der->place, (tag & 0x1Fu) != 0x1Fu, at, BAD_SYNTAX, "a one-byte DER tag");
    CELLA_TRY(length_read(&cursor, der->place, &length));
    EV_ENSURE(der->place, cella_is_ok(cella_cursor_take(&cursor, length, &content)), at, TRUNCATED,
              "a DER element that ends inside its container");
    if (ret_whole) {
        *ret_whole = cella_bytes_of(at, (size_t)(content.data + content.size - at));
    }
    *ret_tag = tag;
    *ret_content = content;
    der->cursor = cursor;
    return CELLA_OK;
}

cella_result ev_der_take(struct der *der, uint8_t tag, struct cella_bytes *ret_content,
                         struct cella_bytes *ret_whole)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    uint8_t found;
    EV_ENSURE(der->place, !ev_der_at_end(der), at, TRUNCATED, "one more DER element");
    EV_ENSURE(der->place, *at == tag, at, BAD_SYNTAX, "another DER tag");
    return ev_der_take_any(der, &found, ret_content, ret_whole);
}

cella_result ev_der_enter(struct der *der, uint8_t tag, struct der *ret_inner)
{
    struct cella_bytes content;
    CELLA_TRY(ev_der_take(der, tag, &content, NULL));
    *ret_inner = ev_der_of(content, der->place);
    return CELLA_OK;
}

cella_result ev_der_end(const struct der *der)
{
    EV_ENSURE(der->place, ev_der_at_end(der), ev_cursor_at(&der->cursor), TRAILING_BYTES,
              "the end of the DER element");
    return CELLA_OK;
}

/* X.690 8.3.2: the first nine bits are not all alike. */
static bool integer_is_minimal(struct cella_bytes content)
{
    if (content.size == 0) {
        return false;
    }
    if (content.size == 1) {
        return true;
    }
    bool is_high = content.data[1] & 0x80u;
    return !(content.data[0] == 0x00 && !is_high) && !(content.data[0] == 0xFF && is_high);
}

cella_result ev_der_integer(struct der *der, struct cella_bytes *ret_content)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes content;
    CELLA_TRY(ev_der_take(der, DER_INTEGER, &content, NULL));
    EV_ENSURE(der->place, integer_is_minimal(content), at, BAD_SYNTAX, "a minimal DER integer");
    *ret_content = content;
    return CELLA_OK;
}

cella_result ev_der_number(struct der *der, uint8_t tag, uint64_t max, uint64_t *ret_value)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes content;
    uint64_t value = 0;
    CELLA_TRY(ev_der_take(der, tag, &content, NULL));
    EV_ENSURE(der->place, integer_is_minimal(content), at, BAD_SYNTAX, "a minimal DER integer");
    EV_ENSURE(der->place, !(content.data[0] & 0x80u) && content.size <= 9, at, OUT_OF_RANGE,
              "a small DER integer");
    for (size_t i = 0; i < content.size; i++) {
        value = value << 8 | content.data[i];
    }
    EV_ENSURE(der->place, (content.size < 9 || content.data[0] == 0) && value <= max, at,
              OUT_OF_RANGE, "a smaller DER integer");
    *ret_value = value;
    return CELLA_OK;
}

cella_result ev_der_boolean(struct der *der, bool *ret_value)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes content;
    CELLA_TRY(ev_der_take(der, DER_BOOLEAN, &content, NULL));
    bool is_one = content.size == 1 && (content.data[0] == 0x00 || content.data[0] == 0xFF);
    EV_ENSURE(der->place, is_one, at, BAD_SYNTAX, "a DER boolean");
    *ret_value = content.data[0] != 0;
    return CELLA_OK;
}

cella_result ev_der_bits(struct der *der, struct cella_bytes *ret_content)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes content;
    CELLA_TRY(ev_der_take(der, DER_BIT_STRING, &content, NULL));
    EV_ENSURE(der->place, content.size >= 1 && content.data[0] == 0, at, BAD_SYNTAX,
              "a bit string of whole bytes");
    *ret_content = cella_bytes_of(content.data + 1, content.size - 1);
    return CELLA_OK;
}

/* RFC 5280 4.1.2.5: YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ from 2050 on. */
static cella_result time_parse(uint8_t tag, struct cella_bytes text, int64_t *ret_time)
{
    size_t year_digits = tag == DER_UTC_TIME ? 2 : 4;
    unsigned values[6];
    CELLA_ENSURE(text.size == year_digits + 11 && text.data[text.size - 1] == 'Z', BAD_SYNTAX);
    CELLA_TRY(ev_digits(text.data, year_digits, &values[0]));
    for (size_t i = 1; i < 6; i++) {
        CELLA_TRY(ev_digits(text.data + year_digits + 2 * (i - 1), 2, &values[i]));
    }
    if (tag == DER_UTC_TIME) {
        values[0] += values[0] >= 50 ? 1900 : 2000;
    }
    return ev_time_of(values[0], values[1], values[2], values[3], values[4], values[5], ret_time);
}

cella_result ev_der_time(struct der *der, int64_t *ret_time)
{
    const uint8_t *at = ev_cursor_at(&der->cursor);
    struct cella_bytes text;
    uint8_t tag;
    CELLA_TRY(ev_der_take_any(der, &tag, &text, NULL));
    EV_ENSURE(der->place, tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME, at, BAD_SYNTAX,
              "a UTCTime or GeneralizedTime");
    EV_ENSURE(der->place, cella_is_ok(time_parse(tag, text, ret_time)), at, BAD_SYNTAX,
              "a date that exists");
    return CELLA_OK;
}
