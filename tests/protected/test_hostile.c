/*
 * A host that fails or lies in each of its answers in turn: an error or the right data, and what was flushed is safe.
 * Then the rules of the interface: modes, ends, positions, small memory, the documented example.
 * Side: tests (native).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/protected/disk.h"
#include "tests/runtime/docs_hex.h"

#define SIZE 700000u

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static uint8_t g_first[SIZE], g_second[SIZE], g_again[SIZE];

static const struct cella_protected_options g_options = {
    .key = {.kind = CELLA_PROTECTED_AUTO_MRENCLAVE}, .cache_size = CELLA_PROTECTED_CACHE_MIN};

static cella_result open_mode(struct disk *disk, const char *mode, cella_protected_file **ret_file)
{
    return cella_protected_open_in(&disk_store, disk, "file", mode, &g_options, NULL, ret_file);
}

static void fill(void)
{
    for (size_t i = 0; i < SIZE; i++) {
        g_first[i] = (uint8_t)(i / 3);
        g_second[i] = (uint8_t)(i * 5 + 1);
    }
}

static void make(struct disk *disk)
{
    cella_protected_file *file;
    size_t done;
    assert_code(open_mode(disk, "w", &file), OK);
    assert_code(cella_protected_write(file, g_first, SIZE, &done), OK);
    assert_code(cella_protected_close(file), OK);
}

/* Writes the second content in pieces of all sorts. The first failure is given back; *ret_flushed: the last flush was good. */
static cella_result work(cella_protected_file *file, bool *ret_flushed)
{
    size_t done;
    *ret_flushed = false;
    for (size_t at = 0; at < SIZE;) {
        size_t part = at % 3 == 0 ? 90000 : 3333;
        part = part < SIZE - at ? part : SIZE - at;
        CELLA_TRY(cella_protected_write_at(file, at, g_second + at, part, &done));
        assert_int_equal(done, part);
        at += part;
    }
    CELLA_TRY(cella_protected_read_at(file, 0, g_again, SIZE, &done));
    assert_int_equal(done, SIZE);
    assert_memory_equal(g_again, g_second, SIZE);
    CELLA_TRY(cella_protected_flush(file));
    *ret_flushed = true;
    return CELLA_OK;
}

static void check_content(struct disk *disk, const uint8_t *content)
{
    cella_protected_file *file;
    size_t done;
    assert_code(open_mode(disk, "r", &file), OK);
    assert_code(cella_protected_read(file, g_again, SIZE, &done), OK);
    assert_int_equal(done, SIZE);
    assert_memory_equal(g_again, content, SIZE);
    assert_code(cella_protected_close(file), OK);
}

static uint64_t operations_of_work(void)
{
    struct disk disk = {0};
    cella_protected_file *file;
    bool flushed;
    make(&disk);
    const uint64_t before = disk.operations;
    assert_code(open_mode(&disk, "r+", &file), OK);
    assert_code(work(file, &flushed), OK);
    const uint64_t count = disk.operations - before;
    assert_code(cella_protected_close(file), OK);
    disk_done(&disk);
    return count;
}

/* The host fails once; clear_error and doing it again put everything right. */
static void one_failure(void **state)
{
    (void)state;
    const uint64_t count = operations_of_work();
    assert_true(count > 20);
    for (uint64_t number = 1; number <= count; number++) {
        struct disk disk = {.failure = number % 2 ? CELLA_RESULT(IO) : CELLA_RESULT(NO_SPACE)};
        cella_protected_file *file;
        bool flushed;
        make(&disk);
        disk.fail_at = disk.operations + number;
        disk.fail_count = 1;
        cella_result result = open_mode(&disk, "r+", &file);
        if (!cella_is_ok(result)) {
            check_content(&disk, g_first);
            disk_done(&disk);
            continue;
        }
        result = work(file, &flushed);
        if (!cella_is_ok(result)) {
            assert_int_equal(result.code, disk.failure.code);
            assert_int_equal(cella_protected_error(file).code, disk.failure.code);
            assert_int_not_equal(cella_protected_status(file), CELLA_PROTECTED_STATUS_CORRUPTED);
            cella_protected_clear_error(file);
            assert_int_equal(cella_protected_status(file), CELLA_PROTECTED_STATUS_OK);
            assert_code(cella_protected_error(file), OK);
            assert_code(work(file, &flushed), OK);
        }
        assert_code(cella_protected_close(file), OK);
        check_content(&disk, g_second);
        disk_done(&disk);
    }
}

