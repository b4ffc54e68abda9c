/*
 * Writes to host memory in aligned units of eight bytes, or followed by VERW and fences (processor MMIO stale data).
 * Skin header for enclave code; C11 and C++.
 * Never checks on which side the memory is.
 */
#ifndef _OE_BITS_SGX_WRITEBARRIER_H
#define _OE_BITS_SGX_WRITEBARRIER_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

/* Whole words only: the last size % 8 bytes are not copied. */
static OE_ALWAYS_INLINE void oe_memcpy_aligned(void *to, const void *from, size_t size)
{
    size_t words = size / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

void *oe_memcpy_with_barrier(void *to, const void *from, size_t size);
void *oe_memmove_with_barrier(void *to, const void *from, size_t size);
void *oe_memset_with_barrier(void *to, int value, size_t size);
/* The three below: OE_INVALID_PARAMETER, OE_BUFFER_TOO_SMALL, OE_OVERLAPPED_COPY; the destination is cleared then. */
oe_result_t oe_memcpy_s_with_barrier(void *to, size_t to_size, const void *from, size_t size);
oe_result_t oe_memmove_s_with_barrier(void *to, size_t to_size, const void *from, size_t size);
oe_result_t oe_memset_s_with_barrier(void *to, size_t to_size, int value, size_t size);

/* Stores `value`, of 1, 2, 4 or 8 bytes. */
#define OE_WRITE_VALUE_WITH_BARRIER(dest, value)                                                   \
    do {                                                                                           \
        uint16_t oe_selector_;                                                                     \
        __asm__ volatile("movw %%ds, %0\n\tverw %0\n\tmov %2, %1\n\tmfence\n\tlfence"              \
                         : "=m"(oe_selector_), "=m"(*(__typeof__(value) *)(dest))                  \
                         : "r"(value)                                                              \
                         : "cc");                                                                  \
    } while (0)

OE_EXTERNC_END

#endif
