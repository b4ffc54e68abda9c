/*
 * Sockets between the parts of a program, descriptors and credentials in messages, interfaces, signalfd. Prints the same
 * natively and in an enclave.
 * Side: a program of the tests, built static for each libc. Uses the loopback only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* netlink(7), rtnetlink(7): not every libc brings the kernel's headers. */
struct netlink_head {
    uint32_t size;
    uint16_t type, flags;
    uint32_t sequence, port;
};
struct netlink_name {
    uint16_t family, pad;
    uint32_t port, groups;
};
struct interface_address {
    uint8_t family, prefix, flags, scope;
    uint32_t index;
};
#define ROUTE_PROTOCOL 0
#define GET_ADDRESS 22
#define NEW_ADDRESS 20
#define REQUEST 1
#define ACKNOWLEDGE 4
#define DUMP 0x300

/* A result, and the error when it is one. */
static void say(const char *what, long result)
{
    if (result < 0) {
        printf("%s: %s\n", what, strerror(errno));
    } else {
        printf("%s: %ld\n", what, result);
    }
}
#define SAY(call)                                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        say(#call, (long)(call));                                                                  \
    } while (0)

static socklen_t address_of(struct sockaddr_un *to, const char *path)
{
    memset(to, 0, sizeof(*to));
    to->sun_family = AF_UNIX;
    if (path[0] == '@') {
        memcpy(to->sun_path + 1, path + 1, strlen(path + 1));
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    }
    strcpy(to->sun_path, path);
    return sizeof(*to);
}

static int bind_to(int fd, const char *path)
{
    struct sockaddr_un address;
    const socklen_t size = address_of(&address, path);
    return bind(fd, (struct sockaddr *)&address, size);
}

static int connect_to(int fd, const char *path)
{
    struct sockaddr_un address;
    const socklen_t size = address_of(&address, path);
    return connect(fd, (struct sockaddr *)&address, size);
}

static long send_to(int fd, const char *path, const char *text)
{
    struct sockaddr_un address;
    const socklen_t size = address_of(&address, path);
    return sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
}

static void say_name(const char *what, const struct sockaddr_un *address, socklen_t size)
{
    const int is_abstract = size > 2 && address->sun_path[0] == 0;
    printf("%s: size %d %s%.*s\n", what, (int)size, is_abstract ? "@" : "",
           size > 2 ? (int)size - 2 - is_abstract : 0, address->sun_path + is_abstract);
}

static short polled(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    poll(&one, 1, 0);
    return one.revents;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -errno;
}

#define ALL (POLLIN | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM)

