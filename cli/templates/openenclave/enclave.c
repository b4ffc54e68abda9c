/* The trusted half of @NAME@: what runs here is measured, and nobody outside sees its memory. */
#include <stdio.h>

#include "hello_t.h"

int greet(const char *name, char *greeting, size_t size)
{
    int length = snprintf(greeting, size, "Hello %s, from inside the enclave.", name);
    if (length < 0 || (size_t)length >= size)
        return 1;
    /* A call out; whatever the host does with it is not to be trusted. */
    return print_notice("the enclave was asked for a greeting") != OE_OK;
}

OE_SET_ENCLAVE_SGX(1,    /* product id */
                   1,    /* security version: raise it with every security fix */
                   true, /* debug */
                   1024, /* heap, pages */
                   64,   /* stack, pages */
                   2);   /* threads */
