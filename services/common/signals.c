/*
 * Signals of an ordinary process.
 * Side: services. Called by services/common/daemon.c. Never installs a handler.
 */
#include "services/common/signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static sigset_t g_signals;

void signals_hold(void)
{
    sigemptyset(&g_signals);
    sigaddset(&g_signals, SIGHUP);
    sigaddset(&g_signals, SIGTERM);
    sigaddset(&g_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &g_signals, NULL);
}

int signals_next(void)
{
    const struct timespec second = {.tv_sec = 1};
    int number = sigtimedwait(&g_signals, NULL, &second);
    return number > 0 ? number : 0;
}
