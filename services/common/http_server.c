/*
 * Threads and connections of the HTTP server.
 * Side: services. Called through http.h. Never looks into a request.
 *
 * Each worker has an event loop and a listening socket of its own (SO_REUSEPORT). evhttp parses; what it lacks, a bound
 * on the whole time of a request and on the number of connections, is kept here: a connection that does not get
 * its request across in time is shut down, which evhttp takes for the peer's own end.
 */
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/rand.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/common/http_internal.h"
#include "services/common/log.h"

const char *const http_log_levels[] = {"debug", "info", "warning", "error", NULL};

/* ------------------------------------------------------------------ connections */

void connection_set_deadline(struct connection *connection, unsigned seconds)
{
    const struct timeval after = {.tv_sec = seconds};
    if (seconds) {
        event_add(connection->deadline, &after);
    } else {
        event_del(connection->deadline);
    }
}

static struct connection **place_of(struct worker *worker, const struct evhttp_connection *evhttp)
{
    return &worker->table[((uintptr_t)evhttp >> 6) % CONNECTION_PLACES];
}

struct connection *connection_find(struct worker *worker, struct evhttp_connection *evhttp)
{
    struct connection *connection = *place_of(worker, evhttp);
    while (connection && connection->evhttp != evhttp) {
        connection = connection->same;
    }
    return connection;
}

static void connection_free(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        worker->connections = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    if (connection->busy) {
        worker->busy--;
    }
    if (connection->evhttp) {
        struct connection **place = place_of(worker, connection->evhttp);
        while (*place != connection) {
            place = &(*place)->same;
        }
        *place = connection->same;
    }
    event_free(connection->deadline);
    worker->server->connections--;
    free(connection);
}

static void on_close(struct evhttp_connection *evhttp, void *argument)
{
    (void)evhttp;
    connection_free(argument);
}

static void cut(struct connection *connection)
{
    shutdown(bufferevent_getfd(connection->bufferevent), SHUT_RDWR);
}

/* The first turn of the loop after evhttp has taken the connection: it is known by now, or gone. */
static void adopt(struct connection *connection)
{
    bufferevent_data_cb readable;
    bufferevent_data_cb writable;
    bufferevent_event_cb happened;
    void *argument;
    struct http_server *server = connection->worker->server;
    struct bufferevent *bufferevent = connection->bufferevent;

    bufferevent_getcb(bufferevent, &readable, &writable, &happened, &argument);
    if (!readable || !argument) {
        connection_free(connection);
    } else {
        connection->evhttp = argument; /* evhttp's callbacks get the connection */
        evhttp_connection_set_closecb(connection->evhttp, on_close, connection);
        connection->same = *place_of(connection->worker, connection->evhttp);
        *place_of(connection->worker, connection->evhttp) = connection;
        if (connection->refused) {
            server->connections_refused++;
            cut(connection);
        } else {
            connection_set_deadline(connection, server->options.request_seconds);
        }
    }
    bufferevent_decref(bufferevent); /* may be the last */
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;
    (void)fd;
    (void)what;
    if (!connection->evhttp) {
        adopt(connection);
        return;
    }
    connection->worker->server->deadlines++;
    cut(connection);
}

static struct bufferevent *new_bufferevent(struct gate *gate)
{
    struct http_server *server = gate->worker->server;
    struct event_base *base = gate->worker->base;
    if (gate->listener->kind != LISTENER_TLS) {
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    }
    pthread_mutex_lock(&server->tls_lock);
    SSL *ssl = SSL_new(server->tls);
    pthread_mutex_unlock(&server->tls_lock);
    if (!ssl) {
        return NULL;
    }
    struct bufferevent *bufferevent = bufferevent_openssl_socket_new(
        base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bufferevent) {
        bufferevent_openssl_set_allow_dirty_shutdown(bufferevent, 1);
    } else {
        SSL_free(ssl);
    }
    return bufferevent;
}