static void test_streams(const char *path)
{
    struct sockaddr_un name;
    socklen_t size;
    char bytes[64];
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("-- streams at %s\n", path);
    printf("new: poll %x, type %d domain %d protocol %d sndbuf %d rcvbuf %d accept %d\n",
           polled(client, ALL), option(client, SO_TYPE), option(client, SO_DOMAIN),
           option(client, SO_PROTOCOL), option(client, SO_SNDBUF), option(client, SO_RCVBUF),
           option(listener, SO_ACCEPTCONN));
    SAY(listen(listener, 1));
    SAY(connect_to(client, path));
    SAY(accept(listener, NULL, NULL));
    SAY(bind_to(listener, path));
    SAY(bind_to(listener, path));
    SAY(bind_to(client, path));
    SAY(connect_to(client, path));
    SAY(send(client, "x", 1, MSG_NOSIGNAL));
    SAY(recv(client, bytes, 1, 0));
    SAY(listen(listener, 1));
    printf("listening: poll %x, accept %d\n", polled(listener, ALL),
           option(listener, SO_ACCEPTCONN));
    SAY(connect_to(listener, path));
    SAY(connect_to(client, path));
    SAY(connect_to(client, path));
    SAY(connect_to(client, "/nowhere/at/all"));
    SAY(send(client, "early", 5, 0));
    printf("with one that waits: poll %x\n", polled(listener, ALL));
    size = sizeof(name);
    const int server = accept4(listener, (struct sockaddr *)&name, &size, SOCK_CLOEXEC);
    say_name("accepted", &name, size);
    size = sizeof(name);
    SAY(getsockname(server, (struct sockaddr *)&name, &size));
    say_name("own", &name, size);
    size = sizeof(name);
    SAY(getpeername(client, (struct sockaddr *)&name, &size));
    say_name("peer", &name, size);
    size = 5;
    SAY(getpeername(client, (struct sockaddr *)&name, &size));
    printf("short: %d\n", (int)size);
    SAY(send_to(client, path, "connected already"));
    int count = -1;
    SAY(ioctl(server, FIONREAD, &count));
    printf("there: %d\n", count);
    printf("poll %x %x\n", polled(server, ALL), polled(client, ALL));
    SAY(recv(server, bytes, 2, MSG_PEEK));
    SAY(recv(server, bytes, 64, MSG_DONTWAIT));
    SAY(recv(server, bytes, 64, MSG_DONTWAIT));
    SAY(recv(server, bytes, 0, MSG_DONTWAIT));
    SAY(read(server, bytes, 0));
    SAY(send(client, bytes, 0, 0));
    SAY(send(client, "one", 3, 0));
    SAY(recv(server, bytes, 0, 0));
    SAY(recv(server, bytes, 64, MSG_TRUNC));
    SAY(recv(server, bytes, 64, MSG_OOB));
    SAY(send(server, "answer", 6, 0));
    SAY(shutdown(server, SHUT_WR));
    printf("half: poll %x %x\n", polled(server, ALL), polled(client, ALL));
    SAY(read(client, bytes, 64));
    SAY(read(client, bytes, 64));
    SAY(send(server, "x", 1, MSG_NOSIGNAL));
    SAY(send(client, "unread", 6, 0));
    SAY(close(server));
    printf("gone: poll %x\n", polled(client, ALL));
    SAY(send(client, "x", 1, MSG_NOSIGNAL));
    SAY(read(client, bytes, 64));
    SAY(read(client, bytes, 64));
    size = sizeof(name);
    SAY(getpeername(client, (struct sockaddr *)&name, &size));
    SAY(close(client));
    SAY(shutdown(listener, 7));
    SAY(shutdown(listener, SHUT_RDWR));
    SAY(accept(listener, NULL, NULL));
    SAY(close(listener));
    const int late = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect_to(late, path));
    SAY(close(late));
    if (path[0] != '@') {
        SAY(unlink(path));
    }
}

static void test_backlog(void)
{
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int clients[4];
    printf("-- backlog\n");
    bind_to(listener, "@cella backlog");
    listen(listener, 1);
    for (int i = 0; i < 4; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        SAY(connect_to(clients[i], "@cella backlog"));
    }
    const int other = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SAY(connect_to(other, "@cella backlog"));
    SAY(close(accept(listener, NULL, NULL)));
    SAY(connect_to(clients[2], "@cella backlog"));
    SAY(close(listener));
    printf("refused ones: poll %x, error %d, then %d\n", polled(clients[1], ALL),
           option(clients[1], SO_ERROR), option(clients[1], SO_ERROR));
    for (int i = 0; i < 4; i++) {
        close(clients[i]);
    }
    close(other);
}

