/*
 * Bytes out of hexadecimal text, for known answers.
 * Side: enclave, tests. Included by the api enclave.
 */
#ifndef CELLA_TEST_INTEL_BYTES_H
#define CELLA_TEST_INTEL_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline unsigned bytes_digit(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a') + 10;
}

/* As many bytes as the text has, at most `room`. */
static inline size_t bytes_of(const char *text, uint8_t *to, size_t room)
{
    const size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size && i < room; i++) {
        to[i] = (uint8_t)(bytes_digit(text[2 * i]) << 4 | bytes_digit(text[2 * i + 1]));
    }
    return size;
}

static inline int bytes_are(const void *bytes, const char *text)
{
    uint8_t wanted[1024];
    const size_t size = bytes_of(text, wanted, sizeof(wanted));
    return size <= sizeof(wanted) && memcmp(bytes, wanted, size) == 0;
}

/* A number, big endian in the text, little endian in `to`. */
static inline void bytes_number(const char *text, uint8_t *to, size_t size)
{
    uint8_t big[1024];
    const size_t have = bytes_of(text, big, sizeof(big));
    for (size_t i = 0; i < size; i++) {
        to[i] = i < have ? big[have - 1 - i] : 0;
    }
}

static inline int bytes_are_number(const void *bytes, const char *text, size_t size)
{
    uint8_t wanted[1024];
    bytes_number(text, wanted, size);
    return memcmp(bytes, wanted, size) == 0;
}

#endif
