/*
 * A request from arrival to answer: routes, headers, the line in the log.
 * Side: services. Called by libevent through services/common/http_server.c. Never interprets a body.
 */
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/http_internal.h"
#include "services/common/log.h"

/* ----------------------------------------------------------- what handlers call */

const char *http_id(const struct http_exchange *exchange)
{
    return exchange->id;
}

const char *http_path(const struct http_exchange *exchange)
{
    return exchange->path;
}

struct cella_bytes http_body(const struct http_exchange *exchange)
{
    return exchange->body;
}

const char *http_header(const struct http_exchange *exchange, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(exchange->request), name);
}

const char *http_query(const struct http_exchange *exchange, const char *name)
{
    return exchange->query_read ? evhttp_find_header(&exchange->query, name) : NULL;
}

const char *http_segment(const struct http_exchange *exchange, size_t index)
{
    return index < exchange->segment_count ? exchange->segments[index] : NULL;
}

const char *http_bearer(const struct http_exchange *exchange)
{
    const char *value = http_header(exchange, "Authorization");
    return value && strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 + strspn(value + 7, " ")
                                                          : NULL;
}

bool http_secret_equal(const char *a, const char *b)
{
    size_t size = strlen(a);
    return size == strlen(b) && CRYPTO_memcmp(a, b, size) == 0;
}

void http_reply(struct http_exchange *exchange, int status, const char *type,
                struct cella_bytes body)
{
    free(exchange->reply);
    exchange->reply_size = 0;
    exchange->reply = malloc(body.size ? body.size : 1);
    if (!exchange->reply) {
        exchange->status = 500;
        exchange->type = NULL;
        return;
    }
    if (body.size) {
        memcpy(exchange->reply, body.data, body.size);
    }
    exchange->reply_size = body.size;
    exchange->status = status;
    exchange->type = type;
}

void http_reply_json(struct http_exchange *exchange, int status, const char *type, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (!text) {
        exchange_fail(exchange, 500, "out of memory");
        return;
    }
    free(exchange->reply);
    exchange->reply = (uint8_t *)text;
    exchange->reply_size = strlen(text);
    exchange->status = status;
    exchange->type = type ? type : "application/json; charset=utf-8";
}

void http_reply_header(struct http_exchange *exchange, const char *name, const char *value)
{
    if (exchange->header_count < REPLY_HEADERS_MAX) {
        struct reply_header *header = &exchange->headers[exchange->header_count];
        header->name = strdup(name);
        header->value = strdup(value);
        exchange->header_count += header->name && header->value;
    }
}

void http_later(struct http_exchange *exchange)
{
    exchange->later = true;
}

bool http_may_block(const struct http_exchange *exchange)
{
    return exchange->may_block;
}

void http_note(struct http_exchange *exchange, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(exchange->note, sizeof(exchange->note), format, arguments);
    va_end(arguments);
}

void exchange_fail(struct http_exchange *exchange, int status, const char *message)
{
    if (!exchange->note[0]) {
        http_note(exchange, "%s", message);
    }
    if (exchange->server->service.fail) {
        exchange->server->service.fail(exchange, status, message);
        return;
    }
    json_t *error = json_pack("{s:s}", "error", message);
    char *text = error ? json_dumps(error, JSON_COMPACT) : NULL;
    http_reply(exchange, status, "application/json; charset=utf-8",
               cella_bytes_of(text, text ? strlen(text) : 0));
    free(text);
    json_decref(error);
}

/* ----------------------------------------------------------------------- routes */

/* Matches a pattern; parts that stand for {name} are copied into the exchange when it is given. */
static bool route_matches(const char *pattern, const char *path, struct http_exchange *exchange)
{
    size_t count = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        size_t size = strcspn(path, "/:");
        if (size == 0 || count == HTTP_SEGMENTS_MAX) {
            return false;
        }
        if (exchange) {
            exchange->segments[count] = strndup(path, size);
            exchange->segment_count = exchange->segments[count] ? count + 1 : count;
        }
        count++;
        path += size;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *path == 0;
}

static const char *method_name(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    default:
        return "?";
    }
}