/* The host fails from some point on: what was flushed before stays. */
static void failing_for_good(void **state)
{
    (void)state;
    const uint64_t count = operations_of_work();
    for (uint64_t number = 1; number <= count; number++) {
        struct disk disk = {.failure = CELLA_RESULT(IO)};
        cella_protected_file *file;
        bool flushed = false;
        make(&disk);
        disk.fail_at = disk.operations + number;
        disk.fail_count = UINT64_MAX / 2;
        if (cella_is_ok(open_mode(&disk, "r+", &file))) {
            cella_ignore(work(file, &flushed));
            const cella_result closed = cella_protected_close(file);
            assert_true(flushed || !cella_is_ok(closed));
        }
        disk.fail_count = 0;
        if (flushed) {
            check_content(&disk, g_second);
        } else {
            /* The last flush may have reached the disk though its answer was a failure. */
            cella_protected_file *again;
            size_t done;
            assert_code(open_mode(&disk, "r", &again), OK);
            assert_code(cella_protected_read(again, g_again, SIZE, &done), OK);
            assert_true(done == SIZE && (memcmp(g_again, g_first, SIZE) == 0 ||
                                         memcmp(g_again, g_second, SIZE) == 0));
            assert_code(cella_protected_close(again), OK);
        }
        disk_done(&disk);
    }
}

/* A bit of any answer is wrong. */
static void lies(void **state)
{
    (void)state;
    uint64_t refused = 0;
    for (uint64_t number = 1;; number++) {
        struct disk disk = {0};
        cella_protected_file *file;
        size_t done = 0;
        make(&disk);
        disk.reads = 0;
        disk.lie_at = number;
        cella_result result = open_mode(&disk, "r", &file);
        if (cella_is_ok(result)) {
            result = cella_protected_read(file, g_again, SIZE, &done);
            assert_memory_equal(g_again, g_first, done);
            cella_ignore(cella_protected_close(file));
        }
        const bool lied = disk.reads >= number;
        disk_done(&disk);
        if (!lied) {
            assert_code(result, OK);
            break;
        }
        assert_false(cella_is_ok(result));
        refused++;
    }
    assert_true(refused > 5);
}

/* ------------------------------------------------------------------------- rules */

