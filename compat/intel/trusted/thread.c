/*
 * sgx_thread.h: locks in the layout of the Intel SDK's objects, over the kernel's futex, which sleeps outside only when
 * there is somebody to wait for.
 * Side: enclave. Called by applications. Never trusts a wake-up: each waiter looks again.
 */
#include "sgx_thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sgx_trts.h"

static void futex_wait(volatile uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(volatile uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

sgx_thread_t sgx_thread_self(void)
{
    return (sgx_thread_t)pthread_self();
}

int sgx_thread_equal(sgx_thread_t a, sgx_thread_t b)
{
    return a == b;
}

static int is_ours(const void *object, size_t size)
{
    return object && sgx_is_within_enclave(object, size);
}

/* ------------------------------------------------------------------- mutexes */

/* m_lock: 0 free, 1 taken, 2 taken and somebody may wait. */
static int word_try(volatile uint32_t *word)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(word, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void word_lock(volatile uint32_t *word)
{
    for (unsigned i = 0; i < 100; i++) {
        if (word_try(word)) {
            return;
        }
        __builtin_ia32_pause();
    }
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) {
        futex_wait(word, 2);
    }
}

static void word_unlock(volatile uint32_t *word)
{
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2) {
        futex_wake(word, 1);
    }
}

int sgx_thread_mutex_init(sgx_thread_mutex_t *mutex, const sgx_thread_mutexattr_t *unused)
{
    (void)unused;
    if (!is_ours(mutex, sizeof(*mutex))) {
        return EINVAL;
    }
    *mutex = (sgx_thread_mutex_t)SGX_THREAD_NONRECURSIVE_MUTEX_INITIALIZER;
    return 0;
}

static sgx_thread_t owner_of(const sgx_thread_t *owner)
{
    return __atomic_load_n(owner, __ATOMIC_RELAXED);
}

int sgx_thread_mutex_destroy(sgx_thread_mutex_t *mutex)
{
    if (!is_ours(mutex, sizeof(*mutex))) {
        return EINVAL;
    }
    if (__atomic_load_n(&mutex->m_lock, __ATOMIC_ACQUIRE) != 0) {
        return EBUSY;
    }
    mutex->m_control = 0;
    mutex->m_refcount = 0;
    return 0;
}

static int mutex_enter_again(sgx_thread_mutex_t *mutex)
{
    if (mutex->m_control == SGX_THREAD_MUTEX_RECURSIVE &&
        owner_of(&mutex->m_owner) == sgx_thread_self()) {
        mutex->m_refcount++;
        return 1;
    }
    return 0;
}

static void mutex_entered(sgx_thread_mutex_t *mutex)
{
    __atomic_store_n(&mutex->m_owner, sgx_thread_self(), __ATOMIC_RELAXED);
    mutex->m_refcount = 1;
}

static int mutex_is_usable(const sgx_thread_mutex_t *mutex)
{
    return is_ours(mutex, sizeof(*mutex)) && (mutex->m_control == SGX_THREAD_MUTEX_NONRECURSIVE ||
                                              mutex->m_control == SGX_THREAD_MUTEX_RECURSIVE);
}

int sgx_thread_mutex_lock(sgx_thread_mutex_t *mutex)
{
    if (!mutex_is_usable(mutex)) {
        return EINVAL;
    }
    if (!mutex_enter_again(mutex)) {
        word_lock(&mutex->m_lock);
        mutex_entered(mutex);
    }
    return 0;
}

int sgx_thread_mutex_trylock(sgx_thread_mutex_t *mutex)
{
    if (!mutex_is_usable(mutex)) {
        return EINVAL;
    }
    if (mutex_enter_again(mutex)) {
        return 0;
    }
    if (!word_try(&mutex->m_lock)) {
        return EBUSY;
    }
    mutex_entered(mutex);
    return 0;
}

int sgx_thread_mutex_unlock(sgx_thread_mutex_t *mutex)
{
    if (!mutex_is_usable(mutex)) {
        return EINVAL;
    }
    if (owner_of(&mutex->m_owner) != sgx_thread_self()) {
        return EPERM;
    }
    if (--mutex->m_refcount == 0) {
        __atomic_store_n(&mutex->m_owner, SGX_THREAD_T_NULL, __ATOMIC_RELAXED);
        word_unlock(&mutex->m_lock);
    }
    return 0;
}

/* ------------------------------------------------------------------- condition variables: m_lock counts signals */

int sgx_thread_cond_init(sgx_thread_cond_t *cond, const sgx_thread_condattr_t *unused)
{
    (void)unused;
    if (!is_ours(cond, sizeof(*cond))) {
        return EINVAL;
    }
    *cond = (sgx_thread_cond_t)SGX_THREAD_COND_INITIALIZER;
    return 0;
}

/* m_queue.m_first counts those who wait. */
int sgx_thread_cond_destroy(sgx_thread_cond_t *cond)
{
    if (!is_ours(cond, sizeof(*cond))) {
        return EINVAL;
    }
    return __atomic_load_n(&cond->m_queue.m_first, __ATOMIC_ACQUIRE) != 0 ? EBUSY : 0;
}

int sgx_thread_cond_wait(sgx_thread_cond_t *cond, sgx_thread_mutex_t *mutex)
{
    if (!is_ours(cond, sizeof(*cond)) || !mutex_is_usable(mutex)) {
        return EINVAL;
    }
    if (owner_of(&mutex->m_owner) != sgx_thread_self() || mutex->m_refcount != 1) {
        return EPERM;
    }
    __atomic_fetch_add(&cond->m_queue.m_first, 1, __ATOMIC_ACQ_REL);
    const uint32_t seen = __atomic_load_n(&cond->m_lock, __ATOMIC_ACQUIRE);
    sgx_thread_mutex_unlock(mutex);
    while (__atomic_load_n(&cond->m_lock, __ATOMIC_ACQUIRE) == seen) {
        futex_wait(&cond->m_lock, seen);
    }
    __atomic_fetch_sub(&cond->m_queue.m_first, 1, __ATOMIC_ACQ_REL);
    return sgx_thread_mutex_lock(mutex);
}

static int cond_wake(sgx_thread_cond_t *cond, int count)
{
    if (!is_ours(cond, sizeof(*cond))) {
        return EINVAL;
    }
    if (__atomic_load_n(&cond->m_queue.m_first, __ATOMIC_ACQUIRE) != 0) {
        __atomic_fetch_add(&cond->m_lock, 1, __ATOMIC_ACQ_REL);
        futex_wake(&cond->m_lock, count);
    }
    return 0;
}

int sgx_thread_cond_signal(sgx_thread_cond_t *cond)
{
    return cond_wake(cond, 1);
}

int sgx_thread_cond_broadcast(sgx_thread_cond_t *cond)
{
    return cond_wake(cond, INT_MAX);
}

/* ------------------------------------------------------------------- reader-writer locks */

/*
 * m_lock guards the fields for a moment; m_reader_queue.m_first, cut to its low word, is what threads sleep on: it
 * counts releases. Writers do not go before readers, as in the original.
 */
static volatile uint32_t *rwlock_word(sgx_thread_rwlock_t *rwlock)
{
    return (volatile uint32_t *)&rwlock->m_reader_queue.m_first;
}

int sgx_thread_rwlock_init(sgx_thread_rwlock_t *rwlock, const sgx_thread_rwlockattr_t *unused)
{
    (void)unused;
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    *rwlock = (sgx_thread_rwlock_t)SGX_THREAD_LOCK_INITIALIZER;
    return 0;
}

int sgx_thread_rwlock_destroy(sgx_thread_rwlock_t *rwlock)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    word_lock(&rwlock->m_lock);
    const int busy = rwlock->m_owner != SGX_THREAD_T_NULL || rwlock->m_reader_count != 0 ||
                     rwlock->m_writers_waiting != 0;
    word_unlock(&rwlock->m_lock);
    return busy ? EBUSY : 0;
}

