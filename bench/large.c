/*
 * The enclave that is created, not called.
 * Side: enclave (bench).
 */
#include "cella/enclave.h"

extern const unsigned char bench_large[];

static cella_result first_byte(const void *in, size_t in_size, void *out, size_t out_capacity,
                               size_t *ret_size)
{
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= 1, BUFFER_TOO_SMALL);
    *(unsigned char *)out = bench_large[0];
    *ret_size = 1;
    return CELLA_OK;
}

CELLA_ECALLS({first_byte, 0, 1});
