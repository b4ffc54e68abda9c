/*
 * gRPC connections on Unix sockets. wire.h is the manual.
 * Side: services. Called by kubelet.c, on the loop's thread.
 * Never buffers what a peer does not take: bytes are made when the socket has room for them.
 */
#include "services/device-plugin/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/common/log_limit.h"

#define BACKLOG 128
#define CHUNK (16u << 10)
#define ANSWER_MAX ((size_t)64 << 10) /* the kubelet's is empty */
#define WRITES_A_TURN 16              /* frames, before others have their turn */

struct wire {
    struct wire *next, **link;
    struct wire_listener *listener; /* NULL: ours goes out */
    struct event_base *base;
    struct rpc_session *session;
    int fd;
    struct event *readable, *writable, *timer, *later;
    struct cella_bytes pending; /* made, not yet taken by the socket */
    bool is_blocked;            /* the socket has no room */
    int64_t opened, moved;      /* when it was, and when bytes last went either way */
};

struct wire_listener {
    struct event_base *base;
    const struct rpc_service *service;
    struct event *event;
    int fd;
    dev_t device;
    ino_t inode;
    struct wire *wires;
    size_t count;
    char path[108];
};

int64_t wire_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------- a connection */

static void event_drop(struct event **event)
{
    if (*event) {
        event_free(*event);
        *event = NULL;
    }
}

static void wire_close(struct wire *wire)
{
    if (wire->link) {
        *wire->link = wire->next;
        if (wire->next) {
            wire->next->link = wire->link;
        }
        wire->listener->count--;
    }
    event_drop(&wire->readable);
    event_drop(&wire->writable);
    event_drop(&wire->timer);
    event_drop(&wire->later);
    close(wire->fd);
    rpc_session_free(wire->session);
    free(wire);
}

static void trouble_log(const struct wire *wire, const char *what)
{
    struct log_line line;
    if (!wire->listener || !log_may(LOG_WARNING)) {
        return; /* calls of ours say how they ended by themselves */
    }
    log_begin(&line, LOG_WARNING, "connection-closed");
    log_text(&line, "reason", what);
    log_text(&line, "socket", wire->listener->path);
    log_end(&line);
}

/* Sends what there is, as far as the socket takes it. false: the connection is over. */
static bool wire_flush(struct wire *wire)
{
    for (int frames = 0; frames < WRITES_A_TURN; frames++) {
        if (wire->pending.size == 0 &&
            !cella_is_ok(rpc_session_next(wire->session, &wire->pending))) {
            return false;
        }
        if (wire->pending.size == 0) {
            wire->is_blocked = false;
            return !rpc_session_is_over(wire->session);
        }
        const ssize_t sent = send(wire->fd, wire->pending.data, wire->pending.size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent < 0) {
            break;
        }
        wire->moved = wire_now();
        wire->pending.data += sent;
        wire->pending.size -= (size_t)sent;
    }
    wire->is_blocked = true;
    return event_add(wire->writable, NULL) == 0;
}

/* The next moment at which something is due, in milliseconds; 0: none. */
static int64_t wire_due(const struct wire *wire)
{
    int64_t due = rpc_session_deadline(wire->session);
    int64_t limit = 0;
    if (!rpc_session_is_settled(wire->session)) {
        limit = wire->opened + WIRE_SETTLE_SECONDS * 1000;
    } else if (wire->is_blocked) {
        limit = wire->moved + WIRE_STALL_SECONDS * 1000;
    }
    return limit && (!due || limit < due) ? limit : due;
}

static void timer_set(struct wire *wire)
{
    const int64_t due = wire_due(wire), now = wire_now();
    const int64_t wait = due > now ? due - now : 0;
    const struct timeval time = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
    if (due) {
        evtimer_add(wire->timer, &time);
    } else {
        evtimer_del(wire->timer);
    }
}

