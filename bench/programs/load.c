/*
 * A light load: one request after the other on each of some connections, for a time. Prints answers a second.
 * Side: host (bench). Run by bench/programs/measure; the same for a program inside and outside.
 * Never looks into an answer: the first one on a quiet connection tells how many bytes each of the others has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define QUIET_MS 200
#define ANSWER_MAX 65536

struct connection {
    int fd;
    SSL *ssl;
    size_t received;
};

static struct connection g_connections[CONNECTIONS_MAX];
static char g_bytes[ANSWER_MAX];

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void connect_to(struct connection *c, uint16_t port, SSL_CTX *context)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (context) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1) {
            fail("TLS handshake");
        }
    }
}

static void request_send(struct connection *c, const char *request, size_t size)
{
    const ssize_t sent =
        c->ssl ? SSL_write(c->ssl, request, (int)size) : send(c->fd, request, size, MSG_NOSIGNAL);
    if (sent != (ssize_t)size) {
        fail("send");
    }
    c->received = 0;
}

/* What is there: bytes, 0 when nothing is. */
static size_t take(struct connection *c)
{
    const ssize_t got = c->ssl ? SSL_read(c->ssl, g_bytes, sizeof(g_bytes))
                               : recv(c->fd, g_bytes, sizeof(g_bytes), 0);
    if (got > 0) {
        return (size_t)got;
    }
    if (c->ssl ? SSL_get_error(c->ssl, (int)got) != SSL_ERROR_WANT_READ
               : got == 0 || errno != EAGAIN) {
        fail("receive");
    }
    return 0;
}

static size_t answer_size(struct connection *c, const char *request, size_t size)
{
    struct pollfd set = {.fd = c->fd, .events = POLLIN};
    request_send(c, request, size);
    while (poll(&set, 1, c->received ? QUIET_MS : 5000) > 0) {
        c->received += take(c);
    }
    if (c->received == 0) {
        fail("no answer");
    }
    return c->received;
}

static void usage(void)
{
    fputs("usage: load [-s] PORT CONNECTIONS SECONDS REQUEST\n", stderr);
    exit(2);
}

/* The request's text with \r and \n written out. */
static size_t text_of(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        *to++ = at[0] == '\\' && at[1] == 'r'   ? (at++, '\r')
                : at[0] == '\\' && at[1] == 'n' ? (at++, '\n')
                                                : *at;
    }
    return (size_t)(to - text);
}

static uint64_t run(int epoll, double seconds, const char *request, size_t size, size_t answer)
{
    struct epoll_event events[CONNECTIONS_MAX];
    uint64_t answers = 0;
    const double end = now() + seconds;
    while (now() < end) {
        const int count = epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            size_t got;
            while (c->received < answer && (got = take(c)) > 0) {
                c->received += got;
            }
            if (c->received >= answer) {
                answers++;
                request_send(c, request, size);
            }
        }
    }
    return answers;
}

int main(int argc, char **argv)
{
    SSL_CTX *context = NULL;
    if (argc > 1 && strcmp(argv[1], "-s") == 0) {
        context = SSL_CTX_new(TLS_client_method());
        argv++;
        argc--;
    }
    if (argc != 5) {
        usage();
    }
    const uint16_t port = (uint16_t)atoi(argv[1]);
    const int count = atoi(argv[2]);
    const double seconds = atof(argv[3]);
    const size_t size = text_of(argv[4]);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (count < 1 || count > CONNECTIONS_MAX || seconds <= 0 || epoll < 0) {
        usage();
    }
    size_t answer = 0;
    for (int i = 0; i < count; i++) {
        struct connection *c = &g_connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        connect_to(c, port, context);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        if (i == 0) {
            answer = answer_size(c, argv[4], size);
        }
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    }
    for (int i = 0; i < count; i++) {
        request_send(&g_connections[i], argv[4], size);
    }
    const double start = now();
    const uint64_t answers = run(epoll, seconds, argv[4], size, answer);
    printf("%.0f\n", (double)answers / (now() - start));
    return 0;
}
