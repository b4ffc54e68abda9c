/*
 * Calls whose answer has no place: memory that can only be read, that cannot even be read, that is nobody's. Each says EFAULT
 * and goes on, and the descriptors are as they were.
 * Side: a program of the tests, built static for each libc. Prints the same natively and in an enclave.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static int file, folder, pipe_ends[2], pair[2], event, epoll, timer_fd, udp;
static int timer;
static char file_name[] = "/tmp/answersXXXXXX";
static char link_name[64];

static void open_all(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event wanted = {.events = EPOLLIN};
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    file = mkstemp(file_name);
    write(file, "0123456789", 10);
    snprintf(link_name, sizeof(link_name), "%s.link", file_name);
    symlink("somewhere", link_name);
    folder = open("/tmp", O_RDONLY | O_DIRECTORY);
    pipe2(pipe_ends, O_NONBLOCK);
    write(pipe_ends[1], "ab", 2);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    write(pair[1], "ab", 2);
    event = eventfd(1, EFD_NONBLOCK);
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &wanted);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(udp, (struct sockaddr *)&address, sizeof(address));
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &timer);
}

/* How it was refused, or what it said. */
static void show(const char *place, const char *call, long result)
{
    if (result >= 0 || errno != EFAULT) {
        printf("%s %s: %s\n", place, call, result >= 0 ? "no error" : strerror(errno));
    }
}

#define SHOW(call, ...) show(place, #call, syscall(SYS_##call, __VA_ARGS__))

static void of_files(const char *place, char *at)
{
    const struct iovec vector = {at, 8};
    SHOW(fstat, file, at);
    SHOW(fstat, pipe_ends[0], at);
    SHOW(fstat, pair[0], at);
    SHOW(fstat, event, at);
    SHOW(fstat, udp, at);
    SHOW(stat, file_name, at);
    SHOW(lstat, link_name, at);
    SHOW(newfstatat, AT_FDCWD, file_name, at, 0);
    SHOW(statx, AT_FDCWD, file_name, 0, 0x7FF, at);
    SHOW(statfs, "/", at);
    SHOW(fstatfs, file, at);
    SHOW(readlink, link_name, at, 8);
    SHOW(getcwd, at, 64);
    SHOW(getdents64, folder, at, PAGE);
    lseek(file, 0, SEEK_SET);
    SHOW(read, file, at, 4);
    SHOW(pread64, file, at, 4, 0);
    SHOW(readv, file, &vector, 1);
    SHOW(preadv, file, &vector, 1, 0, 0);
    SHOW(fcntl, file, F_GETLK, at);
    SHOW(pipe2, at, 0);
    SHOW(read, pipe_ends[0], at, 1);
    SHOW(ioctl, pipe_ends[0], FIONREAD, at);
    SHOW(ioctl, file, FIONREAD, at);
    SHOW(epoll_wait, epoll, at, 1, 0);
    SHOW(poll, at, 1, 0);
    SHOW(timerfd_gettime, timer_fd, at);
}

static void of_sockets(const char *place, char *at)
{
    char bytes[64];
    int size = sizeof(bytes);
    struct iovec vector = {at, 8};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    SHOW(socketpair, AF_UNIX, SOCK_STREAM, 0, at);
    SHOW(recvfrom, pair[0], at, 1, MSG_DONTWAIT, NULL, NULL);
    SHOW(recvmsg, pair[0], &message, MSG_DONTWAIT);
    SHOW(getsockname, udp, at, &size);
    size = sizeof(bytes);
    SHOW(getsockname, udp, bytes, at);
    SHOW(getpeername, pair[0], at, &size);
    size = 4;
    SHOW(getsockopt, udp, SOL_SOCKET, SO_TYPE, at, &size);
    SHOW(getsockopt, udp, SOL_SOCKET, SO_TYPE, bytes, at);
    SHOW(getsockopt, pair[0], SOL_SOCKET, SO_TYPE, at, &size);
}

static void of_the_process(const char *place, char *at)
{
    uint32_t head[2] = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    SHOW(uname, at);
    SHOW(sysinfo, at);
    SHOW(getrusage, 0, at);
    SHOW(times, at);
    SHOW(getrlimit, RLIMIT_NOFILE, at);
    SHOW(prlimit64, 0, RLIMIT_NOFILE, NULL, at);
    SHOW(clock_gettime, CLOCK_REALTIME, at);
    SHOW(clock_getres, CLOCK_REALTIME, at);
    SHOW(gettimeofday, at, NULL);
    SHOW(gettimeofday, NULL, at);
    SHOW(time, at);
    SHOW(getrandom, at, 8, 0);
    SHOW(getresuid, at, at, at);
    SHOW(getresgid, at, at, at);
    SHOW(capget, head, at);
    SHOW(rt_sigprocmask, SIG_BLOCK, NULL, at, 8);
    SHOW(rt_sigpending, at, 8);
    SHOW(rt_sigaction, SIGUSR1, NULL, at, 8);
    SHOW(sigaltstack, NULL, at);
    SHOW(getitimer, ITIMER_REAL, at);
    SHOW(timer_gettime, timer, at);
    SHOW(timer_create, CLOCK_MONOTONIC, NULL, at);
    SHOW(get_robust_list, 0, at, at);
    SHOW(mincore, file_name - (uintptr_t)file_name % PAGE, PAGE, at);
    SHOW(sched_getaffinity, 0, 128, at);
    SHOW(sched_getparam, 0, at);
    SHOW(getcpu, at, NULL);
    SHOW(prctl, 16 /* PR_GET_NAME */, at);
    SHOW(arch_prctl, 0x1003 /* ARCH_GET_FS */, at);
}

/* What was to be read is still there. */
static void still_there(void)
{
    char bytes[8];
    printf("pipe: %ld\n", (long)read(pipe_ends[0], bytes, sizeof(bytes)));
    printf("socket: %ld\n", (long)recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT));
    printf("file: %ld\n", (long)pread(file, bytes, 4, 0));
}

int main(void)
{
    open_all();
    char *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct {
        const char *name;
        char *at;
    } places[] = {{"read-only", read_only},
                  {"none", none},
                  {"far", (char *)0x8000000000000000ull},
                  {"low", (char *)16}};
    for (int i = 0; i < 4; i++) {
        of_files(places[i].name, places[i].at);
        of_sockets(places[i].name, places[i].at);
        of_the_process(places[i].name, places[i].at);
        printf("%s: done\n", places[i].name);
    }
    still_there();
    unlink(file_name);
    unlink(link_name);
    return 0;
}
