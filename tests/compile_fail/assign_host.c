/*
 * Forgets that a pointer leads to the host.
 * Refused: changes address space
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

const char *forget(const char CELLA_HOST *text);
const char *forget(const char CELLA_HOST *text)
{
    const char *plain = text;
    return plain;
}
