/*
 * Fuzz target: the footer of an image attached to its program.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "image/attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_attach_parts parts = {0};
    struct cella_error error = {0};
    const cella_result result = cella_attach_parse(cella_bytes_of(data, size), &parts, &error);
    if (!cella_is_ok(result) && error.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    if (cella_is_ok(result) && parts.image.size != 0 &&
        (parts.program.data != data || parts.image.data < data + parts.program.size ||
         parts.image.data + parts.image.size + 64 != data + size)) {
        abort();
    }
    return 0;
}
