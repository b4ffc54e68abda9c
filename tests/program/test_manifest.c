/*
 * Manifests of programs: the cases of cases-toml.txt and cases-ego.txt, each with what comes of it.
 * Side: tests. Arguments: the folder of the case files, and --update to write the verdicts anew (then read the diff). A case is `=== NAME`, the manifest, `---`, and the verdict: "ok" and
 * the lines that dump() writes, or the error's one line (EGo's warnings before it).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "cli/program_manifest.h"
#include "common/cleanup.h"

static const char *g_folder, *g_document;
static bool g_update;

static void dump_lists(FILE *out, const struct program_manifest *manifest)
{
    const struct cella_program_config *config = &manifest->config;
    for (uint32_t i = 0; i < config->environment_count; i++) {
        const struct cella_program_variable_config *variable = &config->environment[i];
        fprintf(out, "env %s=%s%s\n", variable->name, variable->value ? variable->value : "(none)",
                variable->from_host ? " or the host's" : "");
    }
    for (uint32_t i = 0; i < config->mount_count; i++) {
        const struct cella_program_mount_config *mount = &config->mounts[i];
        fprintf(out, "mount %s kind %d from %s flags %u\n", mount->target, mount->kind,
                mount->source ? mount->source : "(none)", mount->flags);
    }
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        const struct program_file *file = &manifest->files[i];
        fprintf(out, "file %s mode %o %s %s%s\n", file->path, file->mode,
                file->link     ? "link"
                : file->source ? "source"
                               : "text",
                file->link     ? file->link
                : file->source ? file->source
                               : file->text,
                file->embed ? "" : " on the host");
    }
    for (uint32_t i = 0; i < config->host_count; i++) {
        fprintf(out, "host %s\n", config->hosts[i]);
    }
}

static void dump(FILE *out, const struct program_manifest *manifest)
{
    const struct cella_program_config *config = &manifest->config;
    const struct cella_image_config *image = &config->image;
    fprintf(out, "ok\nexecutable %s as %s, key %s\n", manifest->executable, config->executable,
            manifest->key ? manifest->key : "(none)");
    fprintf(out, "arguments");
    for (uint32_t i = 0; i < config->argument_count; i++) {
        fprintf(out, " '%s'", config->arguments[i]);
    }
    fprintf(out, "%s\n", config->arguments_from_host ? " and the host's" : "");
    fprintf(out, "image %s debug %d product %u svn %u threads %u\n", image->name, image->debug,
            image->product_id, image->svn, image->threads + image->enclave_threads);
    fprintf(out, "in %s as %u:%u on %s\n", config->directory ? config->directory : "/",
            config->user, config->group, config->host_name ? config->host_name : "enclave");
    fprintf(out, "memory %llu stack %llu kernel %llu%s, cpus %u, descriptors %u%s%s%s\n",
            (unsigned long long)config->memory_max, (unsigned long long)config->stack_size,
            (unsigned long long)image->heap_size, config->executable_memory ? " executable" : "",
            config->cpu_max, config->descriptor_max, config->async ? ", async" : "",
            manifest->libraries ? "" : ", no libraries", config->ego ? ", EGo" : "");
    dump_lists(out, manifest);
}

/* Runs one case; the text of what came of it, for free(). */
static char *verdict(const char *text, size_t size, bool ego)
{
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest;
    struct cella_error error = {0};
    char *out = NULL;
    size_t out_size;
    FILE *stream = open_memstream(&out, &out_size);
    uint8_t *copy =
        (uint8_t *)malloc(size + 1); /* exact: a sanitizer sees what is read behind it */
    assert_non_null(copy);
    memcpy(copy, text, size);
    copy = (uint8_t *)realloc(copy, size ? size : 1);
    program_manifest_init(&manifest);
    const struct cella_bytes bytes = cella_bytes_of(copy, size);
    const cella_result result =
        ego ? program_manifest_parse_ego(bytes, "enclave.json", &manifest, stream, &error)
            : program_manifest_parse_toml(bytes, "cella.toml", &manifest, &error);
    if (cella_is_ok(result)) {
        dump(stream, &manifest);
    } else {
        assert_true(error.text[0] != 0); /* every refusal says why */
        fprintf(stream, "%s\n", error.text);
    }
    fclose(stream);
    free(copy);
    return out;
}

