/*
 * Checks of files by their descriptors: reading, writing, places, vectors, flags, locks, copies.
 * Side: enclave (tests). Called by enclave_main.c; the host gives an empty folder as the root.
 * Never leaves a file behind that another check would find.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/services/services.h"

#define BIG (5u << 20)

static int check_read_write(void)
{
    char text[32] = {0};
    const int fd = open("/plain", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 3);
    CHECK(write(fd, "hello", 5) == 5 && write(fd, "", 0) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, text, sizeof(text)) == 5);
    CHECK(strcmp(text, "hello") == 0 && read(fd, text, 1) == 0);
    CHECK(lseek(fd, -2, SEEK_END) == 3 && lseek(fd, -1, SEEK_CUR) == 2);
    CHECK_ERRNO(lseek(fd, -9, SEEK_CUR), EINVAL);
    CHECK(pread(fd, text, 2, 1) == 2 && memcmp(text, "el", 2) == 0);
    CHECK(pwrite(fd, "J", 1, 0) == 1 && lseek(fd, 0, SEEK_CUR) == 2);
    CHECK_ERRNO(pread(fd, text, 1, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_read, fd, 8, 4), EFAULT);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(close(fd), EBADF);
    CHECK_ERRNO(read(fd, text, 1), EBADF);
    CHECK_ERRNO(open("/plain", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    CHECK_ERRNO(open("/missing", O_RDONLY), ENOENT);
    const int only = open("/plain", O_WRONLY);
    CHECK_ERRNO(read(only, text, 1), EBADF);
    CHECK(close(only) == 0);
    return unlink("/plain") == 0 ? 0 : __LINE__;
}

static int check_vectors(void)
{
    char one[3], two[5] = {0}, three[8] = {0};
    const struct iovec out[] = {{"ab", 2}, {"", 0}, {"cdefg", 5}, {"hij", 3}};
    const struct iovec in[] = {{one, 3}, {two, 4}, {three, 7}};
    const int fd = open("/vector", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && writev(fd, out, 4) == 10);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, in, 3) == 10);
    CHECK(memcmp(one, "abc", 3) == 0 && strcmp(two, "defg") == 0 && strcmp(three, "hij") == 0);
    CHECK(preadv(fd, in, 1, 4) == 3 && memcmp(one, "efg", 3) == 0);
    CHECK(pwritev(fd, out, 1, 10) == 2 && lseek(fd, 0, SEEK_END) == 12);
    CHECK_ERRNO(syscall(SYS_readv, fd, in, -1), EINVAL);
    CHECK(close(fd) == 0 && unlink("/vector") == 0);
    return 0;
}

/* Pieces of one host call end in the middle of the vector's parts. */
static int check_big(void)
{
    uint8_t *from = malloc(BIG), *to = calloc(1, BIG);
    const int fd = open("/big", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(from && to && fd >= 0);
    for (uint32_t i = 0; i < BIG; i++) {
        from[i] = (uint8_t)(i * 2654435761u >> 21);
    }
    const struct iovec parts[] = {
        {from, 777777}, {from + 777777, 1}, {from + 777778, BIG - 777778}};
    CHECK(writev(fd, parts, 3) == BIG);
    CHECK(pread(fd, to, BIG, 0) == BIG && memcmp(from, to, BIG) == 0);
    memset(to, 0, BIG);
    const struct iovec back[] = {{to, 3}, {to + 3, BIG - 3}};
    CHECK(preadv(fd, back, 2, 0) == BIG && memcmp(from, to, BIG) == 0);
    CHECK(pread(fd, to, BIG, BIG - 100) == 100 && memcmp(to, from + BIG - 100, 100) == 0);
    CHECK(close(fd) == 0 && unlink("/big") == 0);
    free(from);
    free(to);
    return 0;
}

static int check_stdio(void)
{
    char text[64] = {0};
    FILE *file = fopen("/lines", "w+");
    CHECK(file != NULL);
    for (int i = 0; i < 20000; i++) {
        fprintf(file, "line %d\n", i);
    }
    CHECK(fseek(file, -12, SEEK_END) == 0 && fgets(text, sizeof(text), file));
    CHECK(fgets(text, sizeof(text), file) && strcmp(text, "line 19999\n") == 0);
    CHECK(fclose(file) == 0 && remove("/lines") == 0);
    return 0;
}

static int check_dup(void)
{
    char text[8] = {0};
    const int fd = open("/dup", O_RDWR | O_CREAT, 0600);
    const int copy = dup(fd);
    CHECK(fd >= 0 && copy > fd && write(fd, "abc", 3) == 3);
    CHECK(lseek(copy, 0, SEEK_CUR) == 3); /* one place for both */
    CHECK(close(fd) == 0 && lseek(copy, 0, SEEK_SET) == 0 && read(copy, text, 3) == 3);
    CHECK(dup2(copy, 77) == 77 && dup2(77, 77) == 77 && fcntl(77, F_GETFD) == 0);
    CHECK(dup3(copy, 78, O_CLOEXEC) == 78 && fcntl(78, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(dup3(78, 78, 0), EINVAL);
    CHECK(fcntl(copy, F_DUPFD, 100) == 100 && fcntl(copy, F_DUPFD_CLOEXEC, 100) == 101);
    CHECK(fcntl(101, F_GETFD) == FD_CLOEXEC && fcntl(101, F_SETFD, 0) == 0);
    CHECK(fcntl(101, F_GETFD) == 0);
    CHECK_ERRNO(dup2(99, 5), EBADF);
    CHECK_ERRNO(dup2(copy, 100000), EBADF);
    CHECK(close(copy) == 0 && close(77) == 0 && close(78) == 0 && close(100) == 0);
    CHECK(lseek(101, 0, SEEK_END) == 3 && close(101) == 0 && unlink("/dup") == 0);
    return 0;
}

/* Standard output goes where it is sent. */
static int check_console(void)
{
    char text[16] = {0};
    const int saved = dup(1);
    const int fd = open("/console", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(saved >= 3 && fd >= 0 && fflush(stdout) == 0);
    CHECK(dup2(fd, 1) == 1 && printf("captured\n") == 9 && fflush(stdout) == 0);
    CHECK(dup2(saved, 1) == 1 && printf("seen\n") == 5 && fflush(stdout) == 0);
    CHECK(pread(fd, text, sizeof(text), 0) == 9 && strcmp(text, "captured\n") == 0);
    CHECK(close(fd) == 0 && close(saved) == 0 && unlink("/console") == 0);
    return 0;
}

static int check_flags(void)
{
    int count = -1;
    const int fd = open("/flags", O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_CREAT)) == (O_WRONLY | O_APPEND));
    CHECK(write(fd, "12345", 5) == 5 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "6", 1) == 1);
    CHECK(lseek(fd, 0, SEEK_CUR) == 6);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && (fcntl(fd, F_GETFL) & O_APPEND) == 0);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "x", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 1);
    CHECK(ioctl(fd, FIONREAD, &count) == 0 && count == 5);
    CHECK_ERRNO(ioctl(fd, 0x1234, &count), ENOTTY);
    CHECK_ERRNO(fcntl(fd, 9999), EINVAL);
    CHECK(isatty(fd) == 0);
    CHECK(close(fd) == 0 && unlink("/flags") == 0);
    return 0;
}

