/*
 * A small enclave with musl and printf.
 * Side: enclave (bench).
 */
#include <stdio.h>

#include "cella/enclave.h"

static cella_result hello(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)in;
    (void)out;
    (void)ret_size;
    printf("Hello, world: %zu bytes in, %zu out\n", in_size, out_capacity);
    return CELLA_OK;
}

CELLA_ECALLS({hello, 0, 64});
