/*
 * The platform directory: creation, agreement between processes, damage, and what is kept.
 * Side: tests (host).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soft/keys.h"
#include "soft/driver.h"

static char g_root[64];

/* The transitions are not linked here. */
void soft_patch_exit_sites(struct soft_enclave *enclave)
{
    (void)enclave;
}

void soft_forget_enclave(struct soft_enclave *enclave)
{
    (void)enclave;
}

static int make_root(void **state)
{
    (void)state;
    strcpy(g_root, "/tmp/cella-platform-XXXXXX");
    assert_non_null(mkdtemp(g_root));
    unsetenv("CELLA_PLATFORM_DIR");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    soft_platform_reset();
    return 0;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", g_root);
    return system(command);
}

static void path_in(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", g_root, name);
}

static void test_created_with_care(void **state)
{
    char path[128];
    struct stat status;
    uint8_t root[2][32];
    (void)state;
    path_in(path, sizeof(path), "a/b/platform");
    setenv("CELLA_PLATFORM_DIR", path, 1);
    struct soft_platform_info info = soft_platform_info();
    assert_false(info.ephemeral);
    assert_int_equal(info.error, 0);
    assert_string_equal(info.directory, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    path_in(path, sizeof(path), "a/b/platform/root.key");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 64);
    assert_int_equal(status.st_nlink, 1); /* no temporary name left */
    soft_platform_root_key(root[0]);
    soft_platform_reset();
    soft_platform_root_key(root[1]);
    assert_memory_equal(root[0], root[1], 32);
}

/* Sixteen processes that start on an empty directory end with one key. */
static void test_race(void **state)
{
    char path[128];
    int channel[2];
    uint8_t first[32];
    uint8_t root[32];
    (void)state;
    path_in(path, sizeof(path), "race");
    setenv("CELLA_PLATFORM_DIR", path, 1);
    assert_int_equal(pipe(channel), 0);
    for (int i = 0; i < 16; i++) {
        if (fork() == 0) {
            soft_platform_root_key(root);
            _exit(write(channel[1], root, sizeof(root)) != sizeof(root));
        }
    }
    for (int i = 0; i < 16; i++) {
        assert_int_equal(read(channel[0], root, sizeof(root)), sizeof(root));
        if (i == 0) {
            memcpy(first, root, sizeof(first));
        }
        assert_memory_equal(root, first, sizeof(first));
        assert_true(wait(NULL) > 0);
    }
    close(channel[0]);
    close(channel[1]);
}

static void test_where(void **state)
{
    char state_home[128];
    char home[128];
    char expected[256];
    (void)state;
    path_in(home, sizeof(home), "home");
    path_in(state_home, sizeof(state_home), "state");
    setenv("HOME", home, 1);
    snprintf(expected, sizeof(expected), "%s/.local/state/cella/platform", home);
    assert_string_equal(soft_platform_info().directory, expected);
    setenv("XDG_STATE_HOME", state_home, 1);
    soft_platform_reset();
    snprintf(expected, sizeof(expected), "%s/cella/platform", state_home);
    assert_string_equal(soft_platform_info().directory, expected);
    setenv("XDG_STATE_HOME", "relative", 1); /* the specification says to ignore it */
    soft_platform_reset();
    snprintf(expected, sizeof(expected), "%s/.local/state/cella/platform", home);
    assert_string_equal(soft_platform_info().directory, expected);
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    soft_platform_reset();
    assert_true(soft_platform_info().ephemeral);
    assert_int_equal(soft_platform_info().error, ENOENT);
}

static void write_file(const char *name, const void *data, size_t size)
{
    char path[128];
    path_in(path, sizeof(path), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* A damaged key file is never replaced: what was sealed with it would be lost for good. */
static void test_damaged(void **state)
{
    static const struct {
        const char *content;
        size_t size;
    } files[] = {{"", 0}, {"CELLA PLATFORM 1 and then too little", 36}, {NULL, 64}};
    static const uint8_t zeros[64];
    (void)state;
    setenv("CELLA_PLATFORM_DIR", g_root, 1);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file("root.key", files[i].content ? files[i].content : (const char *)zeros,
                   files[i].size);
        soft_platform_reset();
        struct soft_platform_info info = soft_platform_info();
        assert_true(info.ephemeral);
        assert_int_equal(info.error, EBADMSG);
        char path[128];
        struct stat status;
        path_in(path, sizeof(path), "root.key");
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, (off_t)files[i].size);
    }
}