static void wire_go_on(struct wire *wire)
{
    if (wire_flush(wire)) {
        timer_set(wire);
    } else {
        wire_close(wire);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    static uint8_t chunk[CHUNK]; /* one loop, one thread */
    struct wire *wire = argument;
    (void)what;
    const ssize_t got = recv((int)fd, chunk, sizeof(chunk), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        wire_close(wire);
        return;
    }
    wire->moved = wire_now();
    if (!cella_is_ok(
            rpc_session_receive(wire->session, cella_bytes_of(chunk, (size_t)got), wire->moved))) {
        trouble_log(wire, rpc_session_trouble(wire->session));
        wire_flush(wire); /* a GOAWAY, if the socket has room */
        wire_close(wire);
        return;
    }
    if (rpc_session_is_over(wire->session) && rpc_session_trouble(wire->session)[0]) {
        trouble_log(wire, rpc_session_trouble(wire->session));
    }
    wire_go_on(wire);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd, (void)what;
    wire_go_on(argument);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    struct wire *wire = argument;
    const int64_t now = wire_now();
    (void)fd, (void)what;
    const int64_t deadline = rpc_session_deadline(wire->session);
    if (!rpc_session_is_settled(wire->session) &&
        now >= wire->opened + WIRE_SETTLE_SECONDS * 1000) {
        trouble_log(wire, "no HTTP/2 in time");
        wire_close(wire);
        return;
    }
    if (wire->is_blocked && now >= wire->moved + WIRE_STALL_SECONDS * 1000) {
        trouble_log(wire, "the peer takes no bytes");
        wire_close(wire);
        return;
    }
    if (deadline && now >= deadline) {
        rpc_session_expire(wire->session, now);
    }
    wire_go_on(wire);
}

static void on_later(evutil_socket_t fd, short what, void *argument)
{
    (void)fd, (void)what;
    wire_go_on(argument);
}

/* There is something to send, from outside of a callback of the socket. */
static void on_wake(void *argument)
{
    static const struct timeval now = {0};
    struct wire *wire = argument;
    evtimer_add(wire->later, &now);
}

static struct wire *wire_new(struct event_base *base, int fd, struct rpc_session *session)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    if (!wire) {
        return NULL;
    }
    wire->base = base;
    wire->fd = fd;
    wire->session = session;
    wire->opened = wire->moved = wire_now();
    wire->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, wire);
    wire->writable = event_new(base, fd, EV_WRITE, on_writable, wire);
    wire->timer = evtimer_new(base, on_timer, wire);
    wire->later = evtimer_new(base, on_later, wire);
    if (!wire->readable || !wire->writable || !wire->timer || !wire->later ||
        event_add(wire->readable, NULL) != 0) {
        event_drop(&wire->readable);
        event_drop(&wire->writable);
        event_drop(&wire->timer);
        event_drop(&wire->later);
        free(wire);
        return NULL;
    }
    rpc_session_on_wake(session, on_wake, wire);
    return wire;
}

/* ------------------------------------------------------------------- connections that come in */

static bool wire_accept(struct wire_listener *listener, int fd)
{
    struct rpc_session *session = NULL;
    if (listener->count >= WIRE_CONNECTIONS_MAX) {
        if (log_may(LOG_WARNING)) {
            log_say(LOG_WARNING, "connection-limit", "%s: %zu connections", listener->path,
                    listener->count);
        }
        return false;
    }
    if (!cella_is_ok(rpc_server_new(listener->service, &session))) {
        return false;
    }
    struct wire *wire = wire_new(listener->base, fd, session);
    if (!wire) {
        rpc_session_free(session);
        return false;
    }
    wire->listener = listener;
    wire->next = listener->wires;
    wire->link = &listener->wires;
    if (wire->next) {
        wire->next->link = &wire->next;
    }
    listener->wires = wire;
    listener->count++;
    wire_go_on(wire);
    return true;
}

static void on_connection(evutil_socket_t listening, short what, void *argument)
{
    (void)what;
    const int fd = accept4((int)listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && log_may(LOG_ERROR)) {
            log_say(LOG_ERROR, "accept", "%s", strerror(errno));
            usleep(10000); /* no descriptors: the listener stays readable */
        }
        return;
    }
    if (!wire_accept(argument, fd)) {
        close(fd);
    }
}

