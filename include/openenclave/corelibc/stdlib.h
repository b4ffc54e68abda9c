/*
 * The part of stdlib.h that generated code may use, under Open Enclave's names.
 * Skin header for enclave code; C11 and C++.
 * Never a second allocator: these are the libc's functions.
 */
#ifndef _OE_CORELIBC_STDLIB_H
#define _OE_CORELIBC_STDLIB_H

#include <stdlib.h>

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>
#include <openenclave/corelibc/limits.h>

OE_EXTERNC_BEGIN

typedef struct _oe_syscall_path {
    char buf[OE_PATH_MAX];
} oe_syscall_path_t;

void *oe_malloc(size_t size);
void oe_free(void *ptr);
void *oe_calloc(size_t nmemb, size_t size);
void *oe_realloc(void *ptr, size_t size);
void *oe_memalign(size_t alignment, size_t size);
void oe_memalign_free(void *ptr);
int oe_posix_memalign(void **memptr, size_t alignment, size_t size);
void *oe_aligned_alloc(size_t alignment, size_t size);
size_t oe_malloc_usable_size(void *ptr);
unsigned long int oe_strtoul(const char *nptr, char **endptr, int base);
int oe_atoi(const char *nptr);
int oe_atexit(void (*function)(void));
char *oe_realpath(const char *path, oe_syscall_path_t *resolved_path);
void oe_abort(void) OE_NO_RETURN;
OE_NO_RETURN void oe_exit(int status);

OE_EXTERNC_END

#endif
