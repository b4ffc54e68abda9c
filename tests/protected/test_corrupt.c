/*
 * Altered, cut, mixed and foreign files: refused with the right result, never read wrongly, left as they were.
 * Side: tests (native).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/protected/disk.h"

#define LARGE (600u * 1000u)

static const uint8_t g_key[32] = "the right key, of 32 bytes or so";
static const uint8_t g_other_key[32] = "another key, of 32 bytes or more";
static uint8_t g_content[LARGE], g_again[LARGE + 1];

static const struct cella_protected_options g_user = {
    .key = {.kind = CELLA_PROTECTED_USER, .bytes = g_key, .size = sizeof(g_key)},
    .cache_size = CELLA_PROTECTED_CACHE_MIN,
};
static const struct cella_protected_options g_auto = {
    .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER},
    .cache_size = CELLA_PROTECTED_CACHE_MIN,
};

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static cella_result open_as(struct disk *disk, const char *path, const char *mode,
                            const struct cella_protected_options *options,
                            cella_protected_file **ret_file)
{
    return cella_protected_open_in(&disk_store, disk, path, mode, options, NULL, ret_file);
}

static void content_write(cella_protected_file *file, uint64_t offset, size_t size)
{
    size_t done;
    assert_code(cella_protected_write_at(file, offset, g_content + offset, size, &done), OK);
}

/* A file of `size` bytes, changed and flushed some times. */
static void make(struct disk *disk, const struct cella_protected_options *options, size_t size)
{
    cella_protected_file *file;
    for (size_t i = 0; i < sizeof(g_content); i++) {
        g_content[i] = (uint8_t)(i * 7 + i / 251);
    }
    assert_code(open_as(disk, "file", "w+", options, &file), OK);
    content_write(file, 0, size / 2);
    assert_code(cella_protected_flush(file), OK);
    content_write(file, size / 3, size - size / 3);
    assert_code(cella_protected_flush(file), OK);
    content_write(file, 0, size / 3);
    assert_code(cella_protected_close(file), OK);
}

/* Opens and reads all: OK only with the right content. The disk must not have changed. */
static cella_result attempt(struct disk *disk, const struct cella_protected_options *options,
                            size_t size, const char *mode)
{
    cella_protected_file *file;
    size_t done = 0;
    uint8_t *before = malloc(disk->size + 1);
    const size_t before_size = disk->size;
    memcpy(before, disk->bytes, before_size);
    cella_result result = open_as(disk, "file", mode, options, &file);
    if (cella_is_ok(result)) {
        result = cella_protected_read_at(file, 0, g_again, LARGE + 1, &done);
        if (cella_is_ok(result)) {
            assert_int_equal(done, size);
        } else {
            assert_int_equal(cella_protected_status(file), CELLA_PROTECTED_STATUS_CORRUPTED);
            assert_code(cella_protected_flush(file), WRONG_STATE);
        }
        assert_memory_equal(g_again, g_content, done);
        const cella_result closed = cella_protected_close(file);
        assert_int_equal(cella_is_ok(closed), cella_is_ok(result));
    }
    assert_int_equal(disk->size, before_size);
    assert_memory_equal(disk->bytes, before, before_size);
    free(before);
    return result;
}

static bool is_refusal(cella_result result)
{
    return result.code == CELLA_CODE_AUTH_FAILED || result.code == CELLA_CODE_BAD_MAGIC ||
           result.code == CELLA_CODE_UNSUPPORTED_VERSION || result.code == CELLA_CODE_TRUNCATED ||
           result.code == CELLA_CODE_WRONG_KEY || result.code == CELLA_CODE_INVALID_ARGUMENT ||
           result.code == CELLA_CODE_SVN_TOO_OLD;
}

