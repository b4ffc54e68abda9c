/*
 * The AESM socket. server.h is the manual.
 * Side: host, service. Called by main.c.
 * Never waits for one client: sockets do not block; a frame that does not come in time closes its connection.
 */
#include "services/quoted/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/common/log.h"
#include "services/common/log_limit.h"

#define EVENTS 64
#define FRAMES_AT_ONCE 16u
#define BACKLOG 512
#define TICK 250 /* milliseconds between looks at the clock */

/* A connection: reads size and body, then writes the answer, then reads again. */
struct connection {
    struct connection *next, **link;
    struct client *client;
    struct peer peer;
    int fd;
    int64_t deadline; /* milliseconds; 0: nothing is due */
    uint8_t head[4];
    uint32_t head_size;
    uint8_t *body;
    uint32_t body_size, body_have;
    struct aesm_answer answer;
    size_t answer_sent;
};

struct worker {
    struct server *server;
    pthread_t thread;
    int poll;
    struct connection *connections;
};

struct server {
    struct server_options options;
    char path[108];
    bool own_path;
    int listener, stop;
    _Atomic uint32_t count; /* connections */
    uint32_t workers_started;
    struct worker workers[];
};

static int64_t now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t now_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ------------------------------------------------------------------- a connection */

static void connection_close(struct worker *worker, struct connection *connection)
{
    *connection->link = connection->next;
    if (connection->next) {
        connection->next->link = connection->link;
    }
    close(connection->fd);
    client_put(connection->client);
    free(connection->body);
    free(connection->answer.data);
    free(connection);
    atomic_fetch_sub(&worker->server->count, 1);
}

/* Who is at the other end. */
static void peer_log(struct log_line *line, const struct peer *peer)
{
    log_number(line, "pid", peer->pid);
    log_number(line, "uid", peer->uid);
}

static void trouble_log(const char *event, const struct peer *peer)
{
    struct log_line line;
    if (log_may(LOG_WARNING)) {
        log_begin(&line, LOG_WARNING, event);
        peer_log(&line, peer);
        log_end(&line);
    }
}

static void connection_log(const struct connection *connection, int64_t started)
{
    const struct aesm_answer *answer = &connection->answer;
    const enum log_level level = answer->code != AESM_SUCCESS ? LOG_WARNING : LOG_DEBUG;
    struct log_line line;
    if (!log_may(level)) {
        return;
    }
    log_begin(&line, level, "request");
    log_text(&line, "request", answer->request);
    log_number(&line, "code", answer->code);
    peer_log(&line, &connection->peer);
    log_number(&line, "microseconds", now_microseconds() - started);
    if (answer->reason[0]) {
        log_text(&line, "reason", answer->reason);
    }
    log_end(&line);
}

/* A whole request is there: answers it. false: the connection is over. */
static bool request_serve(struct worker *worker, struct connection *connection)
{
    const int64_t started = now_microseconds();
    const struct cella_bytes message = cella_bytes_of(connection->body, connection->body_have);
    const cella_result result =
        aesm_answer_make(worker->server->options.backend, message, !client_may(connection->client),
                         &connection->answer);
    free(CELLA_TAKE(connection->body));
    connection->head_size = connection->body_have = connection->body_size = 0;
    connection->answer_sent = 0;
    if (!cella_is_ok(result)) {
        return false;
    }
    connection_log(connection, started);
    connection->deadline = now_milliseconds() + worker->server->options.timeout * 1000ll;
    return true;
}

/* true: sent whole, or the peer's buffer is full. */
static bool answer_send(struct worker *worker, struct connection *connection)
{
    struct aesm_answer *answer = &connection->answer;
    while (connection->answer_sent < answer->size) {
        const ssize_t sent = send(connection->fd, answer->data + connection->answer_sent,
                                  answer->size - connection->answer_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
            return epoll_ctl(worker->poll, EPOLL_CTL_MOD, connection->fd, &event) == 0;
        }
        if (sent <= 0) {
            return false;
        }
        connection->answer_sent += (size_t)sent;
    }
    free(CELLA_TAKE(answer->data));
    connection->deadline = now_milliseconds() + worker->server->options.timeout * 1000ll;
    return true;
}

