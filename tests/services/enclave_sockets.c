/*
 * Checks of sockets: over the loopback and beside each other, both ends in the enclave.
 * Side: enclave (tests). Called by enclave_main.c.
 * Never uses a fixed port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/services/services.h"

#define BULK (3u << 20)

static struct sockaddr_in loopback(void)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A listening socket and its address. */
static int server_new(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof(*ret_address);
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    *ret_address = loopback();
    if (server < 0 || bind(server, (struct sockaddr *)ret_address, size) != 0 ||
        listen(server, 5) != 0 || getsockname(server, (struct sockaddr *)ret_address, &size) != 0) {
        return -1;
    }
    return server;
}

static int connected(int ret_fds[2])
{
    struct sockaddr_in address;
    const int server = server_new(&address);
    ret_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || connect(ret_fds[0], (struct sockaddr *)&address, sizeof(address)) != 0) {
        return 0;
    }
    ret_fds[1] = accept(server, NULL, NULL);
    return close(server) == 0 && ret_fds[1] >= 0;
}

static int check_tcp(void)
{
    struct sockaddr_in address, peer, mine;
    socklen_t size = sizeof(peer);
    char text[16] = {0};
    const int server = server_new(&address);
    CHECK(server >= 0 && address.sin_port != 0 && address.sin_family == AF_INET);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client >= 0 && fcntl(client, F_GETFD) == FD_CLOEXEC);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
    const int fd = accept4(server, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK);
    CHECK(fd >= 0 && size == sizeof(peer) && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    size = sizeof(mine);
    CHECK(getsockname(client, (struct sockaddr *)&mine, &size) == 0);
    CHECK(mine.sin_port == peer.sin_port && mine.sin_addr.s_addr == peer.sin_addr.s_addr);
    CHECK(getpeername(client, (struct sockaddr *)&mine, &size) == 0);
    CHECK(mine.sin_port == address.sin_port);
    CHECK_ERRNO(recv(fd, text, sizeof(text), 0), EAGAIN);
    CHECK(send(client, "question", 8, 0) == 8 && fcntl(fd, F_SETFL, 0) == 0);
    CHECK(recv(fd, text, 3, MSG_PEEK) == 3 && recv(fd, text, sizeof(text), 0) == 8);
    CHECK(memcmp(text, "question", 8) == 0 && write(fd, "answer", 6) == 6);
    CHECK(read(client, text, sizeof(text)) == 6 && shutdown(fd, SHUT_WR) == 0);
    CHECK(recv(client, text, sizeof(text), 0) == 0 && close(fd) == 0);
    CHECK(close(client) == 0 && close(server) == 0);
    return 0;
}

