/*
 * Checks of waiting: poll, select, epoll, over sockets of the host and pipes and counters of the enclave.
 * Side: enclave (tests). Called by enclave_main.c.
 * Never depends on how long something takes, but for lower limits.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/services/services.h"

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

static int check_pipe(void)
{
    int fds[2], count = 0;
    char text[16] = {0};
    CHECK(pipe(fds) == 0 && write(fds[1], "hello", 5) == 5);
    CHECK(ioctl(fds[0], FIONREAD, &count) == 0 && count == 5);
    CHECK(read(fds[0], text, 2) == 2 && read(fds[0], text + 2, 9) == 3 &&
          strcmp(text, "hello") == 0);
    CHECK_ERRNO(write(fds[0], "x", 1), EBADF);
    CHECK_ERRNO(read(fds[1], text, 1), EBADF);
    CHECK_ERRNO(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
    CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(read(fds[0], text, 1), EAGAIN);
    CHECK(write(fds[1], "x", 1) == 1 && close(fds[1]) == 0);
    CHECK(read(fds[0], text, 9) == 1 && read(fds[0], text, 9) == 0 && close(fds[0]) == 0);
    CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0 && fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
    CHECK(close(fds[0]) == 0);
    CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
    return close(fds[1]) == 0 ? 0 : __LINE__;
}

static void *pipe_writer(void *argument)
{
    static char block[10000];
    const int fd = *(int *)argument;
    long total = 0;
    for (int i = 0; i < 100; i++) {
        memset(block, i, sizeof(block));
        total += write(fd, block, sizeof(block));
    }
    close(fd);
    return (void *)total;
}

/* More than the pipe holds: the writer sleeps and is woken. */
static int check_pipe_threads(void)
{
    static char block[7777];
    int fds[2];
    long total = 0, part;
    void *written;
    pthread_t thread;
    CHECK(pipe(fds) == 0 && pthread_create(&thread, NULL, pipe_writer, &fds[1]) == 0);
    while ((part = read(fds[0], block, sizeof(block))) > 0) {
        for (long i = 0; i < part; i++) {
            CHECK(block[i] == (char)((total + i) / 10000));
        }
        total += part;
    }
    CHECK(part == 0 && total == 1000000 && pthread_join(thread, &written) == 0);
    CHECK(written == (void *)1000000l && close(fds[0]) == 0);
    return 0;
}

static int check_eventfd(void)
{
    uint64_t value = 0;
    int fd = eventfd(3, EFD_NONBLOCK);
    CHECK(fd >= 0 && read(fd, &value, 8) == 8 && value == 3);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    value = 7;
    CHECK(write(fd, &value, 8) == 8 && write(fd, &value, 8) == 8);
    CHECK(read(fd, &value, 8) == 8 && value == 14);
    CHECK_ERRNO(read(fd, &value, 4), EINVAL);
    value = UINT64_MAX;
    CHECK_ERRNO(write(fd, &value, 8), EINVAL);
    CHECK(close(fd) == 0 && (fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK)) >= 0);
    CHECK(read(fd, &value, 8) == 8 && value == 1 && read(fd, &value, 8) == 8 && value == 1);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    return close(fd) == 0 ? 0 : __LINE__;
}