static cella_result address_of(const char *path, struct sockaddr_un *ret_address,
                               struct cella_error *error)
{
    if (strlen(path) >= sizeof(ret_address->sun_path)) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: a socket's path has at most %zu bytes", path,
                               sizeof(ret_address->sun_path) - 1);
    }
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(ret_address->sun_path, path);
    return CELLA_OK;
}

static cella_result listener_bind(struct wire_listener *listener, struct cella_error *error)
{
    struct sockaddr_un address;
    struct stat status;
    CELLA_TRY(address_of(listener->path, &address, error));
    unlink(listener->path);
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 ||
        bind(listener->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(listener->path, 0600) != 0 || listen(listener->fd, BACKLOG) != 0 ||
        lstat(listener->path, &status) != 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", listener->path);
    }
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    listener->event =
        event_new(listener->base, listener->fd, EV_READ | EV_PERSIST, on_connection, listener);
    CELLA_ENSURE(listener->event && event_add(listener->event, NULL) == 0, OUT_OF_MEMORY);
    return CELLA_OK;
}

/* What listens, not what is connected. */
static void listener_unbind(struct wire_listener *listener)
{
    event_drop(&listener->event);
    if (listener->inode && wire_listener_is_there(listener)) {
        unlink(listener->path);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    listener->fd = -1;
    listener->inode = 0;
}

cella_result wire_listen(struct event_base *base, const char *path,
                         const struct rpc_service *service, struct wire_listener **ret_listener,
                         struct cella_error *error)
{
    struct wire_listener *listener = calloc(1, sizeof(*listener));
    CELLA_ENSURE(listener, OUT_OF_MEMORY);
    listener->base = base;
    listener->service = service;
    listener->fd = -1;
    snprintf(listener->path, sizeof(listener->path), "%s", path);
    const cella_result result = strlen(path) < sizeof(listener->path)
                                    ? listener_bind(listener, error)
                                    : cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                                                      "%s: too long for a socket's path", path);
    if (!cella_is_ok(result)) {
        wire_listener_free(listener);
        return result;
    }
    *ret_listener = listener;
    return CELLA_OK;
}

cella_result wire_listener_rebind(struct wire_listener *listener, struct cella_error *error)
{
    listener_unbind(listener);
    return listener_bind(listener, error);
}

bool wire_listener_is_there(const struct wire_listener *listener)
{
    struct stat status;
    return lstat(listener->path, &status) == 0 && status.st_ino == listener->inode &&
           status.st_dev == listener->device;
}

size_t wire_listener_connections(const struct wire_listener *listener)
{
    return listener->count;
}

void wire_listener_free(struct wire_listener *listener)
{
    if (!listener) {
        return;
    }
    while (listener->wires) {
        wire_close(listener->wires);
    }
    listener_unbind(listener);
    free(listener);
}

/* ------------------------------------------------------------------- calls that go out */

cella_result wire_call(struct event_base *base, const char *socket_path, const char *path,
                       struct cella_bytes message, uint32_t milliseconds, rpc_done done,
                       void *context, struct wire **ret_wire, struct cella_error *error)
{
    struct sockaddr_un address;
    struct rpc_session *session = NULL;
    CELLA_TRY(address_of(socket_path, &address, error));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        /* EAGAIN: the listener's queue is full; a Unix socket is never "in progress" */
        const int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return cella_error_errno(error, CELLA_RESULT(IO), saved, "%s", socket_path);
    }
    const struct rpc_request request = {
        .path = path, .message = message, .milliseconds = milliseconds, .answer_max = ANSWER_MAX};
    cella_result result = rpc_client_new(&request, wire_now(), done, context, &session);
    struct wire *wire = cella_is_ok(result) ? wire_new(base, fd, session) : NULL;
    if (!wire) {
        close(fd);
        if (session) { /* calls `done`; the caller gets one answer only */
            rpc_session_forget(session);
            rpc_session_free(session);
        }
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    on_wake(wire);
    *ret_wire = wire;
    return CELLA_OK;
}

void wire_cancel(struct wire *wire)
{
    wire_close(wire);
}