/* 1: taken. Under m_lock. */
static int rwlock_take(sgx_thread_rwlock_t *rwlock, int writes)
{
    if (rwlock->m_owner != SGX_THREAD_T_NULL || (writes && rwlock->m_reader_count != 0)) {
        return 0;
    }
    if (writes) {
        rwlock->m_owner = sgx_thread_self();
    } else {
        rwlock->m_reader_count++;
    }
    return 1;
}

static int rwlock_lock(sgx_thread_rwlock_t *rwlock, int writes)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    word_lock(&rwlock->m_lock);
    if (rwlock->m_owner == sgx_thread_self()) {
        word_unlock(&rwlock->m_lock);
        return EDEADLK;
    }
    while (!rwlock_take(rwlock, writes)) {
        const uint32_t seen = *rwlock_word(rwlock);
        rwlock->m_writers_waiting++;
        word_unlock(&rwlock->m_lock);
        futex_wait(rwlock_word(rwlock), seen);
        word_lock(&rwlock->m_lock);
        rwlock->m_writers_waiting--;
    }
    word_unlock(&rwlock->m_lock);
    return 0;
}

static int rwlock_try(sgx_thread_rwlock_t *rwlock, int writes)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    word_lock(&rwlock->m_lock);
    const int taken = rwlock_take(rwlock, writes);
    word_unlock(&rwlock->m_lock);
    return taken ? 0 : EBUSY;
}

