/*
 * Fuzz target: Go's table of functions.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "image/pclntab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_pclntab table;

    if (!cella_is_ok(cella_pclntab_parse(cella_bytes_of(data, size), &table))) {
        return 0;
    }
    for (uint32_t i = 0; i < table.count; i++) {
        uint64_t start, end;
        const char *name;
        if (cella_is_ok(cella_pclntab_function(&table, i, &start, &end, &name)) &&
            (start >= end || strlen(name) >= size)) {
            abort();
        }
    }
    return 0;
}
