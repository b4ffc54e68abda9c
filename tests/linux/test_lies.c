/*
 * A host that lies about its files: what comes inside is what can be, or an error.
 * Side: tests (native).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/program.h"
#include "abi/service.h"
#include "tests/linux/world.h"

static char root[64];
static uint32_t lie_about;
static int64_t lie_value;
static uint64_t state;

static long open_in(const char *path, int flags, int mode)
{
    return CALL(SYS_open, W(path), W(flags), W(mode));
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Another value for one operation. */
static void value_lie(const struct world_answer *answer)
{
    if (answer->operation == lie_about) {
        *answer->value = lie_value;
    }
}

static void with_value(uint32_t operation, int64_t value)
{
    lie_about = operation;
    lie_value = value;
    world_lie = value_lie;
}

static void counts_are_not_believed(void **context)
{
    char bytes[64] = "";
    (void)context;
    world_lie = NULL;
    const long fd = open_in("/data/file", O_RDWR, 0);
    assert_true(fd >= 0);
    with_value(CELLA_FILE_READ, 65);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(bytes), W(64), W(0)), -EIO);
    with_value(CELLA_FILE_READ, 3); /* another number than bytes that came */
    assert_int_equal(CALL(SYS_pread64, W(fd), W(bytes), W(64), W(0)), -EIO);
    with_value(CELLA_FILE_WRITE, 5);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("abcd"), W(4), W(0)), -EIO);
    with_value(CELLA_FILE_WRITE, -5000);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("abcd"), W(4), W(0)), -EIO);
    with_value(CELLA_FILE_SYNC, 1);
    assert_int_equal(CALL(SYS_fsync, W(fd)), -EIO);
    with_value(CELLA_FILE_TRUNCATE, 7);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(4)), -EIO);
    with_value(CELLA_FILE_MKDIR, 1);
    assert_int_equal(CALL(SYS_mkdir, W("/data/new"), W(0700)), -EIO);
    with_value(CELLA_FILE_STAT, -ENOENT);
    assert_int_equal(open_in("/data/file", O_RDWR, 0), -ENOENT);
    with_value(CELLA_FILE_OPEN, -ENOENT);
    assert_int_equal(open_in("/data/file", O_RDONLY, 0), -ENOENT);
    world_lie = NULL;
    CALL(SYS_close, W(fd));
}

static void handles_of_others_are_refused(void **context)
{
    char bytes[8] = "";
    (void)context;
    world_lie = NULL;
    put("data/file", "file file file");
    const long first = open_in("/data/file", O_RDONLY, 0);
    const long second = open_in("/data/other", O_RDONLY, 0);
    /* The same handle once more: two objects would be one. */
    for (int64_t handle = 0; handle < 64; handle++) {
        with_value(CELLA_FILE_OPEN, handle);
        const long fd = open_in("/data/other", O_RDONLY, 0);
        world_lie = NULL;
        if (fd >= 0) {
            CALL(SYS_close, W(fd));
        }
    }
    with_value(CELLA_FILE_OPEN, 1ll << 31);
    assert_int_equal(open_in("/data/other", O_RDONLY, 0), -EIO);
    world_lie = NULL;
    assert_int_equal(CALL(SYS_pread64, W(first), W(bytes), W(8), W(0)), 8);
    assert_memory_equal(bytes, "file fil", 8);
    assert_int_equal(CALL(SYS_pread64, W(second), W(bytes), W(5), W(0)), 5);
    assert_memory_equal(bytes, "other", 5);
    CALL(SYS_close, W(first));
    CALL(SYS_close, W(second));
}

static void stat_lie(const struct world_answer *answer)
{
    struct cella_call_stat *stat = (struct cella_call_stat *)answer->bytes;
    if (answer->operation != CELLA_FILE_STAT || *answer->value != 0) {
        return;
    }
    switch (lie_value) {
    case 0:
        stat->size = UINT64_MAX;
        break;
    case 1:
        stat->mode |= 1u << 20;
        break;
    case 2:
        stat->mode = S_IFMT | 0777;
        break;
    case 3:
        stat->modified[1] = 1000000000;
        break;
    case 4:
        stat->block_size = UINT32_MAX;
        break;
    default:
        *answer->size = 16;
        break;
    }
}

static void attributes_are_possible_ones(void **context)
{
    struct stat status;
    (void)context;
    world_lie = stat_lie;
    for (lie_value = 0; lie_value < 6; lie_value++) {
        assert_int_equal(CALL(SYS_stat, W("/data/file"), W(&status)), -EIO);
    }
    world_lie = NULL;
}

