/*
 * Work whose results do not depend on the host's word, and calls whose answers do: what comes back is checked either way.
 * Side: a program of the tests; its host lies (test_program_lies.c). Nothing waits for ever: a call is tried so often.
 * Ends with 0 when all that was computed is right, whatever calls failed; with 100 + the part's number when it is not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define THREADS 4
#define TRIES 40
#define GUARD 0xC5

static volatile int part;

static void wrong(const char *what)
{
    char line[160];
    const int size = snprintf(line, sizeof(line), "wrong in part %d: %s\n", part, what);
    const long written = write(2, line, (size_t)size);
    (void)written;
    _exit(100 + part);
}

static void expect(int good, const char *what)
{
    if (!good) {
        wrong(what);
    }
}

/* ------------------------------------------------------------------ memory */

static sigjmp_buf back;
static volatile sig_atomic_t faults;

static void on_fault(int number)
{
    faults++;
    siglongjmp(back, number);
}

static int access_faults(volatile unsigned char *at, int writing)
{
    if (sigsetjmp(back, 1) != 0) {
        return 1;
    }
    if (writing) {
        *at = 77;
    } else {
        (void)*at;
    }
    return 0;
}

static void pattern_lay(unsigned char *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i += 61) {
        at[i] = (unsigned char)(i * 31 + seed);
    }
}

static int pattern_is(const unsigned char *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i += 61) {
        if (at[i] != (unsigned char)(i * 31 + seed)) {
            return 0;
        }
    }
    return 1;
}

static int is_zero(const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0) {
            return 0;
        }
    }
    return 1;
}

static void memory_round(unsigned seed)
{
    const size_t size = 24 * PAGE;
    unsigned char *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return;
    }
    expect(is_zero(at, size), "fresh memory is not zero");
    pattern_lay(at, size, seed);
    if (mprotect(at, size, PROT_READ) == 0) {
        expect(access_faults(at + 3 * PAGE, 1), "read-only memory was written");
        expect(!access_faults(at + 3 * PAGE, 0), "read-only memory cannot be read");
        expect(pattern_is(at, size, seed), "mprotect changed memory");
    }
    if (mprotect(at, size, PROT_READ | PROT_WRITE) != 0) {
        return; /* whatever it is now: it stays */
    }
    expect(pattern_is(at, size, seed), "mprotect back changed memory");
    if (madvise(at + 8 * PAGE, 4 * PAGE, MADV_DONTNEED) == 0) {
        expect(is_zero(at + 8 * PAGE, 4 * PAGE), "dropped memory is not zero");
        expect(pattern_is(at, 8 * PAGE, seed), "memory before what was dropped");
    }
    pattern_lay(at, size, seed + 1);
    unsigned char *bigger = mremap(at, size, 2 * size, MREMAP_MAYMOVE);
    size_t now = size;
    if (bigger != MAP_FAILED) {
        at = bigger;
        now = 2 * size;
        expect(is_zero(at + size, size), "what mremap added is not zero");
    }
    expect(pattern_is(at, size, seed + 1), "mremap changed memory");
    if (munmap(at + PAGE, PAGE) == 0) {
        expect(access_faults(at + PAGE, 0), "unmapped memory can be read");
        unsigned char *again = mmap(at + PAGE, PAGE, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (again != MAP_FAILED) {
            expect(is_zero(again, PAGE), "memory mapped again is not zero");
        }
    }
    munmap(at, now);
}

static void part_memory(void)
{
    for (unsigned i = 0; i < 3; i++) {
        memory_round(i);
    }
}

/* ------------------------------------------------------------------ threads */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
static __thread long own = 3;

struct sorter {
    uint32_t *numbers;
    size_t count;
    uint64_t sum;
};

static int compare(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void *sort(void *argument)
{
    struct sorter *sorter = argument;
    uint32_t *copy = malloc(sorter->count * sizeof(*copy));
    if (copy) {
        memcpy(copy, sorter->numbers, sorter->count * sizeof(*copy));
        qsort(copy, sorter->count, sizeof(*copy), compare);
        for (size_t i = 0; i < sorter->count; i++) {
            sorter->sum += copy[i];
            if (i > 0 && copy[i - 1] > copy[i]) {
                wrong("what was sorted is not");
            }
        }
        free(copy);
    }
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
        own += 2;
        if (i % 50 == 0) {
            sched_yield();
        }
    }
    expect(own == 403, "thread-local data");
    return copy ? argument : NULL;
}

