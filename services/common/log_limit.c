/*
 * A limit on log lines. log_limit.h is the manual.
 * Side: services. Called by daemons whose clients can cause log lines.
 */
#include "services/common/log_limit.h"

#include <pthread.h>
#include <time.h>

#define LINES_A_SECOND 20u

static struct {
    pthread_mutex_t lock;
    time_t second;
    unsigned lines, dropped;
} g_limit = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool log_may(enum log_level level)
{
    const time_t now = time(NULL);
    if (level < log_level()) {
        return false;
    }
    pthread_mutex_lock(&g_limit.lock);
    const unsigned dropped = now != g_limit.second ? g_limit.dropped : 0;
    if (now != g_limit.second) {
        g_limit.second = now;
        g_limit.lines = g_limit.dropped = 0;
    }
    const bool may = g_limit.lines < LINES_A_SECOND;
    g_limit.lines += may ? 1 : 0;
    g_limit.dropped += may ? 0 : 1;
    pthread_mutex_unlock(&g_limit.lock);
    if (dropped > 0) {
        log_say(LOG_WARNING, "log-limit", "%u lines left out", dropped);
    }
    return may;
}
