/*
 * The default allocator, also under the name oesnmalloc: the libc's.
 * Side: enclave. Called by allocator_wrap.c or debugmalloc.c. An application that defines these functions replaces all.
 * Never manages memory itself.
 */
#include <openenclave/advanced/allocator.h>

#include "compat/openenclave/enclave/allocator.h"

const char oe_allocator_is_libc = 1;

void oe_allocator_init(void *heap_start_address, void *heap_end_address)
{
    (void)heap_start_address, (void)heap_end_address;
}

void oe_allocator_cleanup(void)
{
}

void oe_allocator_thread_init(void)
{
}

void oe_allocator_thread_cleanup(void)
{
}

void *oe_allocator_malloc(size_t size)
{
    return __real_malloc(size);
}

void oe_allocator_free(void *ptr)
{
    __real_free(ptr);
}

void *oe_allocator_calloc(size_t nmemb, size_t size)
{
    return __real_calloc(nmemb, size);
}

void *oe_allocator_realloc(void *ptr, size_t size)
{
    return __real_realloc(ptr, size);
}

void *oe_allocator_aligned_alloc(size_t alignment, size_t size)
{
    return __real_aligned_alloc(alignment, size); /* musl's memalign is a call of it */
}

int oe_allocator_posix_memalign(void **memptr, size_t alignment, size_t size)
{
    return __real_posix_memalign(memptr, alignment, size);
}

size_t oe_allocator_malloc_usable_size(void *ptr)
{
    return __real_malloc_usable_size(ptr);
}
