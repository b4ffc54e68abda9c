/*
 * The file tree of a program: measured files, mounts, what the system shows, locks, mappings, and bad memory.
 * Side: tests (native). One tree for all of them; test_model.c compares it with Linux, test_lies.c has a host that lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "linux/fs_tree.h"
#include "tests/linux/world.h"

extern uint32_t OPENSSL_ia32cap_P[10];

#define BIG (3u << 20)

static char root[64];
static uint8_t big[BIG];

static long open_in(const char *path, int flags, int mode)
{
    return CALL(SYS_open, W(path), W(flags), W(mode));
}

static void put_outside(const char *name, const void *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* The whole of a file inside, zero-terminated. */
static long take(const char *path, char *to, size_t capacity)
{
    const long fd = open_in(path, O_RDONLY, 0);
    long done = 0;
    if (fd < 0) {
        return fd;
    }
    for (;;) {
        const long count = CALL(SYS_read, W(fd), W(to + done), W(capacity - 1 - (size_t)done));
        if (count <= 0) {
            CALL(SYS_close, W(fd));
            to[done] = 0;
            return count < 0 ? count : done;
        }
        done += count;
    }
}

static void shows(const char *path, const char *expected)
{
    static char text[65536];
    const long size = take(path, text, sizeof(text));
    if (size < 0 || !strstr(text, expected)) {
        fail_msg("%s: %ld: '%s' is not in '%s'", path, size, expected, size < 0 ? "" : text);
    }
}

static void is_text(const char *path, const char *expected)
{
    static char text[65536];
    const long size = take(path, text, sizeof(text));
    assert_true(size >= 0);
    assert_string_equal(text, expected);
}

/* ------------------------------------------------------------------- measured files */

static void measured_files_are_there(void **context)
{
    static char text[256];
    struct stat status;
    (void)context;
    is_text("/etc/motd", "hello\n");
    is_text("/etc/link", "hello\n");
    assert_int_equal(CALL(SYS_lstat, W("/etc/link"), W(&status)), 0);
    assert_int_equal(status.st_mode, S_IFLNK | 0777);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(CALL(SYS_stat, W("/etc/motd"), W(&status)), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(CALL(SYS_readlink, W("/etc/link"), W(text), W(3)), 3);
}

static void measured_files_are_copied_when_written(void **context)
{
    char text[64] = "";
    (void)context;
    const long fd = open_in("/etc/motd", O_RDWR, 0);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("J"), W(1), W(0)), 1);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("end"), W(3), W(10)), 3);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(text), W(64), W(0)), 13);
    assert_memory_equal(text, "Jello\n\0\0\0\0end", 13);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(2)), 0);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(8)), 0);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(text), W(64), W(0)), 8);
    assert_memory_equal(text, "Je\0\0\0\0\0\0", 8);
    CALL(SYS_close, W(fd));
}

static void files_of_the_host_are_checked(void **context)
{
    static uint8_t bytes[BIG];
    (void)context;
    const long fd = open_in("/lib/big", O_RDONLY, 0);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(bytes), W(BIG)), BIG);
    assert_memory_equal(bytes, big, BIG);
    CALL(SYS_close, W(fd));
    assert_int_equal(open_in("/lib/changed", O_RDONLY, 0), -EIO);
    assert_int_equal(open_in("/lib/short", O_RDONLY, 0), -EIO);
    assert_int_equal(open_in("/lib/missing", O_RDONLY, 0), -ENOENT);
    assert_int_equal(CALL(SYS_truncate, W("/lib/changed"), W(1)), -EIO);
    put_outside("late", "later\n", 6); /* not read yet: it may come until then */
    is_text("/lib/missing", "later\n");
    put_outside("late", "other\n",
                6); /* it has been read: the host's file is of no interest any more */
    is_text("/lib/missing", "later\n");
}

/* With what the processor has, and without: the block function takes another way. */
static void hashes_are_sha256(void **context)
{
    (void)context;
    for (int way = 0; way < 2; way++) {
        for (size_t size = 0; size < 400; size += 1 + size / 64) {
            for (size_t first = 0; first <= size; first += 37) {
                uint8_t mine[32], theirs[32];
                struct fs_sha256 hash;
                assert_true(fs_sha256_init(&hash));
                fs_sha256_update(&hash, big, first);
                fs_sha256_update(&hash, big + first, size - first);
                fs_sha256_final(&hash, mine);
                SHA256(big, size, theirs);
                assert_memory_equal(mine, theirs, 32);
            }
        }
        OPENSSL_ia32cap_P[2] = 0;
    }
}

static void patches_go_with_the_content(void **context)
{
    (void)context;
    const struct cella_bytes content = fs_content("/bin/prog");
    assert_int_equal(content.size, 4);
    assert_null(fs_content("/nowhere").data);
}

/* ------------------------------------------------------------------- mounts */

