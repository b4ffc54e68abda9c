/*
 * How many log lines clients can cause: so many a second, the rest are counted.
 * Side: host, service. Called by server.c, on all its threads.
 */
#ifndef CELLA_SERVICES_QUOTED_LIMIT_H
#define CELLA_SERVICES_QUOTED_LIMIT_H

#include <stdbool.h>

#include "services/common/log.h"

/* Whether a line of that level may be written now. Says once a second how many were left out. */
bool log_may(enum log_level level);

#endif
