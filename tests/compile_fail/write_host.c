/*
 * Writes host memory through a pointer.
 * Refused: noderef
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

void poke(uint32_t CELLA_HOST *pointer);
void poke(uint32_t CELLA_HOST *pointer)
{
    *pointer = 1;
}