static void host_mounts(void **context)
{
    struct stat status;
    struct statfs space;
    (void)context;
    put_outside("data/one", "1", 1);
    is_text("/data/one", "1");
    const long fd = open_in("/data/two", O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("22"), W(2)), 2);
    assert_int_equal(CALL(SYS_fstat, W(fd), W(&status)), 0);
    assert_int_equal(status.st_size, 2);
    assert_int_equal(status.st_uid, 0);
    CALL(SYS_close, W(fd));
    is_text("/ro/two", "22");
    assert_int_equal(open_in("/ro/two", O_WRONLY, 0), -EROFS);
    assert_int_equal(open_in("/ro/three", O_WRONLY | O_CREAT, 0600), -EROFS);
    assert_int_equal(CALL(SYS_unlink, W("/ro/two")), -EROFS);
    assert_int_equal(CALL(SYS_mkdir, W("/ro/d"), W(0700)), -EROFS);
    assert_int_equal(CALL(SYS_rename, W("/ro/two"), W("/ro/x")), -EROFS);
    assert_int_equal(CALL(SYS_truncate, W("/ro/two"), W(0)), -EROFS);
    assert_int_equal(CALL(SYS_chmod, W("/ro/two"), W(0)), -EROFS);
    assert_int_equal(CALL(SYS_access, W("/ro/two"), W(W_OK)), -EROFS);
    assert_int_equal(CALL(SYS_rename, W("/data/two"), W("/ro/two")), -EXDEV);
    assert_int_equal(CALL(SYS_rename, W("/data/two"), W("/tmp/two")), -EXDEV);
    assert_int_equal(CALL(SYS_rmdir, W("/data")), -EBUSY);
    assert_int_equal(CALL(SYS_statfs, W("/data"), W(&space)), 0);
    assert_true(space.f_bsize > 0);
    assert_int_equal(CALL(SYS_unlink, W("/data/two")), 0);
    assert_int_equal(open_in("/ro/two", O_RDONLY, 0), -ENOENT);
}

/* Links on the host lead where they lead in the program's tree, and never out of a mount on the host's side. */
static void links_of_the_host_are_walked_inside(void **context)
{
    char path[256];
    (void)context;
    put_outside("secret", "outside", 7);
    snprintf(path, sizeof(path), "%s/data/up", root);
    assert_int_equal(symlink("../secret", path), 0);
    snprintf(path, sizeof(path), "%s/data/absolute", root);
    assert_int_equal(symlink("/etc/hosts", path), 0);
    snprintf(path, sizeof(path), "%s/data/self", root);
    assert_int_equal(symlink("self", path), 0);
    snprintf(path, sizeof(path), "%s/data/away", root);
    assert_int_equal(symlink("..", path), 0);
    assert_int_equal(open_in("/data/up", O_RDONLY, 0), -ENOENT); /* /secret, which is not there */
    shows("/data/absolute", "localhost");
    assert_int_equal(open_in("/data/self", O_RDONLY, 0), -ELOOP);
    assert_int_equal(open_in("/data/away/secret", O_RDONLY, 0), -ENOENT);
    is_text("/data/away/data/one", "1");
    assert_int_equal(open_in("/data/../secret", O_RDONLY, 0), -ENOENT);
    assert_int_equal(CALL(SYS_unlink, W("/data/up")), 0);
}

static void measured_files_win_over_the_host(void **context)
{
    (void)context;
    put_outside("data/conf", "the host's", 10);
    is_text("/data/conf", "measured");
    is_text("/data/below/conf", "measured");
}

static void getcwd_through_mounts(void **context)
{
    char text[256];
    (void)context;
    assert_int_equal(CALL(SYS_getcwd, W(text), W(256)), 6);
    assert_string_equal(text, "/work");
    assert_int_equal(CALL(SYS_chdir, W("/data/sub/..")), -ENOENT);
    assert_int_equal(CALL(SYS_mkdir, W("/data/sub"), W(0755)), 0);
    assert_int_equal(CALL(SYS_chdir, W("/data/sub")), 0);
    assert_int_equal(CALL(SYS_getcwd, W(text), W(256)), 10);
    assert_string_equal(text, "/data/sub");
    assert_int_equal(CALL(SYS_chdir, W("../../dev/shm/../..")), 0);
    assert_int_equal(CALL(SYS_getcwd, W(text), W(256)), 2);
    assert_int_equal(CALL(SYS_getcwd, W(text), W(1)), -ERANGE);
    assert_int_equal(CALL(SYS_chdir, W("/work")), 0);
    assert_int_equal(CALL(SYS_rmdir, W("/data/sub")), 0);
}

/* ------------------------------------------------------------------- the system's files */

static void the_system_is_shown(void **context)
{
    char text[256];
    (void)context;
    shows("/proc/self/status", "Uid:\t0\t0\t0\t0\n");
    shows("/proc/self/stat", "1 (main) R 0 1 1 0 -1 ");
    shows("/proc/1/maps", "00400000-00401000 r-xp 00000000 00:00 0");
    shows("/proc/self/mounts", " /data fuse.cella rw");
    shows("/proc/self/mountinfo", "/ro ro,relatime");
    shows("/proc/self/limits", "Max open files            65536                65536 ");
    shows("/proc/self/task/2/comm", "main");
    shows("/proc/cpuinfo", "processor\t: 3\n");
    shows("/proc/cpuinfo", "sse2");
    shows("/proc/meminfo", "MemTotal:        1048576 kB");
    shows("/proc/uptime", "12.34 0.00");
    shows("/proc/stat", "cpu3 ");
    shows("/proc/sys/kernel/hostname", "inside\n");
    shows("/proc/sys/net/core/somaxconn", "4096");
    is_text("/sys/devices/system/cpu/online", "0-3\n");
    is_text("/sys/devices/system/cpu/cpu2/topology/core_id", "2\n");
    is_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n");
    shows("/etc/passwd", "root:x:0:0");
    shows("/etc/nsswitch.conf", "hosts: files dns");
    assert_int_equal(take("/proc/self/cmdline", text, sizeof(text)), 8);
    assert_memory_equal(text, "prog\0-x", 8);
    assert_int_equal(CALL(SYS_readlink, W("/proc/self"), W(text), W(256)), 1);
    assert_int_equal(CALL(SYS_readlink, W("/proc/self/exe"), W(text), W(256)), 9);
    assert_memory_equal(text, "/bin/prog", 9);
    assert_int_equal(CALL(SYS_readlink, W("/proc/self/cwd"), W(text), W(256)), 5);
    assert_int_equal(open_in("/proc/self/task/77/comm", O_RDONLY, 0), -ENOENT);
    assert_int_equal(open_in("/proc/nothing", O_RDONLY, 0), -ENOENT);
    assert_int_equal(open_in("/proc/self/status", O_RDWR, 0), -EACCES);
    assert_int_equal(open_in("/proc/new", O_WRONLY | O_CREAT, 0600), -EACCES);
    assert_int_equal(CALL(SYS_mkdir, W("/sys/new"), W(0700)), -EPERM);
    assert_int_equal(CALL(SYS_unlink, W("/proc/cpuinfo")), -EPERM);
}

