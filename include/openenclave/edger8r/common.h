/*
 * What code generated for Open Enclave has in common on both sides: results, sizes that cannot overflow.
 * Skin header; C11 and C++. Included by NAME_t.c and NAME_u.c.
 * Never marshals anything: cella/bridge_call.h.
 */
#ifndef _OE_EDGER8R_COMMON_H
#define _OE_EDGER8R_COMMON_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

#include "cella/bridge_call.h"

OE_EXTERNC_BEGIN

#define OE_EDGER8R_BUFFER_ALIGNMENT (2 * sizeof(void *))

/* The skin's word for a result of the core. Defined in each side's library. */
oe_result_t oe_result_of(cella_result result);

/* *total += size, rounded up to the alignment of buffers; OE_INTEGER_OVERFLOW leaves it as it was. */
OE_INLINE oe_result_t oe_add_size(size_t *total, size_t size)
{
    const size_t align = OE_EDGER8R_BUFFER_ALIGNMENT;
    size_t rounded;
    size_t sum;
    if (__builtin_add_overflow(size, align - 1, &rounded) ||
        __builtin_add_overflow(*total, rounded / align * align, &sum)) {
        return OE_INTEGER_OVERFLOW;
    }
    *total = sum;
    return OE_OK;
}

OE_EXTERNC_END

#endif
