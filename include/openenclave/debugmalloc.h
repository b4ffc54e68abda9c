/*
 * Tracking of the heap in enclaves linked with liboedebugmalloc.
 * Skin header for enclave code; C11 and C++.
 * Never present otherwise: the functions are in that library alone.
 */
#ifndef _OE_DEBUGMALLOC_H
#define _OE_DEBUGMALLOC_H

#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

/* Objects allocated from now on are recorded. OE_FAILURE while tracking already runs. */
oe_result_t oe_debug_malloc_tracking_start(void);
oe_result_t oe_debug_malloc_tracking_stop(void);
/* The recorded objects that were not freed; *report is text, to be freed with free(). */
oe_result_t oe_debug_malloc_tracking_report(uint64_t *out_object_count, char **report);

OE_EXTERNC_END

#endif
