/*
 * The examples in docs/formats/platform-directory.md and enclave-memfd.md are what the code does.
 * Side: tests (host). Called with the folder of the documents.
 */
#include "tests/soft/driver_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soft/keys.h"

static const char *g_documents;

/* The bytes of the block "```hex NAME" of a document. */
static size_t example(const char *document, const char *name, uint8_t *bytes, size_t size)
{
    char path[512];
    char line[256];
    char fence[64];
    size_t count = 0;
    bool inside = false;
    snprintf(path, sizeof(path), "%s/%s", g_documents, document);
    snprintf(fence, sizeof(fence), "```hex %s\n", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (inside && line[0] == '`') {
            break;
        }
        if (!inside) {
            inside = !strcmp(line, fence);
            continue;
        }
        for (char *at = strtok(line, " \n"); at; at = strtok(NULL, " \n")) {
            assert_true(count < size);
            bytes[count++] = (uint8_t)strtoul(at, NULL, 16);
        }
    }
    fclose(file);
    return count;
}

static void test_platform(void **state)
{
    char directory[] = "/tmp/cella-formats-XXXXXX";
    char path[64];
    uint8_t file[64];
    uint8_t expected[16];
    uint8_t key[16];
    struct soft_key_inputs inputs = {.key_name = SGX_KEY_SEAL};
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/root.key", directory);
    assert_int_equal(example("platform-directory.md", "root.key", file, sizeof(file)), 64);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, file, sizeof(file)), sizeof(file));
    close(fd);
    setenv("CELLA_PLATFORM_DIR", directory, 1);
    soft_platform_reset();
    assert_false(soft_platform_info().ephemeral);
    soft_platform_seal_fuses(inputs.seal_fuses);
    assert_memory_equal(inputs.seal_fuses, file + 48, 16);
    soft_derive_key(&inputs, key);
    assert_int_equal(example("platform-directory.md", "key", expected, sizeof(expected)), 16);
    for (size_t i = 0; i < 16; i++) {
        if (key[i] != expected[i]) {
            for (size_t k = 0; k < 16; k++) {
                fprintf(stderr, "%02x ", key[k]);
            }
            fail_msg("the document has another key");
        }
    }
    unlink(path);
    rmdir(directory);
}

static void compare_file(int fd, uint64_t at, const char *name)
{
    uint8_t expected[64];
    uint8_t found[64];
    size_t size = example("enclave-memfd.md", name, expected, sizeof(expected));
    assert_true(size > 0);
    assert_int_equal(pread(fd, found, size, (off_t)at), (ssize_t)size);
    assert_memory_equal(found, expected, size);
}

static void test_memfd(void **state)
{
    struct sdm sdm;
    static const struct sdm_options plain;
    (void)state;
    sdm_open(&sdm);
    sdm_default_secs(&sdm.secs, &plain);
    assert_int_equal(drv_do_create(&sdm, &sdm.secs), 0);
    compare_file(sdm.fd, 0, "control");
    compare_file(sdm.fd, offsetof(struct soft_control, chunks_offset), "offsets");
    assert_int_equal(offsetof(struct soft_control, chunks_offset), 8208);
    assert_int_equal(drv_add_one(&sdm, 0x2000, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X), 0);
    compare_file(sdm.fd, sdm.e->control->epcm_offset + 2 * sizeof(struct soft_epcm), "epcm");
    sdm_close(&sdm);
    int fd = soft_open_node(SGX_LINUX_PROVISION_NODE, O_RDONLY);
    compare_file(fd, 0, "provision");
    close(fd);
}

int main(int argc, char **argv)
{
    g_documents = argc > 1 ? argv[1] : "docs/formats";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform),
        cmocka_unit_test(test_memfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