/* Every byte of a small file is checked. */
static void flips_small(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0x01, 0x80, 0xFF};
    static const struct cella_protected_options *const kinds[] = {&g_user, &g_auto};
    for (size_t kind = 0; kind < 2; kind++) {
        struct disk disk = {0};
        make(&disk, kinds[kind], 1000);
        assert_int_equal(disk.size, 3 * PROTECTED_BLOCK);
        assert_code(attempt(&disk, kinds[kind], 1000, "r"), OK);
        for (size_t at = 0; at < disk.size; at++) {
            const uint8_t mask = masks[at % 3];
            disk.bytes[at] ^= mask;
            const cella_result result = attempt(&disk, kinds[kind], 1000, at % 2 ? "r" : "r+");
            if (!is_refusal(result)) {
                fail_msg("byte %zu: %s", at, cella_result_name(result));
            }
            disk.bytes[at] ^= mask;
        }
        assert_code(attempt(&disk, kinds[kind], 1000, "r+"), OK);
        disk_done(&disk);
    }
}

/* Which blocks of the file the newest root uses. */
static bool block_is_used(struct disk *disk, uint64_t block)
{
    cella_protected_file *file;
    assert_code(open_as(disk, "file", "r+", &g_user, &file), OK);
    assert_code(protected_space_prepare(file), OK);
    const bool used = (file->space.busy[block / 64] >> (block % 64) & 1) != 0;
    assert_code(cella_protected_close(file), OK);
    return used;
}

/* In a large one, every byte that the file's state uses: data, index, root. */
static void flips_large(void **state)
{
    (void)state;
    struct disk disk = {0};
    size_t refused = 0, unused = 0;
    make(&disk, &g_user, LARGE);
    for (uint64_t block = 0; block < disk.size / PROTECTED_BLOCK; block++) {
        const bool used = block_is_used(&disk, block);
        for (size_t i = 0; i < 3; i++) {
            const size_t at =
                (size_t)block * PROTECTED_BLOCK + (i * 1931 + (size_t)block * 17) % 4096;
            disk.bytes[at] ^= 0x10;
            const cella_result result = attempt(&disk, &g_user, LARGE, "r");
            disk.bytes[at] ^= 0x10;
            assert_true(used ? is_refusal(result) : cella_is_ok(result));
            refused += used;
            unused += !used;
        }
    }
    assert_true(refused > 140 * 3 && unused > 0);
    disk_done(&disk);
}

static void cuts(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000, 50000};
    for (size_t i = 0; i < 2; i++) {
        struct disk disk = {0};
        make(&disk, &g_user, sizes[i]);
        const size_t whole = disk.size;
        for (size_t size = 0; size < whole; size += size < 9000 ? 61 : 509) {
            disk.size = size;
            const cella_result result = attempt(&disk, &g_user, sizes[i], "r");
            assert_true(result.code == CELLA_CODE_TRUNCATED || result.code == CELLA_CODE_BAD_MAGIC);
        }
        disk.size = whole;
        assert_code(attempt(&disk, &g_user, sizes[i], "r"), OK);
        disk_done(&disk);
    }
}

/* Any two used blocks exchanged. */
static void swaps(void **state)
{
    (void)state;
    struct disk disk = {0};
    uint8_t block[PROTECTED_BLOCK];
    make(&disk, &g_user, 50000);
    const size_t blocks = disk.size / PROTECTED_BLOCK;
    bool used[64] = {true, true, true};
    assert_true(blocks <= 64);
    for (size_t a = 3; a < blocks; a++) {
        used[a] = block_is_used(&disk, a);
    }
    for (size_t a = 1; a < blocks; a++) {
        for (size_t b = a + 1; b < blocks; b++) {
            uint8_t *first = disk.bytes + a * PROTECTED_BLOCK;
            uint8_t *second = disk.bytes + b * PROTECTED_BLOCK;
            memcpy(block, first, sizeof(block));
            memcpy(first, second, sizeof(block));
            memcpy(second, block, sizeof(block));
            const cella_result result = attempt(&disk, &g_user, 50000, "r");
            assert_true(used[a] || used[b] ? is_refusal(result) : cella_is_ok(result));
            memcpy(second, first, sizeof(block));
            memcpy(first, block, sizeof(block));
        }
    }
    disk_done(&disk);
}

