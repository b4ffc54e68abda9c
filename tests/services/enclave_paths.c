/*
 * Checks of files by their names: links, folders, *at, the current directory, the root that nothing leaves.
 * Side: enclave (tests). Called by enclave_main.c; the host gives a folder as the root, with a link out of it.
 * Never leaves a name behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/services/services.h"

static int touch(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT, 0666);
    return fd >= 0 && close(fd) == 0;
}

static int check_names(void)
{
    struct stat status, other;
    CHECK(touch("/a") && link("/a", "/b") == 0 && stat("/a", &status) == 0);
    CHECK(status.st_nlink == 2 && stat("/b", &other) == 0 && other.st_ino == status.st_ino);
    CHECK(rename("/b", "/c") == 0 && access("/b", F_OK) == -1 && errno == ENOENT);
    CHECK(access("/c", R_OK | W_OK) == 0 && unlink("/c") == 0);
    CHECK_ERRNO(unlink("/c"), ENOENT);
    CHECK_ERRNO(rename("/c", "/d"), ENOENT);
    CHECK_ERRNO(rmdir("/a"), ENOTDIR);
    CHECK(unlink("/a") == 0);
    return 0;
}

static int check_links(void)
{
    char text[64] = {0};
    struct stat status;
    CHECK(touch("/target") && symlink("target", "/link") == 0);
    CHECK(readlink("/link", text, sizeof(text)) == 6 && strcmp(text, "target") == 0);
    CHECK(readlink("/link", text, 3) == 3);
    CHECK(lstat("/link", &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(stat("/link", &status) == 0 && S_ISREG(status.st_mode));
    CHECK_ERRNO(readlink("/target", text, sizeof(text)), EINVAL);
    CHECK_ERRNO(open("/link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(symlink("/nowhere", "/broken") == 0);
    CHECK_ERRNO(stat("/broken", &status), ENOENT);
    CHECK(unlink("/link") == 0 && unlink("/broken") == 0 && unlink("/target") == 0);
    return 0;
}

static int check_modes(void)
{
    struct stat status;
    const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5},
                                      {.tv_sec = 2000, .tv_nsec = 7}};
    const mode_t before = umask(0027);
    CHECK(touch("/moded") && stat("/moded", &status) == 0 && (status.st_mode & 0777) == 0640);
    CHECK(umask(before) == 0027 && chmod("/moded", 0601) == 0 && stat("/moded", &status) == 0);
    CHECK((status.st_mode & 07777) == 0601);
    const int fd = open("/moded", O_RDWR);
    CHECK(fd >= 0 && fchmod(fd, 0600) == 0 && fstat(fd, &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(futimens(fd, times) == 0 && fstat(fd, &status) == 0 && status.st_mtim.tv_sec == 2000);
    CHECK(status.st_mtim.tv_nsec == 7 && status.st_atim.tv_sec == 1000);
    CHECK(utimensat(AT_FDCWD, "/moded", NULL, 0) == 0 && fstat(fd, &status) == 0);
    CHECK(status.st_mtim.tv_sec > 1000000 && close(fd) == 0 && unlink("/moded") == 0);
    return 0;
}

static int check_folders(void)
{
    static const char *const made[] = {"/dir/one", "/dir/two", "/dir/three"};
    unsigned seen = 0, others = 0;
    CHECK(mkdir("/dir", 0755) == 0 && touch(made[0]) && touch(made[1]) &&
          mkdir(made[2], 0700) == 0);
    CHECK_ERRNO(mkdir("/dir", 0755), EEXIST);
    CHECK_ERRNO(rmdir("/dir"), ENOTEMPTY);
    DIR *dir = opendir("/dir");
    CHECK(dir != NULL);
    for (int round = 0; round < 2; round++) {
        seen = others = 0;
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
            unsigned known = 0;
            for (int i = 0; i < 3; i++) {
                known |= strcmp(entry->d_name, made[i] + 5) == 0 ? 1u << i : 0;
            }
            CHECK(known != 4 || entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
            seen |= known;
            others += known == 0; /* . and .. */
        }
        CHECK(seen == 7 && others == 2);
        rewinddir(dir);
    }
    CHECK(closedir(dir) == 0);
    CHECK(opendir("/dir/one") == NULL && errno == ENOTDIR);
    CHECK(unlink(made[0]) == 0 && unlink(made[1]) == 0 && rmdir(made[2]) == 0 &&
          rmdir("/dir") == 0);
    return 0;
}

static int check_large_folder(void)
{
    char path[32];
    int count = 0;
    CHECK(mkdir("/large", 0755) == 0);
    for (int i = 0; i < 700; i++) {
        snprintf(path, sizeof(path), "/large/some-longer-%04d", i);
        CHECK(touch(path));
    }
    DIR *dir = opendir("/large");
    CHECK(dir != NULL);
    while (readdir(dir)) {
        count++;
    }
    CHECK(closedir(dir) == 0 && count == 702);
    for (int i = 0; i < 700; i++) {
        snprintf(path, sizeof(path), "/large/some-longer-%04d", i);
        CHECK(unlink(path) == 0);
    }
    return rmdir("/large") == 0 ? 0 : __LINE__;
}