static struct bufferevent *on_connection(struct event_base *base, void *argument)
{
    struct gate *gate = argument;
    struct worker *worker = gate->worker;
    struct bufferevent *bufferevent = new_bufferevent(gate);
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection) {
        connection->deadline = evtimer_new(base, on_deadline, connection);
    }
    if (!bufferevent || !connection || !connection->deadline) {
        /* Without memory there is no way to refuse here: evhttp falls back to one of its own. */
        free(connection);
        return bufferevent;
    }
    connection->worker = worker;
    connection->bufferevent = bufferevent;
    connection->next = worker->connections;
    if (connection->next) {
        connection->next->previous = connection;
    }
    worker->connections = connection;
    connection->refused =
        ++worker->server->connections > (int64_t)worker->server->options.connections_max;
    worker->server->connections_total++;
    bufferevent_incref(bufferevent);
    event_active(connection->deadline, EV_TIMEOUT, 1);
    return bufferevent;
}

/* ---------------------------------------------------------------------- workers */

static void send_done(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    struct http_exchange *done = worker->done;
    worker->done = NULL;
    pthread_mutex_unlock(&worker->lock);
    while (done) {
        struct http_exchange *next = done->next;
        exchange_send(done);
        done = next;
    }
}

static void begin_drain(struct worker *worker)
{
    const struct timeval tick = {.tv_usec = 50000};
    worker->draining = true;
    for (size_t i = 0; i < worker->server->listener_count; i++) {
        if (worker->gates[i].bound) {
            evhttp_del_accept_socket(worker->gates[i].evhttp, worker->gates[i].bound);
            worker->gates[i].bound = NULL;
        }
    }
    event_add(worker->drain_tick, &tick);
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;
    uint64_t count;
    (void)what;
    ssize_t size = read(fd, &count, sizeof(count));
    (void)size;
    send_done(worker);
    if (worker->server->draining && !worker->draining) {
        begin_drain(worker);
    }
}

