/*
 * Files in memory mappings: what is written comes into them, what is stored in them comes out, whatever other threads do.
 * Side: test. Called by compare.sh, natively and in an enclave: both must print the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 8ul

static sigjmp_buf back;
static volatile int fault_number;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    fault_number = number;
    siglongjmp(back, 1);
}

/* The first byte of a page, or minus the signal. */
static int look(const volatile char *at)
{
    if (sigsetjmp(back, 1) != 0) {
        return -fault_number;
    }
    return (unsigned char)*at;
}

static const char *directory = "/tmp"; /* or the argument */

static int file_new(unsigned long size, int fill)
{
    static char bytes[PAGES * PAGE];
    char path[64];
    snprintf(path, sizeof(path), "%s/mappedXXXXXX", directory);
    const int fd = mkstemp(path);
    unlink(path);
    memset(bytes, fill, sizeof(bytes));
    if (fd < 0 || pwrite(fd, bytes, size, 0) != (long)size) {
        printf("no file\n");
        exit(1);
    }
    return fd;
}

/* ------------------------------------------------------------------ one writes, others look */

static volatile int race_end;
static int race_fd;
static char *race_at;

static void *reads_file(void *argument)
{
    char bytes[PAGE];
    (void)argument;
    for (unsigned long i = 0; !race_end; i++) {
        (void)pread(race_fd, bytes, sizeof(bytes), (long)(i % PAGES * PAGE));
    }
    return NULL;
}

static void *syncs_mapping(void *argument)
{
    (void)argument;
    while (!race_end) {
        msync(race_at, PAGES * PAGE, MS_SYNC);
    }
    return NULL;
}

/* Pages of further mappings are filled all the time. */
static void *maps_anew(void *argument)
{
    volatile char sum = 0;
    (void)argument;
    while (!race_end) {
        char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race_fd, 0);
        for (unsigned long i = 0; i < PAGES; i++) {
            sum += at[i * PAGE];
        }
        munmap(at, PAGES * PAGE);
    }
    return NULL;
}

/* What was written stays, in the file and in a mapping of it. */
static void race(const char *name, void *(*others)(void *), int rights)
{
    pthread_t thread;
    long lost = 0, unseen = 0;
    race_fd = file_new(PAGES * PAGE, 'r');
    race_at = mmap(NULL, PAGES * PAGE, rights, MAP_SHARED, race_fd, 0);
    race_end = 0;
    for (unsigned long i = 0; i < PAGES; i++) {
        lost += race_at[i * PAGE] != 'r';
    }
    pthread_create(&thread, NULL, others, NULL);
    for (uint64_t round = 1; round <= 4000; round++) {
        const unsigned long place = round % (PAGES * PAGE / 8) * 8;
        uint64_t value = 0;
        pwrite(race_fd, &round, sizeof(round), (long)place);
        lost += pread(race_fd, &value, sizeof(value), (long)place) != 8 || value != round;
        unseen += *(volatile uint64_t *)(race_at + place) != round;
    }
    race_end = 1;
    pthread_join(thread, NULL);
    printf("written while another %s: %ld lost, %ld unseen\n", name, lost, unseen);
    munmap(race_at, PAGES * PAGE);
    close(race_fd);
}

/* Both write, each its own half of each page. */
static void *writes_too(void *argument)
{
    long lost = 0;
    (void)argument;
    for (uint64_t round = 1; round <= 4000; round++) {
        const unsigned long place = round % PAGES * PAGE + PAGE / 2 + round % 256 * 8;
        uint64_t value = 0;
        pwrite(race_fd, &round, sizeof(round), (long)place);
        lost += pread(race_fd, &value, sizeof(value), (long)place) != 8 || value != round;
    }
    return (void *)lost;
}

static void test_two_writers(void)
{
    pthread_t thread;
    void *other = NULL;
    long lost = 0;
    race_fd = file_new(PAGES * PAGE, 'w');
    race_at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race_fd, 0);
    for (unsigned long i = 0; i < PAGES; i++) {
        lost += race_at[i * PAGE] != 'w';
    }
    pthread_create(&thread, NULL, writes_too, NULL);
    for (uint64_t round = 1; round <= 4000; round++) {
        const unsigned long place = round % PAGES * PAGE + round % 256 * 8;
        uint64_t value = 0;
        pwrite(race_fd, &round, sizeof(round), (long)place);
        lost += pread(race_fd, &value, sizeof(value), (long)place) != 8 || value != round;
    }
    pthread_join(thread, &other);
    printf("two writers: %ld and %ld lost\n", lost, (long)other);
    munmap(race_at, PAGES * PAGE);
    close(race_fd);
}

