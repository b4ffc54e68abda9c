/*
 * mbusafecrt.h and what <string.h> of the Intel SDK has beside the distribution's.
 * Side: enclave. Called by applications. Never writes behind the size that it was told.
 */
#include "compat/intel/tlibc/mbusafecrt.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat/intel/trusted/core.h"
#include "sgx_trts.h"

/* ------------------------------------------------------------------- memory */

void *memcpy_nochecks(void *to, const void *from, size_t size)
{
    return memcpy(to, from, size);
}

/* Bytes that leave the enclave go in the kernel's way: whole aligned words, so that no stale data goes with them. */
void *memcpy_verw(void *to, const void *from, size_t size)
{
    if (size > 0 && sgx_is_outside_enclave(to, size) && sgx_is_within_enclave(from, size)) {
        if (!cella_is_ok(intel_core_copy_out(to, from, size))) {
            abort();
        }
        return to;
    }
    return memmove(to, from, size);
}

void *memmove_verw(void *to, const void *from, size_t size)
{
    return memcpy_verw(to, from, size);
}

void *memset_verw(void *to, int value, size_t size)
{
    uint8_t bytes[256];
    if (size == 0 || !sgx_is_outside_enclave(to, size)) {
        return memset(to, value, size);
    }
    memset(bytes, value, sizeof(bytes));
    for (size_t at = 0; at < size; at += sizeof(bytes)) {
        const size_t part = size - at < sizeof(bytes) ? size - at : sizeof(bytes);
        memcpy_verw((uint8_t *)to + at, bytes, part);
    }
    return to;
}

errno_t memset_verw_s(void *s, size_t smax, int c, size_t n)
{
    const errno_t error = n > smax ? EOVERFLOW : 0;
    if (!s) {
        return EINVAL;
    }
    if (smax > SIZE_MAX / 2) {
        return E2BIG;
    }
    memset_verw(s, c, n > smax ? smax : n);
    __asm__ volatile("" : : "r"(s) : "memory");
    return error;
}

errno_t memset_s(void *s, size_t smax, int c, size_t n)
{
    if (!s) {
        return EINVAL;
    }
    if (smax > SIZE_MAX / 2) {
        return E2BIG;
    }
    memset(s, c, n > smax ? smax : n);
    __asm__ volatile("" : : "r"(s) : "memory");
    return n > smax ? EOVERFLOW : 0;
}

int consttime_memequal(const void *b1, const void *b2, size_t len)
{
    const volatile uint8_t *a = b1, *b = b2;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++) {
        difference |= (uint8_t)(a[i] ^ b[i]);
    }
    return difference == 0;
}

__attribute__((weak)) size_t strlcpy(char *to, const char *from, size_t size)
{
    const size_t length = strlen(from);
    if (size > 0) {
        const size_t part = length < size ? length : size - 1;
        memcpy(to, from, part);
        to[part] = 0;
    }
    return length;
}

static errno_t copy_check(void *dst, size_t size, const void *src, size_t count, int clear)
{
    if (!dst) {
        return EINVAL;
    }
    if (!src || size < count) {
        if (clear) {
            memset(dst, 0, size);
        }
        return src ? ERANGE : EINVAL;
    }
    return 0;
}

errno_t memcpy_s(void *dst, size_t sizeInBytes, const void *src, size_t count)
{
    const errno_t error = count == 0 ? 0 : copy_check(dst, sizeInBytes, src, count, 1);
    if (error == 0 && count > 0) {
        memcpy(dst, src, count);
    }
    return error;
}

errno_t memcpy_verw_s(void *dst, size_t sizeInBytes, const void *src, size_t count)
{
    const errno_t error = count == 0 ? 0 : copy_check(dst, sizeInBytes, src, count, 0);
    if (error == 0 && count > 0) {
        memcpy_verw(dst, src, count);
    }
    return error;
}

errno_t memmove_s(void *dst, size_t sizeInBytes, const void *src, size_t count)
{
    const errno_t error = count == 0 ? 0 : copy_check(dst, sizeInBytes, src, count, 0);
    if (error == 0 && count > 0) {
        memmove(dst, src, count);
    }
    return error;
}

errno_t memmove_verw_s(void *dst, size_t sizeInBytes, const void *src, size_t count)
{
    return memcpy_verw_s(dst, sizeInBytes, src, count);
}

/* ------------------------------------------------------------------- strings, for both widths of character */

/* Where the string at `to` ends; `size` when it does not. */
#define END_OF(to, size)                                                                           \
    ({                                                                                             \
        size_t end_ = 0;                                                                           \
        while (end_ < (size) && (to)[end_] != 0) {                                                 \
            end_++;                                                                                \
        }                                                                                          \
        end_;                                                                                      \
    })

