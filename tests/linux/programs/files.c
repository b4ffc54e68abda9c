/*
 * What a program does with files, printed: the same in an enclave and outside, in whatever directory.
 * Side: tests. usage: files DIRECTORY...
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* A result, or the error's name. */
static void say(const char *what, long result)
{
    printf("  %s: ", what);
    if (result < 0) {
        printf("%s\n", strerrorname_np(errno));
    } else {
        printf("%ld\n", result);
    }
}
#define SAY(call) say(#call, (long)(call))

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    char *names[64];
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory) {
        say("opendir", -1);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) && count < 64;) {
        names[count] = malloc(sizeof(entry->d_name) + 16);
        sprintf(names[count++], "%s(%d)", entry->d_name, entry->d_type);
    }
    closedir(directory);
    qsort(names, (size_t)count, sizeof(names[0]), by_name);
    printf("  list:");
    for (int i = 0; i < count; i++) {
        printf(" %s", names[i]);
        free(names[i]);
    }
    printf("\n");
}

static void content(int fd)
{
    char bytes[256] = "";
    const ssize_t count = pread(fd, bytes, sizeof(bytes) - 1, 0);
    printf("  content: %zd '%s'\n", count, bytes);
}

static void basics(void)
{
    struct stat status;
    struct iovec two[2] = {{"one ", 4}, {"two", 3}};
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0640);
    SAY(fd >= 0);
    SAY(open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
    SAY(write(fd, "hello", 5));
    SAY(pwrite(fd, "J", 1, 0));
    SAY(lseek(fd, 3, SEEK_SET));
    SAY(writev(fd, two, 2));
    content(fd);
    SAY(ftruncate(fd, 4));
    SAY(ftruncate(fd, 8));
    SAY(lseek(fd, 0, SEEK_END));
    content(fd);
    SAY(fsync(fd));
    SAY(fstat(fd, &status));
    printf("  mode %o size %ld\n", status.st_mode, (long)status.st_size);
    SAY(fchmod(fd, 0600));
    SAY(flock(fd, LOCK_EX | LOCK_NB));
    close(fd);
    fd = open("file", O_WRONLY | O_APPEND);
    SAY(write(fd, "end", 3));
    SAY(pread(fd, &status, 1, 0));
    close(fd);
    SAY(stat("file", &status));
    printf("  mode %o size %ld\n", status.st_mode, (long)status.st_size);
    SAY(truncate("file", 2));
    SAY(open("file/", O_RDONLY));
    SAY(open("nothing", O_RDONLY));
}

static void names(void)
{
    char text[256];
    SAY(mkdir("d", 0750));
    SAY(mkdir("d", 0750));
    SAY(mkdir("d/e/f", 0750));
    SAY(rename("file", "d/moved"));
    SAY(symlink("d/moved", "link"));
    SAY(readlink("link", text, sizeof(text)));
    SAY(symlink("loop", "loop"));
    SAY(open("loop", O_RDONLY));
    SAY(rmdir("d"));
    SAY(unlink("d"));
    list(".");
    int fd = open("link", O_RDWR);
    content(fd);
    close(fd);
    fd = open("other", O_WRONLY | O_CREAT, 0600);
    SAY(write(fd, "other", 5));
    close(fd);
    SAY(rename("other", "d/moved"));
    fd = open("link", O_RDONLY);
    content(fd);
    close(fd);
    SAY(rename("d", "d/x"));
    SAY(chdir("d"));
    SAY(access("moved", R_OK | W_OK));
    SAY(access("moved", X_OK));
    SAY(chdir(".."));
}

/* A shared mapping and the file are the same. */
static void mappings(void)
{
    char bytes[16] = "";
    const int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SAY(ftruncate(fd, 10000));
    SAY(pwrite(fd, "from write", 10, 5000));
    char *shared = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (shared == MAP_FAILED || private == MAP_FAILED) {
        say("mmap", -1);
        return;
    }
    printf("  mapped '%.10s' '%.10s'\n", shared + 5000, private + 5000);
    memcpy(shared + 100, "stored", 6);
    memcpy(private + 200, "hidden", 6);
    SAY(pread(fd, bytes, 6, 100));
    printf("  read '%s'\n", bytes);
    SAY(pread(fd, bytes, 6, 200));
    printf("  read '%.1s'\n", bytes);
    SAY(pwrite(fd, "late", 4, 8000));
    printf("  seen '%.4s'\n", shared + 8000);
    SAY(msync(shared, 10000, MS_SYNC));
    SAY(munmap(shared, 10000));
    SAY(munmap(private, 10000));
    memset(bytes, 0, sizeof(bytes));
    SAY(pread(fd, bytes, 6, 100));
    printf("  read '%s'\n", bytes);
    close(fd);
}

static void copies(void)
{
    off_t offset = 5000;
    const int from = open("mapped", O_RDONLY);
    const int to = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SAY(sendfile(to, from, &offset, 10));
    SAY(lseek(from, 8000, SEEK_SET));
    SAY(copy_file_range(from, NULL, to, NULL, 4, 0));
    content(to);
    close(from);
    close(to);
}

static void *appender(void *context)
{
    const int fd = open("log", O_WRONLY | O_APPEND | O_CREAT, 0600);
    for (int i = 0; i < 200; i++) {
        if (write(fd, context, 8) != 8) {
            say("write", -1);
        }
    }
    close(fd);
    return NULL;
}

static void threads(void)
{
    pthread_t list_of[3];
    struct stat status;
    static char lines[3][9] = {"thread0\n", "thread1\n", "thread2\n"};
    for (int i = 0; i < 3; i++) {
        pthread_create(&list_of[i], NULL, appender, lines[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(list_of[i], NULL);
    }
    SAY(stat("log", &status));
    printf("  size %ld\n", (long)status.st_size);
}

/* More than a cache holds, in an order of its own. */
static void large(void)
{
    static unsigned char block[7919];
    const int fd = open("large", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unsigned long sum = 0;
    for (int i = 0; i < 600; i++) {
        memset(block, i * 7 + 1, sizeof(block));
        if (pwrite(fd, block, sizeof(block), (off_t)(i * 37 % 600) * 7919) != sizeof(block)) {
            say("pwrite", -1);
        }
    }
    lseek(fd, 0, SEEK_SET);
    for (ssize_t count; (count = read(fd, block, sizeof(block))) > 0;) {
        for (ssize_t i = 0; i < count; i++) {
            sum = sum * 31 + block[i];
        }
    }
    printf("  sum %lx size %ld\n", sum, (long)lseek(fd, 0, SEEK_END));
    close(fd);
}

static void clean(void)
{
    static const char *const all[] = {"link", "loop", "d/moved", "mapped", "copy", "log", "large"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        say(all[i], unlink(all[i]));
    }
    SAY(rmdir("d"));
    list(".");
}

static void bad_memory(void)
{
    const int fd = open("file", O_RDWR | O_CREAT, 0600);
    volatile long bad = 8; /* no compiler's business */
    SAY(write(fd, "x", 1));
    SAY(write(fd, (void *)bad, 1));
    SAY(pread(fd, (void *)bad, 1, 0));
    SAY(open((void *)bad, O_RDONLY));
    SAY(unlink("file"));
    close(fd);
}

int main(int argc, char **argv)
{
    umask(022);
    for (int i = 1; i < argc; i++) {
        printf("directory %d\n", i);
        SAY(chdir(argv[i]));
        basics();
        names();
        mappings();
        copies();
        threads();
        large();
        bad_memory();
        clean();
    }
    return 0;
}