static int check_poll(void)
{
    int pair[2], pipes[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    struct pollfd list[] = {{.fd = pair[0], .events = POLLIN},
                            {.fd = pipes[0], .events = POLLIN},
                            {.fd = -1, .events = POLLIN},
                            {.fd = 800, .events = POLLIN},
                            {.fd = pair[1], .events = POLLIN | POLLOUT}};
    CHECK(poll(list, 3, 0) == 0);
    CHECK(poll(list, 5, -1) == 2 && list[3].revents == POLLNVAL && list[4].revents == POLLOUT);
    const int64_t start = now();
    CHECK(poll(list, 3, 30) == 0 && now() - start >= 29000000);
    CHECK(write(pair[1], "x", 1) == 1 && poll(list, 3, -1) == 1 && list[0].revents == POLLIN);
    CHECK(read(pair[0], &byte, 1) == 1 && write(pipes[1], "x", 1) == 1);
    CHECK(poll(list, 3, 5000) == 1 && list[1].revents == POLLIN && list[0].revents == 0);
    CHECK(close(pair[1]) == 0 && poll(list, 1, 5000) == 1 && (list[0].revents & POLLHUP) != 0);
    CHECK(close(pipes[1]) == 0 && poll(list + 1, 1, 0) == 1);
    CHECK(list[1].revents == (POLLIN | POLLHUP) && read(pipes[0], &byte, 1) == 1);
    CHECK_ERRNO(syscall(SYS_poll, 8, 1, 0), EFAULT);
    CHECK(close(pair[0]) == 0 && close(pipes[0]) == 0);
    return 0;
}

static void *late_writer(void *argument)
{
    pause_ms(40);
    const uint64_t one = 1;
    return (void *)write(*(int *)argument, &one, 8);
}

/* A thread inside wakes one that waits in the host, for something inside and something outside. */
static int check_poll_threads(void)
{
    int pair[2];
    uint64_t value;
    pthread_t thread;
    int event = eventfd(0, 0);
    CHECK(event >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < 3; i++) {
        struct pollfd list[] = {{.fd = pair[0], .events = POLLIN}, {.fd = event, .events = POLLIN}};
        CHECK(pthread_create(&thread, NULL, late_writer, &event) == 0);
        CHECK(poll(list, 2, i == 0 ? -1 : 10000) == 1 && list[1].revents == POLLIN);
        CHECK(read(event, &value, 8) == 8 && value == 1 && pthread_join(thread, NULL) == 0);
    }
    /* A blocking read sleeps until the other thread writes. */
    CHECK(pthread_create(&thread, NULL, late_writer, &event) == 0);
    CHECK(read(event, &value, 8) == 8 && value == 1 && pthread_join(thread, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, late_writer, &pair[1]) == 0);
    struct pollfd list[] = {{.fd = pair[0], .events = POLLIN}, {.fd = event, .events = POLLIN}};
    CHECK(poll(list, 2, -1) == 1 && list[0].revents == POLLIN && pthread_join(thread, NULL) == 0);
    CHECK(close(event) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
    return 0;
}

static int check_select(void)
{
    int pair[2], pipes[2];
    fd_set in, out;
    struct timeval limit = {.tv_usec = 20000};
    const struct timespec moment = {.tv_nsec = 1000};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[0], &in);
    FD_SET(pipes[0], &in);
    CHECK(select(pipes[1] + 1, &in, NULL, NULL, &limit) == 0);
    CHECK(!FD_ISSET(pair[0], &in) && !FD_ISSET(pipes[0], &in));
    CHECK(write(pipes[1], "x", 1) == 1 && write(pair[1], "x", 1) == 1);
    FD_SET(pair[0], &in);
    FD_SET(pipes[0], &in);
    FD_SET(pair[0], &out);
    CHECK(select(pipes[1] + 1, &in, &out, NULL, NULL) == 3 && FD_ISSET(pair[0], &in));
    CHECK(FD_ISSET(pipes[0], &in) && FD_ISSET(pair[0], &out));
    FD_ZERO(&in);
    FD_SET(700, &in);
    CHECK_ERRNO(select(701, &in, NULL, NULL, NULL), EBADF);
    CHECK(pselect(0, NULL, NULL, NULL, &moment, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(close(pair[i]) == 0 && close(pipes[i]) == 0);
    }
    return 0;
}

static int epoll_add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = 0xABCD000000000000ull + (unsigned)fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int check_epoll(void)
{
    struct epoll_event events[4] = {{0}};
    int pair[2], pipes[2];
    char byte;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    CHECK(epoll_add(epoll, pair[0], EPOLLIN) == 0 && epoll_add(epoll, pipes[0], EPOLLIN) == 0);
    CHECK_ERRNO(epoll_add(epoll, pair[0], EPOLLIN), EEXIST);
    CHECK_ERRNO(epoll_add(epoll, 600, EPOLLIN), EBADF);
    CHECK_ERRNO(epoll_add(epoll, epoll, EPOLLIN), EINVAL);
    CHECK_ERRNO(epoll_add(pair[0], pair[1], EPOLLIN), EINVAL);
    CHECK(epoll_wait(epoll, events, 4, 0) == 0);
    const int64_t start = now();
    CHECK(epoll_wait(epoll, events, 4, 30) == 0 && now() - start >= 29000000);
    CHECK(write(pair[1], "x", 1) == 1 && epoll_wait(epoll, events, 4, -1) == 1);
    CHECK(events[0].events == EPOLLIN);
    CHECK(events[0].data.u64 == 0xABCD000000000000ull + (unsigned)pair[0]);
    CHECK(epoll_wait(epoll, events, 4, 1000) == 1); /* level: still there */
    CHECK(write(pipes[1], "x", 1) == 1 && epoll_wait(epoll, events, 4, -1) == 2);
    CHECK(epoll_wait(epoll, events, 1, -1) == 1 && read(pair[0], &byte, 1) == 1);
    CHECK(epoll_wait(epoll, events, 4, -1) == 1 && read(pipes[0], &byte, 1) == 1);
    CHECK(events[0].data.u64 == 0xABCD000000000000ull + (unsigned)pipes[0]);
    struct epoll_event change = {.events = EPOLLOUT, .data.fd = 9};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &change) == 0);
    CHECK(epoll_wait(epoll, events, 4, -1) == 1 && events[0].events == EPOLLOUT);
    CHECK(events[0].data.fd == 9 && epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL) == 0);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL), ENOENT);
    CHECK(epoll_wait(epoll, events, 4, 0) == 0);
    CHECK(close(pipes[0]) == 0 && epoll_wait(epoll, events, 4, 0) == 0);
    CHECK_ERRNO(epoll_wait(epoll, events, 0, 0), EINVAL);
    CHECK(close(pair[0]) == 0 && close(pair[1]) == 0 && close(pipes[1]) == 0 && close(epoll) == 0);
    return 0;
}

