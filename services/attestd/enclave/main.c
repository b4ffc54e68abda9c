/*
 * The service inside an enclave: one call runs it, the other brings it signals.
 * Side: enclave. Called by host.c. What the host gives it, configuration and clock too, is the host's word.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cella/enclave.h"
#include "services/attestd/attestd.h"
#include "services/attestd/enclave/calls.h"
#include "services/common/signals.h"

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_arrived = PTHREAD_COND_INITIALIZER;
static int g_number;
static bool g_runs;

void signals_hold(void)
{
}

int signals_next(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&g_lock);
    if (!g_number) {
        pthread_cond_timedwait(&g_arrived, &g_lock, &until);
    }
    const int number = g_number;
    g_number = 0;
    pthread_mutex_unlock(&g_lock);
    return number;
}

static bool begin(void)
{
    pthread_mutex_lock(&g_lock);
    const bool first = !g_runs;
    g_runs = true;
    pthread_mutex_unlock(&g_lock);
    return first;
}

static cella_result run(const void *in, size_t in_size, void *out, size_t out_capacity,
                        size_t *ret_size)
{
    char path[ATTESTD_PATH_MAX + 1];
    char name[] = "cella-attestd";
    char option[] = "--config";
    char *arguments[] = {name, option, path, NULL};
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size > 0 && in_size <= ATTESTD_PATH_MAX && !memchr(in, 0, in_size),
                 INVALID_ARGUMENT);
    CELLA_ENSURE(begin(), WRONG_STATE);
    memcpy(path, in, in_size);
    path[in_size] = 0;
    return attestd_main(3, arguments) == 0 ? CELLA_OK : CELLA_RESULT(IO);
}

static cella_result bring_signal(const void *in, size_t in_size, void *out, size_t out_capacity,
                                 size_t *ret_size)
{
    int32_t number;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size == sizeof(number), INVALID_ARGUMENT);
    memcpy(&number, in, sizeof(number));
    CELLA_ENSURE(number == SIGHUP || number == SIGTERM || number == SIGINT, INVALID_ARGUMENT);
    pthread_mutex_lock(&g_lock);
    if (g_number != SIGTERM && g_number != SIGINT) {
        g_number = number;
    }
    pthread_cond_signal(&g_arrived);
    pthread_mutex_unlock(&g_lock);
    return CELLA_OK;
}

CELLA_ECALLS([ATTESTD_RUN] = {run, ATTESTD_PATH_MAX, 0}, [ATTESTD_SIGNAL] = {bring_signal, 4, 0});
