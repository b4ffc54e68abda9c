/*
 * Strict JSON (RFC 8259), read in place: no numbers but integers are needed, no escapes in the strings that are used.
 * Side: both; freestanding. Called by evidence/tcb_info.c, qe_identity.c, policy.c. Never recurses, never copies.
 */
#include "evidence/json.h"

#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/time.h"

/* The byte at the cursor, or 0 at the end: 0 is never part of JSON. */
static uint8_t peek(const struct cella_cursor *cursor)
{
    return cella_cursor_left(cursor) ? cursor->bytes.data[cursor->offset] : 0;
}

static void space_skip(struct cella_cursor *cursor)
{
    for (uint8_t byte = peek(cursor); byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
         byte = peek(cursor)) {
        cursor->offset++;
    }
}

static bool byte_skip(struct cella_cursor *cursor, uint8_t byte)
{
    if (peek(cursor) != byte) {
        return false;
    }
    cursor->offset++;
    return true;
}

static bool word_skip(struct cella_cursor *cursor, const char *word)
{
    struct cella_bytes rest = cella_bytes_of(ev_cursor_at(cursor), cella_cursor_left(cursor));
    if (!ev_starts(rest, word)) {
        return false;
    }
    cursor->offset += strlen(word);
    return true;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool digits_skip(struct cella_cursor *cursor)
{
    size_t start = cursor->offset;
    while (is_digit(peek(cursor))) {
        cursor->offset++;
    }
    return cursor->offset > start;
}

/* RFC 8259 section 6. */
static bool number_skip(struct cella_cursor *cursor)
{
    byte_skip(cursor, '-');
    if (!byte_skip(cursor, '0') && !digits_skip(cursor)) {
        return false;
    }
    if (byte_skip(cursor, '.') && !digits_skip(cursor)) {
        return false;
    }
    if (byte_skip(cursor, 'e') || byte_skip(cursor, 'E')) {
        if (!byte_skip(cursor, '+')) {
            byte_skip(cursor, '-');
        }
        return digits_skip(cursor);
    }
    return true;
}

static bool escape_skip(struct cella_cursor *cursor)
{
    uint8_t byte = peek(cursor);
    if (byte == 'u') {
        cursor->offset++;
        for (size_t i = 0; i < 4; i++) {
            if (ev_armor_hex_digit(peek(cursor)) < 0) {
                return false;
            }
            cursor->offset++;
        }
        return true;
    }
    if (byte == 0 || !ev_contains(cella_bytes_of("\"\\/bfnrt", 8), (char[]){(char)byte, 0})) {
        return false;
    }
    cursor->offset++;
    return true;
}

/* The bytes of one UTF-8 character from 0x80 on (RFC 3629). */
static bool utf8_skip(struct cella_cursor *cursor)
{
    uint8_t first = peek(cursor);
    size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || cella_cursor_left(cursor) <= more) {
        return false;
    }
    const uint8_t *bytes = ev_cursor_at(cursor);
    for (size_t i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0u) != 0x80) {
            return false;
        }
    }
    bool is_bad = (first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
                  (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F);
    cursor->offset += more + 1;
    return !is_bad;
}

static bool string_skip(struct cella_cursor *cursor)
{
    if (!byte_skip(cursor, '"')) {
        return false;
    }
    for (;;) {
        uint8_t byte = peek(cursor);
        if (byte_skip(cursor, '"')) {
            return true;
        }
        if (byte < 0x20) {
            return false;
        }
        if (byte >= 0x80) {
            if (!utf8_skip(cursor)) {
                return false;
            }
            continue;
        }
        cursor->offset++;
        if (byte == '\\' && !escape_skip(cursor)) {
            return false;
        }
    }
}

static bool scalar_skip(struct cella_cursor *cursor)
{
    switch (peek(cursor)) {
    case '"':
        return string_skip(cursor);
    case 't':
        return word_skip(cursor, "true");
    case 'f':
        return word_skip(cursor, "false");
    case 'n':
        return word_skip(cursor, "null");
    default:
        return number_skip(cursor);
    }
}

