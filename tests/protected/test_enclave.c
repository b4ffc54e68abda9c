/*
 * Protected files of real enclaves in the host's file system: what the host sees, who can open them, and a host that lies
 * in each answer of the block service.
 * Side: host (tests). Linked with --wrap=cella_host_blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/blocks.h"
#include "host/host.h"
#include "tests/protected/calls.h"

static const char *g_image, *g_other_image, *g_cella;
static char g_folder[] = "/tmp/cella-protected-XXXXXX";
static cella_enclave *g_enclave;

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static cella_enclave *create(const char *path)
{
    const struct cella_enclave_options options = {.file_root = g_folder};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    if (!cella_is_ok(cella_enclave_create(path, &options, &enclave, &error))) {
        fail_msg("%s: %s", path, error.text);
    }
    return enclave;
}

static cella_result call(cella_enclave *enclave, uint32_t number)
{
    return cella_ecall(enclave, number, NULL, 0, NULL, 0, NULL);
}

/* ------------------------------------------------------------------------- the liar */

enum lie {
    LIE_LARGE,       /* more bytes than were asked for */
    LIE_SHORT,       /* fewer */
    LIE_ERROR,       /* EIO */
    LIE_BAD_ERROR,   /* no errno */
    LIE_CUT,         /* an answer that is too short */
    LIE_RESULT,      /* no result that there is */
    LIE_SPAN_INSIDE, /* host memory that is the enclave's */
    LIE_SPAN_ODD,
    LIE_SPAN_NOWHERE,
    LIE_SIZE, /* another size of the file */
    LIE_COUNT,
};

static int64_t g_lie_at = -1; /* the number of the answer */
static enum lie g_lie;
static int64_t g_answers;

cella_result __real_cella_host_blocks(cella_enclave *enclave, const void *in, size_t in_size,
                                      void *out, size_t out_capacity, size_t *ret_size);
cella_result __wrap_cella_host_blocks(cella_enclave *enclave, const void *in, size_t in_size,
                                      void *out, size_t out_capacity, size_t *ret_size);

static cella_result lie_about(cella_enclave *enclave, struct cella_call_blocks_answer *answer,
                              size_t *ret_size)
{
    switch (g_lie) {
    case LIE_LARGE:
        answer->value = (1ll << 40) + 1;
        break;
    case LIE_SHORT:
        answer->value = answer->value > 0 ? answer->value - 1 : 1;
        break;
    case LIE_ERROR:
        answer->value = -5;
        break;
    case LIE_BAD_ERROR:
        answer->value = INT64_MIN;
        break;
    case LIE_CUT:
        *ret_size = 8;
        break;
    case LIE_RESULT:
        return (cella_result){77777};
    case LIE_SPAN_INSIDE:
        answer->spans[1] = enclave->base + 8192;
        break;
    case LIE_SPAN_ODD:
        answer->spans[0] += 1;
        break;
    case LIE_SPAN_NOWHERE:
        answer->spans[0] = 0x7FFFFFFF0000ull;
        break;
    default:
        answer->size = answer->size > 0 ? answer->size - 1 : UINT64_MAX;
        break;
    }
    return CELLA_OK;
}

cella_result __wrap_cella_host_blocks(cella_enclave *enclave, const void *in, size_t in_size,
                                      void *out, size_t out_capacity, size_t *ret_size)
{
    cella_result result =
        __real_cella_host_blocks(enclave, in, in_size, out, out_capacity, ret_size);
    if (g_answers++ == g_lie_at) {
        result = lie_about(enclave, out, ret_size);
    }
    return result;
}

/* ------------------------------------------------------------------------- tests */

static void operations(void **state)
{
    (void)state;
    assert_code(call(g_enclave, PROTECTED_RUN), OK);
    assert_code(call(g_enclave, PROTECTED_PUT), OK);
    assert_code(call(g_enclave, PROTECTED_GET), OK);
    assert_code(call(g_enclave, PROTECTED_BUSY), OK);
}

static uint8_t *file_read(size_t *ret_size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/put", g_folder);
    uint8_t *bytes = malloc(4u << 20);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *ret_size = fread(bytes, 1, 4u << 20, file);
    fclose(file);
    return bytes;
}