/* Finds the route, or answers 404 or 405. */
static bool find_route(struct http_exchange *exchange, const char *method)
{
    const struct http_service *service = &exchange->server->service;
    char allowed[64] = "";
    for (size_t i = 0; i < service->route_count; i++) {
        const struct http_route *route = &service->routes[i];
        if (!route_matches(route->pattern, exchange->path, NULL)) {
            continue;
        }
        if (strcmp(route->method, method) == 0) {
            route_matches(route->pattern, exchange->path, exchange);
            exchange->route = route;
            exchange->metrics = i;
            return true;
        }
        size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used ? ", " : "", route->method);
    }
    exchange->metrics = service->route_count + 1;
    if (allowed[0]) {
        http_reply_header(exchange, "Allow", allowed);
        exchange_fail(exchange, 405, "this method is not allowed here");
    } else {
        exchange_fail(exchange, 404, "there is nothing at this path");
    }
    return false;
}

/* ------------------------------------------------------------------- a request */

static size_t count_headers(const struct evkeyvalq *headers, const char *name)
{
    size_t count = 0;
    for (const struct evkeyval *header = headers->tqh_first; header;
         header = header->next.tqe_next) {
        count += strcasecmp(header->key, name) == 0;
    }
    return count;
}

/* What evhttp reads leniently, and another reader would read differently, is refused and the connection closed. */
static const char *ambiguity(const struct http_exchange *exchange, enum evhttp_cmd_type type)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(exchange->request);
    const char *coding = evhttp_find_header(headers, "Transfer-Encoding");
    const char *length = evhttp_find_header(headers, "Content-Length");
    if (count_headers(headers, "Content-Length") > 1 || count_headers(headers, "Host") > 1 ||
        count_headers(headers, "Transfer-Encoding") > 1) {
        return "a header that may stand once is given twice";
    }
    if (coding && (length || strcasecmp(coding, "chunked") != 0)) {
        return "Transfer-Encoding must be chunked, without Content-Length";
    }
    if (length && strspn(length, "0123456789") != strlen(length)) {
        return "Content-Length is not a number";
    }
    bool may_have_body = type & (EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH);
    if (!may_have_body && (coding || (length && strspn(length, "0") != strlen(length)))) {
        return "a body is not expected with this method";
    }
    return NULL;
}

static bool read_target(struct http_exchange *exchange)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(exchange->request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    size_t size = 0;
    exchange->path = path ? evhttp_uridecode(path, 0, &size) : NULL;
    if (!exchange->path || strlen(exchange->path) != size || exchange->path[0] != '/') {
        return false;
    }
    if (query) {
        if (evhttp_parse_query_str(query, &exchange->query) != 0) {
            return false;
        }
        exchange->query_read = true;
    }
    return true;
}

static void read_body(struct http_exchange *exchange)
{
    struct evbuffer *buffer = evhttp_request_get_input_buffer(exchange->request);
    size_t size = evbuffer_get_length(buffer);
    exchange->body = cella_bytes_of(size ? evbuffer_pullup(buffer, -1) : NULL, size);
}

static struct http_exchange *exchange_new(struct evhttp_request *request, struct gate *gate)
{
    struct http_exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange) {
        return NULL;
    }
    struct http_server *server = gate->worker->server;
    exchange->server = server;
    exchange->worker = gate->worker;
    exchange->request = request;
    clock_gettime(CLOCK_MONOTONIC, &exchange->started);
    snprintf(exchange->id, sizeof(exchange->id), "%016llx%016llx",
             (unsigned long long)server->id_prefix, (unsigned long long)server->id_next++);
    exchange->connection = connection_find(gate->worker, evhttp_request_get_connection(request));
    return exchange;
}

static void exchange_free(struct http_exchange *exchange)
{
    if (exchange->query_read) {
        evhttp_clear_headers(&exchange->query);
    }
    for (size_t i = 0; i < exchange->segment_count; i++) {
        free(exchange->segments[i]);
    }
    for (size_t i = 0; i < exchange->header_count; i++) {
        free(exchange->headers[i].name);
        free(exchange->headers[i].value);
    }
    free(exchange->path);
    free(exchange->reply);
    free(exchange);
}

