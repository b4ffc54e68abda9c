/*
 * malloc and its kin: to the allocator.
 * Side: enclave. Called by everything that allocates (--wrap); liboedebugmalloc has its own in the place of these.
 * Never allocates before the allocator has its heap.
 */
#include <openenclave/advanced/allocator.h>

#include "compat/openenclave/enclave/allocator.h"

void *__wrap_malloc(size_t size)
{
    oe_allocator_start();
    return oe_allocator_malloc(size);
}

void __wrap_free(void *at)
{
    oe_allocator_free(at);
}

void *__wrap_calloc(size_t count, size_t size)
{
    oe_allocator_start();
    return oe_allocator_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    oe_allocator_start();
    return oe_allocator_realloc(at, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    oe_allocator_start();
    return oe_allocator_aligned_alloc(alignment, size);
}

void *__wrap_memalign(size_t alignment, size_t size)
{
    oe_allocator_start();
    return oe_allocator_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **ret_at, size_t alignment, size_t size)
{
    oe_allocator_start();
    return oe_allocator_posix_memalign(ret_at, alignment, size);
}

size_t __wrap_malloc_usable_size(void *at)
{
    return oe_allocator_malloc_usable_size(at);
}
