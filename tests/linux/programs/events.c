/*
 * What servers wait for: epoll, poll, select, eventfd, timerfd, pipes, sockets. Prints the same natively and in an enclave.
 * Side: a program of the tests, built static for each libc. Uses loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void test_eventfd(void)
{
    const int fd = eventfd(3, EFD_NONBLOCK);
    uint64_t value = 0;
    long got = read(fd, &value, 8);
    printf("eventfd: %ld %llu", got, (unsigned long long)value);
    errno = 0;
    got = read(fd, &value, 8);
    printf(" then %ld %s\n", got, strerror(errno));
    close(fd);
}

static void test_timerfd(void)
{
    const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    const struct itimerspec every = {.it_value = {.tv_nsec = 10000000},
                                     .it_interval = {.tv_nsec = 10000000}};
    uint64_t times, sum = 0;
    printf("timerfd: %d", timerfd_settime(fd, 0, &every, NULL));
    while (sum < 3) {
        if (read(fd, &times, 8) != 8) {
            break;
        }
        sum += times;
    }
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    printf(" %s, poll %d %d\n", sum >= 3 ? "went off" : "failed", poll(&poll_for, 1, 1000),
           poll_for.revents);
    close(fd);
}

/* "Never" is a number of seconds like others, on whatever clock. */
static void test_timerfd_far(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    const struct itimerspec far = {.it_value = {.tv_sec = 1l << 40},
                                   .it_interval = {.tv_sec = 1l << 40}};
    for (int i = 0; i < 2; i++) {
        struct pollfd poll_for = {.fd = timerfd_create(clocks[i], 0), .events = POLLIN};
        const int set = timerfd_settime(poll_for.fd, 0, &far, NULL);
        printf("far: %d %d\n", set, poll(&poll_for, 1, 20));
        close(poll_for.fd);
    }
}

/* Descriptors that are closed as they go off, whoever has the last word on them. */
static void test_timerfd_closed(void)
{
    const struct itimerspec soon = {.it_value = {.tv_nsec = 30000}, .it_interval = {.tv_nsec = 1}};
    int good = 0;
    for (int i = 0; i < 2000; i++) {
        const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        good += fd >= 0 && timerfd_settime(fd, 0, &soon, NULL) == 0;
        for (volatile int spin = 0; spin < i * 20; spin++) {
        }
        close(fd);
    }
    printf("closed as they go off: %d\n", good);
}

static void *writer(void *argument)
{
    usleep(20000);
    if (write(*(int *)argument, "ping", 4) != 4) {
        return NULL;
    }
    return argument;
}

static void test_epoll(void)
{
    int ends[2];
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 77}, seen = {0};
    pthread_t thread;
    if (pipe2(ends, O_NONBLOCK) != 0) {
        return;
    }
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    printf("epoll_ctl: %d", epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event));
    errno = 0;
    const int again = epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event);
    printf(" %d %s\n", again, strerror(errno));
    printf("nothing: %d\n", epoll_wait(ep, &seen, 1, 0));
    pthread_create(&thread, NULL, writer, &ends[1]);
    const int count = epoll_wait(ep, &seen, 1, 5000);
    printf("something: %d %llu %x\n", count, (unsigned long long)seen.data.u64, seen.events);
    pthread_join(thread, NULL);
    printf("edge: %d\n", epoll_wait(ep, &seen, 1, 0));
    close(ends[1]);
    printf("end: %d", epoll_wait(ep, &seen, 1, 1000));
    printf(" %x\n", seen.events);
    close(ends[0]);
    close(ep);
}

static int listen_on(struct sockaddr_in *address)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    socklen_t size = sizeof(*address);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)address, sizeof(*address)) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0) {
        printf("listen: %s\n", strerror(errno));
        return -1;
    }
    return fd;
}

static void *client(void *argument)
{
    const struct sockaddr_in *address = argument;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    char answer[64] = {0};
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        write(fd, "question", 8) != 8) {
        return NULL;
    }
    shutdown(fd, SHUT_WR);
    long sum = 0, got;
    while ((got = read(fd, answer + sum, sizeof(answer) - 1 - (size_t)sum)) > 0) {
        sum += got;
    }
    close(fd);
    return strdup(answer);
}

static void test_sockets(void)
{
    struct sockaddr_in address, peer;
    const int fd = listen_on(&address);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, client, &address);
    }
    for (int i = 0; i < 8; i++) {
        socklen_t size = sizeof(peer);
        const int one = accept4(fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        char question[16] = {0};
        long got, sum = 0;
        while ((got = read(one, question + sum, 15 - (size_t)sum)) > 0) {
            sum += got;
        }
        struct iovec parts[2] = {{.iov_base = "answer to ", .iov_len = 10},
                                 {.iov_base = question, .iov_len = (size_t)sum}};
        if (peer.sin_family != AF_INET || writev(one, parts, 2) != 10 + sum) {
            printf("server: %s\n", strerror(errno));
        }
        close(one);
    }
    for (int i = 0; i < 8; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        if (i == 0 || !answer || strcmp(answer, "answer to question") != 0) {
            printf("client: %s\n", answer ? (char *)answer : "failed");
        }
        free(answer);
    }
    int option = -1;
    socklen_t size = sizeof(option);
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &option, &size);
    printf("listening: %d\n", option);
    close(fd);
    errno = 0;
    const int refused = socket(AF_INET, SOCK_STREAM, 0);
    printf("connect: %d", connect(refused, (struct sockaddr *)&address, sizeof(address)));
    printf(" %s\n", strerror(errno));
    close(refused);
}