/* Fields of stat are 52, as proc(5) has them. */
static void stat_has_its_fields(void **context)
{
    char text[1024];
    (void)context;
    assert_true(take("/proc/self/stat", text, sizeof(text)) > 0);
    int spaces = 0;
    for (const char *at = text; *at; at++) {
        spaces += *at == ' ';
    }
    assert_int_equal(spaces, 51);
}

static void identifiers_are_random(void **context)
{
    char first[64], second[64];
    (void)context;
    assert_int_equal(take("/proc/sys/kernel/random/uuid", first, 64), 37);
    assert_int_equal(take("/proc/sys/kernel/random/uuid", second, 64), 37);
    assert_string_not_equal(first, second);
    assert_int_equal(first[14], '4');
    assert_int_equal(take("/proc/sys/kernel/random/boot_id", first, 64), 37);
    assert_int_equal(take("/proc/sys/kernel/random/boot_id", second, 64), 37);
    assert_string_equal(first, second);
}

static void written_files_of_the_system(void **context)
{
    (void)context;
    const long fd = open_in("/proc/self/oom_score_adj", O_RDWR | O_TRUNC, 0);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("-17\n"), W(4)), 4);
    assert_int_equal(CALL(SYS_write, W(fd), W("1001"), W(4)), -EINVAL);
    assert_int_equal(CALL(SYS_write, W(fd), W("x"), W(1)), -EINVAL);
    CALL(SYS_close, W(fd));
    is_text("/proc/self/oom_score_adj", "-17\n");
}

static void devices(void **context)
{
    uint8_t bytes[5000];
    struct stat status;
    (void)context;
    memset(bytes, 1, sizeof(bytes));
    long fd = open_in("/dev/zero", O_RDWR, 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(bytes), W(5000)), 5000);
    assert_int_equal(bytes[4999], 0);
    assert_int_equal(CALL(SYS_lseek, W(fd), W(100), W(SEEK_SET)), 0);
    CALL(SYS_close, W(fd));
    fd = open_in("/dev/urandom", O_RDONLY, 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(bytes), W(5000)), 5000);
    uint8_t all = 0;
    for (size_t i = 4900; i < 5000; i++) {
        all |= bytes[i];
    }
    assert_int_equal(all, 0xFF);
    CALL(SYS_close, W(fd));
    fd = open_in("/dev/full", O_WRONLY, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("x"), W(1)), -ENOSPC);
    CALL(SYS_close, W(fd));
    fd = open_in("/dev/null", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(CALL(SYS_write, W(fd), W("x"), W(1)), 1);
    assert_int_equal(CALL(SYS_read, W(fd), W(bytes), W(1)), 0);
    CALL(SYS_close, W(fd));
    assert_int_equal(CALL(SYS_stat, W("/dev/null"), W(&status)), 0);
    assert_int_equal(status.st_rdev, 0x103);
    assert_int_equal(open_in("/dev/tty", O_RDWR, 0), -ENXIO);
    assert_int_equal(CALL(SYS_mknod, W("/tmp/d"), W(S_IFCHR | 0600), W(0x103)), -EPERM);
    fd = open_in("/dev/shm/x", O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    CALL(SYS_close, W(fd));
}

/* Other library operating systems' names, and what is behind them. */
static void attestation(void **context)
{
    char bytes[2048];
    uint8_t target[512];
    (void)context;
    is_text("/dev/attestation/attestation_type", "dcap");
    long fd = open_in("/dev/attestation/user_report_data", O_WRONLY | O_TRUNC, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("bound to this"), W(13)), 13);
    memset(bytes, 0, 65);
    assert_int_equal(CALL(SYS_write, W(fd), W(bytes), W(65)), -EINVAL);
    CALL(SYS_close, W(fd));
    assert_int_equal(take("/dev/attestation/quote", bytes, sizeof(bytes)), 1000);
    assert_memory_equal(bytes, "bound to this\0", 14);
    assert_int_equal(take("/dev/attestation/my_target_info", (char *)target, sizeof(target)), 511);
    memset(target, 0x5A, sizeof(target));
    fd = open_in("/dev/attestation/target_info", O_WRONLY, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W(target), W(511)), -EINVAL);
    assert_int_equal(CALL(SYS_write, W(fd), W(target), W(512)), 512);
    CALL(SYS_close, W(fd));
    assert_int_equal(take("/dev/attestation/report", bytes, sizeof(bytes)), 432);
    assert_memory_equal(bytes + 320, "bound to this\0", 14);
    assert_int_equal((uint8_t)bytes[416], 0x5A);
    assert_int_equal(take("/dev/attestation/keys/_sgx_mrenclave", bytes, sizeof(bytes)), 16);
    assert_int_equal(bytes[0], 1 + 3);
    assert_int_equal(take("/dev/attestation/keys/_sgx_mrsigner", bytes, sizeof(bytes)), 16);
    assert_int_equal(bytes[15], 2 + 3);
    fd = open_in("/dev/attestation/user_report_data", O_WRONLY, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("\xEE"), W(1)), 1);
    CALL(SYS_close, W(fd));
    assert_int_equal(take("/dev/attestation/quote", bytes, sizeof(bytes)), -EIO);
    assert_int_equal(open_in("/dev/attestation/quote", O_WRONLY, 0), -EACCES);
}