static bool key_skip(struct cella_cursor *cursor)
{
    space_skip(cursor);
    if (!string_skip(cursor)) {
        return false;
    }
    space_skip(cursor);
    return byte_skip(cursor, ':');
}

/* Which containers are open: one bit each, set for objects. */
struct nesting {
    uint32_t objects;
    unsigned depth;
};

static bool nesting_is_object(const struct nesting *nesting)
{
    return nesting->objects >> (nesting->depth - 1) & 1u;
}

/* Steps into a container. False: it is empty and closed already, or `*ret_ok` is false. */
static bool nesting_open(struct nesting *nesting, struct cella_cursor *cursor, bool *ret_ok)
{
    bool is_object = peek(cursor) == '{';
    cursor->offset++;
    space_skip(cursor);
    if (byte_skip(cursor, is_object ? '}' : ']')) {
        return false;
    }
    nesting->objects =
        (nesting->objects & ~(1u << nesting->depth)) | (is_object ? 1u << nesting->depth : 0);
    nesting->depth++;
    *ret_ok = !is_object || key_skip(cursor);
    return true;
}

/* Behind a value: closes what closes. True: another value follows. */
static bool nesting_continue(struct nesting *nesting, struct cella_cursor *cursor, bool *ret_ok)
{
    while (nesting->depth) {
        bool is_object = nesting_is_object(nesting);
        space_skip(cursor);
        if (byte_skip(cursor, ',')) {
            *ret_ok = !is_object || key_skip(cursor);
            return true;
        }
        if (!byte_skip(cursor, is_object ? '}' : ']')) {
            *ret_ok = false;
            return true;
        }
        nesting->depth--;
    }
    return false;
}

/* Skips one whole value. */
static cella_result value_skip(struct cella_cursor *cursor, struct ev_place *place)
{
    struct nesting nesting = {0};
    bool is_ok = true;
    do {
        space_skip(cursor);
        uint8_t byte = peek(cursor);
        if (byte == '{' || byte == '[') {
            EV_ENSURE(place, nesting.depth < EV_JSON_DEPTH_MAX, ev_cursor_at(cursor),
                      LIMIT_EXCEEDED, "JSON nested less deeply");
            if (nesting_open(&nesting, cursor, &is_ok)) {
                EV_ENSURE(place, is_ok, ev_cursor_at(cursor), BAD_SYNTAX, "a JSON key and a colon");
                continue;
            }
        } else {
            EV_ENSURE(place, scalar_skip(cursor), ev_cursor_at(cursor), BAD_SYNTAX, "a JSON value");
        }
        if (!nesting_continue(&nesting, cursor, &is_ok)) {
            return CELLA_OK;
        }
        EV_ENSURE(place, is_ok, ev_cursor_at(cursor), BAD_SYNTAX,
                  "a comma and a JSON key, or the end of the object or array");
    } while (true);
}

/* To the quote that ends a string of well-formed text; the cursor stands behind the one that starts it. */
static bool string_leave(struct cella_cursor *cursor)
{
    const uint8_t *start = ev_cursor_at(cursor);
    size_t size = cella_cursor_left(cursor);
    for (size_t from = 0; from < size;) {
        const uint8_t *quote = memchr(start + from, '"', size - from);
        if (!quote) {
            return false;
        }
        size_t end = (size_t)(quote - start);
        size_t escapes = 0;
        while (escapes < end && start[end - 1 - escapes] == '\\') {
            escapes++;
        }
        from = end + 1;
        if (escapes % 2 == 0) {
            cursor->offset += from;
            return true;
        }
    }
    return false;
}

static bool container_leave(struct cella_cursor *cursor)
{
    size_t depth = 1;
    while (depth && cella_cursor_left(cursor)) {
        uint8_t byte = cursor->bytes.data[cursor->offset++];
        if (byte == '"' && !string_leave(cursor)) {
            return false;
        }
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
    }
    return depth == 0;
}

/* Past a value of well-formed text: no need to look at it closely again. */
static bool known_skip(struct cella_cursor *cursor)
{
    uint8_t first = peek(cursor);
    if (first == '"' || first == '{' || first == '[') {
        cursor->offset++;
        return first == '"' ? string_leave(cursor) : container_leave(cursor);
    }
    return scalar_skip(cursor);
}