static void test_datagrams(const char *first, const char *second)
{
    struct sockaddr_un name;
    socklen_t size = sizeof(name);
    char bytes[64];
    const int a = socket(AF_UNIX, SOCK_DGRAM, 0);
    const int b = socket(AF_UNIX, SOCK_DGRAM, 0);
    printf("-- datagrams %s %s\n", first, second);
    SAY(bind_to(a, first));
    SAY(bind_to(b, second));
    SAY(send(a, "x", 1, MSG_NOSIGNAL));
    SAY(listen(a, 1));
    SAY(accept(a, NULL, NULL));
    SAY(send_to(a, second, "hello"));
    SAY(send_to(a, second, ""));
    SAY(send_to(a, "/nowhere/at/all", "x"));
    printf("poll %x %x\n", polled(a, ALL), polled(b, ALL));
    int count = -1;
    SAY(ioctl(b, FIONREAD, &count));
    printf("there: %d\n", count);
    SAY(recvfrom(b, bytes, 2, MSG_TRUNC | MSG_PEEK, (struct sockaddr *)&name, &size));
    say_name("from", &name, size);
    SAY(recv(b, bytes, 3, 0));
    SAY(recv(b, bytes, 3, 0));
    SAY(recv(b, bytes, 3, MSG_DONTWAIT));
    SAY(connect_to(b, first));
    const int c = socket(AF_UNIX, SOCK_DGRAM, 0);
    SAY(send_to(c, second, "not yours"));
    SAY(connect_to(c, second));
    SAY(send(b, "to a", 4, 0));
    int sent = 0;
    while (send(b, "fill", 4, MSG_DONTWAIT) == 4) {
        sent++;
    }
    printf("the queue took more than %d: %s, poll %x\n", sent > 5 ? 5 : sent, strerror(errno),
           polled(b, POLLOUT));
    SAY(recv(a, bytes, 64, 0));
    printf("room again: poll %x\n", polled(b, POLLOUT));
    SAY(close(a));
    SAY(send(b, "x", 1, MSG_NOSIGNAL));
    SAY(send(b, "x", 1, MSG_NOSIGNAL));
    SAY(shutdown(b, SHUT_RD));
    SAY(recv(b, bytes, 64, MSG_DONTWAIT));
    SAY(recv(b, bytes, 64, 0));
    printf("shut: poll %x\n", polled(b, ALL));
    close(b);
    close(c);
    unlink(first);
    unlink(second);
}

static void test_packets(void)
{
    int ends[2];
    char bytes[64];
    struct iovec part = {bytes, 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    static char large[300000];
    printf("-- packets\n");
    SAY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    printf("poll %x\n", polled(ends[0], ALL));
    SAY(send(ends[0], "first", 5, 0));
    SAY(send(ends[0], "", 0, 0));
    SAY(send(ends[0], "second", 6, MSG_EOR));
    SAY(recvmsg(ends[1], &message, 0));
    printf("flags %x\n", message.msg_flags);
    SAY(read(ends[1], bytes, 64));
    SAY(recv(ends[1], bytes, 64, MSG_WAITALL));
    SAY(send(ends[0], large, sizeof(large), MSG_NOSIGNAL));
    SAY(send(ends[0], "left", 4, 0));
    SAY(close(ends[0]));
    printf("poll %x\n", polled(ends[1], ALL));
    SAY(read(ends[1], bytes, 64));
    SAY(read(ends[1], bytes, 64));
    SAY(write(ends[1], "x", 1)); /* without a signal */
    close(ends[1]);
    const int alone = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SAY(recv(alone, bytes, 1, 0));
    SAY(send(alone, bytes, 1, MSG_NOSIGNAL));
    close(alone);
    SAY(socketpair(AF_UNIX, SOCK_STREAM, 5, ends));
    SAY(socketpair(AF_UNIX, 4, 0, ends));
    SAY(socket(AF_UNIX, SOCK_RAW, 0) >= 0);
}

static long send_fds(int to, const char *text, const int *fds, int count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * 300)];
    } control = {0};
    struct iovec part = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count),
                                    .cmsg_level = SOL_SOCKET,
                                    .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * (size_t)count);
    return sendmsg(to, &message, MSG_NOSIGNAL);
}

/* Prints what came; the first descriptor is returned. */
static int receive_fds(int from, size_t size, size_t room, int flags)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * 8) + 64];
    } control = {0};
    char bytes[64] = "";
    struct sockaddr_un name;
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sizeof(name),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room > 0 ? &control : NULL,
                             .msg_controllen = room};
    int first = -1;
    errno = 0;
    const long got = recvmsg(from, &message, flags);
    printf("message: %ld %s '%s' flags %x name %d control %d\n", got, strerror(errno), bytes,
           message.msg_flags, (int)message.msg_namelen, (int)message.msg_controllen);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); got >= 0 && at;
         at = CMSG_NXTHDR(&message, at)) {
        printf("  level %d type %d size %d\n", at->cmsg_level, at->cmsg_type, (int)at->cmsg_len);
        if (at->cmsg_type == SCM_RIGHTS) {
            const size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(fd));
                printf("  descriptor, close on exec %d\n", fcntl(fd, F_GETFD));
                if (first < 0) {
                    first = fd;
                } else {
                    close(fd);
                }
            }
        } else if (at->cmsg_type == SCM_CREDENTIALS) {
            struct ucred ids;
            memcpy(&ids, CMSG_DATA(at), sizeof(ids));
            printf("  process is own %d user %d group %d\n", ids.pid == getpid(),
                   ids.uid == getuid(), ids.gid == getgid());
        }
    }
    return first;
}

