/*
 * Names of the log levels.
 * Side: both. Read by applications and by the host's log.
 * Never changes.
 */
#include <openenclave/log.h>

const char *const oe_log_level_strings[OE_LOG_LEVEL_MAX] = {"NONE",    "FATAL", "ERROR",
                                                            "WARNING", "INFO",  "VERBOSE"};