/* A file is written from a mapping of itself, and read into one, also where its pages are not there yet. */
static void test_itself(void)
{
    const int fd = file_new(PAGES * PAGE, 'i');
    char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *again = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memset(at, 'j', PAGE);
    const struct iovec parts[2] = {{again, 2 * PAGE}, {again + 6 * PAGE, PAGE}};
    printf("written from itself: %ld", (long)pwritev(fd, parts, 2, (long)(3 * PAGE)));
    printf(" %c%c%c%c", at[3 * PAGE], at[4 * PAGE], again[3 * PAGE], again[4 * PAGE]);
    printf("; read into itself: %ld", (long)pread(fd, again + 7 * PAGE, PAGE, (long)(3 * PAGE)));
    msync(again, PAGES * PAGE, MS_SYNC);
    printf(" %c%c\n", at[7 * PAGE], again[7 * PAGE]);
    munmap(at, PAGES * PAGE);
    munmap(again, PAGES * PAGE);
    close(fd);
}

/* Stored in two mappings of one page: each keeps what the other has not stored. */
static void test_two_mappings(void)
{
    const int fd = file_new(PAGE, 'm');
    char *one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *two = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *three = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    char bytes[8] = "";
    (void)look(one), (void)look(two), (void)look(three);
    memset(one + 1, '1', 2);
    memset(two + 4, '2', 2);
    pread(fd, bytes, 7, 0);
    printf("two mappings: %s", bytes);
    printf(" %.7s %.7s %.7s\n", one, two, three);
    two[1] = '3';
    msync(two, PAGE, MS_SYNC);
    printf("again: %.7s %.7s %.7s\n", one, two, three);
    munmap(one, PAGE);
    munmap(two, PAGE);
    munmap(three, PAGE);
    close(fd);
}

/* A file that was opened for reading is not stored in by way of a mapping. */
static void test_rights(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/mappedXXXXXX", directory);
    const int made = mkstemp(path);
    ftruncate(made, PAGE);
    const int fd = open(path, O_RDONLY);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    char *own = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    errno = 0;
    const int refused = mprotect(shared, PAGE, PROT_READ | PROT_WRITE);
    printf("rights: %d %s", refused, strerror(errno));
    printf("; %d\n", mprotect(own, PAGE, PROT_READ | PROT_WRITE));
    munmap(shared, PAGE);
    munmap(own, PAGE);
    close(fd);
    close(made);
    unlink(path);
}

/* ------------------------------------------------------------------ what is cut off and what comes back */

static void test_truncate(void)
{
    const int fd = file_new(4 * PAGE, 't');
    char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *own = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char bytes[8] = "";
    memset(at, 's', 4 * PAGE);
    own[0] = 'o';
    ftruncate(fd, PAGE + 100);
    printf("cut: %d %d %d %d %d", look(at), look(at + PAGE + 99), look(at + PAGE + 100),
           look(at + 2 * PAGE), look(at + 3 * PAGE));
    printf("; private: %d\n", look(own));
    ftruncate(fd, 4 * PAGE);
    printf("longer again: %d %d %d %d %d\n", look(at), look(at + PAGE + 99), look(at + PAGE + 100),
           look(at + 2 * PAGE), look(at + 3 * PAGE));
    pread(fd, bytes, 4, (long)(PAGE + 98));
    pread(fd, bytes + 4, 4, (long)(2 * PAGE));
    printf("read: %d %d %d %d %d %d\n", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
    at[3 * PAGE] = 'n';
    pread(fd, bytes, 1, (long)(3 * PAGE));
    printf("stored anew: %c\n", bytes[0]);
    munmap(at, 4 * PAGE);
    munmap(own, 4 * PAGE);
    close(fd);
}

/* What lies behind the end of the file in its last page never comes into the file. */
static void test_tail(void)
{
    const int fd = file_new(100, 'e');
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char bytes[4] = "....";
    at[99] = 'E';
    at[100] = 'x';
    printf("behind the end: %ld", (long)pread(fd, bytes, 4, 99));
    printf(" %c\n", bytes[0]);
    close(fd);
    munmap(at, PAGE);
}

/* The time of the last change follows writes, also by way of a mapping. */
static void test_times(void)
{
    struct stat first, second, third;
    const int fd = file_new(PAGE, 'd');
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fstat(fd, &first);
    usleep(20000);
    pwrite(fd, "D", 1, 0);
    fstat(fd, &second);
    usleep(20000);
    at[1] = 'E';
    msync(at, PAGE, MS_SYNC);
    fstat(fd, &third);
    printf("times: %d %d\n", memcmp(&first.st_mtim, &second.st_mtim, sizeof(first.st_mtim)) != 0,
           memcmp(&second.st_mtim, &third.st_mtim, sizeof(first.st_mtim)) != 0);
    munmap(at, PAGE);
    close(fd);
}

static void test_hole(void)
{
    const int fd = file_new(4 * PAGE, 'h');
    char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char bytes[2];
    memset(at, 'k', 4 * PAGE);
    const int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 2 * PAGE);
    pread(fd, bytes, 1, (long)PAGE);
    pread(fd, bytes + 1, 1, (long)(2 * PAGE + 100));
    printf("hole: %d: %d %d %d %d %d; %d %d\n", result, look(at + 99), look(at + 100),
           look(at + PAGE), look(at + 2 * PAGE + 99), look(at + 2 * PAGE + 100), bytes[0],
           bytes[1]);
    munmap(at, 4 * PAGE);
    close(fd);
}