/* While draining: connections without a request are cut, and the loop ends when none is left or time is up. */
static void on_drain_tick(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;
    struct timespec now;
    (void)fd;
    (void)what;
    for (struct connection *connection = worker->connections; connection;
         connection = connection->next) {
        if (!connection->busy && connection->evhttp) {
            cut(connection);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!worker->connections || now.tv_sec >= worker->server->drain_until.tv_sec) {
        event_base_loopexit(worker->base, NULL);
    }
}

/* libevent gives its own argument to the callback below: the worker is the thread's. */
static _Thread_local struct worker *t_worker;

/* No descriptors, say: the socket stays readable, and the loop would turn around it. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
    const struct timeval pause = {.tv_usec = 250000};
    const int code = EVUTIL_SOCKET_ERROR();
    (void)argument;
    for (size_t i = 0; i < t_worker->server->listener_count; i++) {
        struct gate *gate = &t_worker->gates[i];
        if (gate->bound && evhttp_bound_socket_get_listener(gate->bound) == listener) {
            evconnlistener_disable(listener);
            event_add(gate->again, &pause);
        }
    }
    log_say(LOG_ERROR, "accept", "%s", evutil_socket_error_to_string(code));
}

static void on_accept_again(evutil_socket_t fd, short what, void *argument)
{
    const struct gate *gate = argument;
    (void)fd;
    (void)what;
    if (gate->bound) {
        evconnlistener_enable(evhttp_bound_socket_get_listener(gate->bound));
    }
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    t_worker = worker;
    event_base_dispatch(worker->base);
    return NULL;
}

static cella_result gate_open(struct worker *worker, size_t index, struct cella_error *error)
{
    struct http_server *server = worker->server;
    struct gate *gate = &worker->gates[index];
    int fd = -1;

    *gate = (struct gate){.worker = worker, .listener = &server->listeners[index]};
    gate->evhttp = evhttp_new(worker->base);
    CELLA_ENSURE(gate->evhttp, OUT_OF_MEMORY);
    evhttp_set_max_headers_size(gate->evhttp, (ev_ssize_t)server->options.header_size_max);
    evhttp_set_max_body_size(gate->evhttp, (ev_ssize_t)server->options.body_size_max);
    evhttp_set_flags(gate->evhttp, EVHTTP_SERVER_LINGERING_CLOSE);
    evhttp_set_timeout(gate->evhttp,
                       (int)(server->options.idle_seconds > server->options.request_seconds
                                 ? server->options.idle_seconds
                                 : server->options.request_seconds));
    evhttp_set_allowed_methods(gate->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                                 EVHTTP_REQ_DELETE | EVHTTP_REQ_HEAD |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_default_content_type(gate->evhttp, NULL);
    evhttp_set_bevcb(gate->evhttp, on_connection, gate);
    evhttp_set_gencb(gate->evhttp, exchange_arrived, gate);
    CELLA_TRY(listener_socket(gate->listener, &fd, error));
    gate->again = evtimer_new(worker->base, on_accept_again, gate);
    gate->bound = gate->again ? evhttp_accept_socket_with_handle(gate->evhttp, fd) : NULL;
    if (!gate->bound) {
        close(fd);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(gate->bound), on_accept_error);
    return CELLA_OK;
}

static cella_result worker_open(struct worker *worker, struct http_server *server,
                                struct cella_error *error)
{
    struct event_config *config = event_config_new();
    worker->server = server;
    pthread_mutex_init(&worker->lock, NULL);
    CELLA_ENSURE(config, OUT_OF_MEMORY);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CELLA_ENSURE(worker->base && worker->wake_fd >= 0, OUT_OF_MEMORY);
    worker->wake = event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->drain_tick = event_new(worker->base, -1, EV_PERSIST, on_drain_tick, worker);
    CELLA_ENSURE(worker->wake && worker->drain_tick, OUT_OF_MEMORY);
    event_add(worker->wake, NULL);
    for (size_t i = 0; i < server->listener_count; i++) {
        CELLA_TRY(gate_open(worker, i, error));
    }
    return CELLA_OK;
}

static void worker_close(struct worker *worker)
{
    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        if (worker->gates[i].evhttp) {
            evhttp_free(worker->gates[i].evhttp);
        }
        if (worker->gates[i].again) {
            event_free(worker->gates[i].again);
        }
    }
    if (worker->wake) {
        event_free(worker->wake);
    }
    if (worker->drain_tick) {
        event_free(worker->drain_tick);
    }
    if (worker->base) {
        event_base_free(worker->base);
    }
    if (worker->wake_fd > 0) {
        close(worker->wake_fd);
    }
}

/* ----------------------------------------------------------------------- server */

static unsigned processor_count(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 16 ? 16 : (unsigned)count;
}

/* As many descriptors as the system lets us have: a connection needs one. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static cella_result parse_listeners(struct http_server *server, const struct http_options *options,
                                    struct cella_error *error)
{
    bool tls = false;
    if (options->listen.count == 0 || options->listen.count > LISTENERS_MAX) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE), "1 to %u listen lines are needed",
                               LISTENERS_MAX);
    }
    for (size_t i = 0; i < options->listen.count; i++) {
        CELLA_TRY(listener_parse(options->listen.items[i], &server->listeners[i], error));
        tls |= server->listeners[i].kind == LISTENER_TLS;
    }
    server->listener_count = options->listen.count;
    return tls ? tls_context_new(options, &server->tls, error) : CELLA_OK;
}

static void announce(const struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        const struct listener *listener = &server->listeners[i];
        static const char *const kinds[] = {"tcp", "tls", "unix"};
        struct log_line line;
        log_begin(&line, LOG_INFO, "listening");
        log_text(&line, "kind", kinds[listener->kind]);
        log_text(&line, "address",
                 listener->kind == LISTENER_UNIX ? listener->path : listener->host);
        if (listener->bound_port) {
            log_number(&line, "port", listener->bound_port);
        }
        log_end(&line);
    }
}

static cella_result start(struct http_server *server, const struct http_options *options,
                          struct cella_error *error)
{
    sigset_t all;
    sigset_t before;
    CELLA_TRY(parse_listeners(server, options, error));
    unsigned wanted = options->threads ? options->threads : processor_count();
    for (unsigned i = 0; i < wanted; i++) {
        CELLA_TRY(worker_open(&server->workers[i], server, error));
        server->worker_count++;
    }
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    cella_result result = pool_start(server);
    for (unsigned i = 0; i < wanted && cella_is_ok(result); i++) {
        if (pthread_create(&server->workers[i].thread, NULL, worker_run, &server->workers[i]) !=
            0) {
            result = CELLA_RESULT(OUT_OF_THREADS);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static void server_free(struct http_server *server)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        worker_close(&server->workers[i]);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].unix_fd >= 0 && server->listeners[i].kind == LISTENER_UNIX) {
            close(server->listeners[i].unix_fd);
            unlink(server->listeners[i].path);
        }
    }
    SSL_CTX_free(server->tls);
    free(server->route_metrics);
    free(server);
}

cella_result http_server_start(const struct http_service *service,
                               const struct http_options *options, struct http_server **ret_server,
                               struct cella_error *error)
{
    struct http_server *server = calloc(1, sizeof(*server));
    CELLA_ENSURE(server, OUT_OF_MEMORY);
    server->service = *service;
    server->options = *options;
    pthread_mutex_init(&server->tls_lock, NULL);
    pthread_mutex_init(&server->pool_lock, NULL);
    pthread_cond_init(&server->pool_wake, NULL);
    RAND_bytes((unsigned char *)&server->id_prefix, sizeof(server->id_prefix));
    server->route_metrics = calloc(service->route_count + 2, sizeof(*server->route_metrics));
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    log_set_level((enum log_level)options->log_level);
    cella_result result =
        server->route_metrics ? start(server, options, error) : CELLA_RESULT(OUT_OF_MEMORY);
    if (!cella_is_ok(result)) {
        if (error && error->text[0] == 0) {
            cella_ignore(cella_error_set(error, result, "%s", cella_result_text(result)));
        }
        server_free(server);
        return result;
    }
    announce(server);
    *ret_server = server;
    return CELLA_OK;
}

cella_result http_server_reload(struct http_server *server, const struct http_options *options,
                                struct cella_error *error)
{
    SSL_CTX *context = NULL;
    if (server->tls) {
        CELLA_TRY(tls_context_new(options, &context, error));
        pthread_mutex_lock(&server->tls_lock);
        SSL_CTX *old = server->tls;
        server->tls = context;
        pthread_mutex_unlock(&server->tls_lock);
        SSL_CTX_free(old); /* connections there are keep theirs */
    }
    log_set_level((enum log_level)options->log_level);
    server->options.access_log = options->access_log;
    return CELLA_OK;
}

void http_server_stop(struct http_server *server)
{
    const uint64_t one = 1;
    if (!server) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &server->drain_until);
    server->drain_until.tv_sec += (time_t)server->options.drain_seconds;
    server->draining = true;
    for (unsigned i = 0; i < server->worker_count; i++) {
        ssize_t written = write(server->workers[i].wake_fd, &one, sizeof(one));
        (void)written;
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        pthread_join(server->workers[i].thread, NULL);
    }
    pool_stop(server);
    for (unsigned i = 0; i < server->worker_count; i++) {
        send_done(
            &server->workers
                 [i]); /* answers that came too late to be sent are freed with their connections */
    }
    server_free(server);
}

unsigned http_server_port(const struct http_server *server, size_t index)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].kind != LISTENER_UNIX && index-- == 0) {
            return server->listeners[i].bound_port;
        }
    }
    return 0;
}