static void modes(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "b",  "+",   "rw", "ra",     "wa", "rr", "r++",
                                      "rbb", "rx", "xxw", "q",  "rb+bb+", "r ", "wwx"};
    struct disk disk = {0};
    cella_protected_file *file;
    uint8_t byte;
    size_t done;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(open_mode(&disk, bad[i], &file), INVALID_ARGUMENT);
    }
    assert_code(open_mode(&disk, NULL, &file), INVALID_ARGUMENT);
    assert_false(disk.exists);
    assert_code(open_mode(&disk, "r", &file), NOT_FOUND);
    assert_code(open_mode(&disk, "r+b", &file), NOT_FOUND);
    assert_code(open_mode(&disk, "wx", &file), OK);
    assert_code(cella_protected_read(file, &byte, 1, &done), ACCESS_DENIED);
    assert_code(cella_protected_error(file), ACCESS_DENIED);
    cella_protected_clear_error(file);
    assert_code(cella_protected_error(file), OK);
    assert_code(cella_protected_write(file, "abc", 3, &done), OK);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "wx", &file), ALREADY_EXISTS);
    assert_code(open_mode(&disk, "r", &file), OK);
    assert_code(cella_protected_write(file, "d", 1, &done), ACCESS_DENIED);
    assert_code(cella_protected_truncate(file, 0), ACCESS_DENIED);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "a+", &file), OK);
    assert_code(cella_protected_write(file, "def", 3, &done), OK);
    assert_code(cella_protected_seek(file, 0, 0), OK);
    assert_code(cella_protected_write(file, "ghi", 3, &done), OK);
    assert_code(cella_protected_read_at(file, 0, g_again, 100, &done), OK);
    assert_int_equal(done, 9);
    assert_memory_equal(g_again, "abcdefghi", 9);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "w", &file), OK);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "r", &file), OK);
    assert_code(cella_protected_read(file, g_again, 100, &done), OK);
    assert_int_equal(done, 0);
    assert_code(cella_protected_close(file), OK);
    disk_done(&disk);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file;
    struct cella_protected_options options = g_options;
    char path[600];
    assert_code(cella_protected_open_in(&disk_store, &disk, "f", "w", NULL, NULL, &file),
                INVALID_ARGUMENT);
    options.cache_size = CELLA_PROTECTED_CACHE_MIN - 1;
    assert_code(cella_protected_open_in(&disk_store, &disk, "f", "w", &options, NULL, &file),
                OUT_OF_RANGE);
    options = g_options;
    options.flags = 0x80;
    assert_code(cella_protected_open_in(&disk_store, &disk, "f", "w", &options, NULL, &file),
                INVALID_ARGUMENT);
    options = g_options;
    options.key =
        (struct cella_protected_key){.kind = CELLA_PROTECTED_USER, .bytes = "too short", .size = 9};
    assert_code(cella_protected_open_in(&disk_store, &disk, "f", "w", &options, NULL, &file),
                INVALID_ARGUMENT);
    memset(path, 'n', sizeof(path));
    path[256] = 0;
    assert_code(cella_protected_open_in(&disk_store, &disk, path, "w", &g_options, NULL, &file),
                BUFFER_TOO_SMALL);
    path[5] = '/'; /* 250 are left */
    assert_code(cella_protected_open_in(&disk_store, &disk, path, "w", &g_options, NULL, &file),
                OK);
    assert_code(cella_protected_close(file), OK);
    assert_code(cella_protected_open_in(&disk_store, &disk, "dir/", "w", &g_options, NULL, &file),
                INVALID_ARGUMENT);
    assert_code(cella_protected_open_in(&disk_store, &disk, NULL, "w", &g_options, NULL, &file),
                INVALID_ARGUMENT);
    disk_done(&disk);
}

