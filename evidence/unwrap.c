/*
 * Text that holds bytes: JSON strings, hexadecimal, base64.
 * Side: host. Called by evidence/collateral.c and evidence/decode.c. Never judges: only looks for what is inside.
 */
#include <stdlib.h>

#include "evidence/armor.h"
#include "evidence/bytes_util.h"
#include "evidence/collateral.h"

/* The character of \uXXXX; surrogates are left out: no document has them. */
static size_t utf8_write(uint8_t *out, unsigned character)
{
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (uint8_t)(0xC0 | character >> 6);
        out[1] = (uint8_t)(0x80 | (character & 0x3F));
        return 2;
    }
    out[0] = (uint8_t)(0xE0 | character >> 12);
    out[1] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    out[2] = (uint8_t)(0x80 | (character & 0x3F));
    return 3;
}

static size_t escape_write(uint8_t *out, const uint8_t *escape, size_t *ret_used)
{
    static const char names[] = "bfnrt";
    static const char values[] = "\b\f\n\r\t";
    *ret_used = 1;
    if (*escape == 'u') {
        unsigned character = 0;
        for (size_t i = 1; i <= 4; i++) {
            character = character << 4 | (unsigned)ev_armor_hex_digit(escape[i]);
        }
        *ret_used = 5;
        return utf8_write(out, character);
    }
    const char *found = strchr(names, *escape);
    *out = found ? (uint8_t)values[found - names] : *escape;
    return 1;
}

bool ev_unwrap_string(struct ev_json value, struct unwrapped *ret_bytes)
{
    if (value.kind != EV_JSON_STRING) {
        return false;
    }
    struct cella_bytes text = ev_part(value.text, 1, value.text.size - 2);
    uint8_t *out = malloc(text.size + 1);
    size_t used = 0;
    if (!out) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        size_t taken;
        if (text.data[i] != '\\') {
            out[used++] = text.data[i];
            continue;
        }
        used += escape_write(out + used, text.data + i + 1, &taken);
        i += taken;
    }
    out[used] = 0;
    *ret_bytes = (struct unwrapped){.data = out, .size = used};
    return true;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == 0;
}

/* Digits only, white space dropped; false: something else is between. */
static bool hex_unwrap(struct cella_bytes text, struct unwrapped *out)
{
    int high = -1;
    out->size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = ev_armor_hex_digit(text.data[i]);
        if (is_space(text.data[i])) {
            continue;
        }
        if (digit < 0) {
            return false;
        }
        if (high >= 0) {
            out->data[out->size++] = (uint8_t)(high << 4 | digit);
            high = -1;
        } else {
            high = digit;
        }
    }
    return high < 0 && out->size > 0;
}

bool ev_unwrap_text(struct cella_bytes text, struct unwrapped *ret_bytes)
{
    struct ev_place place = {0};
    while (text.size && is_space(text.data[0])) {
        text = cella_bytes_of(text.data + 1, text.size - 1);
    }
    while (text.size && is_space(text.data[text.size - 1])) {
        text.size--;
    }
    struct cella_bytes digits =
        ev_starts(text, "0x") || ev_starts(text, "0X") ? ev_part(text, 2, text.size - 2) : text;
    struct unwrapped out = {.data = malloc(text.size + 8)};
    if (!out.data || text.size < 4) {
        free(out.data);
        return false;
    }
    if (hex_unwrap(digits, &out) ||
        cella_is_ok(ev_armor_base64(text, true, &place, out.data, &out.size))) {
        *ret_bytes = out;
        return true;
    }
    free(out.data);
    return false;
}

bool ev_unwrap_percent(struct cella_bytes text, struct unwrapped *ret_bytes)
{
    struct unwrapped out = {.data = malloc(text.size + 1)};
    bool is_ok = out.data != NULL;
    for (size_t i = 0; is_ok && i < text.size; i++) {
        if (text.data[i] != '%') {
            out.data[out.size++] = text.data[i];
            continue;
        }
        int high = i + 2 < text.size ? ev_armor_hex_digit(text.data[i + 1]) : -1;
        int low = i + 2 < text.size ? ev_armor_hex_digit(text.data[i + 2]) : -1;
        is_ok = high >= 0 && low >= 0;
        out.data[out.size++] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
        i += 2;
    }
    if (!is_ok) {
        free(out.data);
        return false;
    }
    *ret_bytes = out;
    return true;
}

bool ev_unwrap_numbers(struct ev_json value, struct unwrapped *ret_bytes)
{
    struct ev_json_iterator items = ev_json_items(value);
    struct ev_place place = {0};
    struct cella_bytes key;
    struct ev_json item;
    uint64_t number;
    if (value.kind != EV_JSON_ARRAY) {
        return false;
    }
    struct unwrapped out = {.data = malloc(value.text.size)};
    bool is_ok = out.data != NULL;
    while (is_ok && ev_json_next(&items, &key, &item)) {
        is_ok = cella_is_ok(ev_json_unsigned(item, UINT8_MAX, &place, &number));
        out.data[out.size++] = (uint8_t)number;
    }
    if (!is_ok || out.size < 16) {
        free(out.data);
        return false;
    }
    *ret_bytes = out;
    return true;
}
