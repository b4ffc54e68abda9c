/*
 * sgx_spinlock.h.
 * Side: enclave. Called by applications.
 */
#include "sgx_spinlock.h"

uint32_t sgx_spin_lock(sgx_spinlock_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0) {
        while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0) {
            __builtin_ia32_pause();
        }
    }
    return 0;
}

uint32_t sgx_spin_unlock(sgx_spinlock_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    return 0;
}