static int check_errors(void)
{
    struct sockaddr_in address;
    char byte = 0;
    int fds[2];
    const int server = server_new(&address);
    CHECK(server >= 0 && close(server) == 0);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(client, (struct sockaddr *)&address, sizeof(address)), ECONNREFUSED);
    CHECK_ERRNO(connect(client, (struct sockaddr *)&address, 200), EINVAL);
    CHECK_ERRNO(recv(client, &byte, 1, 0), ENOTCONN);
    CHECK_ERRNO(bind(0, (struct sockaddr *)&address, sizeof(address)), ENOTSOCK);
    CHECK_ERRNO(listen(900, 1), EBADF);
    CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
    CHECK_ERRNO(lseek(client, 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(client, &byte, 1, 0), ESPIPE);
    CHECK(close(client) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(close(fds[1]) == 0);
    CHECK_ERRNO(write(fds[0], "x", 1), EPIPE); /* and no signal */
    CHECK(close(fds[0]) == 0);
    return 0;
}

static int check_udp(void)
{
    struct sockaddr_in one = loopback(), two = loopback(), from;
    socklen_t size = sizeof(one);
    char text[8];
    const int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(a >= 0 && b >= 0 && bind(a, (struct sockaddr *)&one, size) == 0);
    CHECK(bind(b, (struct sockaddr *)&two, size) == 0);
    CHECK(getsockname(a, (struct sockaddr *)&one, &size) == 0);
    CHECK(getsockname(b, (struct sockaddr *)&two, &size) == 0);
    CHECK(sendto(a, "0123456789", 10, 0, (struct sockaddr *)&two, size) == 10);
    CHECK(recvfrom(b, text, 4, MSG_TRUNC, (struct sockaddr *)&from, &size) == 10);
    CHECK(from.sin_port == one.sin_port && memcmp(text, "0123", 4) == 0);
    CHECK(sendto(a, "", 0, 0, (struct sockaddr *)&two, size) == 0);
    CHECK(recv(b, text, sizeof(text), 0) == 0);
    CHECK(connect(a, (struct sockaddr *)&two, size) == 0 && send(a, "short", 5, 0) == 5);
    CHECK(recv(b, text, sizeof(text), MSG_DONTWAIT) == 5);
    CHECK_ERRNO(recv(b, text, sizeof(text), MSG_DONTWAIT), EAGAIN);
    CHECK(close(a) == 0 && close(b) == 0);
    return 0;
}

static int check_messages(void)
{
    struct sockaddr_in one = loopback(), from = {0};
    socklen_t size = sizeof(one);
    char first[3], second[16] = {0};
    struct iovec out[] = {{"abc", 3}, {"defgh", 5}}, in[] = {{first, 3}, {second, 16}};
    char control[64] = {0};
    const int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(b, (struct sockaddr *)&one, size) == 0);
    CHECK(getsockname(b, (struct sockaddr *)&one, &size) == 0);
    struct msghdr message = {
        .msg_name = &one, .msg_namelen = size, .msg_iov = out, .msg_iovlen = 2};
    CHECK(sendmsg(a, &message, 0) == 8);
    message = (struct msghdr){.msg_name = &from,
                              .msg_namelen = sizeof(from),
                              .msg_iov = in,
                              .msg_iovlen = 2,
                              .msg_control = control,
                              .msg_controllen = 64};
    CHECK(recvmsg(b, &message, 0) == 8 && memcmp(first, "abc", 3) == 0);
    CHECK(strcmp(second, "defgh") == 0 && message.msg_namelen == sizeof(from));
    CHECK(message.msg_controllen == 0 && message.msg_flags == 0 && from.sin_family == AF_INET);
    /* Descriptors are not passed. */
    struct cmsghdr *head = (struct cmsghdr *)control;
    message = (struct msghdr){.msg_name = &one,
                              .msg_namelen = size,
                              .msg_iov = out,
                              .msg_iovlen = 2,
                              .msg_control = control,
                              .msg_controllen = CMSG_SPACE(sizeof(int))};
    head->cmsg_len = CMSG_LEN(sizeof(int));
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    CHECK_ERRNO(sendmsg(a, &message, 0), EOPNOTSUPP);
    /* A datagram that does not fit. */
    CHECK(sendto(a, "0123456789", 10, 0, (struct sockaddr *)&one, size) == 10);
    message = (struct msghdr){.msg_iov = in, .msg_iovlen = 1};
    CHECK(recvmsg(b, &message, 0) == 3 && (message.msg_flags & MSG_TRUNC) != 0);
    CHECK(close(a) == 0 && close(b) == 0);
    return 0;
}

static int check_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof(address);
    int fds[3];
    fds[0] = socket(AF_INET6, SOCK_STREAM, 0);
    if (fds[0] < 0 || bind(fds[0], (struct sockaddr *)&address, size) != 0) {
        return errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT ? 0
                                                               : __LINE__; /* not on this host */
    }
    CHECK(listen(fds[0], 1) == 0 && getsockname(fds[0], (struct sockaddr *)&address, &size) == 0);
    CHECK(size == sizeof(address) && (fds[1] = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
    CHECK(connect(fds[1], (struct sockaddr *)&address, size) == 0);
    CHECK((fds[2] = accept(fds[0], (struct sockaddr *)&address, &size)) >= 0);
    CHECK(address.sin6_family == AF_INET6 && write(fds[2], "x", 1) == 1);
    for (int i = 0; i < 3; i++) {
        CHECK(close(fds[i]) == 0);
    }
    return 0;
}

/* The path is below the root, whatever the host's own is. */
static int check_local(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/socket"}, peer = {0};
    socklen_t size = sizeof(peer);
    struct stat status;
    char text[8];
    const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(server >= 0 && bind(server, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(stat("/socket", &status) == 0 && S_ISSOCK(status.st_mode) && listen(server, 1) == 0);
    CHECK_ERRNO(bind(client, (struct sockaddr *)&address, sizeof(address)), EADDRINUSE);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
    const int fd = accept(server, (struct sockaddr *)&peer, &size);
    CHECK(fd >= 0 && peer.sun_family == AF_UNIX && write(fd, "abc", 3) == 3);
    CHECK(read(client, text, sizeof(text)) == 3);
    size = sizeof(peer);
    CHECK(getpeername(client, (struct sockaddr *)&peer, &size) == 0);
    CHECK(strcmp(peer.sun_path, "/socket") == 0);
    strcpy(address.sun_path, "/out/socket");
    CHECK_ERRNO(connect(client, (struct sockaddr *)&address, sizeof(address)), ENOENT);
    CHECK(close(fd) == 0 && close(client) == 0 && close(server) == 0 && unlink("/socket") == 0);
    return 0;
}

static int check_options(void)
{
    int value = 1, fds[2];
    socklen_t size = sizeof(value);
    struct timeval limit = {.tv_usec = 30000};
    struct linger linger = {0};
    char byte;
    CHECK(connected(fds));
    CHECK(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &value, size) == 0);
    value = 0;
    CHECK(getsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value == 1);
    CHECK(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &value, &size) == 0 && value == SOCK_STREAM);
    CHECK(getsockopt(fds[0], SOL_SOCKET, SO_DOMAIN, &value, &size) == 0 && value == AF_INET);
    CHECK(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &value, &size) == 0 && value == 0 && size == 4);
    size = sizeof(linger);
    CHECK(getsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && size == 8);
    CHECK_ERRNO(setsockopt(fds[0], SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &limit, 16), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, (void *)8, 16), EFAULT);
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    CHECK_ERRNO(recv(fds[0], &byte, 1, 0), EAGAIN); /* after 30 ms */
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
    return 0;
}

