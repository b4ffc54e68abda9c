/*
 * Fuzz target: what the host reads of an AESM daemon's answers.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include "host/aesm_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t kinds[] = {15, 16, 17, 19};
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct cella_bytes fields[5];
        uint64_t numbers[5];
        if (!cella_is_ok(
                cella_aesm_answer_parse(cella_bytes_of(data, size), kinds[i], fields, numbers))) {
            continue;
        }
        for (size_t j = 0; j < 5; j++) {
            for (size_t k = 0; k < fields[j].size; k++) {
                sum = (uint8_t)(sum + fields[j].data[k]);
            }
        }
    }
    return 0;
}