static void test_rights(int type)
{
    int ends[2], inner[2], fds[300];
    char bytes[64] = "";
    printf("-- rights %d\n", type);
    SAY(socketpair(AF_UNIX, type, 0, ends));
    SAY(pipe(inner));
    SAY(send_fds(ends[0], "pipe", &inner[0], 1));
    close(inner[0]);
    SAY(write(inner[1], "through", 7));
    int fd = receive_fds(ends[1], 64, CMSG_SPACE(sizeof(int)), MSG_CMSG_CLOEXEC);
    SAY(read(fd, bytes, 64));
    close(fd);
    fds[0] = fds[1] = fds[2] = inner[1];
    SAY(send_fds(ends[0], "three", fds, 3));
    fd = receive_fds(ends[1], 64, CMSG_SPACE(sizeof(int) * 3), MSG_PEEK);
    close(fd);
    fd = receive_fds(ends[1], 2, CMSG_SPACE(sizeof(int) * 3), 0);
    close(fd);
    if (type == SOCK_STREAM) {
        fd = receive_fds(ends[1], 64, CMSG_SPACE(sizeof(int) * 3), 0);
    }
    SAY(send_fds(ends[0], "cut", fds, 3));
    close(receive_fds(ends[1], 64, CMSG_LEN(sizeof(int)), 0));
    SAY(send_fds(ends[0], "none", fds, 1));
    receive_fds(ends[1], 64, 0, 0);
    SAY(send_fds(ends[0], "read", fds, 1));
    SAY(read(ends[1], bytes, 64));
    fds[1] = 999;
    SAY(send_fds(ends[0], "bad", fds, 2));
    for (int i = 0; i < 300; i++) {
        fds[i] = inner[1];
    }
    SAY(send_fds(ends[0], "many", fds, 254));
    SAY(send_fds(ends[0], "as many as go", fds, 240));
    SAY(read(ends[1], bytes, 64));
    /* Descriptors stay with their own bytes. */
    SAY(send(ends[0], "before ", 7, 0));
    SAY(send_fds(ends[0], "with ", fds, 1));
    SAY(send(ends[0], "after", 5, 0));
    close(receive_fds(ends[1], 60, CMSG_SPACE(sizeof(int)), 0));
    close(receive_fds(ends[1], 60, CMSG_SPACE(sizeof(int)), 0));
    /* The last reference is in a queue that is closed: the reader sees the end. */
    SAY(pipe(inner));
    SAY(send_fds(ends[0], "last", &inner[1], 1));
    close(inner[1]);
    close(ends[1]);
    SAY(read(inner[0], bytes, 64));
    close(ends[0]);
    close(inner[0]);
}

/* Sockets in their own queues, again and again: what nobody can reach does not stay. */
static void test_cycles(void)
{
    int bad = 0;
    printf("-- cycles\n");
    for (int i = 0; i < 3000; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) {
            bad++;
            continue;
        }
        bad += send_fds(ends[0], "self", &ends[1], 1) != 4;
        bad += send_fds(ends[1], "other", &ends[0], 1) != 5;
        close(ends[0]);
        close(ends[1]);
    }
    printf("bad %d\n", bad);
    /* A chain: each in the queue of the next. */
    int ends[2], before[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, before);
    for (int i = 0; i < 400; i++) {
        socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
        bad += send_fds(ends[0], "chain", before, 2) < 0 && errno != ETOOMANYREFS;
        close(before[0]);
        close(before[1]);
        memcpy(before, ends, sizeof(ends));
    }
    close(before[0]);
    close(before[1]);
    printf("bad %d\n", bad);
}

