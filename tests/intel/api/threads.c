/*
 * sgx_thread.h and sgx_spinlock.h, alone and by several threads of the host at once.
 * Side: enclave, tests. Functions that give a number give 0 or the line that failed.
 */
#include "sgx_thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_spinlock.h"

static int alone_mutex(void)
{
    sgx_thread_mutex_t plain = SGX_THREAD_MUTEX_INITIALIZER;
    sgx_thread_mutex_t recursive = SGX_THREAD_RECURSIVE_MUTEX_INITIALIZER;
    sgx_thread_mutex_t made;
    CHECK(sgx_thread_mutex_lock(&plain) == 0);
    CHECK(sgx_thread_mutex_trylock(&plain) == EBUSY);
    CHECK(sgx_thread_mutex_destroy(&plain) == EBUSY);
    CHECK(sgx_thread_mutex_unlock(&plain) == 0);
    CHECK(sgx_thread_mutex_unlock(&plain) == EPERM);
    CHECK(sgx_thread_mutex_trylock(&plain) == 0 && sgx_thread_mutex_unlock(&plain) == 0);
    CHECK(sgx_thread_mutex_destroy(&plain) == 0);
    CHECK(sgx_thread_mutex_lock(&plain) == EINVAL);
    CHECK(sgx_thread_mutex_lock(&recursive) == 0 && sgx_thread_mutex_lock(&recursive) == 0);
    CHECK(sgx_thread_mutex_trylock(&recursive) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(sgx_thread_mutex_unlock(&recursive) == 0);
    }
    CHECK(sgx_thread_mutex_unlock(&recursive) == EPERM);
    memset(&made, 0xFF, sizeof(made));
    CHECK(sgx_thread_mutex_init(&made, NULL) == 0 && sgx_thread_mutex_lock(&made) == 0);
    CHECK(sgx_thread_mutex_unlock(&made) == 0 && sgx_thread_mutex_destroy(&made) == 0);
    CHECK(sgx_thread_mutex_init(NULL, NULL) == EINVAL && sgx_thread_mutex_lock(NULL) == EINVAL);
    CHECK(sgx_thread_mutex_trylock(NULL) == EINVAL && sgx_thread_mutex_unlock(NULL) == EINVAL);
    CHECK(sgx_thread_mutex_destroy(NULL) == EINVAL);
    CHECK(sgx_thread_mutex_lock((sgx_thread_mutex_t *)0x1000) == EINVAL);
    return 0;
}

static int alone_rwlock(void)
{
    sgx_thread_rwlock_t lock = SGX_THREAD_LOCK_INITIALIZER;
    CHECK(sgx_thread_rwlock_rdlock(&lock) == 0 && sgx_thread_rwlock_tryrdlock(&lock) == 0);
    CHECK(sgx_thread_rwlock_trywrlock(&lock) == EBUSY);
    CHECK(sgx_thread_rwlock_destroy(&lock) == EBUSY);
    CHECK(sgx_thread_rwlock_rdunlock(&lock) == 0 && sgx_thread_rwlock_unlock(&lock) == 0);
    CHECK(sgx_thread_rwlock_rdunlock(&lock) == EPERM);
    CHECK(sgx_thread_rwlock_wrlock(&lock) == 0);
    CHECK(sgx_thread_rwlock_tryrdlock(&lock) == EBUSY);
    CHECK(sgx_thread_rwlock_trywrlock(&lock) == EBUSY);
    CHECK(sgx_thread_rwlock_wrlock(&lock) == EDEADLK && sgx_thread_rwlock_rdlock(&lock) == EDEADLK);
    CHECK(sgx_thread_rwlock_unlock(&lock) == 0);
    CHECK(sgx_thread_rwlock_wrunlock(&lock) == EPERM);
    CHECK(sgx_thread_rwlock_trywrlock(&lock) == 0 && sgx_thread_rwlock_wrunlock(&lock) == 0);
    CHECK(sgx_thread_rwlock_destroy(&lock) == 0 && sgx_thread_rwlock_init(&lock, NULL) == 0);
    CHECK(sgx_thread_rwlock_init(NULL, NULL) == EINVAL && sgx_thread_rwlock_rdlock(NULL) == EINVAL);
    CHECK(sgx_thread_rwlock_wrlock(NULL) == EINVAL && sgx_thread_rwlock_unlock(NULL) == EINVAL);
    return 0;
}