/* Each block of an older state of the same file put into the newer one. */
static void replays(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file;
    size_t refused = 0;
    make(&disk, &g_user, 200000);
    const size_t old_size = disk.size;
    uint8_t *old = malloc(old_size);
    memcpy(old, disk.bytes, old_size);
    assert_code(open_as(&disk, "file", "r+", &g_user, &file), OK);
    for (int round = 0; round < 4; round++) { /* so that places are used again */
        for (size_t i = 0; i < 200000; i++) {
            g_content[i] ^= 0x55;
        }
        content_write(file, 0, 200000);
        assert_code(cella_protected_flush(file), OK);
    }
    assert_code(cella_protected_close(file), OK);
    for (size_t at = 0; at + PROTECTED_BLOCK <= old_size && at < disk.size; at += PROTECTED_BLOCK) {
        uint8_t newer[PROTECTED_BLOCK];
        memcpy(newer, disk.bytes + at, sizeof(newer));
        const bool differs = memcmp(newer, old + at, sizeof(newer)) != 0;
        const bool used = block_is_used(&disk, at / PROTECTED_BLOCK);
        memcpy(disk.bytes + at, old + at, sizeof(newer));
        const cella_result result = attempt(&disk, &g_user, 200000, "r");
        assert_true(differs && used ? is_refusal(result) : cella_is_ok(result));
        refused += differs && used;
        memcpy(disk.bytes + at, newer, sizeof(newer));
    }
    assert_true(refused > 10);
    free(old);
    disk_done(&disk);
}

static void wrong_keys(void **state)
{
    (void)state;
    struct disk disk = {0};
    struct cella_protected_options options = g_user;
    make(&disk, &g_user, 5000);
    options.key.bytes = g_other_key;
    assert_code(attempt(&disk, &options, 5000, "r"), WRONG_KEY);
    options.key.size = 16;
    assert_code(attempt(&disk, &options, 5000, "r"), WRONG_KEY);
    options.key.bytes = NULL;
    assert_code(attempt(&disk, &options, 5000, "r"), INVALID_ARGUMENT);
    assert_code(attempt(&disk, &g_auto, 5000, "r+"), INVALID_ARGUMENT);
    disk_done(&disk);

    make(&disk, &g_auto, 5000);
    assert_code(attempt(&disk, &g_auto, 5000, "r"), OK);
    assert_code(attempt(&disk, &g_user, 5000, "r"), INVALID_ARGUMENT);
    options = g_auto;
    options.key.kind = CELLA_PROTECTED_AUTO_MRENCLAVE;
    assert_code(attempt(&disk, &options, 5000, "r"), INVALID_ARGUMENT);
    disk_identity = 2;
    assert_code(attempt(&disk, &g_auto, 5000, "r+"), WRONG_KEY);
    disk_identity = 1;
    disk_svn = 2;
    assert_code(attempt(&disk, &g_auto, 5000, "r"), SVN_TOO_OLD);
    disk_svn = 4;
    assert_code(attempt(&disk, &g_auto, 5000, "r"), OK);
    disk_svn = 3;
    disk_done(&disk);
}

static void names_and_strangers(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file;
    static const char text[] = "no protected file at all, but some text that somebody wrote";
    make(&disk, &g_user, 5000);
    assert_code(open_as(&disk, "other", "r", &g_user, &file), NAME_MISMATCH);
    assert_code(open_as(&disk, "file2", "r+", &g_user, &file), NAME_MISMATCH);
    assert_code(open_as(&disk, "/another/place/file", "r", &g_user, &file), OK);
    assert_code(cella_protected_close(file), OK);
    disk_set(&disk, text, sizeof(text));
    assert_code(open_as(&disk, "file", "r", &g_user, &file), BAD_MAGIC);
    assert_code(open_as(&disk, "file", "a", &g_user, &file), BAD_MAGIC);
    assert_memory_equal(disk.bytes, text, sizeof(text));
    disk_set(&disk, text, 0);
    assert_code(open_as(&disk, "file", "r+", &g_user, &file), TRUNCATED);
    disk_done(&disk);
}