/* Appends at most `count` characters of `from` at `to + at`. */
#define APPEND(to, size, at, from, count)                                                          \
    do {                                                                                           \
        if (!(to) || (size) == 0) {                                                                \
            return EINVAL;                                                                         \
        }                                                                                          \
        if (!(from)) {                                                                             \
            (to)[0] = 0;                                                                           \
            return EINVAL;                                                                         \
        }                                                                                          \
        size_t at_ = (at);                                                                         \
        if (at_ == (size)) {                                                                       \
            (to)[0] = 0;                                                                           \
            return EINVAL;                                                                         \
        }                                                                                          \
        for (size_t i_ = 0; i_ < (count) && (from)[i_] != 0; i_++) {                               \
            if (at_ + 1 == (size)) {                                                               \
                (to)[(count) == _TRUNCATE_ALL ? at_ : 0] = 0;                                      \
                return (count) == _TRUNCATE_ALL ? STRUNCATE : ERANGE;                              \
            }                                                                                      \
            (to)[at_++] = (from)[i_];                                                              \
        }                                                                                          \
        (to)[at_] = 0;                                                                             \
        return 0;                                                                                  \
    } while (0)
#define _TRUNCATE_ALL _TRUNCATE
#define WHOLE (SIZE_MAX - 1) /* all of the string, and an error when it does not fit */

errno_t strcpy_s(char *outDest, size_t inDestBufferSize, const char *inSrc)
{
    APPEND(outDest, inDestBufferSize, 0, inSrc, WHOLE);
}

errno_t strncpy_s(char *outDest, size_t inDestBufferSize, const char *inSrc, size_t inCount)
{
    APPEND(outDest, inDestBufferSize, 0, inSrc, inCount);
}

errno_t strcat_s(char *ioDest, size_t inDestBufferSize, const char *inSrc)
{
    APPEND(ioDest, inDestBufferSize, END_OF(ioDest, inDestBufferSize), inSrc, WHOLE);
}

errno_t strncat_s(char *ioDest, size_t inDestBufferSize, const char *inSrc, size_t inCount)
{
    APPEND(ioDest, inDestBufferSize, END_OF(ioDest, inDestBufferSize), inSrc, inCount);
}

errno_t wcscpy_s(WCHAR *outDest, size_t inDestBufferSize, const WCHAR *inSrc)
{
    APPEND(outDest, inDestBufferSize, 0, inSrc, WHOLE);
}

errno_t wcsncpy_s(WCHAR *outDest, size_t inDestBufferSize, const WCHAR *inSrc, size_t inCount)
{
    APPEND(outDest, inDestBufferSize, 0, inSrc, inCount);
}

errno_t wcscat_s(WCHAR *ioDest, size_t inDestBufferSize, const WCHAR *inSrc)
{
    APPEND(ioDest, inDestBufferSize, END_OF(ioDest, inDestBufferSize), inSrc, WHOLE);
}

errno_t wcsncat_s(WCHAR *ioDest, size_t inDestBufferSize, const WCHAR *inSrc, size_t inCount)
{
    APPEND(ioDest, inDestBufferSize, END_OF(ioDest, inDestBufferSize), inSrc, inCount);
}

char *strtok_s(char *inString, const char *inControl, char **ioContext)
{
    if (!inControl || !ioContext || (!inString && !*ioContext)) {
        return NULL;
    }
    return strtok_r(inString, inControl, ioContext);
}

WCHAR *wcstok_s(WCHAR *inString, const WCHAR *inControl, WCHAR **ioContext)
{
    if (!inControl || !ioContext || (!inString && !*ioContext)) {
        return NULL;
    }
    return wcstok(inString, inControl, ioContext);
}

/* ------------------------------------------------------------------- numbers as text */

static errno_t number_write(unsigned long long value, int negative, char *to, size_t size,
                            int radix)
{
    char digits[66];
    size_t count = 0;
    if (!to || size == 0) {
        return EINVAL;
    }
    to[0] = 0;
    if (radix < 2 || radix > 36) {
        return EINVAL;
    }
    do {
        digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % (unsigned)radix];
        value /= (unsigned)radix;
    } while (value);
    if (negative) {
        digits[count++] = '-';
    }
    if (count >= size) {
        return ERANGE;
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = digits[count - 1 - i];
    }
    to[count] = 0;
    return 0;
}

static errno_t number_write_wide(unsigned long long value, int negative, WCHAR *to, size_t size,
                                 int radix)
{
    char narrow[68];
    if (!to || size == 0) {
        return EINVAL;
    }
    const errno_t error =
        number_write(value, negative, narrow, size < sizeof(narrow) ? size : sizeof(narrow), radix);
    for (size_t i = 0; i <= strlen(narrow); i++) {
        to[i] = (WCHAR)narrow[i];
    }
    return error;
}