static void part_threads(void)
{
    static uint32_t numbers[THREADS][3000];
    struct sorter sorters[THREADS] = {0};
    pthread_t threads[THREADS];
    uint64_t sums[THREADS] = {0};
    int started = 0;
    uint32_t random = 12345;
    for (int i = 0; i < THREADS; i++) {
        for (size_t n = 0; n < 3000; n++) {
            random = random * 1103515245 + 12345;
            numbers[i][n] = random >> 4;
            sums[i] += numbers[i][n];
        }
        sorters[i] = (struct sorter){.numbers = numbers[i], .count = 3000};
        if (pthread_create(&threads[started], NULL, sort, &sorters[i]) == 0) {
            started++;
        }
    }
    const long before = total;
    (void)before;
    for (int i = 0; i < started; i++) {
        void *result = NULL;
        expect(pthread_join(threads[i], &result) == 0, "join");
        if (result) {
            const struct sorter *sorter = result;
            expect(sorter->sum == sums[sorter - sorters], "sum of what was sorted");
        }
    }
    static int runs;
    static long all;
    runs++;
    all += 200l * started;
    expect(total == all, "counts under a mutex");
}

/* ------------------------------------------------------------------ signals */

static volatile sig_atomic_t seen;
static volatile sig_atomic_t outside;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    unsigned char room[512];
    memset(room, number, sizeof(room));
    seen += info->si_code == SI_TKILL && room[100] == number;
}

static void on_outside(int number)
{
    (void)number;
    outside++;
}

static volatile int flag, sent;

static void on_flag(int number)
{
    (void)number;
    flag = 1;
}

/* A host may let a thread run before it says that it has started it, and its maker later. */
static void *wait_for_signal(void *argument)
{
    int tries = 0;
    while (!flag && (sent || tries < 20000)) {
        expect(tries++ < 1000000, "a thread did not see its signal");
        sched_yield();
    }
    return argument;
}

static void part_signals(void)
{
    static unsigned char room[32768];
    const stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    expect(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0, "sigaction");
    const int before = seen;
    const double sum = 0.5;
    double product = 1;
    for (int i = 0; i < 20; i++) {
        product *= 1 + sum;
        raise(SIGUSR2);
    }
    /* The outside may send some, too; those have another code. */
    expect(seen - before == 20, "signals that were raised");
    expect(product > 3325 && product < 3326, "vector registers over signals");
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR2);
    expect(seen - before == 20, "a blocked signal came");
    sigprocmask(SIG_SETMASK, &old, NULL);
    expect(seen - before == 21, "a signal was lost");
    struct sigaction call = {.sa_handler = on_flag};
    sigaction(SIGRTMIN + 3, &call, NULL);
    pthread_t thread;
    flag = sent = 0;
    if (pthread_create(&thread, NULL, wait_for_signal, NULL) == 0) {
        pthread_kill(thread, SIGRTMIN + 3);
        sent = 1;
        pthread_join(thread, NULL);
    }
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
}

/* ------------------------------------------------------------------ what stays inside */

static void part_pipes(void)
{
    int ends[2];
    unsigned char out[6000], in[6001];
    if (pipe2(ends, O_NONBLOCK) != 0) {
        return;
    }
    pattern_lay(out, sizeof(out), 9);
    memset(in, GUARD, sizeof(in));
    expect(write(ends[1], out, sizeof(out)) == (long)sizeof(out), "a pipe with room");
    expect(read(ends[0], in, 6000) == 6000, "a pipe that holds something");
    expect(memcmp(in, out, 6000) == 0 && in[6000] == GUARD, "bytes through a pipe");
    const int event = eventfd(7, EFD_NONBLOCK);
    uint64_t value = 0;
    if (event >= 0) {
        expect(read(event, &value, 8) == 8 && value == 7, "eventfd");
        close(event);
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0) {
        if (send(pair[0], "abcdef", 6, 0) == 6) {
            memset(in, GUARD, 32);
            expect(recv(pair[1], in, 16, 0) == 6 && memcmp(in, "abcdef", 6) == 0 && in[6] == GUARD,
                   "bytes through a pair");
        }
        close(pair[0]);
        close(pair[1]);
    }
    close(ends[0]);
    close(ends[1]);
}