/* The kind of a file changes between looking and opening. */
static void type_lie(const struct world_answer *answer)
{
    if (answer->operation == CELLA_FILE_OPEN && *answer->value >= 0) {
        const uint64_t mode = S_IFDIR | 0755;
        memcpy(answer->bytes, &mode, sizeof(mode));
    }
}

static void exchanged_files_are_refused(void **context)
{
    (void)context;
    world_lie = type_lie;
    assert_int_equal(open_in("/data/file", O_RDONLY, 0), -ESTALE);
    world_lie = NULL;
}

static void list_lie(const struct world_answer *answer)
{
    if (answer->operation != CELLA_FILE_ENTRIES || *answer->value <= 0) {
        return;
    }
    uint8_t *record = answer->bytes;
    switch (lie_value) {
    case 0:
        record[16] = 0; /* no size */
        record[17] = 0;
        break;
    case 1:
        record[16] = 0xFF; /* behind the end */
        record[17] = 0xFF;
        break;
    case 2:
        memcpy(record + 19, "a/b", 4);
        break;
    case 3:
        memset(record + 19, 'x', 5); /* no end */
        break;
    case 4:
        record[19] = 0; /* no name */
        break;
    case 5:
        record[18] = 200; /* no type */
        break;
    default:
        record[15] = 0x80; /* a position below zero */
        break;
    }
}

static void names_are_possible_ones(void **context)
{
    _Alignas(8) uint8_t bytes[4096];
    (void)context;
    for (lie_value = 0; lie_value < 7; lie_value++) {
        const long fd = open_in("/data", O_RDONLY | O_DIRECTORY, 0);
        assert_true(fd >= 0);
        world_lie = list_lie;
        assert_int_equal(CALL(SYS_getdents64, W(fd), W(bytes), W(sizeof(bytes))), -EIO);
        world_lie = NULL;
        CALL(SYS_close, W(fd));
    }
}

static void link_lie(const struct world_answer *answer)
{
    if (answer->operation == CELLA_FILE_READLINK && *answer->value > 0) {
        answer->bytes[1] = 0;
    }
}

static void texts_of_links_are_texts(void **context)
{
    char text[64];
    (void)context;
    world_lie = link_lie;
    assert_int_equal(CALL(SYS_readlink, W("/data/link"), W(text), W(64)), -EIO);
    assert_int_equal(open_in("/data/link", O_RDONLY, 0), -EIO);
    with_value(CELLA_FILE_READLINK, 5000);
    assert_int_equal(CALL(SYS_readlink, W("/data/link"), W(text), W(64)), -EIO);
    world_lie = NULL;
}

/* A measured file: right when it is hashed, and never looked at again. */
static void content_lie(const struct world_answer *answer)
{
    if (answer->operation == CELLA_FILE_READ && *answer->value > 0) {
        answer->bytes[lie_value % *answer->value] ^= 1;
    }
}

static void measured_content_is_measured(void **context)
{
    char text[16];
    (void)context;
    world_lie = content_lie;
    for (lie_value = 0; lie_value < 10; lie_value += 3) {
        assert_int_equal(open_in("/measured", O_RDONLY, 0), -EIO);
    }
    with_value(CELLA_FILE_READ, 0);
    assert_int_equal(open_in("/measured", O_RDONLY, 0), -EIO);
    world_lie = NULL;
    const long fd = open_in("/measured", O_RDONLY, 0);
    world_lie = content_lie;
    assert_int_equal(CALL(SYS_read, W(fd), W(text), W(16)), 10);
    assert_memory_equal(text, "0123456789", 10);
    world_lie = NULL;
    CALL(SYS_close, W(fd));
}

/* Anything, anywhere: every answer inside must be one that Linux could give. */
static void any_lie(const struct world_answer *answer)
{
    if (answer->operation == CELLA_FILE_CLOSE || world_random(&state) % 4 != 0) {
        return;
    }
    switch (world_random(&state) % 4) {
    case 0:
        *answer->value = (int64_t)(world_random(&state) % 9000) - 4500;
        break;
    case 1:
        *answer->value = (int64_t)world_random(&state);
        break;
    case 2:
        *answer->size = world_random(&state) % (answer->capacity + 1);
        break;
    default:
        for (size_t i = 0; i < 4 && *answer->size > 0; i++) {
            answer->bytes[world_random(&state) % *answer->size] = (uint8_t)world_random(&state);
        }
        break;
    }
}

static void is_possible(long result, long max)
{
    assert_true(result >= -4095 && result <= max);
}

