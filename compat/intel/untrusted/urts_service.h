/*
 * A cella_service_function.
 * Side: host. Included by urts.c and urts_service.c.
 */
#ifndef CELLA_COMPAT_INTEL_URTS_SERVICE_H
#define CELLA_COMPAT_INTEL_URTS_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

cella_result intel_service(void *context, uint32_t number, const void *in, size_t in_size,
                           void *out, size_t out_capacity, size_t *ret_size);

#endif