static int64_t clock_read(void)
{
    struct timespec now = {0};
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return -1;
    }
    expect(now.tv_sec >= 0 && now.tv_nsec >= 0 && now.tv_nsec < 1000000000, "fields of the time");
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void part_clock(void)
{
    int64_t latest = 0;
    for (int i = 0; i < 200; i++) {
        const int64_t now = clock_read();
        expect(now < 0 || now >= latest, "the monotonic clock goes back");
        latest = now < 0 ? latest : now;
        struct timeval day;
        if (i % 20 == 0 && gettimeofday(&day, NULL) == 0) {
            expect(day.tv_usec >= 0 && day.tv_usec < 1000000, "fields of the day");
        }
        if (i % 50 == 0) {
            const struct timespec little = {.tv_nsec = 200000};
            nanosleep(&little, NULL);
        }
    }
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
    if (fd >= 0) {
        uint64_t times = 0;
        if (timerfd_settime(fd, 0, &soon, NULL) == 0) {
            for (int i = 0; i < TRIES && read(fd, &times, 8) != 8; i++) {
                struct pollfd wanted = {.fd = fd, .events = POLLIN};
                poll(&wanted, 1, 1);
            }
            expect(times <= 1, "a timer that goes off once");
        }
        close(fd);
    }
}

static void memory_file(const char *path)
{
    unsigned char out[9000], in[9001];
    struct stat status;
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    expect(fd >= 0, "a file in memory");
    pattern_lay(out, sizeof(out), 5);
    memset(in, GUARD, sizeof(in));
    expect(write(fd, out, sizeof(out)) == (long)sizeof(out), "writing in memory");
    expect(pread(fd, in, sizeof(in), 0) == (long)sizeof(out) && memcmp(in, out, sizeof(out)) == 0 &&
               in[9000] == GUARD,
           "reading in memory");
    expect(fstat(fd, &status) == 0 && status.st_size == 9000, "the size of a file in memory");
    close(fd);
    expect(unlink(path) == 0, "unlink in memory");
}

/* ------------------------------------------------------------------ where the host's word counts */

/* Without a limit, and past it. */
static void guarded_reads(int fd)
{
    unsigned char in[1024];
    for (int i = 0; i < 8; i++) {
        const size_t wanted = (size_t)(i * 100 + 1);
        memset(in, GUARD, sizeof(in));
        const long got = i % 2 ? read(fd, in, wanted) : pread(fd, in, wanted, i * 11);
        expect(got >= -1 && got <= (long)wanted, "a read of more than was asked for");
        for (size_t n = wanted; n < sizeof(in); n++) {
            expect(in[n] == GUARD, "a read behind its buffer");
        }
        struct iovec parts[2] = {{in, 10}, {in + 512, 10}};
        memset(in, GUARD, sizeof(in));
        const long sum = readv(fd, parts, 2);
        expect(sum >= -1 && sum <= 20 && in[10] == GUARD && in[522] == GUARD, "readv");
    }
}

static void host_file(void)
{
    unsigned char out[5000];
    struct stat status;
    pattern_lay(out, sizeof(out), 8);
    const int fd = open("/host/file", O_RDWR | O_CREAT, 0644);
    if (fd < 0) {
        return;
    }
    expect(fcntl(fd, F_GETFD) >= 0, "the number of a file that was opened");
    for (int i = 0; i < 4; i++) {
        const long written = write(fd, out, sizeof(out));
        expect(written >= -1 && written <= (long)sizeof(out), "more was written than there was");
    }
    if (lseek(fd, 0, SEEK_SET) == 0) {
        guarded_reads(fd);
    }
    if (fstat(fd, &status) == 0) {
        expect((status.st_mode & S_IFMT) != 0 && status.st_size >= 0, "fields of a file's state");
    }
    unsigned char *mapped = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped != MAP_FAILED) {
        (void)access_faults(mapped, 0); /* SIGBUS, or bytes */
        munmap(mapped, 8192);
    }
    const long size = lseek(fd, 0, SEEK_END);
    expect(size >= -1, "a place before the start of a file");
    ftruncate(fd, 100);
    close(fd);
}