int test_threads_alone(void)
{
    sgx_thread_cond_t condition;
    sgx_thread_mutex_t mutex = SGX_THREAD_MUTEX_INITIALIZER;
    sgx_spinlock_t spin = SGX_SPINLOCK_INITIALIZER;
    int line = alone_mutex();
    if (line != 0) {
        return line;
    }
    line = alone_rwlock();
    if (line != 0) {
        return line;
    }
    CHECK(sgx_thread_cond_init(&condition, NULL) == 0 && sgx_thread_cond_signal(&condition) == 0);
    CHECK(sgx_thread_cond_broadcast(&condition) == 0 && sgx_thread_cond_destroy(&condition) == 0);
    CHECK(sgx_thread_cond_wait(&condition, &mutex) == EPERM); /* not locked */
    CHECK(sgx_thread_cond_wait(NULL, &mutex) == EINVAL && sgx_thread_cond_signal(NULL) == EINVAL);
    CHECK(sgx_thread_cond_init(NULL, NULL) == EINVAL && sgx_thread_cond_destroy(NULL) == EINVAL);
    CHECK(sgx_thread_self() != SGX_THREAD_T_NULL);
    CHECK(sgx_thread_equal(sgx_thread_self(), sgx_thread_self()));
    CHECK(sgx_spin_lock(&spin) == 0 && spin != 0 && sgx_spin_unlock(&spin) == 0 && spin == 0);
    return 0;
}

/* ------------------------------------------------------------------- several threads, one counter for each lock */

enum { KIND_MUTEX, KIND_RECURSIVE, KIND_SPIN, KIND_RWLOCK, KIND_PTHREAD, KIND_CONDITION, KINDS };

static sgx_thread_mutex_t plain = SGX_THREAD_MUTEX_INITIALIZER;
static sgx_thread_mutex_t recursive = SGX_THREAD_RECURSIVE_MUTEX_INITIALIZER;
static sgx_spinlock_t spin = SGX_SPINLOCK_INITIALIZER;
static sgx_thread_rwlock_t rwlock = SGX_THREAD_LOCK_INITIALIZER;
static pthread_mutex_t posix = PTHREAD_MUTEX_INITIALIZER;
static volatile uint64_t total, mirror; /* changed only under a lock, one after the other */

static void count(void)
{
    total++;
    mirror++;
}

static int with_rwlock(int round)
{
    if (round % 4 == 0) {
        CHECK(sgx_thread_rwlock_wrlock(&rwlock) == 0);
        for (int i = 0; i < 4; i++) {
            count();
        }
        CHECK(sgx_thread_rwlock_wrunlock(&rwlock) == 0);
        return 0;
    }
    CHECK(sgx_thread_rwlock_rdlock(&rwlock) == 0);
    const int same = total == mirror;
    CHECK(sgx_thread_rwlock_rdunlock(&rwlock) == 0);
    CHECK(same);
    return 0;
}

/* Turns: a thread waits until the count is even for it, so that each signal matters. */
static int with_condition(int round)
{
    static sgx_thread_cond_t changed = SGX_THREAD_COND_INITIALIZER;
    static volatile int taken;
    (void)round;
    CHECK(sgx_thread_mutex_lock(&plain) == 0);
    while (taken) {
        CHECK(sgx_thread_cond_wait(&changed, &plain) == 0);
    }
    taken = 1;
    CHECK(sgx_thread_mutex_unlock(&plain) == 0);
    count();
    CHECK(sgx_thread_mutex_lock(&plain) == 0);
    taken = 0;
    CHECK(sgx_thread_cond_signal(&changed) == 0);
    CHECK(sgx_thread_mutex_unlock(&plain) == 0);
    return 0;
}

static int round_run(int kind, int round)
{
    switch (kind) {
    case KIND_MUTEX:
        CHECK(sgx_thread_mutex_lock(&plain) == 0);
        count();
        CHECK(sgx_thread_mutex_unlock(&plain) == 0);
        return 0;
    case KIND_RECURSIVE:
        CHECK(sgx_thread_mutex_lock(&recursive) == 0 && sgx_thread_mutex_lock(&recursive) == 0);
        count();
        CHECK(sgx_thread_mutex_unlock(&recursive) == 0 && sgx_thread_mutex_unlock(&recursive) == 0);
        return 0;
    case KIND_SPIN:
        sgx_spin_lock(&spin);
        count();
        sgx_spin_unlock(&spin);
        return 0;
    case KIND_RWLOCK:
        return with_rwlock(round);
    case KIND_PTHREAD:
        CHECK(pthread_mutex_lock(&posix) == 0);
        count();
        CHECK(pthread_mutex_unlock(&posix) == 0);
        return 0;
    default:
        return with_condition(round);
    }
}

/* `rounds` is a multiple of 4. */
int thread_join_in(int kind, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        const int line = round_run(kind, round);
        CHECK(line == 0);
    }
    return 0;
}

int thread_totals(uint64_t *ret_total)
{
    CHECK(total == mirror);
    *ret_total = total;
    total = mirror = 0;
    return 0;
}

/* All who wait go on at one broadcast. */
static sgx_thread_mutex_t gate = SGX_THREAD_MUTEX_INITIALIZER;
static sgx_thread_cond_t opened = SGX_THREAD_COND_INITIALIZER;
static int open_now;

void thread_wait(void)
{
    sgx_thread_mutex_lock(&gate);
    while (!open_now) {
        sgx_thread_cond_wait(&opened, &gate);
    }
    sgx_thread_mutex_unlock(&gate);
}

void thread_wake(void)
{
    sgx_thread_mutex_lock(&gate);
    open_now = 1;
    sgx_thread_cond_broadcast(&opened);
    sgx_thread_mutex_unlock(&gate);
}
