/*
 * What a program may expect of its address space. Prints the same natively and in an enclave.
 * Side: a program of the tests, built static for each libc. Never prints an address.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul

static sigjmp_buf back;
static volatile uintptr_t fault_address;
static volatile int fault_code;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_address = (uintptr_t)info->si_addr;
    fault_code = info->si_code;
    siglongjmp(back, number);
}

/* How an access ends: 0, or the signal and its code. */
static void try_access(const char *what, volatile char *at, int writing)
{
    const int number = sigsetjmp(back, 1);
    if (number == 0) {
        if (writing) {
            *at = 1;
        } else {
            (void)*at;
        }
        printf("%s: fine\n", what);
    } else {
        printf("%s: signal %d code %d address %s\n", what, number, fault_code,
               fault_address / PAGE == (uintptr_t)at / PAGE ? "right" : "wrong");
    }
}

static const char *outcome(const void *at)
{
    return at == MAP_FAILED ? strerror(errno) : "mapped";
}

static void test_rights(void)
{
    char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 7, 4 * PAGE);
    printf("mprotect read: %d\n", mprotect(at + PAGE, PAGE, PROT_READ));
    try_access("write to a read-only page", at + PAGE + 5, 1);
    try_access("read of it", at + PAGE + 5, 0);
    printf("kept %d\n", at[PAGE]);
    printf("mprotect none: %d\n", mprotect(at + 2 * PAGE, PAGE, PROT_NONE));
    try_access("read of an inaccessible page", at + 2 * PAGE, 0);
    printf("mprotect back: %d\n", mprotect(at, 4 * PAGE, PROT_READ | PROT_WRITE));
    try_access("write", at + 2 * PAGE, 1);
    printf("kept %d %d\n", at[PAGE], at[2 * PAGE + 1]);
    printf("munmap: %d\n", munmap(at + PAGE, PAGE));
    try_access("read of a hole", at + PAGE, 0);
    try_access("read beside it", at, 0);
    printf("mprotect over a hole: %d %s\n", mprotect(at, 3 * PAGE, PROT_READ), strerror(errno));
    printf("munmap over a hole: %d\n", munmap(at, 4 * PAGE));
    try_access("null", NULL, 0);
    try_access("null, a page on", (char *)0x1008, 1);
    char *guard = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    try_access("reserved", guard + 3 * PAGE, 1);
    mprotect(guard + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE);
    try_access("committed", guard + 3 * PAGE, 1);
    try_access("still reserved", guard + 4 * PAGE, 1);
}