static void host_names(void)
{
    char text[300];
    struct stat status;
    DIR *dir = opendir("/host");
    if (dir) {
        const struct dirent *entry;
        for (int i = 0; i < 200 && (entry = readdir(dir)); i++) {
            expect(strnlen(entry->d_name, 256) < 256, "a name without an end");
            expect(entry->d_name[0] != 0 && !strchr(entry->d_name, '/'), "a name that is no name");
        }
        closedir(dir);
    }
    memset(text, GUARD, sizeof(text));
    symlink("file", "/host/link");
    const long got = readlink("/host/link", text, 100);
    expect(got >= -1 && got <= 100 && (unsigned char)text[100] == GUARD, "a link's text");
    stat("/host/link", &status);
    mkdir("/host/dir", 0755);
    rename("/host/dir", "/host/other");
    rmdir("/host/other");
    unlink("/host/link");
    access("/host/file", R_OK);
    statfs("/host", (void *)text);
}

static void encrypted_file(void)
{
    unsigned char out[20000], in[20001];
    pattern_lay(out, sizeof(out), 3);
    out[0] = out[1] = 1;
    int fd = open("/secret/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        return;
    }
    const long written = write(fd, out, sizeof(out));
    expect(written >= -1 && written <= (long)sizeof(out), "more was written than there was");
    const int kept = fsync(fd) == 0;
    const int closed = close(fd) == 0;
    fd = open("/secret/file", O_RDONLY);
    if (fd < 0) {
        return;
    }
    memset(in, GUARD, sizeof(in));
    const long got = read(fd, in, sizeof(in));
    expect(got >= -1 && got <= (long)sizeof(out), "an encrypted file of another size");
    if (written == (long)sizeof(out) && kept && closed && got > 0) {
        for (long i = 0; i < got; i += 1) {
            expect(i % 61 != 0 || i == 0 || in[i] == out[i],
                   "an encrypted file says something else");
        }
        expect(in[got] == GUARD, "a read behind its buffer");
    }
    close(fd);
}

static void address_check(const struct sockaddr_storage *address, socklen_t size, socklen_t room)
{
    expect(size <= sizeof(*address), "the size of an address");
    const unsigned char *bytes = (const unsigned char *)address;
    for (size_t i = room; i < sizeof(*address); i++) {
        expect(bytes[i] == GUARD, "an address behind its buffer");
    }
}

