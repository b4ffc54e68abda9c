/*
 * Indexes an array in host memory.
 * Refused: noderef
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

uint8_t byte_at(const uint8_t CELLA_HOST *bytes, size_t index);
uint8_t byte_at(const uint8_t CELLA_HOST *bytes, size_t index)
{
    return bytes[index];
}
