/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <stdio.h>

#include "calls_t.h"

int greet(const char *name, char *greeting, size_t size)
{
    int length = snprintf(greeting, size, "Hello %s, from inside the enclave.", name);
    if (length < 0 || (size_t)length >= size) {
        return 1;
    }
    /* A call out; whatever the host does with it is not to be trusted. */
    return cella_is_ok(print_notice("the enclave was asked for a greeting")) ? 0 : 1;
}
