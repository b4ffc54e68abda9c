/*
 * Threads of the host in one enclave: locks, conditions, and no TCS left.
 * Side: host, tests.
 */
#include "host.h"

#include <pthread.h>

#define THREADS 4
#define TCS 8 /* of api.config.xml */
#define KINDS 6
#define ROUNDS 1000

static sgx_enclave_id_t current;

static void *join_in(void *kind)
{
    int line = -1;
    const sgx_status_t status = thread_join_in(current, &line, *(int *)kind, ROUNDS);
    STATUS(status, SGX_SUCCESS);
    CHECK_HOST(line == 0);
    return NULL;
}

static void *wait_inside(void *unused)
{
    STATUS(thread_wait(current), SGX_SUCCESS);
    return unused;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned blocked;
static int released;

void host_blocked(void)
{
    pthread_mutex_lock(&lock);
    blocked++;
    pthread_cond_broadcast(&changed);
    while (!released) {
        pthread_cond_wait(&changed, &lock);
    }
    blocked--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void blocked_wait(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (blocked < count) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void blocked_release(void)
{
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    while (blocked > 0) {
        pthread_cond_wait(&changed, &lock);
    }
    released = 0;
    pthread_mutex_unlock(&lock);
}

static void *block(void *unused)
{
    STATUS(call_block(current), SGX_SUCCESS);
    return unused;
}

static void all_taken(void)
{
    pthread_t threads[TCS];
    int result = 0;
    const int one = 1;
    for (int i = 0; i < TCS; i++) {
        pthread_create(&threads[i], NULL, block, NULL);
    }
    blocked_wait(TCS);
    STATUS(call_sum(current, &result, &one, 1), SGX_ERROR_OUT_OF_TCS);
    blocked_release();
    for (int i = 0; i < TCS; i++) {
        pthread_join(threads[i], NULL);
    }
    STATUS(call_sum(current, &result, &one, 1), SGX_SUCCESS);
    CHECK_HOST(result == 1);
}

void several_threads(void)
{
    pthread_t threads[THREADS];
    current = enclave_of("api");
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t total = 0;
        int line = -1;
        for (int i = 0; i < THREADS; i++) {
            pthread_create(&threads[i], NULL, join_in, &kind);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        STATUS(thread_totals(current, &line, &total), SGX_SUCCESS);
        CHECK_HOST(line == 0 && total == THREADS * ROUNDS);
        printf("threads, kind %d      %s\n", kind, total == THREADS * ROUNDS ? "ok" : "FAILED");
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, wait_inside, NULL);
    }
    STATUS(thread_wake(current), SGX_SUCCESS);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    all_taken();
    STATUS(sgx_destroy_enclave(current), SGX_SUCCESS);
}
