/*
 * Fuzz target: what files of collateral and evidence may hold: bundles, text forms, Open Enclave's and Intel's sets.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "cella/collateral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_collateral_set *set = cella_collateral_set_new();
    struct cella_span span = {.data = data, .size = size};
    uint8_t *evidence;
    size_t evidence_size;
    size_t count;
    if (!set) {
        abort();
    }
    cella_ignore(cella_collateral_set_add(set, "input", span, &count));
    cella_collateral_set_free(set);
    if (cella_is_ok(cella_evidence_decode(span, &evidence, &evidence_size))) {
        free(evidence);
    }
    return 0;
}