static void test_credentials(void)
{
    int ends[2], one = 1;
    struct ucred ids = {0};
    socklen_t size = sizeof(ids);
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    printf("-- credentials\n");
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    SAY(getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &ids, &size));
    printf("size %d own %d %d %d\n", (int)size, ids.pid == getpid(), ids.uid == getuid(),
           ids.gid == getgid());
    const int alone = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(getsockopt(alone, SOL_SOCKET, SO_PEERCRED, &ids, &size));
    printf("alone %d %d %d\n", (int)ids.pid, (int)ids.uid, (int)ids.gid);
    close(alone);
    SAY(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
    printf("passcred %d\n", option(ends[1], SO_PASSCRED));
    SAY(send(ends[0], "who", 3, 0));
    receive_fds(ends[1], 64, 128, 0);
    struct iovec part = {"me", 2};
    ids = (struct ucred){.pid = getpid(), .uid = getuid(), .gid = getgid()};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    control.head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(ids)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    memcpy(CMSG_DATA(&control.head), &ids, sizeof(ids));
    SAY(sendmsg(ends[0], &message, 0));
    SAY(send_fds(ends[0], "and this", ends, 1));
    receive_fds(ends[1], 64, 20, 0);
    close(receive_fds(ends[1], 64, 128, MSG_DONTWAIT));
    control.head.cmsg_len = 4;
    SAY(sendmsg(ends[0], &message, 0));
    control.head.cmsg_len = CMSG_LEN(sizeof(ids));
    control.head.cmsg_type = 77;
    SAY(sendmsg(ends[0], &message, 0));
    close(ends[0]);
    close(ends[1]);
}

static void test_options(void)
{
    int ends[2], value = 1000;
    struct timeval limit = {.tv_usec = 40000};
    socklen_t size;
    char byte;
    printf("-- options\n");
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)));
    printf("sndbuf %d\n", option(ends[0], SO_SNDBUF));
    value = 20000;
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
    printf("rcvbuf %d\n", option(ends[0], SO_RCVBUF));
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &value, 2));
    SAY(setsockopt(ends[0], IPPROTO_TCP, 1, &value, sizeof(value)));
    size = sizeof(value);
    SAY(getsockopt(ends[0], IPPROTO_TCP, 1, &value, &size));
    size = sizeof(value);
    SAY(getsockopt(ends[0], SOL_SOCKET, 9999, &value, &size));
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    limit = (struct timeval){0};
    size = sizeof(limit);
    SAY(getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, &size));
    printf("limit %ld.%06ld size %d\n", (long)limit.tv_sec, (long)limit.tv_usec, (int)size);
    SAY(recv(ends[0], &byte, 1, 0));
    limit.tv_usec = 2000000;
    SAY(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
    SAY(ioctl(ends[0], 0x1234, &value));
    struct stat status;
    SAY(fstat(ends[0], &status));
    printf("mode %o\n", status.st_mode);
    SAY(lseek(ends[0], 0, SEEK_SET));
    close(ends[0]);
    close(ends[1]);
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    SAY(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)));
    size = sizeof(name);
    SAY(getsockname(fd, (struct sockaddr *)&name, &size));
    printf("autobind: size %d abstract %d\n", (int)size, name.sun_path[0] == 0);
    SAY(bind(fd, (struct sockaddr *)&name, 1));
    SAY(bind(fd, (struct sockaddr *)&name, 120));
    name.sun_family = AF_INET;
    SAY(bind(fd, (struct sockaddr *)&name, sizeof(name)));
    name.sun_family = AF_UNSPEC;
    SAY(connect(fd, (struct sockaddr *)&name, sizeof(name)));
    SAY(getpeername(fd, (struct sockaddr *)&name, &size));
    close(fd);
}

static void *pour(void *argument)
{
    static char bytes[100000];
    for (int i = 0; i < 20; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        if (write(*(int *)argument, bytes, sizeof(bytes)) != sizeof(bytes)) {
            return NULL;
        }
    }
    shutdown(*(int *)argument, SHUT_WR);
    return argument;
}

static void test_much(void)
{
    int ends[2];
    pthread_t thread;
    static char bytes[70000];
    long total = 0, wrong = 0;
    printf("-- much\n");
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pthread_create(&thread, NULL, pour, &ends[0]);
    for (long got; (got = recv(ends[1], bytes, sizeof(bytes), MSG_WAITALL)) > 0;) {
        for (long i = 0; i < got; i++) {
            wrong += bytes[i] != 'a' + (total + i) / 100000;
        }
        total += got;
    }
    pthread_join(thread, NULL);
    printf("total %ld wrong %ld\n", total, wrong);
    close(ends[0]);
    close(ends[1]);
}

