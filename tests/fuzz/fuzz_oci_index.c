/*
 * Fuzz target: the JSON of a container image: the choice from an index, and descriptors.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/oci_index.
 */
#include <stdlib.h>
#include <string.h>

#include "oci/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_error error = {0};
    struct oci_descriptor chosen;
    json_t *json = NULL;
    if (!cella_is_ok(oci_json_parse(cella_bytes_of(data, size), "fuzz", &json, &error))) {
        if (!error.text[0]) {
            abort();
        }
        return 0;
    }
    static const char *const tags[] = {NULL, "latest"};
    for (size_t i = 0; i < 2; i++) {
        error.text[0] = '\0';
        if (cella_is_ok(oci_index_choose(json, tags[i], &chosen, &error))) {
            /* The digest becomes a file's name. */
            if (strlen(chosen.digest) != 64 || strspn(chosen.digest, "0123456789abcdef") != 64) {
                abort();
            }
        } else if (!error.text[0]) {
            abort();
        }
    }
    json_decref(json);
    return 0;
}
