/*
 * Copies in from enclave memory, as if it were the host's.
 * Refused: changes address space
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

cella_result confuse(void *to, const void *from);
cella_result confuse(void *to, const void *from)
{
    return cella_copy_in(to, from, 8);
}