static void test_edges(void)
{
    int ends[2];
    char bytes[64];
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, seen;
    const int ep = epoll_create1(0);
    printf("-- edges\n");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
    SAY(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event));
    SAY(epoll_wait(ep, &seen, 1, 0));
    printf("events %x\n", seen.events);
    SAY(epoll_wait(ep, &seen, 1, 0));
    SAY(write(ends[1], "one", 3));
    SAY(epoll_wait(ep, &seen, 1, 1000));
    printf("events %x\n", seen.events);
    SAY(epoll_wait(ep, &seen, 1, 0));
    SAY(write(ends[1], "two", 3));
    SAY(epoll_wait(ep, &seen, 1, 1000));
    SAY(read(ends[0], bytes, 64));
    static char large[65536];
    while (write(ends[0], large, sizeof(large)) > 0) {
    }
    printf("full: %s\n", strerror(errno));
    epoll_wait(ep, &seen, 1, 0);
    SAY(epoll_wait(ep, &seen, 1, 0));
    while (read(ends[1], large, sizeof(large)) > 0) {
    }
    SAY(epoll_wait(ep, &seen, 1, 1000));
    printf("events %x\n", seen.events);
    SAY(close(ends[1]));
    SAY(epoll_wait(ep, &seen, 1, 1000));
    printf("events %x\n", seen.events);
    close(ends[0]);
    close(ep);
}

static void on_alarm(int number)
{
    (void)number;
}

static volatile int pipe_signals;
static void on_pipe(int number)
{
    (void)number;
    pipe_signals++;
}

static void test_interrupted(void)
{
    int ends[2];
    char byte;
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {.tv_usec = 50000}};
    printf("-- interrupted\n");
    sigaction(SIGALRM, &action, NULL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    setitimer(ITIMER_REAL, &timer, NULL);
    SAY(read(ends[0], &byte, 1));
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bind_to(listener, "@cella interrupted");
    listen(listener, 0);
    setitimer(ITIMER_REAL, &timer, NULL);
    SAY(accept(listener, NULL, NULL));
    close(listener);
    /* The same with the network's. */
    const int outer = socket(AF_INET, SOCK_STREAM, 0);
    const int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000001)};
    SAY(bind(outer, (struct sockaddr *)&loopback, sizeof(loopback)));
    SAY(bind(datagrams, (struct sockaddr *)&loopback, sizeof(loopback)));
    listen(outer, 1);
    setitimer(ITIMER_REAL, &timer, NULL);
    SAY(accept(outer, NULL, NULL));
    setitimer(ITIMER_REAL, &timer, NULL);
    SAY(recv(datagrams, &byte, 1, 0));
    struct iovec part = {&byte, 1};
    char control[64];
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    setitimer(ITIMER_REAL, &timer, NULL);
    SAY(recvmsg(datagrams, &message, 0));
    message.msg_control = NULL;
    message.msg_controllen = 0;
    close(outer);
    close(datagrams);
    close(ends[1]);
    action.sa_handler = on_pipe;
    sigaction(SIGPIPE, &action, NULL);
    SAY(write(ends[0], "x", 1));
    SAY(send(ends[0], "x", 1, MSG_NOSIGNAL));
    SAY(sendmsg(ends[0], &message, 0));
    printf("signals %d\n", pipe_signals);
    /* Of packets it is none; and that is forgotten when the next call is made. */
    int packets[2];
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets);
    close(packets[1]);
    SAY(send(packets[0], "x", 1, 0));
    SAY(write(ends[0], "x", 1));
    printf("signals %d\n", pipe_signals);
    close(packets[0]);
    close(ends[0]);
}

