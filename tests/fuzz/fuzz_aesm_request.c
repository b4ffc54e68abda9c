/*
 * Fuzz target: answering AESM requests, with a source of quotes that needs no enclave.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "tests/quoted/mock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct aesm_backend backend = mock_backend();
    struct aesm_answer answer;
    for (int refused = 0; refused < 2; refused++) {
        if (cella_is_ok(
                aesm_answer_make(&backend, cella_bytes_of(data, size), refused != 0, &answer))) {
            uint32_t framed;
            memcpy(&framed, answer.data, sizeof(framed));
            if (framed + sizeof(framed) != answer.size) {
                abort();
            }
            free(answer.data);
        }
    }
    return 0;
}