static unsigned run_cases(char *cases, bool ego, FILE *update)
{
    unsigned count = 0, failed = 0;
    char *rest = cases;
    while ((rest = strstr(rest, "=== "))) {
        char *name = rest + 4;
        char *text = strchr(name, '\n');
        assert_non_null(text);
        *text++ = 0;
        char *middle = strstr(text, "---\n");
        assert_non_null(middle);
        char *wanted = middle + 4;
        char *end = strstr(wanted, "\n=== ");
        rest = end ? end + 1 : wanted + strlen(wanted);
        const size_t wanted_size = (size_t)(rest - wanted);
        char *found = verdict(text, (size_t)(middle - text), ego);
        if (update) {
            fprintf(update, "=== %s\n%.*s---\n%s", name, (int)(middle - text), text, found);
        } else if (strlen(found) != wanted_size || memcmp(found, wanted, wanted_size) != 0) {
            fprintf(stderr, "%s:\nexpected\n%.*s\nfound\n%s\n", name, (int)wanted_size, wanted,
                    found);
            failed++;
        }
        free(found);
        count++;
    }
    assert_int_equal(failed, 0);
    return count;
}

static void run_file(const char *name, bool ego)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error error = {0};
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", g_folder, name);
    assert_true(cella_is_ok(cella_file_read(path, 1u << 20, &file, &error)));
    char *cases = (char *)malloc(file.size + 1);
    assert_non_null(cases);
    memcpy(cases, file.data, file.size);
    cases[file.size] = 0;
    FILE *update = g_update ? fopen(path, "w") : NULL;
    assert_true(run_cases(cases, ego, update) >= 30);
    if (update) {
        fclose(update);
    }
    free(cases);
}

static void test_toml(void **state)
{
    (void)state;
    run_file("cases-toml.txt", false);
}

static void test_ego(void **state)
{
    (void)state;
    run_file("cases-ego.txt", true);
}

/* What is written when there is none is read again as it was meant. */
static void test_ego_default(void **state)
{
    (void)state;
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest;
    struct cella_error error = {0};
    char *text = program_manifest_ego_default("hello \"world\"");
    assert_non_null(text);
    program_manifest_init(&manifest);
    assert_true(cella_is_ok(program_manifest_parse_ego(cella_bytes_of(text, strlen(text)),
                                                       "enclave.json", &manifest, NULL, &error)));
    assert_string_equal(manifest.executable, "hello \"world\"");
    assert_string_equal(manifest.key, "private.pem");
    assert_true(manifest.config.image.debug);
    assert_int_equal(manifest.ego_heap_size, 512);
    free(text);
}

/* The example of docs/program-manifest.md is one that is read. */
static void test_document(void **state)
{
    (void)state;
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest;
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error error = {0};
    assert_true(cella_is_ok(cella_file_read(g_document, 1u << 20, &file, &error)));
    const char *start = (const char *)memmem(file.data, file.size, "```toml\n", 8);
    assert_non_null(start);
    start += 8;
    const size_t left = file.size - (size_t)(start - (const char *)file.data);
    const char *end = (const char *)memmem(start, left, "\n```", 4);
    assert_non_null(end);
    program_manifest_init(&manifest);
    const cella_result result = program_manifest_parse_toml(
        cella_bytes_of(start, (size_t)(end + 1 - start)), "example", &manifest, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(manifest.config.mount_count, 3);
    assert_int_equal(manifest.file_count, 4);
    assert_int_equal(manifest.config.image.enclave_threads, 63);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toml),
        cmocka_unit_test(test_ego),
        cmocka_unit_test(test_ego_default),
        cmocka_unit_test(test_document),
    };
    g_update = argc == 4 && strcmp(argv[3], "--update") == 0;
    if (argc != (g_update ? 4 : 3)) {
        fputs("usage: test_manifest FOLDER DOCUMENT [--update]\n", stderr);
        return 2;
    }
    g_folder = argv[1];
    g_document = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