int sgx_thread_rwlock_rdlock(sgx_thread_rwlock_t *rwlock)
{
    return rwlock_lock(rwlock, 0);
}

int sgx_thread_rwlock_wrlock(sgx_thread_rwlock_t *rwlock)
{
    return rwlock_lock(rwlock, 1);
}

int sgx_thread_rwlock_tryrdlock(sgx_thread_rwlock_t *rwlock)
{
    return rwlock_try(rwlock, 0);
}

int sgx_thread_rwlock_trywrlock(sgx_thread_rwlock_t *rwlock)
{
    return rwlock_try(rwlock, 1);
}

static void rwlock_released(sgx_thread_rwlock_t *rwlock)
{
    const int waiting = rwlock->m_writers_waiting != 0;
    if (waiting) {
        __atomic_fetch_add(rwlock_word(rwlock), 1, __ATOMIC_RELEASE);
    }
    word_unlock(&rwlock->m_lock);
    if (waiting) {
        futex_wake(rwlock_word(rwlock), INT_MAX);
    }
}

int sgx_thread_rwlock_rdunlock(sgx_thread_rwlock_t *rwlock)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    word_lock(&rwlock->m_lock);
    if (rwlock->m_reader_count == 0) {
        word_unlock(&rwlock->m_lock);
        return EPERM;
    }
    rwlock->m_reader_count--;
    rwlock_released(rwlock);
    return 0;
}

int sgx_thread_rwlock_wrunlock(sgx_thread_rwlock_t *rwlock)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    word_lock(&rwlock->m_lock);
    if (rwlock->m_owner != sgx_thread_self()) {
        word_unlock(&rwlock->m_lock);
        return EPERM;
    }
    rwlock->m_owner = SGX_THREAD_T_NULL;
    rwlock_released(rwlock);
    return 0;
}

int sgx_thread_rwlock_unlock(sgx_thread_rwlock_t *rwlock)
{
    if (!is_ours(rwlock, sizeof(*rwlock))) {
        return EINVAL;
    }
    return owner_of(&rwlock->m_owner) == sgx_thread_self() ? sgx_thread_rwlock_wrunlock(rwlock)
                                                           : sgx_thread_rwlock_rdunlock(rwlock);
}