static void receive(int fd)
{
    unsigned char in[256];
    struct sockaddr_storage from;
    for (int i = 0; i < 3; i++) {
        socklen_t size = 16;
        memset(in, GUARD, sizeof(in));
        memset(&from, GUARD, sizeof(from));
        const long got = recvfrom(fd, in, 64, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        expect(got >= -1 && got <= 64 && in[64] == GUARD, "more was received than was asked for");
        if (got >= 0) {
            address_check(&from, size, 16);
        }
        struct iovec parts[2] = {{in, 8}, {in + 100, 8}};
        struct msghdr message = {
            .msg_name = &from, .msg_namelen = 16, .msg_iov = parts, .msg_iovlen = 2};
        memset(in, GUARD, sizeof(in));
        const long sum = recvmsg(fd, &message, MSG_DONTWAIT);
        expect(sum >= -1 && sum <= 16 && in[8] == GUARD && in[108] == GUARD, "recvmsg");
    }
}

static void part_sockets(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage named;
    socklen_t size = sizeof(named);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int ep = epoll_create1(0);
    expect(server < 0 || server != client, "two sockets of one number");
    if (server < 0 || client < 0 || ep < 0) {
        close(server);
        close(client);
        close(ep);
        return;
    }
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 0x1111222233334444ull};
    const int watched = epoll_ctl(ep, EPOLL_CTL_ADD, server, &wanted) == 0;
    wanted = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 0x5555666677778888ull};
    const int written = epoll_ctl(ep, EPOLL_CTL_ADD, client, &wanted) == 0;
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(server, 4) == 0) {
        memset(&named, GUARD, sizeof(named));
        if (getsockname(server, (struct sockaddr *)&named, &size) == 0) {
            address_check(&named, size, sizeof(named));
            memcpy(&address, &named, sizeof(address));
        }
    }
    address.sin_family = AF_INET;
    connect(client, (struct sockaddr *)&address, sizeof(address));
    int one = -1;
    for (int i = 0; i < 8 && one < 0; i++) {
        struct epoll_event events[5];
        memset(events, GUARD, sizeof(events));
        const int count = epoll_wait(ep, events, 4, 2);
        expect(count >= -1 && count <= 4 && count <= watched + written, "how many events");
        for (int n = 0; n < count; n++) {
            const int is_server = events[n].data.u64 == 0x1111222233334444ull;
            expect((is_server && watched) || events[n].data.u64 == 0x5555666677778888ull,
                   "an event of nobody");
            expect((events[n].events &
                    ~(uint32_t)((is_server ? EPOLLIN : EPOLLOUT) | EPOLLERR | EPOLLHUP)) == 0 &&
                       events[n].events != 0,
                   "events that nobody wanted");
        }
        size = sizeof(named);
        memset(&named, GUARD, sizeof(named));
        one = accept4(server, (struct sockaddr *)&named, &size, SOCK_NONBLOCK);
        if (one >= 0) {
            expect(one != server && one != client && one != ep, "a number that is taken");
            address_check(&named, size, sizeof(named));
        }
    }
    if (one >= 0) {
        const long sent = send(client, "hello there", 11, MSG_NOSIGNAL);
        expect(sent >= -1 && sent <= 11, "more was sent than there was");
        struct pollfd fds[2] = {{.fd = one, .events = POLLIN}, {.fd = client, .events = POLLOUT}};
        const int ready = poll(fds, 2, 5);
        expect(ready >= -1 && ready <= 2, "how many are ready");
        if (ready >= 0) {
            expect(ready == (fds[0].revents != 0) + (fds[1].revents != 0), "the count of poll");
            expect((fds[0].revents & ~(POLLIN | POLLERR | POLLHUP | POLLNVAL)) == 0 &&
                       (fds[1].revents & ~(POLLOUT | POLLERR | POLLHUP | POLLNVAL)) == 0,
                   "poll says what nobody asked");
        }
        receive(one);
        unsigned char option[64];
        memset(option, GUARD, sizeof(option));
        size = 4;
        getsockopt(one, SOL_SOCKET, SO_ERROR, option, &size);
        expect(size <= 4 && option[4] == GUARD, "an option behind its buffer");
        close(one);
    }
    close(server);
    close(client);
    close(ep);
}

static void part_files(void)
{
    memory_file("/file");
    host_file();
    host_names();
    encrypted_file();
    unsigned char random[40];
    memset(random, 0, sizeof(random));
    expect(syscall(SYS_getrandom, random, sizeof(random), 0) == 40 && !is_zero(random, 40),
           "random bytes");
}

int main(void)
{
    static void (*const parts[])(void) = {part_memory, part_threads, part_signals, part_pipes,
                                          part_clock,  part_files,   part_sockets};
    static const int asked[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGTERM};
    const struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    const struct sigaction ask = {.sa_handler = on_outside, .sa_flags = SA_RESTART};
    static unsigned char before[PAGE], after[PAGE];
    memset(before, GUARD, sizeof(before));
    memset(after, GUARD, sizeof(after));
    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGBUS, &fault, NULL);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        sigaction(asked[i], &ask, NULL);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            part = (int)i + 1;
            parts[i]();
        }
    }
    part = 20;
    for (size_t i = 0; i < PAGE; i++) {
        expect(before[i] == GUARD && after[i] == GUARD, "memory that nobody touched");
    }
    return 0;
}