static void file_write(const uint8_t *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/put", g_folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Nothing of the content or the name is in the file, and a changed byte is found out. */
static void what_the_host_sees(void **state)
{
    (void)state;
    size_t size, again_size;
    assert_code(call(g_enclave, PROTECTED_PUT), OK);
    uint8_t *bytes = file_read(&size);
    assert_memory_equal(bytes, "CELLAPRF", 8);
    assert_null(memmem(bytes, size, "secret", 6));
    assert_null(memmem(bytes, size, "put", 4));
    assert_true(size > PROTECTED_PUT_SIZE && size < PROTECTED_PUT_SIZE + PROTECTED_PUT_SIZE / 20);
    bytes[size / 2] ^= 1;
    file_write(bytes, size);
    assert_code(call(g_enclave, PROTECTED_GET), AUTH_FAILED);
    bytes[size / 2] ^= 1;
    file_write(bytes, size - 1);
    assert_code(call(g_enclave, PROTECTED_GET), TRUNCATED);
    uint8_t *again = file_read(&again_size);
    assert_int_equal(again_size, size - 1);
    assert_memory_equal(again, bytes, again_size);
    file_write(bytes, size);
    assert_code(call(g_enclave, PROTECTED_GET), OK);
    free(again);
    free(bytes);
}

/* `cella inspect` shows the plain fields. */
static void inspected(void **state)
{
    (void)state;
    char command[1200], line[200] = "";
    assert_code(call(g_enclave, PROTECTED_PUT), OK);
    snprintf(command, sizeof(command), "'%s' inspect --json '%s/put'", g_cella, g_folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(
        line, "{\"kind\": \"protected-file\", \"version\": 1, \"node_size\": 4096, "
              "\"generation\": 2, \"key\": \"EGETKEY by MRSIGNER\", \"key_bits\": 256}\n");
}

static void another_signer(void **state)
{
    (void)state;
    uint8_t key[32];
    size_t size = 0;
    cella_enclave *other = create(g_other_image);
    assert_code(call(g_enclave, PROTECTED_PUT), OK);
    assert_code(call(other, PROTECTED_GET), WRONG_KEY);
    assert_code(cella_ecall(other, PROTECTED_EXPORT, NULL, 0, key, sizeof(key), &size), WRONG_KEY);
    assert_code(cella_ecall(g_enclave, PROTECTED_EXPORT, NULL, 0, key, sizeof(key), &size), OK);
    assert_int_equal(size, sizeof(key));
    assert_code(cella_ecall(other, PROTECTED_IMPORT, key, sizeof(key), NULL, 0, NULL), OK);
    assert_code(call(other, PROTECTED_GET), OK);
    assert_code(call(g_enclave, PROTECTED_GET), WRONG_KEY);
    cella_enclave_destroy(other);
}

/* Each answer of a whole run of writing and reading, with each lie: an error, or the lie did not matter. */
static void lies(void **state)
{
    (void)state;
    static const uint32_t calls[] = {PROTECTED_PUT, PROTECTED_GET};
    for (size_t which = 0; which < 2; which++) {
        assert_code(call(g_enclave, PROTECTED_PUT), OK);
        g_answers = 0;
        assert_code(call(g_enclave, calls[which]), OK);
        const int64_t count = g_answers;
        assert_true(count > 8);
        for (int lie = 0; lie < LIE_COUNT; lie++) {
            unsigned refused = 0;
            for (int64_t at = 0; at < count; at++) {
                g_lie = (enum lie)lie;
                g_lie_at = at;
                g_answers = 0;
                const cella_result result = call(g_enclave, calls[which]);
                g_lie_at = -1;
                refused += !cella_is_ok(result);
                assert_int_not_equal(result.code, CELLA_CODE_INTERNAL); /* never wrong data */
                assert_int_not_equal(result.code, CELLA_CODE_ENCLAVE_ABORTED);
            }
            assert_true(refused > 0);
            /* A handle whose OPEN was lied about stays with the host until the enclave ends. */
            cella_enclave_destroy(g_enclave);
            g_enclave = create(g_image);
            assert_code(call(g_enclave, PROTECTED_PUT), OK);
            assert_code(call(g_enclave, PROTECTED_GET), OK);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations), cmocka_unit_test(what_the_host_sees),
        cmocka_unit_test(inspected),  cmocka_unit_test(another_signer),
        cmocka_unit_test(lies),
    };
    if (argc != 4 || !mkdtemp(g_folder)) {
        return 2;
    }
    g_image = argv[1];
    g_other_image = argv[2];
    g_cella = argv[3];
    g_enclave = create(g_image);
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    cella_enclave_destroy(g_enclave);
    char path[256];
    snprintf(path, sizeof(path), "%s/put", g_folder);
    unlink(path);
    rmdir(g_folder);
    return failures;
}