static enum ev_json_kind kind_of(uint8_t first)
{
    switch (first) {
    case '{':
        return EV_JSON_OBJECT;
    case '[':
        return EV_JSON_ARRAY;
    case '"':
        return EV_JSON_STRING;
    case 't':
        return EV_JSON_TRUE;
    case 'f':
        return EV_JSON_FALSE;
    case 'n':
        return EV_JSON_NULL;
    default:
        return EV_JSON_NUMBER;
    }
}

/* The value at the cursor, of well-formed text. */
static bool known_take(struct cella_cursor *cursor, struct ev_json *ret_value)
{
    const uint8_t *start = ev_cursor_at(cursor);
    size_t offset = cursor->offset;
    if (cella_cursor_left(cursor) == 0 || !known_skip(cursor)) {
        return false;
    }
    *ret_value = (struct ev_json){.kind = kind_of(*start),
                                  .text = cella_bytes_of(start, cursor->offset - offset)};
    return true;
}

cella_result ev_json_parse(struct cella_bytes text, struct ev_place *place,
                           struct ev_json *ret_value)
{
    struct cella_cursor cursor = cella_cursor_of(text);
    space_skip(&cursor);
    const uint8_t *start = ev_cursor_at(&cursor);
    size_t offset = cursor.offset;
    CELLA_TRY(value_skip(&cursor, place));
    ret_value->text = cella_bytes_of(start, cursor.offset - offset);
    ret_value->kind = kind_of(*start);
    space_skip(&cursor);
    EV_ENSURE(place, cella_cursor_left(&cursor) == 0, ev_cursor_at(&cursor), TRAILING_BYTES,
              "nothing behind the JSON value");
    return CELLA_OK;
}

struct ev_json_iterator ev_json_items(struct ev_json container)
{
    bool is_container = container.kind == EV_JSON_OBJECT || container.kind == EV_JSON_ARRAY;
    struct cella_bytes inside = is_container ? ev_part(container.text, 1, container.text.size - 2)
                                             : (struct cella_bytes){0};
    return (struct ev_json_iterator){.cursor = cella_cursor_of(inside),
                                     .is_object = container.kind == EV_JSON_OBJECT};
}

bool ev_json_next(struct ev_json_iterator *iterator, struct cella_bytes *ret_key,
                  struct ev_json *ret_value)
{
    struct cella_cursor *cursor = &iterator->cursor;
    *ret_key = (struct cella_bytes){0};
    space_skip(cursor);
    byte_skip(cursor, ',');
    space_skip(cursor);
    if (iterator->is_object) {
        size_t start = cursor->offset;
        if (!byte_skip(cursor, '"') || !string_leave(cursor)) {
            return false;
        }
        *ret_key = ev_part(cursor->bytes, start + 1, cursor->offset - start - 2);
        space_skip(cursor);
        byte_skip(cursor, ':');
        space_skip(cursor);
    }
    return known_take(cursor, ret_value);
}

cella_result ev_json_open(struct ev_json object, struct ev_place *place,
                          struct ev_json_members *ret_members)
{
    struct ev_json_iterator iterator = ev_json_items(object);
    struct cella_bytes key;
    struct ev_json value;
    EV_ENSURE(place, object.kind == EV_JSON_OBJECT, object.text.data, BAD_FIELD, "a JSON object");
    ret_members->at = object.text.data;
    ret_members->count = 0;
    while (ev_json_next(&iterator, &key, &value)) {
        size_t count = ret_members->count;
        for (size_t i = 0; i < count; i++) {
            EV_ENSURE(place, !ev_equal(ret_members->keys[i], key), key.data, BAD_FIELD,
                      "a key that occurs once");
        }
        EV_ENSURE(place, count < EV_JSON_MEMBERS_MAX, key.data, LIMIT_EXCEEDED,
                  "a JSON object with fewer members");
        ret_members->keys[count] = key;
        ret_members->values[count] = value;
        ret_members->count++;
    }
    return CELLA_OK;
}

