/*
 * More threads at once than an image has at its start, four times over.
 * Side: tests. Run in an enclave.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define COUNT 60
#define ROUNDS 4

static pthread_barrier_t g_all;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static int g_count;

static void *work(void *argument)
{
    pthread_barrier_wait(&g_all);
    pthread_mutex_lock(&g_lock);
    g_count++;
    pthread_mutex_unlock(&g_lock);
    usleep(1000);
    return argument;
}

int main(void)
{
    pthread_t threads[COUNT];

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_init(&g_all, NULL, COUNT);
        for (int i = 0; i < COUNT; i++) {
            const int failed = pthread_create(&threads[i], NULL, work, NULL);
            if (failed) {
                printf("thread %d: %d\n", i, failed);
                return 1;
            }
        }
        for (int i = 0; i < COUNT; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    printf("%d threads\n", g_count);
    return 0;
}
