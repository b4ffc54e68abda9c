/*
 * OE_OCALL_ROOTS.
 * Side: host. Included by compat/openenclave/host only.
 */
#ifndef CELLA_COMPAT_OE_HOST_QUOTE_SOURCE_H
#define CELLA_COMPAT_OE_HOST_QUOTE_SOURCE_H

#include <stddef.h>

#include "cella/result.h"

CELLA_MUST_USE cella_result oe_roots_serve(void *out, size_t out_capacity, size_t *ret_size);

#endif