static int check_nonblocking(void)
{
    struct sockaddr_in address;
    int on = 1;
    char byte;
    const int server = server_new(&address);
    CHECK(server >= 0 && ioctl(server, FIONBIO, &on) == 0);
    CHECK_ERRNO(accept(server, NULL, NULL), EAGAIN);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0 ||
          errno == EINPROGRESS);
    on = 0;
    CHECK(ioctl(server, FIONBIO, &on) == 0);
    const int fd = accept(server, NULL, NULL);
    CHECK(fd >= 0);
    CHECK_ERRNO(read(client, &byte, 1), EAGAIN);
    /* A full socket says so, and what was written so far. */
    static char block[1 << 16];
    long total = 0, part;
    while ((part = send(client, block, sizeof(block), 0)) > 0) {
        total += part;
    }
    CHECK(part == -1 && errno == EAGAIN && total > 0);
    CHECK(close(fd) == 0 && close(client) == 0 && close(server) == 0);
    return 0;
}

/* Files and sockets share one table: every call that knows no difference works on both. */
static int check_one_table(void)
{
    int fds[2];
    char text[8] = {0};
    struct stat status;
    int count = 0;
    const struct iovec out[] = {{"ab", 2}, {"cd", 2}};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(fstat(fds[0], &status) == 0 && S_ISSOCK(status.st_mode));
    const int copy = dup(fds[0]);
    CHECK(copy > fds[1] && close(fds[0]) == 0 && writev(copy, out, 2) == 4);
    CHECK(ioctl(fds[1], FIONREAD, &count) == 0 && count == 4);
    const int file = open("/beside", O_RDWR | O_CREAT, 0600);
    CHECK(file == fds[0]); /* the number was free */
    CHECK_ERRNO(send(file, "x", 1, 0), ENOTSOCK);
    CHECK(dup2(fds[1], file) == file && read(file, text, sizeof(text)) == 4);
    CHECK(memcmp(text, "abcd", 4) == 0 && unlink("/beside") == 0);
    CHECK(close(file) == 0 && close(copy) == 0 && close(fds[1]) == 0);
    return 0;
}

static int check_pairs(void)
{
    int fds[2];
    char text[8];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
    CHECK(send(fds[0], "one", 3, 0) == 3 && send(fds[0], "three", 5, 0) == 5);
    CHECK(recv(fds[1], text, sizeof(text), 0) == 3 && recv(fds[1], text, sizeof(text), 0) == 5);
    CHECK(close(fds[0]) == 0 && recv(fds[1], text, sizeof(text), 0) == 0 && close(fds[1]) == 0);
    return 0;
}

static unsigned char pattern(unsigned i)
{
    return (unsigned char)(i * 2654435761u >> 23);
}

static void *bulk_sender(void *argument)
{
    unsigned char *bytes = malloc(BULK);
    for (unsigned i = 0; bytes && i < BULK; i++) {
        bytes[i] = pattern(i);
    }
    const long sent = bytes ? send(*(int *)argument, bytes, BULK, 0) : 0;
    free(bytes);
    return (void *)sent;
}

/* One send of everything, while another thread of the enclave receives: neither holds up the other. */
static int check_bulk(void)
{
    int fds[2];
    void *sent = NULL;
    pthread_t thread;
    unsigned char *bytes = malloc(BULK);
    CHECK(bytes && connected(fds) && pthread_create(&thread, NULL, bulk_sender, &fds[0]) == 0);
    CHECK(recv(fds[1], bytes, 1000, MSG_WAITALL) == 1000);
    CHECK(recv(fds[1], bytes + 1000, BULK - 1000, MSG_WAITALL) == BULK - 1000);
    CHECK(pthread_join(thread, &sent) == 0 && sent == (void *)(long)BULK);
    for (unsigned i = 0; i < BULK; i++) {
        CHECK(bytes[i] == pattern(i));
    }
    free(bytes);
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
    return 0;
}

const struct services_check sockets_checks[] = {{"tcp", check_tcp},
                                                {"errors", check_errors},
                                                {"udp", check_udp},
                                                {"messages", check_messages},
                                                {"ipv6", check_ipv6},
                                                {"local", check_local},
                                                {"options", check_options},
                                                {"nonblocking", check_nonblocking},
                                                {"one_table", check_one_table},
                                                {"pairs", check_pairs},
                                                {"bulk", check_bulk},
                                                {NULL, NULL}};
