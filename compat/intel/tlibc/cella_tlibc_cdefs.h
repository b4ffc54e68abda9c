/*
 * Words of the Intel SGX SDK's libc headers that programs use for themselves. Included by include/tlibc/sys/cdefs.h.
 */
#ifndef CELLA_TLIBC_CDEFS_H
#define CELLA_TLIBC_CDEFS_H

#define _TLIBC_CDECL_
#define _TLIBC_NORETURN_ __attribute__((__noreturn__))
#define _TLIBC_DEPRECATED_ __attribute__((deprecated))
#define _TLIBC_DEPRECATED_FUNCTION_(type, name, ...) type name(__VA_ARGS__)
#define _GCC_PRINTF_FORMAT_(format, first) __attribute__((__format__(__printf__, format, first)))

#endif
