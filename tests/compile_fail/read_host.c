/*
 * Reads host memory through a pointer.
 * Refused: noderef
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

uint32_t leak(const uint32_t CELLA_HOST *pointer);
uint32_t leak(const uint32_t CELLA_HOST *pointer)
{
    return *pointer;
}