/* ------------------------------------------------------------------- descriptors by name */

static void descriptors_are_files(void **context)
{
    char path[64], text[64] = "";
    int32_t ends[2];
    (void)context;
    long fd = open_in("/tmp/named", O_RDWR | O_CREAT, 0600);
    assert_int_equal(CALL(SYS_write, W(fd), W("abc"), W(3)), 3);
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    assert_int_equal(CALL(SYS_readlink, W(path), W(text), W(64)), 10);
    assert_memory_equal(text, "/tmp/named", 10);
    is_text(path, "abc"); /* opened anew: from its start */
    assert_int_equal(CALL(SYS_unlink, W("/tmp/named")), 0);
    assert_int_equal(CALL(SYS_readlink, W(path), W(text), W(64)), 20);
    assert_memory_equal(text, "/tmp/named (deleted)", 20);
    is_text(path, "abc");
    snprintf(path, sizeof(path), "/dev/fd/%ld", fd);
    is_text(path, "abc");
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%ld", fd);
    shows(path, "pos:\t3\nflags:\t0100002\n");
    CALL(SYS_close, W(fd));
    assert_int_equal(open_in(path, O_RDONLY, 0), -ENOENT);

    assert_int_equal(CALL(SYS_pipe2, W(ends), W(0)), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    fd = open_in(path, O_RDONLY, 0);
    assert_int_equal(CALL(SYS_write, W(ends[1]), W("p"), W(1)), 1);
    assert_int_equal(CALL(SYS_read, W(fd), W(text), W(1)), 1);
    CALL(SYS_close, W(fd));
    CALL(SYS_close, W(ends[0]));
    CALL(SYS_close, W(ends[1]));
    fd = open_in("/dev/stdout", O_WRONLY, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("out"), W(3)), 3);
    CALL(SYS_close, W(fd));
}

static void files_without_names(void **context)
{
    char path[64], text[16] = "";
    struct stat status;
    (void)context;
    long fd = CALL(SYS_memfd_create, W("mine"), W(1));
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(9000)), 0);
    assert_int_equal(CALL(SYS_fstat, W(fd), W(&status)), 0);
    assert_int_equal(status.st_size, 9000);
    assert_int_equal(status.st_nlink, 0);
    CALL(SYS_close, W(fd));
    fd = open_in("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("late"), W(4)), 4);
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    assert_int_equal(
        CALL(SYS_linkat, W(AT_FDCWD), W(path), W(AT_FDCWD), W("/tmp/linked"), W(AT_SYMLINK_FOLLOW)),
        0);
    CALL(SYS_close, W(fd));
    is_text("/tmp/linked", "late");
    assert_int_equal(open_in("/tmp", O_TMPFILE | O_RDONLY, 0600), -EINVAL);
    assert_int_equal(open_in("/nowhere", O_TMPFILE | O_RDWR, 0600), -ENOENT);
    fd = open_in("/tmp/linked", O_PATH, 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(text), W(4)), -EBADF);
    assert_int_equal(CALL(SYS_fchmod, W(fd), W(0600)), -EBADF);
    CALL(SYS_close, W(fd));
}

/* ------------------------------------------------------------------- locks */

static void flock_between_open_files(void **context)
{
    (void)context;
    const long a = open_in("/tmp/lock", O_RDWR | O_CREAT, 0600);
    const long b = open_in("/tmp/lock", O_RDWR, 0);
    assert_int_equal(CALL(SYS_flock, W(a), W(LOCK_EX)), 0);
    assert_int_equal(CALL(SYS_flock, W(a), W(LOCK_SH)), 0);
    assert_int_equal(CALL(SYS_flock, W(b), W(LOCK_EX | LOCK_NB)), -EAGAIN);
    assert_int_equal(CALL(SYS_flock, W(b), W(LOCK_SH | LOCK_NB)), 0);
    assert_int_equal(CALL(SYS_flock, W(b), W(LOCK_UN)), 0);
    assert_int_equal(CALL(SYS_flock, W(a), W(LOCK_EX)), 0);
    CALL(SYS_close, W(a));
    assert_int_equal(CALL(SYS_flock, W(b), W(LOCK_EX | LOCK_NB)), 0);
    assert_int_equal(CALL(SYS_flock, W(b), W(3)), -EINVAL);
    CALL(SYS_close, W(b));
}

static void ranges_are_locked(void **context)
{
    (void)context;
    const long a = open_in("/tmp/lock", O_RDWR | O_CREAT, 0600);
    const long b = open_in("/tmp/lock", O_RDWR, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 10};
    assert_int_equal(CALL(SYS_fcntl, W(a), W(F_OFD_SETLK), W(&lock)), 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_start = 19, .l_len = 1};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_OFD_SETLK), W(&lock)), -EAGAIN);
    lock = (struct flock){.l_type = F_UNLCK, .l_start = 14, .l_len = 2};
    assert_int_equal(CALL(SYS_fcntl, W(a), W(F_OFD_SETLK), W(&lock)), 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_start = 14, .l_len = 2};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_OFD_SETLK), W(&lock)), 0);
    lock = (struct flock){.l_type = F_RDLCK, .l_start = 0, .l_len = 0};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_OFD_GETLK), W(&lock)), 0);
    assert_int_equal(lock.l_type, F_WRLCK);
    assert_int_equal(lock.l_pid, -1);
    assert_true(lock.l_len == 4);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = -50};
    assert_int_equal(CALL(SYS_fcntl, W(a), W(F_SETLK), W(&lock)), 0); /* of the process */
    lock = (struct flock){.l_type = F_RDLCK, .l_start = 60, .l_len = 1};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_SETLK), W(&lock)), 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_start = -1, .l_len = 1};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_SETLK), W(&lock)), -EINVAL);
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_SETLK), W(8)), -EFAULT);
    CALL(SYS_close, W(a));
    lock = (struct flock){.l_type = F_WRLCK, .l_start = 0, .l_len = 13};
    assert_int_equal(CALL(SYS_fcntl, W(b), W(F_OFD_SETLK), W(&lock)), 0);
    CALL(SYS_close, W(b));
}