static int edges(int epoll, int in, int out)
{
    struct epoll_event events[4];
    char text[8];
    CHECK(write(out, "ab", 2) == 2 && epoll_wait(epoll, events, 4, 1000) == 1);
    CHECK(epoll_wait(epoll, events, 4, 0) == 0); /* no new edge */
    CHECK(write(out, "c", 1) == 1 && epoll_wait(epoll, events, 4, 1000) == 1);
    CHECK(read(in, text, sizeof(text)) == 3 && epoll_wait(epoll, events, 4, 0) == 0);
    struct epoll_event once = {.events = EPOLLIN | EPOLLONESHOT};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, in, &once) == 0 && write(out, "d", 1) == 1);
    CHECK(epoll_wait(epoll, events, 4, 1000) == 1 && epoll_wait(epoll, events, 4, 0) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, in, &once) == 0);
    CHECK(epoll_wait(epoll, events, 4, 1000) == 1 && read(in, text, sizeof(text)) == 1);
    return 0;
}

/* Edge-triggered and one-shot, the same inside and outside. */
static int check_epoll_edges(void)
{
    int pair[2], pipes[2];
    int epoll = epoll_create1(0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    CHECK(epoll_add(epoll, pair[0], EPOLLIN | EPOLLET) == 0);
    int line = edges(epoll, pair[0], pair[1]);
    CHECK(line == 0 && close(epoll) == 0);
    epoll = epoll_create1(0);
    CHECK(epoll_add(epoll, pipes[0], EPOLLIN | EPOLLET) == 0);
    line = edges(epoll, pipes[0], pipes[1]);
    if (line != 0) {
        return line + 10000;
    }
    for (int i = 0; i < 2; i++) {
        CHECK(close(pair[i]) == 0 && close(pipes[i]) == 0);
    }
    return close(epoll) == 0 ? 0 : __LINE__;
}

static int check_epoll_threads(void)
{
    struct epoll_event events[4];
    struct pollfd list = {.events = POLLIN};
    uint64_t value;
    pthread_t thread;
    int event = eventfd(0, 0);
    const int epoll = epoll_create1(0), outer = epoll_create1(0);
    CHECK(event >= 0 && epoll_add(epoll, event, EPOLLIN) == 0);
    CHECK(pthread_create(&thread, NULL, late_writer, &event) == 0);
    CHECK(epoll_wait(epoll, events, 4, -1) == 1 && pthread_join(thread, NULL) == 0);
    /* An epoll can be waited for itself. */
    list.fd = epoll;
    CHECK(poll(&list, 1, 0) == 1 && epoll_add(outer, epoll, EPOLLIN) == 0);
    CHECK(epoll_wait(outer, events, 4, 1000) == 1);
    CHECK(read(event, &value, 8) == 8 && poll(&list, 1, 0) == 0);
    CHECK(pthread_create(&thread, NULL, late_writer, &event) == 0);
    CHECK(epoll_wait(outer, events, 4, -1) == 1 && pthread_join(thread, NULL) == 0);
    CHECK(close(outer) == 0 && close(epoll) == 0 && close(event) == 0);
    return 0;
}

const struct services_check waiting_checks[] = {{"pipe", check_pipe},
                                                {"pipe_threads", check_pipe_threads},
                                                {"eventfd", check_eventfd},
                                                {"poll", check_poll},
                                                {"poll_threads", check_poll_threads},
                                                {"select", check_select},
                                                {"epoll", check_epoll},
                                                {"epoll_edges", check_epoll_edges},
                                                {"epoll_threads", check_epoll_threads},
                                                {NULL, NULL}};