/* 1: all of it is there, 0: not yet, -1: over. */
static int receive_more(struct connection *connection, void *to, uint32_t size, uint32_t *have)
{
    while (*have < size) {
        const ssize_t got = recv(connection->fd, (uint8_t *)to + *have, size - *have, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 && errno == EAGAIN ? 0 : -1;
        }
        *have += (uint32_t)got;
    }
    return 1;
}

/* The size of a frame is known: room for it, if it is one that we read at all. */
static bool body_begin(struct connection *connection)
{
    memcpy(&connection->body_size, connection->head, sizeof(connection->body_size));
    if (connection->body_size > AESM_REQUEST_MAX) {
        trouble_log("frame-too-large", &connection->peer);
        return false;
    }
    connection->body = malloc(connection->body_size + 1);
    return connection->body != NULL;
}

/* One frame after the other, as they come, but never so many that others wait. false: the connection is over. */
static bool connection_read(struct worker *worker, struct connection *connection)
{
    for (unsigned i = 0; i < FRAMES_AT_ONCE; i++) {
        int got = receive_more(connection, connection->head, 4, &connection->head_size);
        if (got > 0 && !connection->body && !body_begin(connection)) {
            return false;
        }
        if (got > 0) {
            got = receive_more(connection, connection->body, connection->body_size,
                               &connection->body_have);
        }
        if (got <= 0) {
            return got == 0;
        }
        if (!request_serve(worker, connection) || !answer_send(worker, connection)) {
            return false;
        }
        if (connection->answer.data) {
            return true; /* goes on when the peer has taken its answer */
        }
    }
    return true; /* what is left makes the socket readable again */
}

static bool connection_write(struct worker *worker, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (!answer_send(worker, connection)) {
        return false;
    }
    return connection->answer.data ||
           epoll_ctl(worker->poll, EPOLL_CTL_MOD, connection->fd, &event) == 0;
}

static void connection_event(struct worker *worker, struct connection *connection)
{
    const bool lives = connection->answer.data ? connection_write(worker, connection)
                                               : connection_read(worker, connection);
    if (!lives) {
        connection_close(worker, connection);
    }
}

/* ------------------------------------------------------------------- new ones */

static bool connection_new(struct worker *worker, int fd)
{
    struct server *server = worker->server;
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (!connection) {
        return false;
    }
    connection->fd = fd;
    connection->peer = peer_of(fd);
    connection->client = client_get(&connection->peer);
    if (!connection->client || epoll_ctl(worker->poll, EPOLL_CTL_ADD, fd, &event) < 0) {
        trouble_log("client-limit", &connection->peer);
        client_put(connection->client);
        free(connection);
        return false;
    }
    connection->deadline = now_milliseconds() + server->options.timeout * 1000ll;
    connection->next = worker->connections;
    connection->link = &worker->connections;
    if (connection->next) {
        connection->next->link = &connection->next;
    }
    worker->connections = connection;
    return true;
}

static void accept_some(struct worker *worker)
{
    struct server *server = worker->server;
    const int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            if (log_may(LOG_ERROR)) {
                log_say(LOG_ERROR, "no-descriptors", "errno %d", errno);
            }
            usleep(TICK * 1000); /* the listener stays readable */
        }
        return;
    }
    if (atomic_fetch_add(&server->count, 1) >= server->options.connections) {
        if (log_may(LOG_WARNING)) {
            log_say(LOG_WARNING, "connection-limit", "%u connections", server->options.connections);
        }
    } else if (connection_new(worker, fd)) {
        return;
    }
    atomic_fetch_sub(&server->count, 1);
    close(fd);
}

/* ------------------------------------------------------------------- workers */

static void close_late(struct worker *worker)
{
    const int64_t now = now_milliseconds();
    for (struct connection *at = worker->connections, *next; at; at = next) {
        next = at->next;
        if (at->deadline < now) {
            if (at->head_size > 0 || at->answer.data) {
                trouble_log("timeout", &at->peer);
            }
            connection_close(worker, at);
        }
    }
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct server *server = worker->server;
    struct epoll_event events[EVENTS];
    int64_t looked = now_milliseconds();
    for (bool stopping = false; !stopping;) {
        const int count = epoll_wait(worker->poll, events, EVENTS, worker->connections ? TICK : -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &server->stop) {
                stopping = true;
            } else if (events[i].data.ptr == &server->listener) {
                accept_some(worker);
            } else {
                connection_event(worker, events[i].data.ptr);
            }
        }
        if (now_milliseconds() - looked >= TICK) {
            looked = now_milliseconds();
            close_late(worker);
        }
    }
    while (worker->connections) {
        connection_close(worker, worker->connections);
    }
    return NULL;
}

