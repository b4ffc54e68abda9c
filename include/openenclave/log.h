/*
 * Log levels of the Open Enclave API.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_LOG_H
#define _OE_LOG_H

#include "bits/defs.h"

OE_EXTERNC_BEGIN

typedef enum _oe_log_level {
    OE_LOG_LEVEL_NONE = 0,
    OE_LOG_LEVEL_FATAL,
    OE_LOG_LEVEL_ERROR,
    OE_LOG_LEVEL_WARNING,
    OE_LOG_LEVEL_INFO,
    OE_LOG_LEVEL_VERBOSE,
    OE_LOG_LEVEL_MAX
} oe_log_level_t;

extern const char *const oe_log_level_strings[OE_LOG_LEVEL_MAX];

OE_EXTERNC_END

#endif