static int check_sizes(void)
{
    struct stat status;
    const int fd = open("/sized", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 100000) == 0 && fstat(fd, &status) == 0);
    CHECK(status.st_size == 100000 && S_ISREG(status.st_mode) && status.st_nlink == 1);
    CHECK(truncate("/sized", 10) == 0 && fstat(fd, &status) == 0 && status.st_size == 10);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK(posix_fallocate(fd, 0, 4096) == 0 && fstat(fd, &status) == 0 && status.st_size == 4096);
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
    CHECK(close(fd) == 0 && unlink("/sized") == 0);
    return 0;
}

static int check_locks(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    const int fd = open("/locked", O_RDWR | O_CREAT, 0600);
    const int other = open("/locked", O_RDWR);
    CHECK(fd >= 0 && other >= 0);
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK(flock(fd, LOCK_UN) == 0 && flock(other, LOCK_SH) == 0 && flock(other, LOCK_UN) == 0);
    CHECK(fcntl(fd, F_SETLK, &lock) == 0 && fcntl(fd, F_GETLK, &lock) == 0);
    CHECK(lock.l_type == F_UNLCK); /* one's own lock is none to oneself */
    lock.l_type = F_WRLCK;
    CHECK(fcntl(fd, F_SETLKW, &lock) == 0);
    CHECK_ERRNO(fcntl(fd, F_SETLK, (void *)16), EFAULT);
    CHECK(close(other) == 0 && close(fd) == 0 && unlink("/locked") == 0);
    return 0;
}

static int check_map(void)
{
    const int fd = open("/mapped", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 10000) == 0 && pwrite(fd, "inside", 6, 5000) == 6);
    char *at = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(at != MAP_FAILED && memcmp(at + 5000, "inside", 6) == 0 && at[0] == 0 && at[9999] == 0);
    at[5000] = 'o'; /* a copy: the file keeps what it has */
    char byte = 0;
    CHECK(pread(fd, &byte, 1, 5000) == 1 && byte == 'i' && munmap(at, 10000) == 0);
    at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    CHECK(at != MAP_FAILED && memcmp(at + 904, "inside", 6) == 0 && munmap(at, 4096) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK(errno == ENODEV && close(fd) == 0 && unlink("/mapped") == 0);
    return 0;
}

/* More than the table holds. */
static int check_many(void)
{
    static int fds[1100];
    int count = 0;
    while (count < 1100 && (fds[count] = open("/", O_RDONLY | O_DIRECTORY)) >= 0) {
        count++;
    }
    const int error = errno;
    for (int i = 0; i < count; i++) {
        CHECK(close(fds[i]) == 0);
    }
    CHECK(count > 100 && count < 1024 && error == EMFILE);
    const int fd = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(fd == 3 && close(fd) == 0);
    return 0;
}

static int check_limit(void)
{
    struct rlimit limit, small = {.rlim_cur = 5, .rlim_max = 1024};
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 1024);
    CHECK(setrlimit(RLIMIT_NOFILE, &small) == 0 && getrlimit(RLIMIT_NOFILE, &small) == 0);
    CHECK(small.rlim_cur == 5 && dup(0) == 3 && dup(0) == 4);
    CHECK_ERRNO(dup(0), EMFILE);
    CHECK_ERRNO(dup2(0, 5), EBADF);
    CHECK(close(3) == 0 && close(4) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 5000;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    return 0;
}

const struct services_check files_checks[] = {{"read_write", check_read_write},
                                              {"vectors", check_vectors},
                                              {"big", check_big},
                                              {"stdio", check_stdio},
                                              {"dup", check_dup},
                                              {"console", check_console},
                                              {"flags", check_flags},
                                              {"sizes", check_sizes},
                                              {"locks", check_locks},
                                              {"map", check_map},
                                              {"many", check_many},
                                              {"limit", check_limit},
                                              {NULL, NULL}};
