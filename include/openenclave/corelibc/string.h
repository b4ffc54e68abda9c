/*
 * The part of string.h that generated code may use, under Open Enclave's names.
 * Skin header for enclave code; C11 and C++.
 * Never differs from the libc's functions.
 */
#ifndef _OE_CORELIBC_STRING_H
#define _OE_CORELIBC_STRING_H

#include <string.h>

#include <openenclave/bits/types.h>
#include <openenclave/corelibc/bits/defs.h>

OE_EXTERNC_BEGIN

size_t oe_strlen(const char *s);
int oe_strcmp(const char *a, const char *b);
int oe_strncmp(const char *a, const char *b, size_t n);
char *oe_strstr(const char *haystack, const char *needle);
/* As in BSD: the size of the whole text comes back. */
size_t oe_strlcpy(char *dest, const char *src, size_t size);
size_t oe_strlcat(char *dest, const char *src, size_t size);
char *oe_strerror(int errnum);
int oe_strerror_r(int errnum, char *buf, size_t buflen);
char *oe_strtok_r(char *str, const char *delim, char **saveptr);
char *oe_strdup(const char *s);
size_t oe_strspn(const char *s, const char *accept);
size_t oe_strcspn(const char *s, const char *reject);
char *oe_strchr(const char *s, int c);
char *oe_strchrnul(const char *s, int c);
char *oe_strrchr(const char *s, int c);

OE_EXTERNC_END

#endif
