/*
 * The smallest enclave: no libc.
 * Side: enclave (bench).
 */
#include "cella/enclave.h"

static cella_result hello(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    static const char text[] = "Hello, world";
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= sizeof(text), BUFFER_TOO_SMALL);
    for (size_t i = 0; i < sizeof(text); i++) {
        ((char *)out)[i] = text[i];
    }
    *ret_size = sizeof(text);
    return CELLA_OK;
}

CELLA_ECALLS({hello, 0, 64});
