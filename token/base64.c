/*
 * Base64 in both alphabets (RFC 4648).
 * Side: relying party, services. Called by token/ and services/. Never allocates.
 */
#include "token/base64.h"

static const char g_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char g_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(struct cella_bytes bytes, const char *alphabet, bool pad, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        for (size_t j = 0; j < 4; j++) {
            if (j <= left) {
                out[used++] = alphabet[group >> (18 - 6 * j) & 63];
            } else if (pad) {
                out[used++] = '=';
            }
        }
    }
    out[used] = 0;
    return used;
}

size_t base64url_encode(struct cella_bytes bytes, char *out)
{
    return encode(bytes, g_url, false, out);
}

size_t base64_encode(struct cella_bytes bytes, char *out)
{
    return encode(bytes, g_standard, true, out);
}

/* Bits of an alphabet that a text may use. */
enum { ALLOW_STANDARD = 1, ALLOW_URL = 2 };

static int digit(char c, unsigned allowed)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if ((c == '+' && (allowed & ALLOW_STANDARD)) || (c == '-' && (allowed & ALLOW_URL))) {
        return 62;
    }
    if ((c == '/' && (allowed & ALLOW_STANDARD)) || (c == '_' && (allowed & ALLOW_URL))) {
        return 63;
    }
    return -1;
}

/* Unpadded text. What is left of the last group must be zero: each value has one text. */
static cella_result decode(const char *text, size_t size, unsigned allowed, uint8_t *out,
                           size_t *ret_size)
{
    uint32_t group = 0;
    size_t used = 0;
    CELLA_ENSURE(size % 4 != 1, BAD_SYNTAX);
    for (size_t i = 0; i < size; i++) {
        int value = digit(text[i], allowed);
        CELLA_ENSURE(value >= 0, BAD_SYNTAX);
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 0) {
            unsigned shift = 6 - 2 * (unsigned)(i % 4);
            out[used++] = (uint8_t)(group >> shift);
        }
    }
    if (size % 4) {
        uint32_t stray = size % 4 == 2 ? 0xF : 0x3;
        CELLA_ENSURE((group & stray) == 0, BAD_SYNTAX);
    }
    *ret_size = used;
    return CELLA_OK;
}

cella_result base64url_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size)
{
    return decode(text, size, ALLOW_URL, out, ret_size);
}

cella_result base64_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size)
{
    CELLA_ENSURE(size % 4 == 0, BAD_SYNTAX);
    if (size && text[size - 1] == '=') {
        size -= text[size - 2] == '=' ? 2 : 1;
    }
    return decode(text, size, ALLOW_STANDARD, out, ret_size);
}

cella_result base64_decode_any(const char *text, size_t size, uint8_t *out, size_t *ret_size)
{
    for (int i = 0; i < 2 && size && text[size - 1] == '='; i++) {
        size--;
    }
    return decode(text, size, ALLOW_STANDARD | ALLOW_URL, out, ret_size);
}
