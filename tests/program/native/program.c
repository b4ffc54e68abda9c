/*
 * A C program that makes system calls in many ways: threads, signals, files, pipes, errors, cancellation.
 * Side: tests. Run natively after its image was made.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t g_signal;
static int g_pipe[2];
static int g_cleaned;

static void on_signal(int number)
{
    g_signal = number;
}

static void *work(void *argument)
{
    long number = (long)argument;
    char *memory = malloc(100000);
    memset(memory, 1, 100000);
    free(memory);
    usleep(1000);
    return (void *)(number * 2);
}

static void clean(void *argument)
{
    (void)argument;
    g_cleaned = 1;
}

/* Waits in a system call that is a cancellation point, until it is cancelled. */
static void *wait_forever(void *argument)
{
    char byte;
    (void)argument;
    pthread_cleanup_push(clean, NULL);
    while (read(g_pipe[0], &byte, 1) != 0) {
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static int run_threads(void)
{
    pthread_t threads[16];
    long sum = 0;
    for (long i = 0; i < 16; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            return -1;
        }
    }
    for (int i = 0; i < 16; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    return (int)sum;
}

int main(int argc, char **argv)
{
    struct timespec now;
    char text[100];
    const int sum = run_threads();
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    FILE *file = fopen("/proc/self/status", "r");
    if (!file || !fgets(text, sizeof(text), file)) {
        return 3;
    }
    fclose(file);
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0 || pipe(g_pipe) != 0) {
        return 4;
    }
    if (write(g_pipe[1], "x", 1) != 1 || read(g_pipe[0], text, 1) != 1 || text[0] != 'x') {
        return 5;
    }
    if (read(99, text, 1) != -1 || errno != EBADF) {
        return 6;
    }
    /* The handler of a cancellation compares code addresses: outside an enclave nobody tells it those of the instructions. */
    if (argc > 2) {
        pthread_t waiting;
        void *result;
        pthread_create(&waiting, NULL, wait_forever, NULL);
        usleep(20000);
        pthread_cancel(waiting);
        pthread_join(waiting, &result);
        if (result != PTHREAD_CANCELED || !g_cleaned) {
            return 7;
        }
    }
    printf("%d %d %s\n", sum, (int)g_signal, argc > 1 ? argv[1] : "");
    return 0;
}
