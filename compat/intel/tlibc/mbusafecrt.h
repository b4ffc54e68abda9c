/*
 * String functions that know the size of their destination. Trusted library sgx_tstdc. Source compatible with the Intel
 * SGX SDK. They return 0 or an errno value; what does not fit leaves an empty string behind.
 */
#ifndef MBUSAFECRT_H
#define MBUSAFECRT_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <wchar.h>

#include "cella_tlibc_string.h"

typedef wchar_t WCHAR;

/* `inCount` of the functions with n: as much as fits; they return STRUNCATE when that was not all. */
#ifndef _TRUNCATE
#define _TRUNCATE ((size_t)-1)
#endif
#ifndef STRUNCATE
#define STRUNCATE 80
#endif

#ifdef __cplusplus
extern "C" {
#endif

errno_t strcat_s(char *ioDest, size_t inDestBufferSize, const char *inSrc);
errno_t strncat_s(char *ioDest, size_t inDestBufferSize, const char *inSrc, size_t inCount);
errno_t strcpy_s(char *outDest, size_t inDestBufferSize, const char *inSrc);
errno_t strncpy_s(char *outDest, size_t inDestBufferSize, const char *inSrc, size_t inCount);
char *strtok_s(char *inString, const char *inControl, char **ioContext);

errno_t wcscat_s(WCHAR *ioDest, size_t inDestBufferSize, const WCHAR *inSrc);
errno_t wcsncat_s(WCHAR *ioDest, size_t inDestBufferSize, const WCHAR *inSrc, size_t inCount);
errno_t wcscpy_s(WCHAR *outDest, size_t inDestBufferSize, const WCHAR *inSrc);
errno_t wcsncpy_s(WCHAR *outDest, size_t inDestBufferSize, const WCHAR *inSrc, size_t inCount);
WCHAR *wcstok_s(WCHAR *inString, const WCHAR *inControl, WCHAR **ioContext);

errno_t _itoa_s(int inValue, char *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _itow_s(int inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _ltoa_s(long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _ltow_s(long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _ultoa_s(unsigned long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _ultow_s(unsigned long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _i64toa_s(long long inValue, char *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _i64tow_s(long long inValue, WCHAR *outBuffer, size_t inDestBufferSize, int inRadix);
errno_t _ui64toa_s(unsigned long long inValue, char *outBuffer, size_t inDestBufferSize,
                   int inRadix);
errno_t _ui64tow_s(unsigned long long inValue, WCHAR *outBuffer, size_t inDestBufferSize,
                   int inRadix);

/* Characters written, or -1. */
int sprintf_s(char *string, size_t sizeInBytes, const char *format, ...);
int swprintf_s(WCHAR *string, size_t sizeInWords, const WCHAR *format, ...);
int _snprintf_s(char *string, size_t sizeInBytes, size_t count, const char *format, ...);
int _snwprintf_s(WCHAR *string, size_t sizeInWords, size_t count, const WCHAR *format, ...);
int _vsprintf_s(char *string, size_t sizeInBytes, const char *format, va_list arglist);
int _vsnprintf_s(char *string, size_t sizeInBytes, size_t count, const char *format,
                 va_list arglist);
int _vswprintf_s(WCHAR *string, size_t sizeInWords, const WCHAR *format, va_list arglist);
int _vsnwprintf_s(WCHAR *string, size_t sizeInWords, size_t count, const WCHAR *format,
                  va_list arglist);

errno_t memcpy_s(void *dst, size_t sizeInBytes, const void *src, size_t count);
errno_t memcpy_verw_s(void *dst, size_t sizeInBytes, const void *src, size_t count);
errno_t memmove_s(void *dst, size_t sizeInBytes, const void *src, size_t count);
errno_t memmove_verw_s(void *dst, size_t sizeInBytes, const void *src, size_t count);

#ifdef __cplusplus
}
#endif
#endif
