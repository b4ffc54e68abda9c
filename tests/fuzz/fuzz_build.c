/*
 * Fuzz target: the signer's way from a linker's output to an image (ELF, symbols, relocations,
 * unwind tables, code). What it builds must parse. Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "image/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cella_image image;
    struct cella_image_config config;
    struct cella_image_build build = {0};
    struct cella_buffer output = {0};
    struct cella_error error = {0};

    cella_config_defaults(&config);
    if (cella_is_ok(
            cella_image_build(cella_bytes_of(data, size), &config, &build, &output, &error)) &&
        build.rewritten_count > build.site_count) {
        abort();
    }
    if (output.size) {
        cella_ignore(cella_image_parse(cella_buffer_bytes(&output), &image, &error));
    }
    cella_buffer_done(&output);
    return 0;
}
