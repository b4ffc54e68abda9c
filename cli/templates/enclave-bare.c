/* The trusted half of @NAME@, without a libc: what runs here is measured, and nobody outside sees its memory. */
#include "calls_t.h"

/* Appends as much of `text` as leaves room for the end. */
static size_t append(char *out, size_t size, size_t at, const char *text)
{
    for (; *text && at + 1 < size; text++) {
        out[at++] = *text;
    }
    return at;
}

int greet(const char *name, char *greeting, size_t size)
{
    size_t at = append(greeting, size, 0, "Hello ");
    at = append(greeting, size, at, name);
    at = append(greeting, size, at, ", from inside the enclave.");
    if (at + 1 >= size) {
        return 1;
    }
    greeting[at] = '\0';
    /* A call out; whatever the host does with it is not to be trusted. */
    return cella_is_ok(print_notice("the enclave was asked for a greeting")) ? 0 : 1;
}