static void test_unwritable(void **state)
{
    (void)state;
    setenv("CELLA_PLATFORM_DIR", "/proc/cella-cannot-be", 1);
    assert_true(soft_platform_info().ephemeral);
    assert_int_not_equal(soft_platform_info().error, 0);
    write_file("file", "", 0);
    char path[128];
    path_in(path, sizeof(path), "file/below");
    setenv("CELLA_PLATFORM_DIR", path, 1);
    soft_platform_reset();
    assert_true(soft_platform_info().ephemeral);
    assert_int_equal(soft_platform_info().error, ENOTDIR);
}

static void test_svn_and_epoch_are_kept(void **state)
{
    static const uint8_t svn[16] = {1, 2, 3, 0xff};
    static const uint8_t epoch[16] = {0xab};
    uint8_t found[16];
    (void)state;
    setenv("CELLA_PLATFORM_DIR", g_root, 1);
    soft_platform_cpu_svn(found);
    assert_int_equal(found[0], 1);
    assert_int_equal(soft_platform_set_cpu_svn(svn), 0);
    assert_int_equal(soft_platform_set_owner_epoch(epoch), 0);
    soft_platform_reset();
    soft_platform_cpu_svn(found);
    assert_memory_equal(found, svn, 16);
    soft_platform_owner_epoch(found);
    assert_memory_equal(found, epoch, 16);
    write_file("cpusvn", "not hexadecimal at all, thirty-two!", 35);
    soft_platform_reset();
    soft_platform_cpu_svn(found);
    assert_int_equal(found[0], 1);
    assert_int_equal(found[1], 0);
}

/* Component by component, as the provisioning keys of newer and older microcode are ordered. */
static void test_svn_order(void **state)
{
    static const uint8_t current[16] = {5, 0, 7};
    static const struct {
        uint8_t svn[16];
        bool allowed;
    } rows[] = {
        {{5, 0, 7}, true}, {{0}, true},       {{4, 0, 7}, true},      {{5, 0, 8}, false},
        {{6}, false},      {{0, 1}, false},   {{4, 0, 9}, false},     {{5, 0, 7, 1}, false},
        {{5}, true},       {{0, 0, 7}, true}, {{[15] = 0xff}, false},
    };
    (void)state;
    assert_int_equal(soft_platform_set_cpu_svn(current), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(soft_cpu_svn_allowed(rows[i].svn), rows[i].allowed);
    }
}

/* Processes of one platform and boot have one report key id; another platform has another. */
static void test_report_key_id(void **state)
{
    uint8_t ids[3][32];
    (void)state;
    setenv("CELLA_PLATFORM_DIR", g_root, 1);
    for (unsigned i = 0; i < 2; i++) {
        soft_platform_reset();
        soft_platform_report_key_id(ids[i]);
    }
    assert_memory_equal(ids[0], ids[1], 32);
    unsetenv("CELLA_PLATFORM_DIR");
    soft_platform_reset();
    soft_platform_report_key_id(ids[2]);
    assert_memory_not_equal(ids[0], ids[2], 32);
}

static void test_cpu(void **state)
{
    (void)state;
    assert_int_equal(soft_cpu_xsave_size(3), 576);
    assert_true(soft_cpu_xcr0() & 3);
    if (soft_cpu_xcr0() & 4) {
        assert_int_equal(soft_cpu_xsave_size(7), 832);
    }
    assert_true(soft_cpu_xsave_size(soft_cpu_xcr0()) >= soft_cpu_xsave_size(3));
}

int main(void)
{
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(test_created_with_care),
        IN_ROOT(test_race),
        IN_ROOT(test_where),
        IN_ROOT(test_damaged),
        IN_ROOT(test_unwritable),
        IN_ROOT(test_svn_and_epoch_are_kept),
        IN_ROOT(test_svn_order),
        IN_ROOT(test_report_key_id),
        IN_ROOT(test_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
