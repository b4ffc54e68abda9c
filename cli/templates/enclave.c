/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "cella/enclave.h"

/* `in` is the enclave's own copy of what the host sent; what is put at `out` goes back. */
static cella_result greet(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    char text[TEXT_MAX];
    int length = snprintf(text, sizeof(text), "Hello %.*s, from inside the enclave.", (int)in_size,
                          (const char *)in);
    if (length < 0 || (size_t)length > out_capacity) {
        return CELLA_RESULT(BUFFER_TOO_SMALL);
    }
    memcpy(out, text, (size_t)length);
    *ret_size = (size_t)length;
    /* A call out; whatever the host returns from it is not to be trusted. */
    static const char notice[] = "the enclave was asked for a greeting";
    return cella_ocall(OCALL_PRINT, notice, sizeof(notice) - 1, NULL, 0, NULL);
}

/* {function, most bytes in, most bytes out} */
CELLA_ECALLS({greet, TEXT_MAX / 2, TEXT_MAX});