static cella_result worker_start(struct server *server, struct worker *worker)
{
    struct epoll_event listen_event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                                       .data.ptr = &server->listener};
    struct epoll_event stop_event = {.events = EPOLLIN, .data.ptr = &server->stop};
    worker->server = server;
    worker->poll = epoll_create1(EPOLL_CLOEXEC);
    CELLA_ENSURE(worker->poll >= 0, IO);
    CELLA_ENSURE(epoll_ctl(worker->poll, EPOLL_CTL_ADD, server->listener, &listen_event) == 0 &&
                     epoll_ctl(worker->poll, EPOLL_CTL_ADD, server->stop, &stop_event) == 0 &&
                     pthread_create(&worker->thread, NULL, worker_run, worker) == 0,
                 OUT_OF_THREADS);
    return CELLA_OK;
}

/* ------------------------------------------------------------------- the socket */

static void folder_make(const char *path)
{
    char folder[108];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = 0;
        if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
            return; /* bind will say so */
        }
    }
}

/* A socket that nobody listens at is left over: it may go. */
static bool is_left_over(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool refused = fd >= 0 &&
                         connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                         errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static cella_result listen_at(struct server *server, struct cella_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(server->options.path) >= sizeof(address.sun_path)) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: a socket's path has at most %zu bytes", server->options.path,
                               sizeof(address.sun_path) - 1);
    }
    strcpy(address.sun_path, server->options.path);
    strcpy(server->path, server->options.path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    folder_make(server->path);
    int bound = bind(server->listener, (struct sockaddr *)&address, sizeof(address));
    if (bound < 0 && errno == EADDRINUSE && is_left_over(&address)) {
        unlink(server->path);
        bound = bind(server->listener, (struct sockaddr *)&address, sizeof(address));
    }
    if (bound < 0) {
        return cella_error_errno(
            error, errno == EADDRINUSE ? CELLA_RESULT(ALREADY_EXISTS) : CELLA_RESULT(IO), errno,
            "%s", server->path);
    }
    server->own_path = true;
    /* whoever may reach the folder may ask: reports of others' enclaves cannot be made up */
    if (chmod(server->path, 0777) < 0 || listen(server->listener, BACKLOG) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", server->path);
    }
    return CELLA_OK;
}

static cella_result start(struct server *server, struct cella_error *error)
{
    server->stop = eventfd(0, EFD_CLOEXEC);
    CELLA_ENSURE(server->stop >= 0, IO);
    if (server->options.socket >= 0) {
        server->listener = server->options.socket;
        fcntl(server->listener, F_SETFL, fcntl(server->listener, F_GETFL) | O_NONBLOCK);
    } else {
        CELLA_TRY(listen_at(server, error));
    }
    for (uint32_t i = 0; i < server->options.threads; i++) {
        CELLA_TRY(worker_start(server, &server->workers[i]));
        server->workers_started++;
    }
    return CELLA_OK;
}

cella_result server_start(const struct server_options *options, struct server **ret_server,
                          struct cella_error *error)
{
    struct server *server =
        calloc(1, sizeof(*server) + options->threads * sizeof(server->workers[0]));
    CELLA_ENSURE(server != NULL, OUT_OF_MEMORY);
    server->options = *options;
    server->listener = server->stop = -1;
    clients_init(&options->limits);
    const cella_result result = start(server, error);
    if (!cella_is_ok(result)) {
        server_stop(server);
        return result;
    }
    *ret_server = server;
    return CELLA_OK;
}

void server_stop(struct server *server)
{
    const uint64_t one = 1;
    if (server->own_path) {
        unlink(server->path);
    }
    if (server->stop >= 0 && write(server->stop, &one, sizeof(one)) < 0) {
        log_say(LOG_ERROR, "stop", "errno %d", errno);
    }
    for (uint32_t i = 0; i < server->workers_started; i++) {
        pthread_join(server->workers[i].thread, NULL);
        close(server->workers[i].poll);
    }
    if (server->listener >= 0) {
        close(server->listener);
    }
    if (server->stop >= 0) {
        close(server->stop);
    }
    free(server);
}
