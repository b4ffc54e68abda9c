/*
 * Images attached to their programs: written and found, each refusal, and the example of docs/formats/attached-image.md.
 * Side: tests. Argument: that document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "image/attach.h"

static const char *g_document;

static void make(struct cella_buffer *file, size_t program_size, size_t image_size)
{
    uint8_t *program = (uint8_t *)malloc(program_size);
    uint8_t *image = (uint8_t *)malloc(image_size);
    memset(program, 'p', program_size);
    memset(image, 'i', image_size);
    assert_true(cella_is_ok(cella_attach_write(cella_bytes_of(program, program_size),
                                               cella_bytes_of(image, image_size), file)));
    free(program);
    free(image);
}

static void test_round(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 10000};
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(sizes); i++) {
        for (size_t j = 0; j < CELLA_COUNT(sizes); j++) {
            CELLA_CLEANUP(cella_buffer_done) struct cella_buffer file = {0};
            struct cella_attach_parts parts;
            make(&file, sizes[i], sizes[j]);
            assert_true(cella_is_ok(cella_attach_parse(cella_buffer_bytes(&file), &parts, NULL)));
            assert_int_equal(parts.program.size, sizes[i]);
            assert_int_equal(parts.image.size, sizes[j]);
            assert_int_equal(parts.program.data[sizes[i] - 1], 'p');
            assert_int_equal(parts.image.data[0], 'i');
            assert_int_equal(parts.image.data[sizes[j] - 1], 'i');
            assert_int_equal((parts.image.data - file.data) % 4096, 0);
        }
    }
}

static void test_none(void **state)
{
    static const uint8_t bytes[100] = {1};
    (void)state;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        struct cella_attach_parts parts;
        assert_true(cella_is_ok(cella_attach_parse(cella_bytes_of(bytes, size), &parts, NULL)));
        assert_int_equal(parts.program.size, size);
        assert_int_equal(parts.image.size, 0);
    }
}

/* Every bit of the footer but the magic's is checked, and every byte of the gap. */
static void test_refused(void **state)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer file = {0};
    struct cella_attach_parts parts;
    struct cella_error error = {0};
    (void)state;
    make(&file, 5000, 9000);
    const struct cella_bytes bytes = cella_buffer_bytes(&file);
    for (size_t at = file.size - 48; at < file.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file.data[at] ^= 1u << bit;
            cella_result result = cella_attach_parse(bytes, &parts, &error);
            if (cella_is_ok(result)) { /* a program that ends with some of the zeros */
                assert_true(at < file.size - 46 && parts.program.size > 5000);
            } else {
                assert_int_equal(result.code, CELLA_CODE_BAD_FIELD);
                assert_true(strncmp(error.text, "attached image: ", 16) == 0);
            }
            file.data[at] ^= 1u << bit;
        }
    }
    file.data[5000] = 1;
    assert_int_equal(cella_attach_parse(bytes, &parts, &error).code, CELLA_CODE_BAD_FIELD);
    file.data[5000] = 0;
    file.data[file.size - 64] ^= 1; /* no magic: an ordinary file */
    assert_true(cella_is_ok(cella_attach_parse(bytes, &parts, &error)));
    assert_int_equal(parts.image.size, 0);
    file.data[file.size - 64] ^= 1;
    for (size_t cut = 1; cut < file.size; cut += 97) { /* without its end: an ordinary file */
        assert_true(cella_is_ok(
            cella_attach_parse(cella_bytes_of(file.data, file.size - cut), &parts, &error)));
        assert_int_equal(parts.image.size, 0);
    }
}

/* The footer in the document, of a program of 5,000 bytes and an image of 9,000. */
static void test_document(void **state)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer file = {0};
    char line[256];
    uint8_t example[64];
    size_t count = 0;
    (void)state;
    FILE *document = fopen(g_document, "r");
    assert_non_null(document);
    while (fgets(line, sizeof(line), document)) {
        char *rest = line;
        if (strncmp(line, "    ", 4) != 0) {
            continue;
        }
        for (char *word = strtok_r(line, " \n", &rest); word && count < sizeof(example);
             word = strtok_r(NULL, " \n", &rest)) {
            example[count++] = (uint8_t)strtoul(word, NULL, 16);
        }
    }
    fclose(document);
    assert_int_equal(count, sizeof(example));
    make(&file, 5000, 9000);
    assert_memory_equal(file.data + file.size - 64, example, 64);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_document),
    };
    if (argc != 2) {
        fputs("usage: test_attach DOCUMENT\n", stderr);
        return 2;
    }
    g_document = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
