/*
 * A lock that may be held over an exit: spins a little, then sleeps in the host.
 * Side: enclave. Called by linux/. Source: the three-state futex lock of U. Drepper, "Futexes are tricky".
 * Never the memory manager's own while the program's memory is touched: a page fault there takes it. Others may be held.
 */
#include "linux/linux.h"

#define SPINS 300u

static bool word_swap(struct linux_mutex *mutex, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&mutex->word, &from, to, memory_order_acquire,
                                                   memory_order_relaxed);
}

void linux_mutex_take(struct linux_mutex *mutex)
{
    for (uint32_t i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&mutex->word, memory_order_relaxed) == 0 &&
            word_swap(mutex, 0, 1)) {
            return;
        }
        __builtin_ia32_pause();
    }
    while (atomic_exchange_explicit(&mutex->word, 2, memory_order_acquire) != 0) {
        cella_futex_wait_uninterrupted((uint64_t)&mutex->word, 2, NULL);
    }
}

void linux_mutex_give(struct linux_mutex *mutex)
{
    if (atomic_exchange_explicit(&mutex->word, 0, memory_order_release) == 2) {
        cella_futex_wake((uint64_t)&mutex->word, 1);
    }
}
