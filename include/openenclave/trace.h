/*
 * The log as a host program sees and steers it.
 * Skin header for host code; C11 and C++.
 * Never included in an enclave: tracee.h is for that side.
 */
#ifndef _OE_TRACE_H
#define _OE_TRACE_H

#include <time.h>

#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>
#include <openenclave/log.h>

OE_EXTERNC_BEGIN

/* Gets every message of host and enclaves that passes the level; called on the thread that logs. */
typedef void (*oe_log_callback_t)(void *context, bool is_enclave, const struct tm *t,
                                  long int usecs, oe_log_level_t level, uint64_t host_thread_id,
                                  const char *message);

/* NULL: back to standard error or the file named by OE_LOG_DEVICE. */
oe_result_t oe_log_set_callback(void *context, oe_log_callback_t callback);
oe_result_t oe_set_host_log_level(oe_log_level_t log_level);
#ifndef OE_BUILD_HOST_VERIFY
oe_result_t oe_set_enclave_log_level(oe_enclave_t *enclave, uint32_t log_level);
#endif

OE_EXTERNC_END

#endif
