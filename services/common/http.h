/*
 * The HTTP/1.1 server of Cella's services, over libevent: TCP, TLS and Unix sockets, limits, worker threads.
 * Side: services. Called by each service with its table of routes. Never interprets a body.
 *
 * A handler gets a whole request and fills the answer in. It runs on the thread of its connection, or, when its
 * route says that it may block, on a thread for that. It may be called on many threads at once.
 */
#ifndef CELLA_SERVICES_HTTP_H
#define CELLA_SERVICES_HTTP_H

#include <jansson.h>
#include <stdbool.h>

#include "common/bytes.h"
#include "common/error.h"
#include "services/common/metrics.h"
#include "services/common/settings.h"

#define HTTP_ID_SIZE 33u
#define HTTP_SEGMENTS_MAX 4u

struct http_exchange;

typedef void (*http_handler)(struct http_exchange *exchange, void *context);

struct http_route {
    const char *method;
    /* Literal but for {name}, which stands for one or more characters that are neither '/' nor ':'. */
    const char *pattern;
    http_handler handler;
    bool may_block; /* off the threads of connections */
};

/* Keys of every service's configuration; embed it and put http_settings into the list of tables. */
struct http_options {
    struct setting_list listen;
    char *tls_certificate;
    char *tls_key;
    uint32_t threads;
    uint32_t connections_max;
    uint32_t header_size_max;
    uint32_t body_size_max;
    uint32_t request_seconds;
    uint32_t idle_seconds;
    uint32_t drain_seconds;
    bool access_log;
    uint32_t log_level;
};

/* The rows of those keys, for a struct that has them at `offset`. `listen` says where to listen without any. */
#define HTTP_SETTINGS(type, member, default_listen)                                                \
    {"listen", SETTING_LIST, offsetof(type, member.listen), 0, 0, 0, 0},                           \
        {"tls_certificate", SETTING_TEXT, offsetof(type, member.tls_certificate), 0, 0, 0, 0},     \
        {"tls_key", SETTING_TEXT, offsetof(type, member.tls_key), 0, 0, 0, 0},                     \
        {"threads", SETTING_NUMBER, offsetof(type, member.threads), 0, 64, 0, "0"},                \
        {"connections_max",                                                                        \
         SETTING_NUMBER,                                                                           \
         offsetof(type, member.connections_max),                                                   \
         1,                                                                                        \
         1000000,                                                                                  \
         0,                                                                                        \
         "4096"},                                                                                  \
        {"header_size_max",                                                                        \
         SETTING_NUMBER,                                                                           \
         offsetof(type, member.header_size_max),                                                   \
         1024,                                                                                     \
         1048576,                                                                                  \
         0,                                                                                        \
         "32768"},                                                                                 \
        {"body_size_max", SETTING_NUMBER, offsetof(type, member.body_size_max), 1024, 67108864, 0, \
         "1048576"},                                                                               \
        {"request_seconds",                                                                        \
         SETTING_NUMBER,                                                                           \
         offsetof(type, member.request_seconds),                                                   \
         1,                                                                                        \
         3600,                                                                                     \
         0,                                                                                        \
         "15"},                                                                                    \
        {"idle_seconds", SETTING_NUMBER, offsetof(type, member.idle_seconds), 1, 3600, 0, "60"},   \
        {"drain_seconds", SETTING_NUMBER, offsetof(type, member.drain_seconds), 0, 3600, 0, "10"}, \
        {"access_log", SETTING_FLAG, offsetof(type, member.access_log), 0, 0, 0, "yes"},           \
    {                                                                                              \
        "log_level", SETTING_CHOICE, offsetof(type, member.log_level), 0, 0, http_log_levels,      \
            "info"                                                                                 \
    }

extern const char *const http_log_levels[];

struct http_service {
    const char *name;
    const struct http_route *routes;
    size_t route_count;
    void *context;          /* of the handlers */
    struct metric *metrics; /* may be NULL; ends in a row without a name */
    /* Figures whose rows are not known before, in the text format; may be NULL. */
    void (*write_metrics)(struct evbuffer *out, void *context);
    /* Answers an error that no handler made (404, 405, 413 …) in the service's form. NULL: {"error": …}. */
    void (*fail)(struct http_exchange *exchange, int status, const char *message);
    /* Headers of every answer; may be NULL. */
    void (*finish)(struct http_exchange *exchange, void *context);
    bool (*is_ready)(void *context, const char **ret_reason); /* for /readyz; may be NULL */
};

struct http_server;

/* Binds and starts the threads. With `listen` at port 0 the port is chosen; http_server_port tells. */
CELLA_MUST_USE cella_result http_server_start(const struct http_service *service,
                                              const struct http_options *options,
                                              struct http_server **ret_server,
                                              struct cella_error *error);
/* New certificate, key and log level, for connections to come. Other keys need a restart. */
CELLA_MUST_USE cella_result http_server_reload(struct http_server *server,
                                               const struct http_options *options,
                                               struct cella_error *error);
/* Accepts nothing more, lets requests end for at most drain_seconds, joins the threads, frees. */
void http_server_stop(struct http_server *server);
/* The port of the nth TCP or TLS listener; 0 when there is none. */
unsigned http_server_port(const struct http_server *server, size_t index);

/* ------------------------------------------------------------- for handlers */

const char *http_id(const struct http_exchange *exchange);
const char *http_path(const struct http_exchange *exchange);
struct cella_bytes http_body(const struct http_exchange *exchange);
/* NULL when absent. */
const char *http_header(const struct http_exchange *exchange, const char *name);
const char *http_query(const struct http_exchange *exchange, const char *name);
/* The nth {…} of the pattern. */
const char *http_segment(const struct http_exchange *exchange, size_t index);
/* The token of `Authorization: Bearer …`; NULL when there is none. */
const char *http_bearer(const struct http_exchange *exchange);

void http_reply(struct http_exchange *exchange, int status, const char *type,
                struct cella_bytes body);
/* Takes over the reference. */
void http_reply_json(struct http_exchange *exchange, int status, const char *type, json_t *json);
void http_reply_header(struct http_exchange *exchange, const char *name, const char *value);
/* From a handler on a connection's thread that finds that it must block: it is called again where it may. */
void http_later(struct http_exchange *exchange);
bool http_may_block(const struct http_exchange *exchange);
/* A word for the log line of this request. */
void http_note(struct http_exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Constant-time comparison of secrets that are strings. */
bool http_secret_equal(const char *a, const char *b);

#endif
