/*
 * A program of many system calls, for the rewriter: it must print the same before and after
 * rewriting. Side: tests. Linked statically with glibc and with musl; run by tests/image/native.sh.
 * Never part of an enclave.
 *
 * With the argument "rewritten" it fails unless the calls went through cella_syscall_entry.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%d: %s: errno %d\n", __LINE__, #condition, errno);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

extern unsigned long shim_count;

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_turned = PTHREAD_COND_INITIALIZER;
static int g_turn;
static _Thread_local long g_local;
static volatile sig_atomic_t g_signals;
static sigjmp_buf g_jump;

/* Threads take turns, so that futexes wait and wake. */
static void *turns(void *argument)
{
    int self = *(int *)argument;
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&g_lock);
        while (g_turn % 4 != self) {
            pthread_cond_wait(&g_turned, &g_lock);
        }
        g_turn++;
        pthread_cond_broadcast(&g_turned);
        pthread_mutex_unlock(&g_lock);
        char *block = malloc(1000 + (size_t)i * 5000);
        CHECK(block);
        memset(block, i, 1000);
        free(block);
        g_local += i;
    }
    return (void *)g_local;
}

static void test_threads(void)
{
    pthread_t threads[4];
    int numbers[4];
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, turns, &numbers[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0);
        sum += (long)result;
    }
    printf("threads: %d turns, sum %ld, own %ld\n", g_turn, sum, g_local);
}

static void test_memory(void)
{
    size_t size = 3 << 20;
    char *block = malloc(size);
    CHECK(block);
    memset(block, 7, size);
    block = realloc(block, 2 * size);
    CHECK(block && block[size - 1] == 7);
    free(block);
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    strcpy(map, "mapped");
    CHECK(mprotect(map, 8192, PROT_READ) == 0);
    printf("memory: %s\n", map);
    CHECK(munmap(map, 8192) == 0);
}

static void test_files(void)
{
    char folder[] = "/tmp/cella-native-XXXXXX";
    char path[64];
    char text[64] = "";
    struct stat status;
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    FILE *file = fopen(path, "w+");
    CHECK(file);
    for (int i = 0; i < 1000; i++) {
        fprintf(file, "line %d of %.3f\n", i, sqrt(i));
    }
    CHECK(fseek(file, 0, SEEK_SET) == 0);
    int lines = 0;
    while (fgets(text, sizeof(text), file)) {
        lines++;
    }
    CHECK(fclose(file) == 0);
    CHECK(stat(path, &status) == 0);
    printf("files: %d lines, %lld bytes, last %s", lines, (long long)status.st_size, text);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    char a[4];
    char b[4];
    struct iovec vector[2] = {{a, 4}, {b, 4}};
    CHECK(readv(fd, vector, 2) == 8 && memcmp(b, " 0 o", 4) == 0);
    CHECK(pread(fd, a, 4, 0) == 4 && memcmp(a, "line", 4) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == status.st_size);
    close(fd);
    DIR *directory = opendir(folder);
    CHECK(directory);
    int entries = 0;
    while (readdir(directory)) {
        entries++;
    }
    closedir(directory);
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
    CHECK(open("/nonexistent/file", O_RDONLY) == -1 && errno == ENOENT);
    printf("files: %d entries, errno as expected\n", entries);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    g_signals++;
    if (number == SIGUSR2) {
        CHECK(info->si_signo == SIGUSR2);
        siglongjmp(g_jump, 1);
    }
}

static void test_signals(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval timer = {.it_value = {.tv_usec = 1000}, .it_interval = {.tv_usec = 1000}};
    action.sa_sigaction = on_signal;
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0 &&
          sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && g_signals == 1);
    int jumped = sigsetjmp(g_jump, 1);
    if (!jumped) {
        kill(getpid(), SIGUSR2);
    }
    /* Signals in the middle of everything: system calls are interrupted inside the trampolines too.
     */
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (g_signals < 30) {
        CHECK(getppid() > 0);
        char *block = malloc(200000);
        free(block);
    }
    timer = (struct itimerval){0};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    printf("signals: jumped %d\n", jumped);
}

static void test_processes(void)
{
    int ends[2];
    int status;
    char text[8] = "";
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (write(ends[1], "child", 6) != 6) {
            _exit(9);
        }
        _exit(7);
    }
    struct pollfd poll_ends = {.fd = ends[0], .events = POLLIN};
    CHECK(poll(&poll_ends, 1, 5000) == 1);
    CHECK(read(ends[0], text, sizeof(text)) == 6);
    CHECK(waitpid(child, &status, 0) == child);
    printf("processes: %s said %d\n", text, WEXITSTATUS(status));
    close(ends[0]);
    close(ends[1]);
}

static void test_time(void)
{
    struct timespec before;
    struct timespec after;
    struct timespec pause = {.tv_nsec = 2000000};
    struct rlimit limit;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    CHECK(nanosleep(&pause, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    long long nanoseconds =
        (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0);
    printf("time: slept %s\n", nanoseconds >= 2000000 ? "long enough" : "too short");
}

static void goodbye(void)
{
    printf("goodbye\n");
}

int main(int argc, char **argv)
{
    atexit(goodbye);
    test_memory();
    test_files();
    test_threads();
    test_signals();
    test_processes();
    test_time();
    if (argc > 1 && strcmp(argv[1], "rewritten") == 0) {
        CHECK(shim_count > 100);
    } else {
        CHECK(shim_count == 0);
    }
    return 3;
}