static void test_open_truncates(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/mappedXXXXXX", directory);
    const int fd = mkstemp(path);
    char byte = 'u';
    write(fd, "0123456789", 10);
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    at[0] = 'z';
    close(open(path, O_WRONLY | O_TRUNC));
    printf("truncated by open: %d", look(at));
    ftruncate(fd, 10);
    pread(fd, &byte, 1, 0);
    printf(" then %d %d\n", look(at), byte);
    munmap(at, PAGE);
    close(fd);
    unlink(path);
}

/* ------------------------------------------------------------------ advice */

static void advise(const char *name, char *at, int advice)
{
    errno = 0;
    at[0] = 'A';
    at[PAGE] = 'B';
    const int result = madvise(at, 2 * PAGE, advice);
    printf("%s: %d %s: %d %d\n", name, result, strerror(errno), look(at), look(at + PAGE));
}

static void test_advice(void)
{
    const int fd = file_new(4 * PAGE, 'f');
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (long)(2 * PAGE));
    char *common = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *plain = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char byte = 0;
    advise("shared, not needed", shared, MADV_DONTNEED);
    pread(fd, &byte, 1, 0);
    printf("in the file: %c\n", byte);
    advise("private, not needed", own, MADV_DONTNEED);
    advise("nobody's, shared, not needed", common, MADV_DONTNEED);
    advise("nobody's, not needed", plain, MADV_DONTNEED);
    advise("shared, free", shared, MADV_FREE);
    advise("private, free", own, MADV_FREE);
    advise("nobody's, shared, free", common, MADV_FREE);
    errno = 0;
    printf("nobody's, free: %d %s\n", madvise(plain, 2 * PAGE, MADV_FREE), strerror(errno));
    munmap(shared, 2 * PAGE);
    munmap(own, 2 * PAGE);
    munmap(common, 2 * PAGE);
    munmap(plain, 2 * PAGE);
    close(fd);
}

/* A thread stores all the time; that pages are given up loses nothing of it. */
static void *gives_up(void *argument)
{
    (void)argument;
    while (!race_end) {
        madvise(race_at, PAGES * PAGE, MADV_DONTNEED);
    }
    return NULL;
}

static void test_advice_race(void)
{
    pthread_t thread;
    long lost = 0;
    race_fd = file_new(PAGES * PAGE, 'a');
    race_at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race_fd, 0);
    race_end = 0;
    pthread_create(&thread, NULL, gives_up, NULL);
    for (uint64_t round = 1; round <= 20000; round++) {
        volatile uint64_t *place = (volatile uint64_t *)(race_at + round % (PAGES * PAGE / 8) * 8);
        *place = round;
        lost += *place != round;
    }
    for (uint64_t round = 20000 - PAGES * PAGE / 8 + 1; round <= 20000; round++) {
        lost += *(uint64_t *)(race_at + round % (PAGES * PAGE / 8) * 8) != round;
    }
    race_end = 1;
    pthread_join(thread, NULL);
    printf("stored while pages are given up: %ld lost\n", lost);
    munmap(race_at, PAGES * PAGE);
    close(race_fd);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    directory = argc > 1 ? argv[1] : directory;
    setvbuf(stdout, NULL, _IOLBF, 0);
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    race("reads", reads_file, PROT_READ);
    race("reads", reads_file, PROT_READ | PROT_WRITE);
    race("syncs", syncs_mapping, PROT_READ | PROT_WRITE);
    race("maps", maps_anew, PROT_READ | PROT_WRITE);
    race("maps", maps_anew, PROT_READ);
    test_two_writers();
    test_itself();
    test_two_mappings();
    test_rights();
    test_truncate();
    test_tail();
    test_times();
    test_hole();
    test_open_truncates();
    test_advice();
    test_advice_race();
    return 0;
}