static void one_call(long fd)
{
    _Alignas(8) static uint8_t bytes[8192];
    static const char *const paths[] = {"/data/file", "/data/link",       "/data/d/x",
                                        "/data/d",    "/data/d/../other", "/data/new"};
    const char *path = paths[world_random(&state) % 6], *other = paths[world_random(&state) % 6];
    struct stat status;
    const uint64_t size = world_random(&state) % 8000;
    switch (world_random(&state) % 16) {
    case 0:
        is_possible(CALL(SYS_stat, W(path), W(&status)), 0);
        break;
    case 1:
        is_possible(CALL(SYS_readlink, W(path), W(bytes), size), (long)size);
        break;
    case 2:
        is_possible(CALL(SYS_read, W(fd), W(bytes), size), (long)size);
        break;
    case 3:
        is_possible(CALL(SYS_pwrite64, W(fd), W(bytes), size, world_random(&state) % 10000),
                    (long)size);
        break;
    case 4:
        is_possible(CALL(SYS_rename, W(path), W(other)), 0);
        break;
    case 5:
        is_possible(CALL(SYS_unlink, W(path)), 0);
        break;
    case 6:
        is_possible(CALL(SYS_mkdir, W(path), W(0700)), 0);
        break;
    case 7: {
        const long directory = open_in("/data", O_RDONLY | O_DIRECTORY, 0);
        is_possible(CALL(SYS_getdents64, W(directory), W(bytes), size), (long)size);
        CALL(SYS_close, W(directory));
        break;
    }
    case 8:
        is_possible(CALL(SYS_truncate, W(path), size), 0);
        break;
    case 9:
        is_possible(CALL(SYS_link, W(path), W(other)), 0);
        break;
    case 10:
        is_possible(CALL(SYS_symlink, W("d/x"), W(path)), 0);
        break;
    case 11:
        is_possible(CALL(SYS_fstat, W(fd), W(&status)), 0);
        break;
    case 12:
        is_possible(CALL(SYS_lseek, W(fd), W(0), W(SEEK_END)), INT64_MAX);
        break;
    case 13:
        is_possible(CALL(SYS_chdir, W(path)), 0);
        break;
    case 14: {
        struct statfs space;
        is_possible(CALL(SYS_statfs, W(path), W(&space)), 0);
        break;
    }
    default: {
        const long opened = open_in(path, (int)(world_random(&state) % 3) | O_CREAT, 0600);
        is_possible(opened, 1023);
        if (opened >= 0) {
            CALL(SYS_close, W(opened));
        }
        break;
    }
    }
}

static void any_answer_at_all(void **context)
{
    (void)context;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        state = seed;
        world_lie = NULL;
        long fd = open_in("/data/file", O_RDWR | O_CREAT, 0600);
        world_lie = any_lie;
        for (int i = 0; i < 400; i++) {
            one_call(fd);
        }
        world_lie = NULL;
        CALL(SYS_close, W(fd));
        CALL(SYS_chdir, W("/"));
    }
    world_lie = NULL;
    assert_int_equal(CALL(SYS_chdir, W("/data")), 0);
}

static int start(void **context)
{
    static const struct world_file files[] = {{.path = "/measured",
                                               .source = "/measured",
                                               .content = "0123456789",
                                               .size = 10,
                                               .mode = 0444}};
    static const struct world_mount mounts[] = {
        {.target = "/data", .source = "/data", .kind = CELLA_PROGRAM_MOUNT_HOST}};
    const struct world world = {
        .files = files, .file_count = 1, .mounts = mounts, .mount_count = 1};
    char path[128];
    (void)context;
    world_folder_make(root);
    snprintf(path, sizeof(path), "%s/data", root);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/data/d", root);
    mkdir(path, 0755);
    put("measured", "0123456789");
    put("data/file", "file file file");
    put("data/other", "other");
    put("data/d/x", "x");
    snprintf(path, sizeof(path), "%s/data/link", root);
    return symlink("d/x", path) != 0 || world_start(&world, root) != 0;
}

static int end(void **context)
{
    (void)context;
    world_folder_remove(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_not_believed),
        cmocka_unit_test(handles_of_others_are_refused),
        cmocka_unit_test(attributes_are_possible_ones),
        cmocka_unit_test(exchanged_files_are_refused),
        cmocka_unit_test(names_are_possible_ones),
        cmocka_unit_test(texts_of_links_are_texts),
        cmocka_unit_test(measured_content_is_measured),
        cmocka_unit_test(any_answer_at_all),
    };
    return cmocka_run_group_tests(tests, start, end);
}
