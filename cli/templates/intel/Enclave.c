/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <stdio.h>

#include "Enclave_t.h"

int greet(const char *name, char *greeting, size_t size)
{
    int length = snprintf(greeting, size, "Hello %s, from inside the enclave.", name);
    if (length < 0 || (size_t)length >= size) {
        return 1;
    }
    /* A call out; whatever the application does with it is not to be trusted. */
    return print_notice("the enclave was asked for a greeting") != SGX_SUCCESS;
}
