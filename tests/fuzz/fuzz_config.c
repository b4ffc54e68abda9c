/*
 * Fuzz target: the configuration file.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "image/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_image_config config;
    struct cella_error error = {0};

    cella_result result = cella_config_parse(cella_bytes_of(data, size), "fuzz", &config, &error);
    if (!cella_is_ok(result) && error.text[0] == 0) {
        abort(); /* every refusal says why */
    }
    if (cella_is_ok(result) && memchr(config.name, 0, sizeof(config.name)) == NULL) {
        abort();
    }
    return 0;
}
