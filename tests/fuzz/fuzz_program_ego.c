/*
 * Fuzz target: enclave.json, the manifest of a program of EGo's users.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "cli/program_manifest.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest;
    struct cella_error error = {0};
    program_manifest_init(&manifest);
    const cella_result result =
        program_manifest_parse_ego(cella_bytes_of(data, size), "fuzz", &manifest, NULL, &error);
    if (!cella_is_ok(result) && error.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    if (cella_is_ok(result)) {
        for (uint32_t i = 0; i < manifest.config.mount_count; i++) {
            if (program_path_fault(manifest.config.mounts[i].target) != NULL) {
                abort();
            }
        }
    }
    return 0;
}