/* ------------------------------------------------------------------- named pipes */

static void *fifo_writer(void *context)
{
    const long fd = open_in(context, O_WRONLY, 0);
    static uint8_t bytes[100000];
    memset(bytes, 'f', sizeof(bytes));
    const long written = CALL(SYS_write, W(fd), W(bytes), W(sizeof(bytes)));
    CALL(SYS_close, W(fd));
    return (void *)written;
}

static void pipes_with_names(void **context)
{
    static char bytes[100000];
    pthread_t thread;
    void *written = NULL;
    (void)context;
    assert_int_equal(CALL(SYS_mknod, W("/tmp/fifo"), W(S_IFIFO | 0600), W(0)), 0);
    assert_int_equal(open_in("/tmp/fifo", O_WRONLY | O_NONBLOCK, 0), -ENXIO);
    long fd = open_in("/tmp/fifo", O_RDONLY | O_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(bytes), W(1)), 0);
    assert_int_equal(CALL(SYS_lseek, W(fd), W(0), W(0)), -ESPIPE);
    CALL(SYS_close, W(fd));
    assert_int_equal(pthread_create(&thread, NULL, fifo_writer, "/tmp/fifo"), 0);
    fd = open_in("/tmp/fifo", O_RDONLY, 0);
    long done = 0;
    for (;;) {
        const long count = CALL(SYS_read, W(fd), W(bytes + done), W(30000));
        assert_true(count >= 0);
        if (count == 0) {
            break;
        }
        done += count;
    }
    pthread_join(thread, &written);
    assert_int_equal(done, 100000);
    assert_int_equal((long)written, 100000);
    assert_int_equal(bytes[99999], 'f');
    CALL(SYS_close, W(fd));
    fd = open_in("/tmp/fifo", O_RDWR, 0);
    assert_int_equal(CALL(SYS_write, W(fd), W("x"), W(1)), 1);
    int32_t left = 0;
    assert_int_equal(CALL(SYS_ioctl, W(fd), W(FIONREAD), W(&left)), 0);
    assert_int_equal(left, 1);
    CALL(SYS_close, W(fd));
    assert_int_equal(CALL(SYS_unlink, W("/tmp/fifo")), 0);
}

/* ------------------------------------------------------------------- mappings */

/* What is written to a file is in its shared mappings, and what is stored in them is in the file. */
static void mappings_and_files_agree(const char *path)
{
    uint8_t *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char text[8] = "";
    const long fd = open_in(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    struct cella_open *open = cella_descriptor_get((uint64_t)fd);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(12288)), 0);
    assert_int_equal(fs_map_check(open, PROT_READ | PROT_WRITE, true), 0);
    assert_int_equal(fs_map_begin(open), 0);
    assert_int_equal(fs_map_add(open, (uint64_t)map, 8192, 4096, true), 0);
    assert_int_equal(fs_map_fill(open, 4096, 8192, map), 8192);
    fs_map_end(open);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("file"), W(4), W(4096 + 10)), 4);
    assert_memory_equal(map + 10, "file", 4);
    memcpy(map + 5000, "stored", 6);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(text), W(6), W(4096 + 5000)), 6);
    assert_memory_equal(text, "stored", 6);
    memcpy(map + 1, "later", 5);
    fs_map_remove(open, (uint64_t)map, 4096);
    memcpy(map + 1, "LOST!", 5);
    memcpy(map + 4096, "kept", 4);
    assert_int_equal(fs_map_sync(open, (uint64_t)map, 8192), 0);
    fs_map_remove(open, (uint64_t)map, 8192);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(text), W(5), W(4097)), 5);
    assert_memory_equal(text, "later", 5);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(text), W(4), W(8192)), 4);
    assert_memory_equal(text, "kept", 4);
    cella_open_put(open);
    CALL(SYS_close, W(fd));
    munmap(map, 8192);
}

static void shared_mappings(void **context)
{
    (void)context;
    mappings_and_files_agree("/tmp/mapped");
    mappings_and_files_agree("/data/mapped");
    const long fd = open_in("/proc/cpuinfo", O_RDONLY, 0);
    struct cella_open *open = cella_descriptor_get((uint64_t)fd);
    assert_int_equal(fs_map_check(open, PROT_READ, false), -ENODEV);
    cella_open_put(open);
    CALL(SYS_close, W(fd));
}

static _Atomic bool mapper_ends;

/* The descriptor is closed first: the mapping has the open file to itself, and takes it along. */
static void *mapper(void *map)
{
    long rounds = 0;
    for (; !mapper_ends; rounds++) {
        const long fd = open_in("/tmp/closed", O_RDWR, 0);
        struct cella_open *open = cella_descriptor_get((uint64_t)fd);
        if (!open || fs_map_begin(open) != 0) {
            return NULL;
        }
        const long added = fs_map_add(open, (uint64_t)map, 4096, 0, true);
        fs_map_end(open);
        if (added != 0) {
            return NULL;
        }
        CALL(SYS_close, W(fd));
        fs_map_remove(open, (uint64_t)map, 4096);
        cella_open_put(open);
    }
    return (void *)rounds;
}

