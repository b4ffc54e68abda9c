/*
 * A lock that may be held over an exit: spins a little, then sleeps in the host.
 * Side: enclave. Called by linux/. Source: the three-state futex lock of U. Drepper, "Futexes are tricky".
 * Never the memory manager's own while the program's memory is touched: a page fault there takes it. Others may be held.
 * Whoever is woken may find it taken again; after that has happened to a thread twice, others let it go first for a while.
 */
#include "linux/linux.h"

#define SPINS 300u
#define PATIENCE 2u
#define POLITE_SPINS 20000u

static bool word_swap(struct linux_mutex *mutex, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&mutex->word, &from, to, memory_order_acquire,
                                                   memory_order_relaxed);
}

static uint32_t relaxed(const _Atomic uint32_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

void linux_mutex_take(struct linux_mutex *mutex)
{
    for (uint32_t i = 0; i < POLITE_SPINS && relaxed(&mutex->hungry) != 0; i++) {
        __builtin_ia32_pause();
    }
    for (uint32_t i = 0; i < SPINS; i++) {
        if (relaxed(&mutex->word) == 0 && word_swap(mutex, 0, 1)) {
            return;
        }
        __builtin_ia32_pause();
    }
    uint32_t slept = 0;
    while (atomic_exchange_explicit(&mutex->word, 2, memory_order_acquire) != 0) {
        if (slept++ == PATIENCE) {
            atomic_fetch_add(&mutex->hungry, 1);
        }
        cella_futex_wait_uninterrupted((uint64_t)&mutex->word, 2, NULL);
    }
    if (slept > PATIENCE) {
        atomic_fetch_sub(&mutex->hungry, 1);
    }
}

void linux_mutex_give(struct linux_mutex *mutex)
{
    if (atomic_exchange_explicit(&mutex->word, 0, memory_order_release) == 2) {
        cella_futex_wake((uint64_t)&mutex->word, 1);
    }
}
