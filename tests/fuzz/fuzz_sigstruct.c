/*
 * Fuzz target: SIGSTRUCT verification.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sgx_sigstruct sigstruct;
    struct cella_error error = {0};
    uint8_t signer[32];

    if (size < sizeof(sigstruct)) {
        return 0;
    }
    memcpy(&sigstruct, data, sizeof(sigstruct));
    cella_ignore(cella_sigstruct_verify(&sigstruct, &error));
    cella_ignore(cella_sigstruct_signer(&sigstruct, signer));
    return 0;
}