/* A whole older file: only a version that the application kept tells. */
static void versions(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file;
    struct cella_protected_version first, second;
    struct cella_protected_options options = g_user;
    make(&disk, &g_user, 5000);
    const size_t old_size = disk.size;
    uint8_t *old = malloc(old_size);
    memcpy(old, disk.bytes, old_size);
    assert_code(open_as(&disk, "file", "r+", &g_user, &file), OK);
    assert_code(cella_protected_version(file, &first), OK);
    content_write(file, 10, 10);
    assert_code(cella_protected_flush(file), OK);
    assert_code(cella_protected_version(file, &second), OK);
    assert_int_equal(second.generation, first.generation + 1);
    assert_code(cella_protected_close(file), OK);
    options.version = &second;
    assert_code(attempt(&disk, &options, 5000, "r"), OK);
    options.version = &first;
    assert_code(attempt(&disk, &options, 5000, "r"), ROLLED_BACK);
    options.flags = CELLA_PROTECTED_OR_NEWER;
    assert_code(attempt(&disk, &options, 5000, "r"), OK);
    disk_set(&disk, old, old_size);
    assert_code(attempt(&disk, &options, 5000, "r+"), OK);
    options.version = &second;
    assert_code(attempt(&disk, &options, 5000, "r+"), ROLLED_BACK);
    /* Another history with as many flushes. */
    assert_code(open_as(&disk, "file", "r+", &g_user, &file), OK);
    content_write(file, 10, 10);
    assert_code(cella_protected_close(file), OK);
    assert_code(attempt(&disk, &options, 5000, "r"), ROLLED_BACK);
    disk_set(&disk, NULL, 0);
    assert_code(open_as(&disk, "file", "a+", &options, &file), ROLLED_BACK);
    free(old);
    disk_done(&disk);
}

/* The key leaves one enclave, and another makes the file its own. */
static void moving_keys(void **state)
{
    (void)state;
    uint8_t key[32];
    size_t size;
    for (size_t key_size = 16; key_size <= 32; key_size += 16) {
        struct disk disk = {0};
        struct cella_protected_options options = g_auto;
        options.key.size = key_size;
        make(&disk, &options, 50000);
        assert_code(protected_export_in(&disk_store, &disk, "file", &options, key, &size), OK);
        assert_int_equal(size, key_size);
        assert_code(protected_export_in(&disk_store, &disk, "file", &g_user, key, &size),
                    INVALID_ARGUMENT);
        disk_identity = 9;
        assert_code(attempt(&disk, &options, 50000, "r"), WRONG_KEY);
        key[3] ^= 1;
        assert_code(protected_import_in(&disk_store, &disk, "file", &options, key, size),
                    WRONG_KEY);
        key[3] ^= 1;
        assert_code(protected_import_in(&disk_store, &disk, "file", &options, key, size), OK);
        assert_code(attempt(&disk, &options, 50000, "r+"), OK);
        assert_code(attempt(&disk, &g_auto, 50000, "r"), OK);
        disk_identity = 1;
        assert_code(attempt(&disk, &options, 50000, "r"), WRONG_KEY);
        disk_done(&disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flips_small),
        cmocka_unit_test(flips_large),
        cmocka_unit_test(cuts),
        cmocka_unit_test(swaps),
        cmocka_unit_test(replays),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(names_and_strangers),
        cmocka_unit_test(versions),
        cmocka_unit_test(moving_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
