/*
 * How many log lines clients can cause: so many a second, the rest are counted.
 * Side: services. Called on every thread.
 */
#ifndef CELLA_SERVICES_LOG_LIMIT_H
#define CELLA_SERVICES_LOG_LIMIT_H

#include <stdbool.h>

#include "services/common/log.h"

/* Whether a line of that level may be written now. Says once a second how many were left out. */
bool log_may(enum log_level level);

#endif
