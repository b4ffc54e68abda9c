/*
 * What <string.h> of the Intel SGX SDK has beside the distribution's. Included by include/tlibc/string.h.
 */
#ifndef CELLA_TLIBC_STRING_H
#define CELLA_TLIBC_STRING_H

#include <stddef.h>

#ifndef _ERRNO_T_DEFINED
#define _ERRNO_T_DEFINED
typedef int errno_t;
#endif

#ifdef __cplusplus
extern "C" {
#endif

void *memcpy_nochecks(void *to, const void *from, size_t size);

/* As their namesakes; they may write to host memory, where stale data in buffers of the processor must not get out. */
void *memcpy_verw(void *to, const void *from, size_t size);
void *memmove_verw(void *to, const void *from, size_t size);
void *memset_verw(void *to, int value, size_t size);

/* memset that no compiler leaves out: C11, K.3.7.4.1. */
errno_t memset_s(void *s, size_t smax, int c, size_t n);
errno_t memset_verw_s(void *s, size_t smax, int c, size_t n);

/* 1 when they are the same, else 0; the time does not depend on the bytes. */
int consttime_memequal(const void *b1, const void *b2, size_t len);

#if !defined __GLIBC__ || __GLIBC__ < 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ < 38)
size_t strlcpy(char *to, const char *from, size_t size);
#endif

#ifdef __cplusplus
}
#endif
#endif