/* Mappings come and go, with their files, while another thread reads and writes. */
static void mappings_go_while_a_file_is_used(void **context)
{
    pthread_t thread;
    void *rounds = NULL;
    char byte;
    (void)context;
    uint8_t *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const long fd = open_in("/tmp/closed", O_RDWR | O_CREAT, 0600);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(4096)), 0);
    assert_int_equal(pthread_create(&thread, NULL, mapper, map), 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(CALL(SYS_pread64, W(fd), W(&byte), W(1), W(i % 4096)), 1);
        assert_int_equal(CALL(SYS_pwrite64, W(fd), W("z"), W(1), W(i % 4096)), 1);
    }
    mapper_ends = true;
    pthread_join(thread, &rounds);
    assert_true((long)rounds > 0);
    CALL(SYS_close, W(fd));
    munmap(map, 4096);
}

/* What cannot be stored, msync says. */
static void msync_says_what_is_lost(void **context)
{
    char path[256];
    (void)context;
    uint8_t *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const long fd = open_in("/data/lost", O_RDWR | O_CREAT, 0600);
    struct cella_open *mapped = cella_descriptor_get((uint64_t)fd);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("kept"), W(4), W(0)), 4);
    assert_int_equal(fs_map_begin(mapped), 0);
    assert_int_equal(fs_map_add(mapped, (uint64_t)map, 4096, 0, true), 0);
    fs_map_end(mapped);
    memcpy(map, "lost", 4);
    snprintf(path, sizeof(path), "%s/data/lost", root);
    const int read_only = open(path, O_RDONLY);
    assert_int_equal(dup2(read_only, mapped->handle), mapped->handle);
    assert_true(fs_map_sync(mapped, (uint64_t)map, 4096) < 0);
    close(read_only);
    fs_map_remove(mapped, (uint64_t)map, 4096);
    cella_open_put(mapped);
    CALL(SYS_close, W(fd));
    munmap(map, 4096);
}

/* ------------------------------------------------------------------- bad memory, wrong calls */

static void bad_memory_is_efault(void **context)
{
    struct stat status;
    (void)context;
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    memset(pages, 'x', 4096);
    assert_int_equal(open_in((const char *)16, O_RDONLY, 0), -EFAULT);
    assert_int_equal(CALL(SYS_stat, W(pages + 4096), W(&status)), -EFAULT);
    assert_int_equal(CALL(SYS_stat, W("/"), W(8)), -EFAULT);
    assert_int_equal(CALL(SYS_mkdir, W(pages + 4000), W(0700)),
                     -EFAULT);       /* no end before the page's */
    memcpy(pages + 4091, "/tmp", 5); /* ends where the page does */
    assert_int_equal(CALL(SYS_stat, W(pages + 4091), W(&status)), 0);
    const long fd = open_in("/tmp/fault", O_RDWR | O_CREAT, 0600);
    assert_int_equal(CALL(SYS_write, W(fd), W("0123456789"), W(10)), 10);
    assert_int_equal(CALL(SYS_lseek, W(fd), W(0), W(0)), 0);
    assert_int_equal(CALL(SYS_read, W(fd), W(pages + 4096), W(10)), -EFAULT);
    struct iovec two[2] = {{pages, 4}, {pages + 4096, 4}};
    assert_int_equal(CALL(SYS_readv, W(fd), W(two), W(2)), -EFAULT);
    assert_int_equal(CALL(SYS_getdents64, W(fd), W(pages), W(100)), -ENOTDIR);
    assert_int_equal(CALL(SYS_getcwd, W(pages + 4094), W(100)), -EFAULT);
    assert_int_equal(CALL(SYS_readlink, W("/etc/link"), W(pages + 4094), W(10)), -EFAULT);
    CALL(SYS_close, W(fd));
    munmap(pages, 8192);
}

static void what_is_not_offered(void **context)
{
    (void)context;
    assert_int_equal(CALL(SYS_mount, W("a"), W("/b"), W("c"), W(0), W(0)), -EPERM);
    assert_int_equal(CALL(SYS_umount2, W("/data"), W(0)), -EPERM);
    assert_int_equal(CALL(SYS_chroot, W("/tmp")), -EPERM);
    assert_int_equal(CALL(SYS_inotify_init1, W(0)), -ENOSYS);
    assert_int_equal(CALL(437, W(AT_FDCWD), W("/"), W(0), W(24)), -ENOSYS);
    assert_int_equal(CALL(SYS_getxattr, W("/"), W("user.a"), W(0), W(0)), -EOPNOTSUPP);
    assert_int_equal(CALL(SYS_splice, W(0), W(0), W(1), W(0), W(1), W(0)), -EINVAL);
    assert_int_equal(CALL(SYS_faccessat, W(AT_FDCWD), W("/"), W(8)), -EINVAL);
    assert_int_equal(CALL(SYS_unlinkat, W(AT_FDCWD), W("/x"), W(1)), -EINVAL);
}

static void paths_have_limits(void **context)
{
    static char path[5000];
    struct stat status;
    (void)context;
    memset(path, '/', 4095);
    path[4095] = 0;
    assert_int_equal(CALL(SYS_stat, W(path), W(&status)), 0);
    path[4095] = '/';
    path[4096] = 0;
    assert_int_equal(CALL(SYS_stat, W(path), W(&status)), -ENAMETOOLONG);
    char name[32], next[32];
    for (int i = 0; i < 45; i++) {
        snprintf(name, sizeof(name), "/tmp/chain%d", i);
        snprintf(next, sizeof(next), "chain%d", i + 1);
        assert_int_equal(CALL(SYS_symlink, W(next), W(name)), 0);
    }
    assert_int_equal(CALL(SYS_mkdir, W("/tmp/chain45"), W(0700)), 0);
    assert_int_equal(CALL(SYS_stat, W("/tmp/chain5"), W(&status)), 0);
    assert_int_equal(CALL(SYS_stat, W("/tmp/chain4"), W(&status)), -ELOOP);
}

