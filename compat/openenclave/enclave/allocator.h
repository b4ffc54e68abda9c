/*
 * The layers under malloc: the linker gives every call of malloc, free … to __wrap_malloc, __wrap_free … (--wrap), which
 * ask the allocator (oe_allocator_*); the default one asks the libc (__real_malloc …).
 * Side: enclave. Included by the allocator's parts.
 * Never called by name in an application.
 */
#ifndef CELLA_COMPAT_OE_ALLOCATOR_H
#define CELLA_COMPAT_OE_ALLOCATOR_H

#include <stddef.h>

void *__real_malloc(size_t size);
void __real_free(void *at);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_at, size_t alignment, size_t size);
size_t __real_malloc_usable_size(void *at);

void *__wrap_malloc(size_t size);
void __wrap_free(void *at);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_memalign(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_at, size_t alignment, size_t size);
size_t __wrap_malloc_usable_size(void *at);

/* There when the allocator is the libc's own. */
extern const char oe_allocator_is_libc __attribute__((weak));

/* allocator_start.c: gives an allocator of the application its heap, and each thread its start. */
void oe_allocator_start(void);

#endif
