/*
 * Fuzz target: the way of any executable into a program image: as the program, as its interpreter and as a measured file
 * with code. What is built must parse, and its description must be one that the kernel takes.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "image/elf64.h"
#include "image/image.h"
#include "linux/description.h"
#include "tests/program/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct cella_buffer *output)
{
    static struct cella_image image;
    struct cella_program_description description;
    struct cella_error error = {0};
    struct cella_bytes bytes;
    const char *part;
    uint64_t at;

    if (!cella_is_ok(cella_image_parse(cella_buffer_bytes(output), &image, &error)) ||
        !cella_is_ok(cella_elf_at(image.segments, image.segment_count, image.info.program_offset,
                                  image.info.program_size, &at)) ||
        !cella_is_ok(cella_bytes_slice(image.file, at, image.info.program_size, &bytes))) {
        abort();
    }
    cella_result result = cella_program_description_take(bytes, &description, &part);
    if (!cella_is_ok(result) && strcmp(part, "entry") != 0) {
        abort(); /* an entry that is no code is the program's own fault */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cella_buffer kernel;
    const struct cella_bytes bytes = cella_bytes_of(data, size);
    struct cella_program_file_config file = {.path = "/lib/a.so", .content = bytes, .mode = 0755};
    struct cella_program_config config;
    struct cella_program_report report = {0};
    struct cella_buffer output = {0};
    struct cella_error error = {0};

    if (!kernel.size) {
        sample_kernel(&kernel);
    }
    sample_program_config(&config);
    config.files = &file;
    cella_result result = cella_program_build(cella_buffer_bytes(&kernel), bytes, bytes, &config,
                                              &report, &output, &error);
    if (cella_is_ok(result)) {
        check(&output);
    }
    if (report.rewritten_count > report.site_count) {
        abort();
    }
    cella_buffer_done(&output);
    return 0;
}
