/*
 * Makes an unsigned image of a program for the tests, and says on its last line how many sites were found and replaced.
 * Side: tests. usage: make_image KERNEL PROGRAM INTERPRETER|- OUT [FILE...]
 */
#include <stdio.h>
#include <string.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "image/program.h"
#include "image/image.h"

static void say(void *context, const struct cella_rewrite_site *site)
{
    const struct cella_program_report *report = context;
    if (site->left_because) {
        printf("left: %s: 0x%llx %s: %s\n", report->file, (unsigned long long)site->address,
               site->function, site->left_because);
    }
}

#define INPUT_MAX 16
static struct cella_file g_inputs[INPUT_MAX];
static unsigned g_input_count;

static struct cella_bytes read_all(const char *path)
{
    struct cella_error error = {0};
    if (!cella_is_ok(cella_file_read(path, 1u << 30, &g_inputs[g_input_count], &error))) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return cella_file_bytes(&g_inputs[g_input_count++]);
}

static void free_all(struct cella_buffer *output)
{
    cella_buffer_done(output);
    while (g_input_count) {
        cella_file_done(&g_inputs[--g_input_count]);
    }
}

int main(int argc, char **argv)
{
    struct cella_program_config config = {.executable = "/program", .stack_size = 8u << 20};
    struct cella_program_file_config files[8] = {0};
    struct cella_program_report report = {.site = say, .site_context = &report};
    CELLA_CLEANUP(free_all) struct cella_buffer output = {0};
    struct cella_error error = {0};
    struct cella_image image;
    uint8_t measured[32];
    const char *arguments[] = {"program"};
    if (argc < 5 || argc > 5 + 8) {
        return 2;
    }
    cella_config_defaults(&config.image);
    config.image.enclave_threads = 7;
    config.arguments = arguments;
    config.argument_count = 1;
    config.files = files;
    for (int i = 5; i < argc; i++) {
        files[config.file_count++] = (struct cella_program_file_config){
            .path = argv[i], .content = read_all(argv[i]), .mode = 0755};
    }
    cella_result result =
        cella_program_build(read_all(argv[1]), read_all(argv[2]),
                            strcmp(argv[3], "-") == 0 ? (struct cella_bytes){0} : read_all(argv[3]),
                            &config, &report, &output, &error);
    if (cella_is_ok(result)) {
        result = cella_image_parse(cella_buffer_bytes(&output), &image, &error);
    }
    if (cella_is_ok(result)) {
        result = cella_image_measure(&image, measured);
    }
    if (cella_is_ok(result)) {
        result = cella_file_write(argv[4], output.data, output.size, 0644, &error);
    }
    if (!cella_is_ok(result)) {
        printf("%s: %s\n", cella_result_text(result), error.text);
        return 1;
    }
    printf("sites %u replaced %u in files %u replaced %u\n", report.site_count,
           report.rewritten_count, report.file_site_count, report.file_rewritten_count);
    return 0;
}
