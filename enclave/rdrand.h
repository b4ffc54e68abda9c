/*
 * One random word of the processor's. SDM Vol. 1, 7.3.17: RDRAND may have none at the moment.
 * Side: enclave. Included by random.c and by the vDSO of whole programs.
 * Never gives a word out that RDRAND did not vouch for.
 */
#ifndef CELLA_ENCLAVE_RDRAND_H
#define CELLA_ENCLAVE_RDRAND_H

#include <stdbool.h>
#include <stdint.h>

#define CELLA_RDRAND_TRIES 64

static inline bool cella_rdrand(uint64_t *ret_value)
{
    for (int i = 0; i < CELLA_RDRAND_TRIES; i++) {
        uint8_t ok;
        __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*ret_value), "=q"(ok) : : "cc");
        if (ok) {
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

#endif