/* A directory of many names, listed in pieces while they go away. */
static void large_directories(void **context)
{
    _Alignas(8) static uint8_t bytes[1024];
    char path[64];
    (void)context;
    assert_int_equal(CALL(SYS_mkdir, W("/tmp/many"), W(0700)), 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof(path), "/tmp/many/file-%d", i);
        const long fd = open_in(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        CALL(SYS_close, W(fd));
    }
    const long fd = open_in("/tmp/many", O_RDONLY | O_DIRECTORY, 0);
    int removed = 0;
    for (;;) {
        const long got = CALL(SYS_getdents64, W(fd), W(bytes), W(sizeof(bytes)));
        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        for (long at = 0; at < got;) {
            const char *name = (const char *)bytes + at + 19;
            uint16_t size;
            memcpy(&size, bytes + at + 16, 2);
            if (name[0] != '.') {
                snprintf(path, sizeof(path), "/tmp/many/%.30s", name);
                assert_int_equal(CALL(SYS_unlink, W(path)), 0);
                removed++;
            }
            at += size;
        }
    }
    assert_int_equal(removed, 3000);
    CALL(SYS_close, W(fd));
    assert_int_equal(CALL(SYS_rmdir, W("/tmp/many")), 0);
}

static void sparse_files(void **context)
{
    struct stat status;
    char byte = 1;
    (void)context;
    const long fd = open_in("/tmp/sparse", O_RDWR | O_CREAT, 0600);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("x"), W(1), W(1ull << 40)), 1);
    assert_int_equal(CALL(SYS_fstat, W(fd), W(&status)), 0);
    assert_true(status.st_size == (1ll << 40) + 1);
    assert_true(status.st_blocks <= 16);
    assert_int_equal(CALL(SYS_pread64, W(fd), W(&byte), W(1), W(1ull << 39)), 1);
    assert_int_equal(byte, 0);
    assert_true(CALL(SYS_lseek, W(fd), W(1ull << 40), W(SEEK_DATA)) == 1l << 40);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(5)), 0);
    assert_int_equal(CALL(SYS_pwrite64, W(fd), W("x"), W(1), W(INT64_MAX)), -EFBIG);
    assert_int_equal(CALL(SYS_ftruncate, W(fd), W(INT64_MAX)), -EFBIG);
    CALL(SYS_close, W(fd));
}

/* ------------------------------------------------------------------- encrypted mounts */

static void put_secret(const char *path, const char *text)
{
    const long fd = open_in(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(CALL(SYS_write, W(fd), W(text), W(strlen(text))), strlen(text));
    assert_int_equal(CALL(SYS_close, W(fd)), 0);
}

static void outside(const char *name, char path[128])
{
    snprintf(path, 128, "%s/sealed/%s", root, name);
}

/* What a host can do to files that it cannot read. */
static void encrypted_files(void **context)
{
    char a[128], b[128], spare[128], bytes[8192] = "";
    struct stat status;
    (void)context;
    outside("a", a);
    outside("b", b);
    outside("spare", spare);
    put_secret("/hidden/a", "first");
    put_secret("/hidden/b", "second");
    assert_int_equal(CALL(SYS_stat, W("/hidden/a"), W(&status)), 0);
    assert_int_equal(status.st_size, 5);
    /* exchanged */
    assert_int_equal(rename(a, spare), 0);
    assert_int_equal(rename(b, a), 0);
    assert_int_equal(open_in("/hidden/a", O_RDONLY, 0), -EACCES);
    assert_int_equal(rename(a, b), 0);
    assert_int_equal(rename(spare, a), 0);
    is_text("/hidden/a", "first");
    /* renamed inside: bound to the new name */
    assert_int_equal(CALL(SYS_rename, W("/hidden/a"), W("/hidden/c")), 0);
    is_text("/hidden/c", "first");
    assert_int_equal(CALL(SYS_rename, W("/hidden/c"), W("/hidden/a")), 0);
    /* emptied, cut, altered */
    FILE *file = fopen(a, "rb");
    const size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (int way = 0; way < 3; way++) {
        file = fopen(a, "wb");
        bytes[5000] ^= way == 2;
        bytes[700] ^= way == 2;
        fwrite(bytes, 1, way == 0 ? 0 : way == 1 ? size / 2 : size, file);
        fclose(file);
        const long fd = open_in("/hidden/a", O_RDONLY, 0);
        char got[8] = "";
        if (fd >= 0) { /* both roots may be there: then it is the state that was flushed */
            assert_int_equal(way, 2);
            assert_int_equal(CALL(SYS_read, W(fd), W(got), W(8)), 5);
            assert_string_equal(got, "first");
            CALL(SYS_close, W(fd));
        } else {
            assert_int_equal(fd, -EIO);
        }
    }
    /* of another enclave */
    world_identity = 1;
    assert_int_equal(open_in("/hidden/b", O_RDONLY, 0), -EACCES);
    world_identity = 0;
    is_text("/hidden/b", "second");
    assert_int_equal(CALL(SYS_link, W("/hidden/b"), W("/hidden/d")), -EPERM);
    assert_int_equal(CALL(SYS_unlink, W("/hidden/a")), 0);
}

/* The host puts an older state back: it is whole, but its generation tells. */
static void encrypted_files_have_generations(void **context)
{
    char path[64];
    (void)context;
    const long fd = open_in("/hidden/b", O_RDWR, 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%ld", fd);
    char before[512], after[512];
    assert_true(take(path, before, sizeof(before)) > 0);
    assert_non_null(strstr(before, "protected_digest:\t"));
    assert_int_equal(CALL(SYS_write, W(fd), W("x"), W(1)), 1);
    assert_int_equal(CALL(SYS_fsync, W(fd)), 0);
    assert_true(take(path, after, sizeof(after)) > 0);
    const unsigned long first = strtoul(strstr(before, "generation:") + 11, NULL, 10);
    assert_true(strtoul(strstr(after, "generation:") + 11, NULL, 10) == first + 1);
    CALL(SYS_close, W(fd));
}

/* ------------------------------------------------------------------- threads */

static void *worker(void *context)
{
    const long number = (long)context;
    char path[64], other[64];
    uint64_t state = (uint64_t)number;
    long appended = 0;
    const long shared = open_in("/tmp/shared", O_WRONLY | O_APPEND | O_CREAT, 0600);
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof(path), "/tmp/t/%lu", world_random(&state) % 8);
        snprintf(other, sizeof(other), "/tmp/t/%lu", world_random(&state) % 8);
        const long fd = open_in(path, O_RDWR | O_CREAT, 0600);
        if (fd >= 0) {
            CALL(SYS_write, W(fd), W("0123456789"), W(10));
            CALL(SYS_ftruncate, W(fd), world_random(&state) % 20000);
            CALL(SYS_close, W(fd));
        }
        CALL(SYS_rename, W(path), W(other));
        CALL(SYS_link, W(other), W(path));
        CALL(SYS_unlink, W(other));
        appended += CALL(SYS_write, W(shared), W("line\n"), W(5));
    }
    CALL(SYS_close, W(shared));
    return (void *)appended;
}