const struct ev_json *ev_json_member(const struct ev_json_members *members, const char *key)
{
    for (size_t i = 0; i < members->count; i++) {
        if (ev_is(members->keys[i], key)) {
            return &members->values[i];
        }
    }
    return NULL;
}

cella_result ev_json_get(const struct ev_json_members *members, const char *key,
                         enum ev_json_kind kind, struct ev_place *place, struct ev_json *ret_value)
{
    const struct ev_json *value = ev_json_member(members, key);
    EV_ENSURE(place, value, members->at, BAD_FIELD, key);
    EV_ENSURE(place, value->kind == kind, value->text.data, BAD_FIELD, key);
    *ret_value = *value;
    return CELLA_OK;
}

cella_result ev_json_string(struct ev_json value, struct ev_place *place,
                            struct cella_bytes *ret_text)
{
    EV_ENSURE(place, value.kind == EV_JSON_STRING, value.text.data, BAD_FIELD, "a JSON string");
    struct cella_bytes text = ev_part(value.text, 1, value.text.size - 2);
    EV_ENSURE(place, !ev_contains(text, "\\"), value.text.data, BAD_FIELD,
              "a JSON string without escapes");
    *ret_text = text;
    return CELLA_OK;
}

cella_result ev_json_unsigned(struct ev_json value, uint64_t max, struct ev_place *place,
                              uint64_t *ret_value)
{
    uint64_t number = 0;
    EV_ENSURE(place, value.kind == EV_JSON_NUMBER && value.text.size <= 19, value.text.data,
              BAD_FIELD, "a whole number");
    for (size_t i = 0; i < value.text.size; i++) {
        EV_ENSURE(place, is_digit(value.text.data[i]), value.text.data, BAD_FIELD,
                  "a whole number");
        number = number * 10 + (value.text.data[i] - '0');
    }
    EV_ENSURE(place, number <= max, value.text.data, OUT_OF_RANGE, "a smaller number");
    *ret_value = number;
    return CELLA_OK;
}

cella_result ev_json_hex(struct ev_json value, struct ev_place *place, uint8_t *out, size_t size)
{
    struct cella_bytes text;
    CELLA_TRY(ev_json_string(value, place, &text));
    EV_ENSURE(place, text.size == 2 * size && cella_is_ok(ev_armor_hex(text, out)), value.text.data,
              BAD_FIELD, "hexadecimal digits, as many as the field has");
    return CELLA_OK;
}

cella_result ev_json_time(struct ev_json value, struct ev_place *place, int64_t *ret_time)
{
    struct cella_bytes text;
    CELLA_TRY(ev_json_string(value, place, &text));
    EV_ENSURE(place, cella_is_ok(ev_time_rfc3339(text, ret_time)), value.text.data, BAD_FIELD,
              "a date as in 2026-01-31T12:00:00Z");
    return CELLA_OK;
}

cella_result ev_json_get_string(const struct ev_json_members *members, const char *key,
                                struct ev_place *place, struct cella_bytes *ret_text)
{
    struct ev_json value;
    CELLA_TRY(ev_json_get(members, key, EV_JSON_STRING, place, &value));
    return ev_json_string(value, place, ret_text);
}

cella_result ev_json_get_unsigned(const struct ev_json_members *members, const char *key,
                                  uint64_t max, struct ev_place *place, uint64_t *ret_value)
{
    struct ev_json value;
    CELLA_TRY(ev_json_get(members, key, EV_JSON_NUMBER, place, &value));
    return ev_json_unsigned(value, max, place, ret_value);
}

cella_result ev_json_get_hex(const struct ev_json_members *members, const char *key,
                             struct ev_place *place, uint8_t *out, size_t size)
{
    struct ev_json value;
    CELLA_TRY(ev_json_get(members, key, EV_JSON_STRING, place, &value));
    return ev_json_hex(value, place, out, size);
}

cella_result ev_json_get_time(const struct ev_json_members *members, const char *key,
                              struct ev_place *place, int64_t *ret_time)
{
    struct ev_json value;
    CELLA_TRY(ev_json_get(members, key, EV_JSON_STRING, place, &value));
    return ev_json_time(value, place, ret_time);
}