static void test_signalfd(void)
{
    sigset_t set;
    struct signalfd_siginfo info[3] = {0};
    struct epoll_event event = {.events = EPOLLIN}, seen;
    printf("-- signalfd\n");
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    const int ep = epoll_create1(0);
    SAY(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    SAY(read(fd, info, sizeof(info)));
    SAY(epoll_wait(ep, &seen, 1, 0));
    kill(getpid(), SIGUSR1);
    raise(SIGUSR2);
    SAY(epoll_wait(ep, &seen, 1, 1000));
    SAY(read(fd, info, 10));
    SAY(read(fd, info, sizeof(info)));
    for (int i = 0; i < 2; i++) {
        printf("signal %d code %d own %d %d\n", info[i].ssi_signo == SIGUSR1 ? 1 : 2,
               info[i].ssi_code, info[i].ssi_pid == (uint32_t)getpid(),
               info[i].ssi_uid == getuid());
    }
    SAY(read(fd, info, sizeof(info)));
    sigemptyset(&set);
    SAY(signalfd(fd, &set, 0) == fd);
    SAY(signalfd(ep, &set, 0));
    SAY(signalfd(-1, &set, 0x7000));
    raise(SIGUSR1);
    printf("poll %x\n", polled(fd, POLLIN));
    close(fd);
    close(ep);
}

/* The loopback, which every machine has. */
static void test_interfaces(void)
{
    struct {
        struct netlink_head head;
        struct interface_address body;
    } request = {.head = {.size = sizeof(request),
                          .type = GET_ADDRESS,
                          .flags = REQUEST | DUMP,
                          .sequence = 7},
                 .body = {.family = AF_INET}};
    struct netlink_name name = {.family = AF_NETLINK};
    socklen_t size = sizeof(name);
    static _Alignas(8) char bytes[16384];
    int loopbacks = 0, done = 0, wrong = 0, error;
    printf("-- interfaces\n");
    SAY(socket(AF_NETLINK, SOCK_STREAM, ROUTE_PROTOCOL));
    SAY(socket(AF_NETLINK, SOCK_RAW, 99));
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, ROUTE_PROTOCOL);
    SAY(bind(fd, (struct sockaddr *)&name, sizeof(name)));
    SAY(getsockname(fd, (struct sockaddr *)&name, &size));
    printf("size %d port %d\n", (int)size, name.port != 0);
    SAY(send(fd, &request, sizeof(request), 0));
    while (!done) {
        const long got = recv(fd, bytes, sizeof(bytes), 0);
        for (long at = 0; got - at >= (long)sizeof(struct netlink_head);) {
            const struct netlink_head *head = (const void *)(bytes + at);
            const struct interface_address *body = (const void *)(head + 1);
            wrong += head->sequence != 7 || head->port != name.port;
            done |= head->type < 16;
            loopbacks += head->type == NEW_ADDRESS && body->index == 1 && body->prefix == 8;
            at += (head->size + 3) & ~3u;
        }
        done |= got <= 0;
    }
    printf("loopback %d wrong %d\n", loopbacks, wrong);
    request.head.type = 9999;
    request.head.flags = REQUEST | ACKNOWLEDGE;
    SAY(send(fd, &request, sizeof(request), 0));
    recv(fd, bytes, sizeof(bytes), 0);
    memcpy(&error, bytes + sizeof(struct netlink_head), sizeof(error));
    printf("type %d error %s\n", ((const struct netlink_head *)bytes)->type, strerror(-error));
    SAY(recv(fd, bytes, 1, MSG_DONTWAIT));
    close(fd);
    SAY(if_nametoindex("lo"));
    SAY(if_nametoindex("nosuch0"));
    const int plain = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct ifreq ask = {.ifr_name = "lo"};
    SAY(ioctl(plain, SIOCGIFFLAGS, &ask));
    printf("flags %x\n", (unsigned)ask.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
    close(plain);
    SAY(socket(AF_INET, SOCK_STREAM, 262));
}

int main(void)
{
    char folder[] = "/tmp/cella-unix-XXXXXX", first[64], second[64];
    setbuf(stdout, NULL);
    if (!mkdtemp(folder)) {
        return 1;
    }
    chdir(folder);
    snprintf(first, sizeof(first), "first");
    snprintf(second, sizeof(second), "second");
    test_streams(first);
    test_streams("@cella streams");
    test_backlog();
    test_datagrams(first, second);
    test_datagrams("@cella first", "@cella second");
    test_packets();
    test_rights(SOCK_STREAM);
    test_rights(SOCK_DGRAM);
    test_cycles();
    test_credentials();
    test_options();
    test_much();
    test_edges();
    test_interrupted();
    test_signalfd();
    test_interfaces();
    chdir("/");
    return rmdir(folder);
}
