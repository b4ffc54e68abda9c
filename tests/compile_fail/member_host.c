/*
 * Reads a field of a record in host memory.
 * Refused: noderef
 * Side: tests. Compiled by scripts/check-boundary, which wants it to fail.
 */
#include "enclave/boundary.h"

struct record {
    uint32_t size;
};
uint32_t size_of_record(const struct record CELLA_HOST *record);
uint32_t size_of_record(const struct record CELLA_HOST *record)
{
    return record->size;
}
