/*
 * How full the enclave's heap is.
 * Skin header for enclave code; C11 and C++.
 * Never exact to the byte: the kernel counts pages.
 */
#ifndef OE_ADVANCED_MALLINFO_H
#define OE_ADVANCED_MALLINFO_H

#include <openenclave/bits/result.h>

OE_EXTERNC_BEGIN

typedef struct _oe_mallinfo {
    size_t max_total_heap_size;
    size_t current_allocated_heap_size;
    size_t peak_allocated_heap_size;
} oe_mallinfo_t;

/* OE_UNSUPPORTED with an allocator of the application's own that does not define it. */
oe_result_t oe_allocator_mallinfo(oe_mallinfo_t *info);

OE_EXTERNC_END

#endif
