/*
 * What a program sees when something has run out: an error of its own for each, and it goes on.
 * Side: a program of the tests, run by limits.sh with small limits. The first argument says what is used up.
 * Ends with 0 when the error was the right one, and what was given back can be had again.
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
#include <unistd.h>

#define PAGE 4096ul
#define MANY 400

static sigjmp_buf back;

static int failed(const char *what, int error)
{
    printf("%s: %s\n", what, strerror(error));
    return 1;
}

static void *wait_for_word(void *argument)
{
    volatile int *word = argument;
    while (!*word) {
        usleep(1000);
    }
    return NULL;
}

static int use_threads(void)
{
    static pthread_t threads[MANY];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int round = 0; round < 2; round++) {
        volatile int word = 0;
        int count = 0, error = 0;
        while (count < MANY && error == 0) {
            error = pthread_create(&threads[count], &attributes, wait_for_word, (void *)&word);
            count += error == 0;
        }
        word = 1;
        for (int i = 0; i < count; i++) {
            pthread_join(threads[i], NULL);
        }
        if (error != EAGAIN || count < 4) {
            return failed("threads", error);
        }
        printf("%d threads, then %s\n", count, strerror(error));
    }
    return 0;
}

static int use_descriptors(void)
{
    int last = -1, count = 0, fd;
    while (count < 5000 && (fd = open("/dev/null", O_RDONLY)) >= 0) {
        last = fd;
        count++;
    }
    const int error = errno;
    int ends[2];
    if (error != EMFILE || pipe(ends) == 0 || errno != EMFILE || dup(0) >= 0 || errno != EMFILE) {
        return failed("descriptors", errno);
    }
    close(last);
    fd = dup(0);
    printf("%d descriptors, then %s, then %s\n", count, strerror(error),
           fd == last ? "one again" : "none");
    return fd != last;
}

/* Asked for at once: an error. Touched page by page: the end (limits.sh). */
static int use_memory(void)
{
    const size_t size = 256ul << 20;
    void *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at != MAP_FAILED || errno != ENOMEM) {
        return failed("memory", errno);
    }
    unsigned char *some = mmap(NULL, 1ul << 20, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (some == MAP_FAILED) {
        return failed("some memory", errno);
    }
    memset(some, 1, 1ul << 20);
    puts("all of it, then some");
    return 0;
}

static int touch_memory(void)
{
    unsigned char *at = mmap(NULL, 256ul << 20, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 0; at != MAP_FAILED && i < 256ul << 20; i += PAGE) {
        at[i] = 1;
    }
    puts("there is more than there is");
    return 0;
}

static int use_addresses(void)
{
    const void *at = mmap(NULL, 1ul << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED || errno != ENOMEM) {
        return failed("addresses", errno);
    }
    return 0;
}

/* Every other page has other rights: as many areas as pages. */
static int use_areas(void)
{
    const size_t count = 140000;
    unsigned char *at =
        mmap(NULL, count * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t i = 0;
    if (at == MAP_FAILED) {
        return failed("room for areas", errno);
    }
    while (i < count && mprotect(at + i * PAGE, PAGE, PROT_NONE) == 0) {
        i += 2;
    }
    if (i >= count || errno != ENOMEM) {
        return failed("areas", errno);
    }
    if (munmap(at, count * PAGE) != 0) {
        return failed("areas given back", errno);
    }
    at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    puts("areas");
    return at == MAP_FAILED;
}

static volatile uintptr_t fault_at;

static void on_overflow(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_at = (uintptr_t)info->si_addr;
    siglongjmp(back, number);
}

static __attribute__((noinline)) int deep(volatile char *above)
{
    volatile char room[2048];
    room[0] = *above;
    return deep(room) + room[0];
}

static int overflow(void)
{
    static __thread unsigned char room[32768];
    const stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};
    volatile char here = 0;
    if (sigaltstack(&stack, NULL) != 0) {
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        if (sigsetjmp(back, 1) == 0) {
            deep(&here);
        }
        if (fault_at == 0 || fault_at >= (uintptr_t)&here) {
            return 1;
        }
    }
    return 0;
}

static void *overflow_thread(void *argument)
{
    return overflow() == 0 ? argument : NULL;
}

static int use_stack(int with_handler)
{
    const struct sigaction action = {.sa_sigaction = on_overflow,
                                     .sa_flags = SA_SIGINFO | SA_ONSTACK};
    volatile char here = 0;
    pthread_t thread;
    void *result = NULL;
    if (!with_handler) {
        return deep(&here);
    }
    sigaction(SIGSEGV, &action, NULL);
    if (overflow() != 0 || pthread_create(&thread, NULL, overflow_thread, &thread) != 0) {
        return 1;
    }
    pthread_join(thread, &result);
    puts("stacks end, and handlers run");
    return result != &thread;
}

static int with_arguments(int argc, char **argv)
{
    size_t size = 0;
    for (int i = 2; i < argc; i++) {
        size += strlen(argv[i]) + 1;
    }
    printf("%d arguments, %zu bytes\n", argc - 2, size);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    return strcmp(what, "threads") == 0       ? use_threads()
           : strcmp(what, "descriptors") == 0 ? use_descriptors()
           : strcmp(what, "memory") == 0      ? use_memory()
           : strcmp(what, "touch") == 0       ? touch_memory()
           : strcmp(what, "addresses") == 0   ? use_addresses()
           : strcmp(what, "areas") == 0       ? use_areas()
           : strcmp(what, "stack") == 0       ? use_stack(1)
           : strcmp(what, "overflow") == 0    ? use_stack(0)
           : strcmp(what, "arguments") == 0   ? with_arguments(argc, argv)
                                              : 2;
}