void exchange_arrived(struct evhttp_request *request, void *argument)
{
    struct gate *gate = argument;
    struct http_exchange *exchange = exchange_new(request, gate);
    enum evhttp_cmd_type type = evhttp_request_get_command(request);
    if (!exchange) {
        evhttp_send_error(request, 503, NULL);
        return;
    }
    if (exchange->connection) {
        connection_set_deadline(exchange->connection, 0);
        exchange->connection->busy = true;
        gate->worker->busy++;
    }
    exchange->metrics = exchange->server->service.route_count + 1;
    const char *doubt = ambiguity(exchange, type);
    if (doubt || !read_target(exchange)) {
        exchange->close = true;
        exchange_fail(exchange, 400, doubt ? doubt : "the path or the query cannot be decoded");
    } else if (builtin_handle(exchange, method_name(type))) {
        exchange->metrics = exchange->server->service.route_count;
    } else if (find_route(exchange, method_name(type))) {
        read_body(exchange);
        exchange->later = exchange->route->may_block;
        if (!exchange->later) {
            exchange_handle(exchange, false);
        }
        if (exchange->later) {
            if (pool_submit(exchange)) {
                return;
            }
            http_reply_header(exchange, "Retry-After", "1");
            exchange_fail(exchange, 503, "too many requests are waiting");
        }
    }
    exchange_send(exchange);
}

void exchange_handle(struct http_exchange *exchange, bool may_block)
{
    exchange->may_block = may_block;
    exchange->route->handler(exchange, exchange->server->service.context);
    if (exchange->status == 0 && (may_block || !exchange->later)) {
        exchange_fail(exchange, 500, "the request was not answered");
    }
}

/* ------------------------------------------------------------------- an answer */

static void log_exchange(const struct http_exchange *exchange, double seconds)
{
    struct log_line line;
    enum log_level level = exchange->status >= 500 ? LOG_ERROR : LOG_INFO;
    if (!exchange->server->options.access_log || (int)level < (int)log_level()) {
        return;
    }
    log_begin(&line, level, "request");
    log_text(&line, "id", exchange->id);
    char *peer = NULL;
    ev_uint16_t port = 0;
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->request);
    if (connection) {
        evhttp_connection_get_peer(connection, &peer, &port);
    }
    log_text(&line, "peer", peer);
    log_text(&line, "method", method_name(evhttp_request_get_command(exchange->request)));
    log_text(&line, "path", exchange->path);
    log_number(&line, "status", exchange->status);
    log_decimal(&line, "ms", seconds * 1000);
    log_number(&line, "in", (int64_t)exchange->body.size);
    log_number(&line, "out", (int64_t)exchange->reply_size);
    if (exchange->note[0]) {
        log_text(&line, "note", exchange->note);
    }
    log_end(&line);
}

/* The answer has been written: the time for the next request starts. */
static void on_complete(struct evhttp_request *request, void *argument)
{
    struct worker *worker = argument;
    struct connection *connection = connection_find(worker, evhttp_request_get_connection(request));
    if (connection) {
        connection->busy = false;
        worker->busy--;
        connection_set_deadline(connection, worker->server->options.idle_seconds);
    }
}

static void free_reply(const void *data, size_t size, void *argument)
{
    (void)data;
    (void)size;
    free(argument);
}

void exchange_send(struct http_exchange *exchange)
{
    struct timespec now;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(exchange->request);
    struct http_server *server = exchange->server;

    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - exchange->started.tv_sec) +
                     (double)(now.tv_nsec - exchange->started.tv_nsec) / 1e9;
    if (server->service.finish) {
        server->service.finish(exchange, server->service.context);
    }
    for (size_t i = 0; i < exchange->header_count; i++) {
        evhttp_add_header(headers, exchange->headers[i].name, exchange->headers[i].value);
    }
    if (exchange->type) {
        evhttp_add_header(headers, "Content-Type", exchange->type);
    }
    if (exchange->close || server->draining) {
        evhttp_add_header(headers, "Connection", "close");
    }
    metrics_count(&server->route_metrics[exchange->metrics], exchange->status, seconds);
    log_exchange(exchange, seconds);
    struct evbuffer *body = evhttp_request_get_output_buffer(exchange->request);
    if (exchange->reply_size && evhttp_request_get_command(exchange->request) != EVHTTP_REQ_HEAD) {
        evbuffer_add_reference(body, exchange->reply, exchange->reply_size, free_reply,
                               exchange->reply);
        exchange->reply = NULL;
    }
    if (exchange->connection) {
        connection_set_deadline(exchange->connection, server->options.idle_seconds);
    }
    evhttp_request_set_on_complete_cb(exchange->request, on_complete, exchange->worker);
    evhttp_send_reply(exchange->request, exchange->status, NULL, NULL);
    exchange_free(exchange);
}
