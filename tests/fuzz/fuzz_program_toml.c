/*
 * Fuzz target: cella.toml, the manifest of a program.
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
        program_manifest_parse_toml(cella_bytes_of(data, size), "fuzz", &manifest, &error);
    if (!cella_is_ok(result) && error.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    if (cella_is_ok(result) && (!manifest.executable || manifest.config.argument_count == 0 ||
                                program_path_fault(manifest.config.executable) != NULL)) {
        abort();
    }
    return 0;
}
