/*
 * Threads: many, locks, condition variables, thread-local data, cancellation, robust locks, exit in all ways.
 * Side: a program of the tests, built static for each libc. Prints the same natively and in an enclave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS 16
#define ROUNDS 2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static long total;
static int turn;
static __thread long own = 5;

static void *adder(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
        own += (long)argument;
    }
    return (void *)own;
}

static void test_mutex(void)
{
    pthread_t threads[THREADS];
    long sum = 0;
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, adder, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("mutex: %ld, thread-local %ld, ours %ld\n", total, sum, own);
}

static void *nothing(void *argument)
{
    return argument;
}

static void test_many(void)
{
    int good = 0;
    for (long i = 0; i < 500; i++) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, NULL, nothing, (void *)i) == 0 &&
            pthread_join(thread, &result) == 0 && (long)result == i) {
            good++;
        }
    }
    printf("one after the other: %d\n", good);
}

static void *turner(void *argument)
{
    const int me = (int)(intptr_t)argument;
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        while (turn != me) {
            pthread_cond_wait(&turned, &lock);
        }
        turn = (turn + 1) % 4;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void test_condition(void)
{
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, turner, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("condition: turn %d\n", turn);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&lock);
    const int result = pthread_cond_timedwait(&turned, &lock, &until);
    pthread_mutex_unlock(&lock);
    printf("timed: %s\n", strerror(result));
}

static pthread_barrier_t barrier;
static sem_t semaphore;

static void *at_barrier(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100; i++) {
        pthread_barrier_wait(&barrier);
    }
    sem_post(&semaphore);
    return NULL;
}

static void test_barrier(void)
{
    pthread_t threads[3];
    pthread_barrier_init(&barrier, NULL, 3);
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, at_barrier, NULL);
    }
    for (int i = 0; i < 3; i++) {
        sem_wait(&semaphore);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    int value;
    sem_getvalue(&semaphore, &value);
    printf("barrier: %d\n", value);
}

static void cleanup(void *argument)
{
    *(int *)argument = 1;
}

static void *sleeper(void *argument)
{
    pthread_cleanup_push(cleanup, argument);
    for (;;) {
        pause();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *busy(void *argument)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    *(volatile int *)argument = 1;
    for (volatile long i = 0;; i++) {
    }
    return NULL;
}

static void test_cancel(void)
{
    pthread_t thread;
    void *result;
    int cleaned = 0;
    pthread_create(&thread, NULL, sleeper, &cleaned);
    usleep(20000);
    printf("cancel: %d", pthread_cancel(thread));
    pthread_join(thread, &result);
    printf(" %s cleaned %d\n", result == PTHREAD_CANCELED ? "canceled" : "ended", cleaned);
    volatile int started = 0;
    pthread_create(&thread, NULL, busy, (void *)&started);
    while (!started) {
        sched_yield();
    }
    printf("cancel at any place: %d", pthread_cancel(thread));
    pthread_join(thread, &result);
    printf(" %s\n", result == PTHREAD_CANCELED ? "canceled" : "ended");
}

static void *dies_with_lock(void *argument)
{
    pthread_mutex_lock(argument);
    return NULL;
}

static void test_robust(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t robust;
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_create(&thread, NULL, dies_with_lock, &robust);
    pthread_join(thread, NULL);
    const int result = pthread_mutex_lock(&robust);
    printf("robust: %s", strerror(result));
    printf(" %d\n", pthread_mutex_consistent(&robust));
    pthread_mutex_unlock(&robust);
}

static void *named(void *argument)
{
    char name[16];
    pthread_setname_np(pthread_self(), "worker");
    pthread_getname_np(pthread_self(), name, sizeof(name));
    printf("name: %s, tid %s\n", name,
           syscall(SYS_gettid) != getpid() ? "its own" : "the process's");
    return argument;
}

static void *last(void *argument)
{
    (void)argument;
    usleep(30000);
    printf("the last thread ends the process\n");
    fflush(stdout);
    return NULL;
}

/* What was a thread's number is nobody's for a while: a signal for it goes nowhere. */
static void *number(void *argument)
{
    *(long *)argument = syscall(SYS_gettid);
    return NULL;
}

static void test_numbers(void)
{
    long numbers[32];
    int again = 0, alive = 0;
    for (int i = 0; i < 32; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, number, &numbers[i]);
        pthread_join(thread, NULL);
        /* A joined thread may still be on its last steps in the kernel. */
        int tries = 0;
        while (syscall(SYS_tgkill, getpid(), numbers[i], 0) == 0 && tries++ < 1000) {
            usleep(1000);
        }
        alive += tries > 1000 || errno != ESRCH;
        for (int k = 0; k < i; k++) {
            again += numbers[k] == numbers[i];
        }
    }
    printf("numbers: %d again, %d alive\n", again, alive);
}

/* ------------------------------------------------------------------ pipes of several threads */

#define MESSAGE 4096 /* PIPE_BUF: in one piece */
#define MESSAGES 500

static int ends[2];
static _Atomic long messages_bad, messages_got, messages_sum;

/* From memory that is there for the first time when the pipe takes it. */
static void *pipe_writer(void *argument)
{
    for (long i = 0; i < MESSAGES; i++) {
        char *bytes =
            mmap(NULL, MESSAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (i % 2 == 0) {
            memset(bytes, (int)(long)argument, MESSAGE);
        }
        messages_bad += write(ends[1], bytes, MESSAGE) != MESSAGE;
        munmap(bytes, MESSAGE);
    }
    return NULL;
}

static void *pipe_reader(void *argument)
{
    for (;;) {
        char *bytes =
            mmap(NULL, MESSAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const long got = read(ends[0], bytes, MESSAGE);
        if (got <= 0) {
            munmap(bytes, MESSAGE);
            return argument;
        }
        messages_got += got;
        messages_sum += bytes[0];
        for (long i = 1; i < got; i++) {
            messages_bad += bytes[i] != bytes[0];
        }
        munmap(bytes, MESSAGE);
    }
}

static void test_pipe(void)
{
    pthread_t writers[3], readers[2];
    pipe(ends);
    for (long i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, pipe_reader, NULL);
    }
    for (long i = 0; i < 3; i++) {
        pthread_create(&writers[i], NULL, pipe_writer, (void *)(i + 1));
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(writers[i], NULL);
    }
    close(ends[1]);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    close(ends[0]);
    printf("pipe: %ld bytes, sum %ld, %ld bad\n", messages_got, messages_sum, messages_bad);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "process") == 0) {
        errno = 0;
        printf("a process: %s\n", fork() < 0 ? "no" : "yes");
        return 0;
    }
    test_mutex();
    test_many();
    test_condition();
    test_barrier();
    test_cancel();
    test_robust();
    test_numbers();
    test_pipe();
    pthread_t thread;
    pthread_create(&thread, NULL, named, NULL);
    pthread_join(thread, NULL);
    fflush(stdout);
    pthread_create(&thread, NULL, last, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
}