/* A sign is written in radix 10 only; elsewhere the bits of the type are. */
#define SIGNED(value, unsigned_type, radix, write, out, size)                                      \
    ((radix) == 10 && (value) < 0                                                                  \
         ? write(0 - (unsigned long long)(value), 1, (out), (size), (radix))                       \
         : write((unsigned_type)(value), 0, (out), (size), (radix)))

errno_t _itoa_s(int inValue, char *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned, inRadix, number_write, outBuffer, inDestBufferSize);
}

errno_t _ltoa_s(long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned long, inRadix, number_write, outBuffer, inDestBufferSize);
}

errno_t _i64toa_s(long long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned long long, inRadix, number_write, outBuffer, inDestBufferSize);
}

errno_t _ultoa_s(unsigned long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return number_write(inValue, 0, outBuffer, inDestBufferSize, inRadix);
}

errno_t _ui64toa_s(unsigned long long inValue, char *outBuffer, size_t inDestBufferSize,
                   int inRadix)
{
    return number_write(inValue, 0, outBuffer, inDestBufferSize, inRadix);
}

errno_t _itow_s(int inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned, inRadix, number_write_wide, outBuffer, inDestBufferSize);
}

errno_t _ltow_s(long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned long, inRadix, number_write_wide, outBuffer, inDestBufferSize);
}

errno_t _i64tow_s(long long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return SIGNED(inValue, unsigned long long, inRadix, number_write_wide, outBuffer,
                  inDestBufferSize);
}

errno_t _ultow_s(unsigned long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix)
{
    return number_write_wide(inValue, 0, outBuffer, inDestBufferSize, inRadix);
}

errno_t _ui64tow_s(unsigned long long inValue, WCHAR *outBuffer, size_t inDestBufferSize,
                   int inRadix)
{
    return number_write_wide(inValue, 0, outBuffer, inDestBufferSize, inRadix);
}

/* ------------------------------------------------------------------- formats */

int _vsnprintf_s(char *string, size_t sizeInBytes, size_t count, const char *format,
                 va_list arglist)
{
    if (!string || sizeInBytes == 0 || !format) {
        errno = EINVAL;
        return -1;
    }
    const size_t room = count < sizeInBytes ? count + 1 : sizeInBytes;
    const int length = vsnprintf(string, room, format, arglist);
    if (length < 0 || (size_t)length < room) {
        return length;
    }
    if (room == sizeInBytes && count != _TRUNCATE) { /* it is the buffer that is too small */
        string[0] = 0;
        errno = ERANGE;
    }
    return -1;
}

int _vsprintf_s(char *string, size_t sizeInBytes, const char *format, va_list arglist)
{
    return _vsnprintf_s(string, sizeInBytes, WHOLE, format, arglist);
}

int sprintf_s(char *string, size_t sizeInBytes, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int length = _vsnprintf_s(string, sizeInBytes, WHOLE, format, list);
    va_end(list);
    return length;
}

int _snprintf_s(char *string, size_t sizeInBytes, size_t count, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int length = _vsnprintf_s(string, sizeInBytes, count, format, list);
    va_end(list);
    return length;
}

int _vsnwprintf_s(WCHAR *string, size_t sizeInWords, size_t count, const WCHAR *format,
                  va_list arglist)
{
    if (!string || sizeInWords == 0 || !format) {
        errno = EINVAL;
        return -1;
    }
    const size_t room = count < sizeInWords ? count + 1 : sizeInWords;
    const int length = vswprintf(string, room, format, arglist);
    if (length < 0 && room == sizeInWords && count != _TRUNCATE) {
        string[0] = 0;
        errno = ERANGE;
    }
    return length;
}

int _vswprintf_s(WCHAR *string, size_t sizeInWords, const WCHAR *format, va_list arglist)
{
    return _vsnwprintf_s(string, sizeInWords, WHOLE, format, arglist);
}

int swprintf_s(WCHAR *string, size_t sizeInWords, const WCHAR *format, ...)
{
    va_list list;
    va_start(list, format);
    const int length = _vsnwprintf_s(string, sizeInWords, WHOLE, format, list);
    va_end(list);
    return length;
}

int _snwprintf_s(WCHAR *string, size_t sizeInWords, size_t count, const WCHAR *format, ...)
{
    va_list list;
    va_start(list, format);
    const int length = _vsnwprintf_s(string, sizeInWords, count, format, list);
    va_end(list);
    return length;
}
