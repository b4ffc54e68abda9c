/*
 * docs/formats: the hex examples are the bytes of the sample image, and the example configuration
 * is read. Side: tests. Run by meson with the folder of the documents in DOCS_FORMATS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/image/samples.h"

#define DOCUMENT_MAX (1u << 16)

static char g_text[DOCUMENT_MAX];

static void read_document(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", DOCS_FORMATS, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(g_text, 1, sizeof(g_text) - 1, file);
    fclose(file);
    g_text[size] = 0;
}

/* Lines of `offset  byte byte …` behind the fence. */
static size_t hex_block(const char *fence, uint8_t *bytes, size_t limit)
{
    const char *at = strstr(g_text, fence);
    size_t count = 0;

    assert_non_null(at);
    at = strchr(at, '\n') + 1;
    while (strncmp(at, "```", 3) != 0) {
        char *end;
        assert_int_equal(strtoul(at, &end, 16), count);
        const char *line_end = strchr(at, '\n');
        at = end;
        while (at < line_end) {
            assert_true(count < limit);
            bytes[count++] = (uint8_t)strtoul(at, &end, 16);
            at = end;
        }
        at = line_end + 1;
    }
    return count;
}

static void image_examples(void **state)
{
    struct cella_buffer file;
    uint8_t bytes[1024];

    (void)state;
    read_document("image.md");
    sample_cella(&file, true);
    size_t count = hex_block("```hex info", bytes, sizeof(bytes));
    assert_int_equal(count, offsetof(struct cella_image_info, reserved));
    assert_memory_equal(bytes, file.data + SAMPLE_INFO, count);
    count = hex_block("```hex note", bytes, sizeof(bytes));
    assert_int_equal(count, offsetof(struct cella_image_note, sigstruct));
    assert_memory_equal(bytes, file.data + file.size - sizeof(struct cella_image_note), count);
    cella_buffer_done(&file);
}

/* Every key has a row, every row a key; the last example is a file that is read. */
static void config_example(void **state)
{
    static const char *const keys[] = {
        "name", "heap_size",  "heap_initial", "stack_size",     "threads",      "enclave_threads",
        "nssa", "product_id", "svn",          "debug",          "kss",          "family_id",
        "xfrm", "xfrm_mask",  "exinfo",       "ext_product_id", "provision_key"};
    struct cella_image_config config;
    struct cella_error error = {0};
    unsigned rows = 0;

    (void)state;
    read_document("config.md");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char row[64];
        snprintf(row, sizeof(row), "\n| `%s` |", keys[i]);
        assert_non_null(strstr(g_text, row));
    }
    for (const char *at = g_text; (at = strstr(at, "\n| `")) != NULL; at++) {
        rows++;
    }
    assert_int_equal(rows, sizeof(keys) / sizeof(keys[0]));
    const char *start = strstr(g_text, "Example:\n\n```\n");
    assert_non_null(start);
    start += strlen("Example:\n\n```\n");
    const char *end = strstr(start, "```");
    assert_true(cella_is_ok(cella_config_parse(cella_bytes_of(start, (size_t)(end - start)),
                                               "example", &config, &error)));
    assert_string_equal(config.name, "vault");
    assert_int_equal(config.heap_initial, 16 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_examples),
        cmocka_unit_test(config_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
