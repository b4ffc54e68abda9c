/*
 * Randomness, from the processor alone.
 * Side: enclave. Called by applications and by getrandom(). The host has no part in it.
 * Never gives out bytes when RDRAND fails.
 */
#include "enclave/kernel.h"
#include "enclave/rdrand.h"

cella_result cella_random(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        uint64_t value;
        CELLA_ENSURE(cella_rdrand(&value), ENTROPY);
        const size_t part = size < sizeof(value) ? size : sizeof(value);
        __builtin_memcpy(at, &value, part);
        at += part;
        size -= part;
    }
    return CELLA_OK;
}