static void threads_at_once(void **context)
{
    pthread_t threads[4];
    struct stat status;
    long all = 0;
    (void)context;
    assert_int_equal(CALL(SYS_mkdir, W("/tmp/t"), W(0700)), 0);
    for (long i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        all += (long)result;
    }
    assert_int_equal(all, 4 * 3000 * 5);
    assert_int_equal(CALL(SYS_stat, W("/tmp/shared"), W(&status)), 0);
    assert_int_equal(status.st_size, all);
}

static int start(void **context)
{
    static const struct world_file files[] = {
        {.path = "/etc/motd", .content = "hello\n", .size = 6, .mode = 0640},
        {.path = "/etc/link", .link = "motd"},
        {.path = "/bin/prog", .content = "\177ELF", .size = 4, .mode = 0755},
        {.path = "/lib/big", .source = "/big", .content = big, .size = BIG, .mode = 0444},
        {.path = "/lib/changed", .source = "/changed", .content = "abc", .size = 3, .mode = 0444},
        {.path = "/lib/short", .source = "/short", .content = "abcdef", .size = 6, .mode = 0644},
        {.path = "/lib/missing", .source = "late", .content = "later\n", .size = 6, .mode = 0644},
        {.path = "/data/conf", .content = "measured", .size = 8, .mode = 0644},
        {.path = "/data/below/conf", .content = "measured", .size = 8, .mode = 0644},
    };
    static const struct world_mount mounts[] = {
        {.target = "/data", .source = "/data", .kind = CELLA_PROGRAM_MOUNT_HOST},
        {.target = "/ro",
         .source = "data",
         .kind = CELLA_PROGRAM_MOUNT_HOST,
         .flags = CELLA_PROGRAM_MOUNT_READ_ONLY},
        {.target = "/work", .kind = CELLA_PROGRAM_MOUNT_MEMORY},
        {.target = "/hidden", .source = "/sealed", .kind = CELLA_PROGRAM_MOUNT_ENCRYPTED},
    };
    const struct world world = {.files = files,
                                .file_count = sizeof(files) / sizeof(files[0]),
                                .mounts = mounts,
                                .mount_count = 4,
                                .directory = "/work",
                                .host_directory = "/"};
    char path[128];
    uint64_t state = 5;
    (void)context;
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (uint8_t)world_random(&state);
    }
    world_folder_make(root);
    snprintf(path, sizeof(path), "%s/data", root);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/sealed", root);
    mkdir(path, 0755);
    put_outside("big", big, BIG);
    put_outside("changed", "abd", 3);
    put_outside("short", "abc", 3);
    return world_start(&world, root) != 0;
}

static int end(void **context)
{
    (void)context;
    world_folder_remove(root);
    return world_host_open_count() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_files_are_there),
        cmocka_unit_test(measured_files_are_copied_when_written),
        cmocka_unit_test(files_of_the_host_are_checked),
        cmocka_unit_test(hashes_are_sha256),
        cmocka_unit_test(patches_go_with_the_content),
        cmocka_unit_test(host_mounts),
        cmocka_unit_test(links_of_the_host_are_walked_inside),
        cmocka_unit_test(measured_files_win_over_the_host),
        cmocka_unit_test(getcwd_through_mounts),
        cmocka_unit_test(the_system_is_shown),
        cmocka_unit_test(stat_has_its_fields),
        cmocka_unit_test(identifiers_are_random),
        cmocka_unit_test(written_files_of_the_system),
        cmocka_unit_test(devices),
        cmocka_unit_test(attestation),
        cmocka_unit_test(descriptors_are_files),
        cmocka_unit_test(files_without_names),
        cmocka_unit_test(flock_between_open_files),
        cmocka_unit_test(ranges_are_locked),
        cmocka_unit_test(pipes_with_names),
        cmocka_unit_test(shared_mappings),
        cmocka_unit_test(mappings_go_while_a_file_is_used),
        cmocka_unit_test(msync_says_what_is_lost),
        cmocka_unit_test(bad_memory_is_efault),
        cmocka_unit_test(what_is_not_offered),
        cmocka_unit_test(paths_have_limits),
        cmocka_unit_test(large_directories),
        cmocka_unit_test(sparse_files),
        cmocka_unit_test(encrypted_files),
        cmocka_unit_test(encrypted_files_have_generations),
        cmocka_unit_test(threads_at_once),
    };
    return cmocka_run_group_tests(tests, start, end);
}