static void ends_and_positions(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file;
    size_t done;
    uint64_t at;
    assert_code(open_mode(&disk, "w+", &file), OK);
    assert_code(cella_protected_write(file, g_first, 10000, &done), OK);
    assert_code(cella_protected_tell(file, &at), OK);
    assert_int_equal(at, 10000);
    assert_code(cella_protected_seek(file, 1, 2), OUT_OF_RANGE);
    assert_code(cella_protected_seek(file, -10001, 2), OUT_OF_RANGE);
    assert_code(cella_protected_seek(file, INT64_MIN, 1), OUT_OF_RANGE);
    assert_code(cella_protected_seek(file, INT64_MAX, 1), OUT_OF_RANGE);
    assert_code(cella_protected_seek(file, 0, 3), INVALID_ARGUMENT);
    assert_code(cella_protected_seek(file, -5, 1), OK);
    assert_false(cella_protected_eof(file));
    assert_code(cella_protected_read(file, g_again, 5, &done), OK);
    assert_false(cella_protected_eof(file));
    assert_code(cella_protected_read(file, g_again, 5, &done), OK);
    assert_int_equal(done, 0);
    assert_true(cella_protected_eof(file));
    assert_code(cella_protected_write_at(file, 10000, "more", 4, &done), OK);
    assert_code(cella_protected_read(file, g_again, 4, &done), OK);
    assert_int_equal(done, 0); /* until the end is forgotten */
    cella_protected_clear_error(file);
    assert_code(cella_protected_read(file, g_again, 4, &done), OK);
    assert_int_equal(done, 4);
    assert_memory_equal(g_again, "more", 4);
    assert_code(cella_protected_write_at(file, UINT64_MAX, "x", 1, &done), OUT_OF_RANGE);
    assert_code(cella_protected_write_at(file, 1ull << 52, "x", 1, &done), OUT_OF_RANGE);
    assert_code(cella_protected_read_at(file, UINT64_MAX, g_again, 1, &done), OK);
    assert_int_equal(done, 0);
    assert_code(cella_protected_truncate(file, (1ull << 52) + 1), OUT_OF_RANGE);
    assert_code(cella_protected_write_at(file, 3ull << 40, "far", 3, &done), OK);
    assert_code(cella_protected_close(file), OK);
    assert_true(disk.size < 100000); /* holes take no room */
    assert_code(open_mode(&disk, "r", &file), OK);
    assert_code(cella_protected_read_at(file, (3ull << 40) - 2, g_again, 10, &done), OK);
    assert_int_equal(done, 5);
    assert_memory_equal(g_again, "\0\0far", 5);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "r+", &file), OK);
    assert_code(cella_protected_truncate(file, 10004), OK);
    assert_code(cella_protected_read_at(file, 0, g_again, SIZE, &done), OK);
    assert_int_equal(done, 10004);
    assert_memory_equal(g_again, g_first, 10000);
    assert_code(cella_protected_close(file), OK);
    assert_true(disk.size < 25 * PROTECTED_BLOCK);
    disk_done(&disk);
}

static void two_opens(void **state)
{
    (void)state;
    struct disk disk = {0};
    cella_protected_file *file, *other;
    make(&disk);
    assert_code(open_mode(&disk, "r", &file), OK);
    assert_code(open_mode(&disk, "r", &other), OK);
    assert_code(cella_protected_close(other), OK);
    assert_code(open_mode(&disk, "r+", &other), BUSY);
    assert_code(cella_protected_close(file), OK);
    assert_code(open_mode(&disk, "a", &file), OK);
    assert_code(open_mode(&disk, "r", &other), BUSY);
    assert_code(open_mode(&disk, "w", &other), BUSY);
    assert_code(cella_protected_close(file), OK);
    check_content(&disk, g_first);
    disk_done(&disk);
}

static void errno_values(void **state)
{
    (void)state;
    assert_int_equal(cella_protected_errno(CELLA_OK), 0);
    assert_int_equal(cella_protected_errno(CELLA_RESULT(NOT_FOUND)), ENOENT);
    assert_int_equal(cella_protected_errno(CELLA_RESULT(ACCESS_DENIED)), EACCES);
    assert_int_equal(cella_protected_errno(CELLA_RESULT(NO_SPACE)), ENOSPC);
    assert_int_equal(cella_protected_errno(CELLA_RESULT(AUTH_FAILED)), EIO);
}

/* docs/formats/protected-file.md: the header, and a file that opens. */
static void documented_example(void **state)
{
    (void)state;
    static uint8_t bytes[64];
    struct disk disk = {0};
    make(&disk);
    assert_int_equal(docs_hex("protected-file.md", bytes, sizeof(bytes)), sizeof(bytes));
    assert_memory_equal(disk.bytes, bytes, sizeof(bytes));
    disk_done(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure),
        cmocka_unit_test(failing_for_good),
        cmocka_unit_test(lies),
        cmocka_unit_test(modes),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(ends_and_positions),
        cmocka_unit_test(two_opens),
        cmocka_unit_test(errno_values),
        cmocka_unit_test(documented_example),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
