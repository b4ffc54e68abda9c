/*
 * Fuzz target: the build information of a Go program.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/go_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cella_bytes file = cella_bytes_of(data, size);
    struct go_binary binary = {0};
    struct cella_error error = {0};
    char value[16];
    const cella_result result = go_binary_parse(file, &binary, &error);
    if (!cella_is_ok(result) && error.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    if (cella_is_ok(result)) {
        if (go_binary_setting(&binary, "-tags", value, sizeof(value)) && strlen(value) > 15) {
            abort();
        }
        (void)go_binary_has_tag(&binary, "ego_largeheap");
    }
    (void)go_binary_mentions(file, "eclient");
    return 0;
}