static int check_at(void)
{
    struct stat status;
    char text[16] = {0};
    CHECK(mkdir("/at", 0755) == 0);
    const int dir = open("/at", O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0);
    const int fd = openat(dir, "file", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
    CHECK(fstatat(dir, "file", &status, 0) == 0 && status.st_size == 3);
    CHECK(fstatat(fd, "", &status, AT_EMPTY_PATH) == 0 && status.st_size == 3);
    CHECK(mkdirat(dir, "sub", 0700) == 0 && renameat(dir, "file", dir, "sub/moved") == 0);
    CHECK(stat("/at/sub/moved", &status) == 0 && faccessat(dir, "sub/moved", R_OK, 0) == 0);
    CHECK(linkat(dir, "sub/moved", AT_FDCWD, "/at/second", 0) == 0);
    CHECK(symlinkat("second", dir, "third") == 0 && readlinkat(dir, "third", text, 15) == 6);
    CHECK(unlinkat(dir, "third", 0) == 0 && unlinkat(dir, "second", 0) == 0);
    CHECK(unlinkat(dir, "sub/moved", 0) == 0 && unlinkat(dir, "sub", AT_REMOVEDIR) == 0);
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(openat(500, "x", O_RDONLY), EBADF);
    CHECK(close(fd) == 0 && close(dir) == 0 && rmdir("/at") == 0);
    return 0;
}

static int check_current(void)
{
    char text[64];
    struct stat status;
    CHECK(getcwd(text, sizeof(text)) && strcmp(text, "/") == 0);
    CHECK(mkdir("/x", 0755) == 0 && mkdir("/x/y", 0755) == 0 && chdir("/x//./y/") == 0);
    CHECK(getcwd(text, sizeof(text)) && strcmp(text, "/x/y") == 0);
    CHECK(touch("here") && stat("/x/y/here", &status) == 0 && chdir("..") == 0);
    CHECK(getcwd(text, sizeof(text)) && strcmp(text, "/x") == 0 && stat("y/here", &status) == 0);
    CHECK_ERRNO(chdir("y/here"), ENOTDIR);
    CHECK_ERRNO(chdir("none"), ENOENT);
    CHECK(getcwd(text, 2) == NULL && errno == ERANGE);
    const int fd = open("y", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && fchdir(fd) == 0 && getcwd(text, sizeof(text)) && strcmp(text, "/x/y") == 0);
    CHECK(unlink("here") == 0 && chdir("/") == 0 && close(fd) == 0);
    CHECK(rmdir("/x/y") == 0 && rmdir("x") == 0);
    return 0;
}

/* /out is a link of the host's to a folder beside the root. */
static int check_confined(void)
{
    struct stat status;
    CHECK(lstat("/out", &status) == 0 && S_ISLNK(status.st_mode));
    CHECK_ERRNO(open("/out/secret", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/../../../../../../etc/passwd", O_RDONLY), ENOENT);
    CHECK_ERRNO(stat("/out/secret", &status), ENOENT);
    CHECK_ERRNO(truncate("/out/secret", 0), ENOENT);
    CHECK_ERRNO(chmod("/out/secret", 0777), ENOENT);
    CHECK_ERRNO(unlink("/out/secret"), ENOENT);
    CHECK_ERRNO(rename("/out/secret", "/mine"), ENOENT);
    CHECK_ERRNO(link("/out/secret", "/mine"), ENOENT);
    CHECK_ERRNO(mkdir("/out/dir", 0700), ENOENT);
    CHECK_ERRNO(chdir("/out"), ENOENT);
    CHECK_ERRNO(access("/out/secret", F_OK), ENOENT);
    CHECK(symlink("/etc", "/etc-link") == 0);
    CHECK_ERRNO(open("/etc-link/passwd", O_RDONLY), ENOENT);
    CHECK(unlink("/etc-link") == 0);
    CHECK_ERRNO(open("/proc/self/root", O_RDONLY), ENOENT);
    return 0;
}

static int check_odd_paths(void)
{
    static char longest[5000];
    struct stat status;
    struct statfs space;
    memset(longest, 'a', sizeof(longest) - 1);
    CHECK_ERRNO(open(longest, O_RDONLY), ENAMETOOLONG);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(syscall(SYS_open, (const char *)1, O_RDONLY), EFAULT);
    CHECK(stat("/", &status) == 0 && S_ISDIR(status.st_mode));
    CHECK(stat("/.", &status) == 0 && stat("///", &status) == 0);
    CHECK(statfs("/", &space) == 0 && space.f_bsize > 0);
    CHECK_ERRNO(rmdir("/"), EINVAL);
    CHECK(readlink("/proc/self/exe", longest, 100) == 8);
    return 0;
}

const struct services_check paths_checks[] = {{"names", check_names},
                                              {"links", check_links},
                                              {"modes", check_modes},
                                              {"folders", check_folders},
                                              {"at", check_at},
                                              {"large_folder", check_large_folder},
                                              {"current", check_current},
                                              {"confined", check_confined},
                                              {"odd_paths", check_odd_paths},
                                              {NULL, NULL}};
