/*
 * Fuzz target: the description of a program (abi/program.h); what is taken is read to its last record.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "linux/description.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t sum(struct cella_bytes bytes)
{
    uint8_t all = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        all ^= bytes.data[i];
    }
    return all;
}

static uint8_t texts_read(const struct cella_program_description *d)
{
    uint8_t all = sum(cella_program_text(d, d->head.executable));
    for (uint32_t i = 0; i < d->head.arguments.count; i++) {
        all ^= sum(cella_program_text(d, cella_program_argument_at(d, i)));
    }
    for (uint32_t i = 0; i < d->head.environment.count; i++) {
        all ^= sum(cella_program_text(d, cella_program_variable_at(d, i).value));
    }
    for (uint32_t i = 0; i < d->head.hosts.count; i++) {
        all ^= sum(cella_program_text(d, cella_program_host_at(d, i)));
    }
    for (uint32_t i = 0; i < d->head.mounts.count; i++) {
        all ^= sum(cella_program_text(d, cella_program_mount_at(d, i).target));
    }
    return all;
}

static uint8_t files_read(const struct cella_program_description *d)
{
    uint8_t all = 0;
    for (uint32_t i = 0; i < d->head.files.count; i++) {
        const struct cella_program_file file = cella_program_file_at(d, i);
        if (cella_program_text(d, file.path).size == 0) {
            abort();
        }
        all ^= sum(cella_program_content(d, &file));
    }
    for (uint32_t i = 0; i < d->head.patches.count; i++) {
        const struct cella_program_patches patches = cella_program_patches_at(d, i);
        all ^= sum(cella_program_trampolines(d, &patches));
        for (uint32_t j = 0; j < patches.sites.count; j++) {
            all ^= cella_program_site_at(d, &patches, j).bytes[0];
        }
    }
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cella_program_file nothing;
    struct cella_program_description description;
    const char *part = NULL;
    volatile uint8_t sink = 0;

    cella_result result =
        cella_program_description_take(cella_bytes_of(data, size), &description, &part);
    if (!cella_is_ok(result)) {
        if (!part) {
            abort();
        }
        return 0;
    }
    sink ^= texts_read(&description) ^ files_read(&description);
    const struct cella_program_file none =
        cella_program_file_at(&description, description.head.files.count);
    if (memcmp(&none, &nothing, sizeof(none)) != 0) {
        abort();
    }
    (void)sink;
    return 0;
}
