/*
 * Randomness, from the processor alone.
 * Side: enclave. Called by applications and by getrandom(). The host has no part in it.
 * Never gives out bytes when RDRAND fails.
 */
#include "enclave/kernel.h"

#define RDRAND_TRIES 64

static bool rdrand(uint64_t *ret_value)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        uint8_t ok;
        __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*ret_value), "=q"(ok) : : "cc");
        if (ok) {
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

cella_result cella_random(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        uint64_t value;
        CELLA_ENSURE(rdrand(&value), ENTROPY);
        const size_t part = size < sizeof(value) ? size : sizeof(value);
        __builtin_memcpy(at, &value, part);
        at += part;
        size -= part;
    }
    return CELLA_OK;
}
