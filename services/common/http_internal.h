/*
 * Between the sources of the HTTP server.
 * Side: services. Used by services/common/http_*.c only.
 */
#ifndef CELLA_SERVICES_HTTP_INTERNAL_H
#define CELLA_SERVICES_HTTP_INTERNAL_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <time.h>

#include "services/common/http.h"

#define LISTENERS_MAX 8u
#define WORKERS_MAX 64u
#define POOL_THREADS 4u
#define POOL_QUEUE_MAX 256u
#define REPLY_HEADERS_MAX 24u
#define CONNECTION_PLACES 1024u

enum listener_kind { LISTENER_TCP, LISTENER_TLS, LISTENER_UNIX };

struct listener {
    enum listener_kind kind;
    char host[256];
    char port[12];
    char path[108];
    unsigned bound_port;
    int unix_fd;
};

struct connection {
    struct connection *next;
    struct connection *previous;
    struct connection *same; /* the next of its place in worker.table */
    struct worker *worker;
    struct bufferevent *bufferevent;
    struct evhttp_connection *evhttp; /* NULL until adopted */
    struct event *deadline;
    bool refused; /* above connections_max when it came */
    bool busy;    /* a handler has its request, or the answer is on its way */
};

struct gate {
    struct worker *worker;
    struct listener *listener;
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound;
    struct event *again; /* accepts again after there were no descriptors */
};

struct worker {
    struct http_server *server;
    pthread_t thread;
    struct event_base *base;
    struct gate gates[LISTENERS_MAX];
    int wake_fd;
    struct event *wake;
    struct event *drain_tick;
    pthread_mutex_t lock; /* of `done` */
    struct http_exchange *done;
    struct connection *connections;
    struct connection *table[CONNECTION_PLACES]; /* by evhttp's pointer */
    unsigned busy;
    bool draining;
};

struct http_server {
    struct http_service service;
    struct http_options options; /* numbers only are used */
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct worker workers[WORKERS_MAX];
    unsigned worker_count;
    struct route_metrics *route_metrics; /* one a route, then built-in, then none */
    _Atomic int64_t connections;
    _Atomic int64_t connections_total;
    _Atomic int64_t connections_refused;
    _Atomic int64_t deadlines;
    _Atomic bool draining;
    struct timespec drain_until;
    pthread_mutex_t tls_lock;
    SSL_CTX *tls;
    uint64_t id_prefix;
    _Atomic uint64_t id_next;
    /* The pool for handlers that may block. */
    pthread_t pool[POOL_THREADS];
    unsigned pool_count;
    pthread_mutex_t pool_lock;
    pthread_cond_t pool_wake;
    struct http_exchange *pool_first;
    struct http_exchange *pool_last;
    unsigned pool_length;
    bool pool_stop;
};

struct reply_header {
    char *name;
    char *value;
};

struct http_exchange {
    struct http_exchange *next;
    struct http_server *server;
    struct worker *worker;
    struct connection *connection;
    struct evhttp_request *request;
    const struct http_route *route; /* NULL: none or built in */
    size_t metrics;                 /* place in route_metrics */
    struct timespec started;
    char id[HTTP_ID_SIZE];
    char *path;
    char *segments[HTTP_SEGMENTS_MAX];
    size_t segment_count;
    struct evkeyvalq query;
    bool query_read;
    struct cella_bytes body;
    int status;
    const char *type;
    uint8_t *reply;
    size_t reply_size;
    bool close;
    bool later;     /* the handler asked to be called where it may block */
    bool may_block; /* and is there */
    struct reply_header headers[REPLY_HEADERS_MAX];
    size_t header_count;
    char note[160];
};

/* http_exchange.c: what an arrived request goes through, on its worker's thread. */
void exchange_arrived(struct evhttp_request *request, void *gate);
/* Runs the handler; the last step before exchange_send. */
void exchange_handle(struct http_exchange *exchange, bool may_block);
void exchange_send(struct http_exchange *exchange);
void exchange_fail(struct http_exchange *exchange, int status, const char *message);

/* http_builtin.c: /healthz, /readyz, /metrics; false when it is none of them. */
bool builtin_handle(struct http_exchange *exchange, const char *method);

/* http_server.c */
struct connection *connection_find(struct worker *worker, struct evhttp_connection *evhttp);
void connection_set_deadline(struct connection *connection, unsigned seconds);
/* http_pool.c: hands a request to the pool; false when its queue is full. */
bool pool_submit(struct http_exchange *exchange);
cella_result pool_start(struct http_server *server);
void pool_stop(struct http_server *server);
/* http_listen.c */
cella_result listener_parse(const char *text, struct listener *ret_listener,
                            struct cella_error *error);
/* A socket for one worker. */
cella_result listener_socket(struct listener *listener, int *ret_fd, struct cella_error *error);
cella_result tls_context_new(const struct http_options *options, SSL_CTX **ret_context,
                             struct cella_error *error);

#endif