static void test_zeros(void)
{
    char *at = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned sum = 0;
    memset(at, 0xA5, 64 * PAGE);
    printf("madvise: %d\n", madvise(at + 8 * PAGE, 32 * PAGE, MADV_DONTNEED));
    for (size_t i = 0; i < 64 * PAGE; i++) {
        sum += (unsigned char)at[i];
    }
    printf("sum %u\n", sum / 0xA5);
    at[10 * PAGE] = 1;
    char *again =
        mmap(at, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    sum = 0;
    for (size_t i = 0; i < 64 * PAGE; i++) {
        sum += (unsigned char)again[i];
    }
    printf("fixed: %s sum %u\n", again == at ? "there" : "elsewhere", sum);
}

static void test_places(void)
{
    char *at = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(at, 8 * PAGE);
    char *hint = mmap(at, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("hint: %s\n", hint == at ? "taken" : "not taken");
    void *there =
        mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("no replace: %s\n", outcome(there));
    printf("length 0: %s\n", outcome(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    printf("no type: %s\n", outcome(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0)));
    printf("bad file: %s\n", outcome(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0)));
    printf("odd address: %s\n",
           outcome(mmap(at + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    printf("munmap odd: %d %s\n", munmap(at + 1, PAGE), strerror(errno));
    errno = 0;
    printf("madvise nonsense: %d %s\n", madvise(at, PAGE, 9999), strerror(errno));
    unsigned char seen[8];
    printf("mincore: %d\n", mincore(at, 8 * PAGE, seen));
    printf("huge: %s\n",
           outcome(mmap(NULL, 1ul << 46, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) == NULL
               ? ""
               : "answered");
}

static void test_remap(void)
{
    char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(at + PAGE, "moves along");
    char *bigger = mremap(at, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
    printf("grown: %s, end %d\n", bigger + PAGE, bigger[299 * PAGE]);
    char *smaller = mremap(bigger, 300 * PAGE, 2 * PAGE, 0);
    printf("shrunk: %s %s\n", smaller == bigger ? "in place" : "moved", smaller + PAGE);
    try_access("behind it", smaller + 2 * PAGE, 0);
    char *block = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = mremap(smaller, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, block + PAGE);
    printf("fixed: %s %s\n", moved == block + PAGE ? "there" : "elsewhere", moved + PAGE);
    try_access("the old place", smaller, 0);
}

/* Mappings of files stay mappings of files, at their places in them. */
static void test_remap_file(void)
{
    char letter = 0;
    const int fd = (int)syscall(SYS_memfd_create, "pages", 0);
    char *block = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || ftruncate(fd, 5 * PAGE) != 0) {
        printf("no file\n");
        return;
    }
    for (unsigned i = 0; i < 5; i++) {
        printf("%ld", (long)pwrite(fd, &"abcde"[i], 1, (off_t)(i * PAGE)));
    }
    char *own = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    own[PAGE] = 'B';
    own = mremap(own + PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, block);
    printf("\nprivate: %c%c%c%c\n", own[0], own[PAGE], own[2 * PAGE], own[3 * PAGE]);
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    shared[1] = 'x';
    shared = mremap(shared, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, block + 8 * PAGE);
    printf("shared: %c%c%c%c", shared[0], shared[1], shared[PAGE], shared[2 * PAGE]);
    shared[2 * PAGE + 1] = 'y';
    shared = mremap(shared, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
    printf("%c%c", shared[2 * PAGE + 1], shared[3 * PAGE]);
    const long got = pread(fd, &letter, 1, 3 * PAGE + 1);
    printf(", in the file: %ld %c\n", got, letter);
    munmap(shared, 4 * PAGE);
    close(fd);
}

static volatile int remaps_end;

/* Reads and writes the file all the time: what was stored in mappings comes, what is written goes there. */
static void *file_user(void *argument)
{
    const int fd = *(const int *)argument;
    static char bytes[4 * PAGE];
    long bad = 0;
    while (!remaps_end) {
        if (pread(fd, bytes, sizeof(bytes), 0) != (long)sizeof(bytes)) {
            bad++;
        }
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bad += bytes[i] != 'f';
        }
        bad += pwrite(fd, bytes, sizeof(bytes), 0) != (long)sizeof(bytes);
    }
    return (void *)bad;
}

/* A mapping of a file gives its place to others while the file is used: neither has anything of the other's. */
static void test_remap_race(void)
{
    pthread_t user;
    long bad = 0;
    void *file_bad = NULL;
    static char bytes[4 * PAGE];
    int fd = (int)syscall(SYS_memfd_create, "race", 0);
    memset(bytes, 'f', sizeof(bytes));
    if (fd < 0 || pwrite(fd, bytes, sizeof(bytes), 0) != (long)sizeof(bytes)) {
        printf("no file\n");
        return;
    }
    pthread_create(&user, NULL, file_user, &fd);
    char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int round = 0; round < 300; round++) {
        memset(at, 'f', 4 * PAGE);
        mmap(at, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memset(at, 'a', 4 * PAGE);
        for (size_t i = 0; i < 4 * PAGE; i++) {
            bad += at[i] != 'a';
        }
        mmap(at, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    }
    remaps_end = 1;
    pthread_join(user, &file_bad);
    printf("remapped: %ld and %ld strange bytes\n", bad, (long)file_bad);
    munmap(at, 4 * PAGE);
    close(fd);
}

#define ROUNDS 200

static volatile uint32_t *one_side, *other_side;

/* Counts on through its own mapping when the other side has. */
static void *count_on(void *argument)
{
    for (uint32_t i = 1; i < 2 * ROUNDS; i += 2) {
        while (other_side[0] != i) {
            sched_yield();
        }
        other_side[0] = i + 1;
    }
    return argument;
}

/* Two mappings of one page are one page: what makes code in one place and runs it in another counts on that. */
static void test_twice(void)
{
    pthread_t thread;
    long bad = 0;
    char text[8] = {0};
    const int fd = (int)syscall(SYS_memfd_create, "twice", 0);
    ftruncate(fd, 3 * PAGE);
    char *a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    a[PAGE] = 1;
    bad += b[0] != 1;
    for (int i = 0; i < 50; i++) {
        a[PAGE + i] = (char)(i + 2);
        a[2 * PAGE] = (char)i;
        bad += b[i] != i + 2 || b[PAGE] != i;
    }
    a[PAGE] = 's';
    bad += b[0] != 's'; /* there it is only read, and the file has it all the same */
    bad += pread(fd, text, 1, PAGE) != 1 || text[0] != 's';
    pwrite(fd, "file", 4, PAGE);
    bad += memcmp(a + PAGE, "file", 4) != 0 || memcmp(b, "file", 4) != 0;
    a[PAGE] = 'F';
    bad += pread(fd, text, 4, PAGE) != 4 || memcmp(text, "File", 4) != 0;
    mprotect(b, 2 * PAGE, PROT_READ | PROT_WRITE);
    b[1] = 'I';
    bad += memcmp(a + PAGE, "FIle", 4) != 0;
    one_side = (volatile uint32_t *)a;
    munmap(b, 2 * PAGE);
    b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    other_side = (volatile uint32_t *)b;
    pthread_create(&thread, NULL, count_on, NULL);
    for (uint32_t i = 0; i < 2 * ROUNDS; i += 2) {
        while (one_side[0] != i) {
            sched_yield();
        }
        one_side[0] = i + 1;
    }
    pthread_join(thread, NULL);
    printf("twice: %ld bad, counted %u and %u\n", bad, one_side[0], other_side[0]);
    munmap(a, 3 * PAGE);
    bad = pread(fd, text, 4, PAGE) != 4 || memcmp(text, "FIle", 4) != 0;
    printf("twice: %ld bad, %u\n", bad, other_side[0]);
    munmap(b, PAGE);
    close(fd);
}

/* What a mapping holds that nobody can read moves, too. */
static void test_remap_closed(void)
{
    char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *to = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(at, "closed");
    mprotect(at, PAGE, PROT_NONE);
    to = mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    try_access("still closed", to, 0);
    mprotect(to, PAGE, PROT_READ);
    printf("moved closed: %s\n", to);
}

/* By the system call: musl has no sbrk. */
static void test_break(void)
{
    char *start = (char *)syscall(SYS_brk, 0);
    char *end = (char *)syscall(SYS_brk, start + 100000);
    memset(start, 3, 100000);
    printf("brk: %ld\n", (long)(end - start));
    end = (char *)syscall(SYS_brk, start);
    printf("back: %ld\n", (long)(end - start));
    syscall(SYS_brk, start + 100000);
    unsigned sum = 0;
    for (size_t i = PAGE; i < 90000; i++) {
        sum += (unsigned char)start[i];
    }
    printf("zero again: %u\n", sum);
    syscall(SYS_brk, start);
}

/* System calls with addresses that are not there. */
static void test_bad_addresses(void)
{
    int pipes[2];
    char *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole, PAGE);
    if (pipe(pipes) != 0) {
        printf("no pipe\n");
        return;
    }
    errno = 0;
    const long written = write(pipes[1], hole, 10);
    printf("write from nowhere: %ld %s\n", written, strerror(errno));
    const long fine = write(pipes[1], "0123456789", 10);
    errno = 0;
    long got = read(pipes[0], hole, 10);
    printf("%ld; read to nowhere: %ld %s\n", fine, got, strerror(errno));
    char *closed = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    got = read(pipes[0], closed, 10);
    printf("into what can only be read: %ld %s\n", got, strerror(errno));
    const int event = eventfd(7, 0);
    got = read(event, closed, 8);
    printf("of an eventfd: %ld %s\n", got, strerror(errno));
    char text[11] = "";
    got = read(pipes[0], text, 10);
    printf("still there: %ld %s\n", got, text);
    close(event);
}

/* System calls that would write to memory that may only be read. */
static void test_read_only_answers(void)
{
    char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct pollfd {
        int fd;
        short events, revents;
    };
    const long calls[][4] = {
        {SYS_clock_gettime, 0, (long)at, 0}, {SYS_gettimeofday, (long)at, 0, 0},
        {SYS_uname, (long)at, 0, 0},         {SYS_getrandom, (long)at, 16, 0},
        {SYS_pipe2, (long)at, 0, 0},         {SYS_rt_sigprocmask, 0, 0, (long)at},
        {SYS_sysinfo, (long)at, 0, 0},       {SYS_getrlimit, 7, (long)at, 0},
        {SYS_poll, (long)at, 1, 0},          {SYS_fstat, 1, (long)at, 0},
        {SYS_getrusage, 0, (long)at, 0},     {SYS_times, (long)at, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        errno = 0;
        const long result = syscall(calls[i][0], calls[i][1], calls[i][2], calls[i][3], 8L);
        printf("call %ld into read-only memory: %ld %s\n", calls[i][0], result, strerror(errno));
    }
}

int main(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    test_rights();
    test_zeros();
    test_places();
    test_remap();
    test_remap_file();
    test_remap_closed();
    test_remap_race();
    test_twice();
    test_break();
    test_bad_addresses();
    test_read_only_answers();
    return 0;
}
