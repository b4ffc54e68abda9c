/*
 * Text forms of bytes: hexadecimal, base64, PEM.
 * Side: both; freestanding. Called inside evidence/ and by cli/. Never allocates; output goes where the caller says.
 */
#include "evidence/armor.h"

#include "evidence/bytes_util.h"

int ev_armor_hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

cella_result ev_armor_hex(struct cella_bytes text, uint8_t *out)
{
    CELLA_ENSURE(text.size % 2 == 0, BAD_SYNTAX);
    for (size_t i = 0; i < text.size; i += 2) {
        int high = ev_armor_hex_digit(text.data[i]);
        int low = ev_armor_hex_digit(text.data[i + 1]);
        CELLA_ENSURE(high >= 0 && low >= 0, BAD_SYNTAX);
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return CELLA_OK;
}

/* Both alphabets of RFC 4648, by ASCII: the digit plus one; 0: none. */
static const uint8_t g_base64[128] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  63,
    0,  63, 0,  64, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 0,  0,  0,  0,  0,  0,  0,  1,
    2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
    24, 25, 26, 0,  0,  0,  0,  64, 0,  27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
    40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 0,  0,  0,  0,  0};

cella_result ev_armor_base64(struct cella_bytes text, bool is_loose, struct ev_place *place,
                             uint8_t *out, size_t *ret_size)
{
    uint32_t bits = 0;
    size_t digits = 0;
    size_t padding = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '\n' || byte == '\r') {
            continue;
        }
        if (byte == '=') {
            padding++;
            continue;
        }
        int digit = (byte < sizeof(g_base64) ? g_base64[byte] : 0) - 1;
        EV_ENSURE(place, digit >= 0 && padding == 0, text.data + i, BAD_SYNTAX, "a base64 digit");
        bits = bits << 6 | (uint32_t)digit;
        if (++digits % 4 == 0) {
            out[size++] = (uint8_t)(bits >> 16);
            out[size++] = (uint8_t)(bits >> 8);
            out[size++] = (uint8_t)bits;
            bits = 0;
        }
    }
    size_t rest = digits % 4;
    const uint8_t *end = text.data + text.size;
    EV_ENSURE(place, rest != 1, end, BAD_SYNTAX, "whole bytes of base64");
    EV_ENSURE(place, padding == (4 - rest) % 4 || (is_loose && padding == 0), end, BAD_SYNTAX,
              "base64 padding");
    if (rest) {
        unsigned spare = rest == 2 ? 4 : 2;
        EV_ENSURE(place, (bits & ((1u << spare) - 1)) == 0, end, BAD_SYNTAX,
                  "zero bits behind the last byte of base64");
        bits >>= spare;
        if (rest == 3) {
            out[size++] = (uint8_t)(bits >> 8);
        }
        out[size++] = (uint8_t)bits;
    }
    *ret_size = size;
    return CELLA_OK;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* White space, and zero bytes when nothing else is left. True: at the end. */
static bool space_skip(struct cella_cursor *cursor)
{
    struct cella_bytes bytes = cursor->bytes;
    while (cella_cursor_left(cursor) && is_space(bytes.data[cursor->offset])) {
        cursor->offset++;
    }
    /* No farther than to the next block, of which there may be very many. */
    size_t end = cursor->offset;
    while (end < bytes.size && bytes.data[end] == 0) {
        end++;
    }
    if (end == bytes.size) {
        cursor->offset = end;
    }
    return end == bytes.size;
}

/* "-----BEGIN LABEL-----" or "-----END LABEL-----". */
static void line_write(char *line, size_t size, const char *verb, const char *label)
{
    const char *parts[] = {"-----", verb, " ", label, "-----"};
    size_t used = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (const char *from = parts[i]; *from && used + 1 < size; from++) {
            line[used++] = *from;
        }
    }
    line[used] = 0;
}

cella_result ev_armor_pem(struct cella_cursor *cursor, const char *label, bool is_strict,
                          struct ev_place *place, bool *ret_found, struct cella_bytes *ret_body)
{
    struct cella_bytes bytes = cursor->bytes;
    char begin[64];
    char end[64];
    *ret_found = false;
    line_write(begin, sizeof(begin), "BEGIN", label);
    line_write(end, sizeof(end), "END", label);
    if (space_skip(cursor)) {
        return CELLA_OK;
    }
    size_t start = ev_find(bytes, cursor->offset, begin);
    EV_ENSURE(place, !is_strict || start == cursor->offset, ev_cursor_at(cursor), BAD_SYNTAX,
              "a PEM block");
    if (start == bytes.size) {
        cursor->offset = bytes.size;
        return CELLA_OK;
    }
    size_t body = start + strlen(begin);
    size_t stop = ev_find(bytes, body, end);
    EV_ENSURE(place, stop < bytes.size, bytes.data + start, TRUNCATED,
              "the end line of a PEM block");
    *ret_body = cella_bytes_of(bytes.data + body, stop - body);
    *ret_found = true;
    cursor->offset = stop + strlen(end);
    return CELLA_OK;
}
