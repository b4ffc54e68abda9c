/*
 * Copies to host memory that leave no stale data behind: aligned units of eight bytes, fences around odd ends.
 * Side: enclave. Called by applications; both pointers are theirs.
 * Never checks on which side memory is: oe_is_outside_enclave does.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openenclave/bits/security.h>

#include "compat/openenclave/common/glue.h"

static void store_byte(uint8_t *to, uint8_t value)
{
    OE_WRITE_VALUE_WITH_BARRIER(to, value);
}

static void store_word(uint8_t *to, uint64_t value)
{
    *(volatile uint64_t *)to = value;
}

static void copy_up(uint8_t *to, const uint8_t *from, size_t size)
{
    while (size > 0 && (uintptr_t)to % 8 != 0) {
        store_byte(to++, *from++);
        size--;
    }
    for (; size >= 8; size -= 8, to += 8, from += 8) {
        uint64_t word;
        memcpy(&word, from, sizeof(word));
        store_word(to, word);
    }
    while (size > 0) {
        store_byte(to++, *from++);
        size--;
    }
}

void *oe_memcpy_with_barrier(void *to, const void *from, size_t size)
{
    copy_up(to, from, size);
    return to;
}

void *oe_memmove_with_barrier(void *to, const void *from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if (out <= in || out >= in + size) {
        copy_up(out, in, size);
        return to;
    }
    while (size > 0) {
        size--;
        store_byte(out + size, in[size]);
    }
    return to;
}

void *oe_memset_with_barrier(void *to, int value, size_t size)
{
    uint8_t *out = to;
    uint64_t word;
    memset(&word, value, sizeof(word));
    for (; size > 0 && (uintptr_t)out % 8 != 0; size--) {
        store_byte(out++, (uint8_t)value);
    }
    for (; size >= 8; size -= 8, out += 8) {
        store_word(out, word);
    }
    for (; size > 0; size--) {
        store_byte(out++, (uint8_t)value);
    }
    return to;
}

static bool wraps(const void *at, size_t size)
{
    return (uintptr_t)at + size < (uintptr_t)at;
}

/* What copies check, in upstream's order; after a failure a destination that is one is cleared. */
static oe_result_t copy_check(void *to, size_t to_size, const void *from, size_t size,
                              bool may_overlap)
{
    oe_result_t result = OE_OK;
    const uintptr_t a = (uintptr_t)to, b = (uintptr_t)from;
    OE_ENSURE(to != NULL && !wraps(to, to_size), OE_INVALID_PARAMETER);
    if (!from || wraps(from, size) || to_size < size) {
        result = OE_INVALID_PARAMETER;
    } else if (!may_overlap && (a >= b ? a - b < size : b - a < to_size)) {
        result = OE_OVERLAPPED_COPY;
    }
    if (result != OE_OK) {
        oe_memset_with_barrier(to, 0, to_size);
    }
    return result;
}

oe_result_t oe_memcpy_s_with_barrier(void *to, size_t to_size, const void *from, size_t size)
{
    OE_TRY(copy_check(to, to_size, from, size, false));
    oe_memcpy_with_barrier(to, from, size);
    return OE_OK;
}

oe_result_t oe_memmove_s_with_barrier(void *to, size_t to_size, const void *from, size_t size)
{
    OE_TRY(copy_check(to, to_size, from, size, true));
    oe_memmove_with_barrier(to, from, size);
    return OE_OK;
}

/* As C11's memset_s: all there is gets the value, even when more was asked for. */
oe_result_t oe_memset_s_with_barrier(void *to, size_t to_size, int value, size_t size)
{
    OE_ENSURE(to != NULL && !wraps(to, to_size), OE_INVALID_PARAMETER);
    oe_memset_with_barrier(to, value, size < to_size ? size : to_size);
    return size <= to_size ? OE_OK : OE_INVALID_PARAMETER;
}