static void test_pair(void)
{
    int ends[2];
    char buffer[32] = {0};
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) {
        printf("socketpair: %s\n", strerror(errno));
        return;
    }
    const long sent = send(ends[0], "datagram", 8, 0) + send(ends[0], "x", 1, 0);
    const long got = recv(ends[1], buffer, 4, MSG_TRUNC);
    printf("pair: %ld %ld %s\n", sent, got, buffer);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[1], &set);
    struct timeval limit = {.tv_sec = 1};
    const int ready = select(ends[1] + 1, &set, NULL, NULL, &limit);
    printf("select: %d %d\n", ready, FD_ISSET(ends[1], &set));
    errno = 0;
    const long third = recv(ends[1], buffer, 32, 0);
    const long fourth = recv(ends[1], buffer, 32, MSG_DONTWAIT);
    printf("then: %ld %ld %s\n", third, fourth, strerror(errno));
    close(ends[0]);
    close(ends[1]);
}

static void test_descriptors(void)
{
    const int fd = dup(1);
    printf("dup: %d\n", fd > 2);
    errno = 0;
    const int copied = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    printf("at 100: %d cloexec %d\n", copied, fcntl(copied, F_GETFD));
    close(copied);
    close(fd);
    printf("closed: %d %s\n", fcntl(fd, F_GETFD), strerror(errno));
    errno = 0;
    const int bad = close(12345);
    printf("not open: %d %s\n", bad, strerror(errno));
}

/* ------------------------------------------------------------------ many */

#define MANY 2500

/* More descriptors than the usual limit, of objects inside and of the host's, all in one epoll. */
static void test_many(void)
{
    static int fds[MANY];
    struct rlimit limit;
    struct epoll_event event, found[16];
    getrlimit(RLIMIT_NOFILE, &limit);
    printf("many: raised %d\n", limit.rlim_max >= MANY + 100);
    limit.rlim_cur = MANY + 100;
    printf("many: set %d\n", setrlimit(RLIMIT_NOFILE, &limit));
    const int epoll = epoll_create1(0);
    int made = 0, added = 0;
    for (int i = 0; i < MANY; i++) {
        fds[i] = i % 2 ? eventfd(0, EFD_NONBLOCK) : socket(AF_INET, SOCK_DGRAM, 0);
        made += fds[i] >= 0;
        event = (struct epoll_event){.events = EPOLLIN, .data.u32 = (uint32_t)i};
        added += epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) == 0;
    }
    printf("many: made %d added %d\n", made, added);
    printf("many: nothing %d\n", epoll_wait(epoll, found, 16, 0));
    const uint64_t one = 1;
    write(fds[2001], &one, sizeof(one));
    write(fds[77], &one, sizeof(one));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    bind(fds[1800], (struct sockaddr *)&address, sizeof(address));
    getsockname(fds[1800], (struct sockaddr *)&address, &size);
    sendto(fds[0], "x", 1, 0, (struct sockaddr *)&address, sizeof(address));
    usleep(10000);
    const int count = epoll_wait(epoll, found, 16, 1000);
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum += found[i].data.u32;
    }
    printf("many: found %d sum %u\n", count, sum);
    printf("many: again %d missing %d\n",
           epoll_ctl(epoll, EPOLL_CTL_ADD, fds[5], &event) < 0 ? errno : 0,
           epoll_ctl(epoll, EPOLL_CTL_DEL, fds[5], NULL) == 0 &&
                   epoll_ctl(epoll, EPOLL_CTL_DEL, fds[5], NULL) < 0
               ? errno
               : 0);
    /* All of them, in another order, and once more: places are used again. */
    for (int i = MANY - 1; i >= 0; i--) {
        close(fds[i]);
    }
    printf("many: closed, %d left\n", epoll_wait(epoll, found, 16, 0));
    for (int round = 0; round < 3; round++) {
        added = 0;
        for (int i = 0; i < MANY; i++) {
            fds[i] = eventfd(1, EFD_NONBLOCK);
            event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)i};
            added += epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) == 0;
        }
        int seen = 0;
        for (int got; (got = epoll_wait(epoll, found, 16, 0)) > 0;) {
            seen += got;
        }
        printf("many: added %d seen %d lowest %d\n", added, seen, fds[0] == epoll + 1);
        for (int i = 0; i < MANY; i++) {
            close(fds[i]);
        }
    }
    close(epoll);
    const int high = dup2(1, MANY + 50);
    printf("many: high %d closed %d then %d\n", high == MANY + 50, close(high),
           fcntl(high, F_GETFD));
    printf("many: beyond %d\n", dup2(1, MANY + 100));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_eventfd();
    test_timerfd();
    test_timerfd_far();
    test_timerfd_closed();
    test_epoll();
    test_sockets();
    test_pair();
    test_descriptors();
    test_many();
    return 0;
}
