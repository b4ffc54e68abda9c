/*
 * Hands a host pointer to a function that takes enclave memory.
 * Refused: changes address space
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

size_t length(const char *text);
size_t use(const char CELLA_HOST *text);
size_t use(const char CELLA_HOST *text)
{
    return length(text);
}
