/*
 * The log inside an enclave.
 * Skin header for enclave code; C11 and C++.
 * Never secret: what is logged goes to the host unless a callback keeps it.
 */
#ifndef _OE_TRACEE_H
#define _OE_TRACEE_H

#include <openenclave/bits/defs.h>
#include <openenclave/enclave.h>
#include <openenclave/log.h>

OE_EXTERNC_BEGIN

/* Gets the enclave's own messages instead of the host. */
typedef void (*oe_enclave_log_callback_t)(void *context, oe_log_level_t level, uint64_t thread_id,
                                          const char *message);

/* NULL: back to the host. */
oe_result_t oe_enclave_log_set_callback(void *context, oe_enclave_log_callback_t callback);

OE_EXTERNC_END

#endif
