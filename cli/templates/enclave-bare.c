/* The trusted half of @NAME@, without a libc: what runs here is measured, and nobody outside sees its memory. */
#include "calls.h"
#include "cella/enclave.h"

static size_t append(char *out, size_t at, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[at + i] = text[i];
    }
    return at + size;
}

/* `in` is the enclave's own copy of what the host sent; what is put at `out` goes back. */
static cella_result greet(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    static const char before[] = "Hello ", behind[] = ", from inside the enclave.";
    size_t size = sizeof(before) - 1 + in_size + sizeof(behind) - 1;
    if (size > out_capacity) {
        return CELLA_RESULT(BUFFER_TOO_SMALL);
    }
    size_t at = append(out, 0, before, sizeof(before) - 1);
    at = append(out, at, in, in_size);
    *ret_size = append(out, at, behind, sizeof(behind) - 1);
    /* A call out; whatever the host returns from it is not to be trusted. */
    static const char notice[] = "the enclave was asked for a greeting";
    return cella_ocall(OCALL_PRINT, notice, sizeof(notice) - 1, NULL, 0, NULL);
}

/* {function, most bytes in, most bytes out} */
CELLA_ECALLS({greet, TEXT_MAX / 2, TEXT_MAX});
