/*
 * Requests to another service, over HTTP or HTTPS, with libevent's client and OpenSSL.
 * Side: services. Called on threads that may block: each call has an event loop of its own.
 */
#include "services/common/fetch.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

struct fetch {
    const char *url;
    const struct fetch_options *options;
    struct cella_error *error;
    struct event_base *base;
    struct evhttp_uri *uri;
    const char *host;
    int port;
    SSL_CTX *tls;
    struct bufferevent *bufferevent;
    struct evhttp_connection *connection;
    struct addrinfo *addresses;
    struct fetch_answer answer;
    bool answered, was_connected, is_late;
    bool out_of_memory;
    long verify;
};

static cella_result fail(const struct fetch *fetch, const char *what)
{
    return cella_error_set(fetch->error, CELLA_RESULT(IO), "%s: %s", fetch->url, what);
}

static void keep_headers(struct fetch *fetch, const struct evkeyvalq *headers)
{
    for (const struct evkeyval *header = headers->tqh_first;
         header && fetch->answer.header_count < FETCH_HEADERS_MAX; header = header->next.tqe_next) {
        size_t at = fetch->answer.header_count++;
        fetch->answer.names[at] = strdup(header->key);
        fetch->answer.values[at] = strdup(header->value);
        fetch->out_of_memory |= !fetch->answer.names[at] || !fetch->answer.values[at];
    }
}

static void on_answer(struct evhttp_request *request, void *argument)
{
    struct fetch *fetch = argument;
    if (fetch->bufferevent && fetch->tls) {
        SSL *ssl = bufferevent_openssl_get_ssl(fetch->bufferevent);
        fetch->verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    }
    if (request && evhttp_request_get_response_code(request)) {
        struct evbuffer *body = evhttp_request_get_input_buffer(request);
        fetch->answer.status = evhttp_request_get_response_code(request);
        fetch->answer.size = evbuffer_get_length(body);
        fetch->answer.body = malloc(fetch->answer.size + 1);
        fetch->out_of_memory |= !fetch->answer.body;
        if (fetch->answer.body) {
            evbuffer_remove(body, fetch->answer.body, fetch->answer.size);
            fetch->answer.body[fetch->answer.size] = 0;
        }
        keep_headers(fetch, evhttp_request_get_input_headers(request));
        fetch->answered = true;
    }
    event_base_loopexit(fetch->base, NULL);
}

static cella_result parse_url(struct fetch *fetch)
{
    fetch->uri = evhttp_uri_parse(fetch->url);
    const char *scheme = fetch->uri ? evhttp_uri_get_scheme(fetch->uri) : NULL;
    fetch->host = fetch->uri ? evhttp_uri_get_host(fetch->uri) : NULL;
    if (!scheme || !fetch->host || !fetch->host[0] ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        return fail(fetch, "expected http:// or https:// and a host");
    }
    bool secure = scheme[4] == 's';
    fetch->port = evhttp_uri_get_port(fetch->uri);
    fetch->port = fetch->port > 0 ? fetch->port : secure ? 443 : 80;
    if (!secure) {
        return CELLA_OK;
    }
    fetch->tls = SSL_CTX_new(TLS_client_method());
    CELLA_ENSURE(fetch->tls, OUT_OF_MEMORY);
    SSL_CTX_set_min_proto_version(fetch->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(fetch->tls, SSL_VERIFY_PEER, NULL);
    bool good = fetch->options->ca_file
                    ? SSL_CTX_load_verify_locations(fetch->tls, fetch->options->ca_file, NULL) == 1
                    : SSL_CTX_set_default_verify_paths(fetch->tls) == 1;
    ERR_clear_error();
    return good ? CELLA_OK : fail(fetch, "the certificates of authorities cannot be read");
}

/* All addresses of the host: one that nobody listens at is no reason to give up. */
static cella_result resolve(struct fetch *fetch)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const size_t size = strlen(fetch->host);
    char name[NI_MAXHOST];
    const bool has_brackets = fetch->host[0] == '[' && fetch->host[size - 1] == ']';
    CELLA_ENSURE(size < sizeof(name), LIMIT_EXCEEDED);
    snprintf(name, sizeof(name), "%.*s", (int)(size - (has_brackets ? 2 : 0)),
             fetch->host + (has_brackets ? 1 : 0));
    const int found = getaddrinfo(name, NULL, &hints, &fetch->addresses);
    return found == 0 ? CELLA_OK : fail(fetch, gai_strerror(found));
}

/* Only for connections that were there: what could not be made comes as an answer of nobody. */
static void on_error(enum evhttp_request_error error, void *argument)
{
    struct fetch *fetch = argument;
    (void)error;
    fetch->was_connected = true;
}

static cella_result connect_to(struct fetch *fetch, const struct addrinfo *to)
{
    char numeric_host[NI_MAXHOST];
    CELLA_ENSURE(getnameinfo(to->ai_addr, to->ai_addrlen, numeric_host, sizeof(numeric_host), NULL,
                             0, NI_NUMERICHOST) == 0,
                 INTERNAL);
    if (fetch->tls) {
        SSL *ssl = SSL_new(fetch->tls);
        unsigned char address[16];
        CELLA_ENSURE(ssl, OUT_OF_MEMORY);
        bool numeric = evutil_inet_pton(AF_INET, fetch->host, address) == 1;
        if ((numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), fetch->host)
                     : SSL_set1_host(ssl, fetch->host)) != 1 ||
            (!numeric && SSL_set_tlsext_host_name(ssl, fetch->host) != 1)) {
            SSL_free(ssl);
            return CELLA_RESULT(OUT_OF_MEMORY);
        }
        fetch->bufferevent = bufferevent_openssl_socket_new(
            fetch->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
        CELLA_ENSURE(fetch->bufferevent, OUT_OF_MEMORY);
        bufferevent_openssl_set_allow_dirty_shutdown(fetch->bufferevent, 1);
    }
    fetch->connection = evhttp_connection_base_bufferevent_new(
        fetch->base, NULL, fetch->bufferevent, numeric_host, (unsigned short)fetch->port);
    CELLA_ENSURE(fetch->connection, OUT_OF_MEMORY);
    evhttp_connection_set_timeout(fetch->connection, (int)fetch->options->seconds);
    evhttp_connection_set_max_headers_size(fetch->connection, 128 << 10);
    evhttp_connection_set_max_body_size(fetch->connection, (ev_ssize_t)fetch->options->size_max);
    return CELLA_OK;
}

static cella_result send_request(struct fetch *fetch)
{
    char target[4096];
    const char *path = evhttp_uri_get_path(fetch->uri);
    const char *query = evhttp_uri_get_query(fetch->uri);
    int size = snprintf(target, sizeof(target), "%s%s%s", path && path[0] ? path : "/",
                        query ? "?" : "", query ? query : "");
    CELLA_ENSURE(size > 0 && (size_t)size < sizeof(target), LIMIT_EXCEEDED);
    struct evhttp_request *request = evhttp_request_new(on_answer, fetch);
    CELLA_ENSURE(request, OUT_OF_MEMORY);
    evhttp_request_set_error_cb(request, on_error);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char host[300];
    snprintf(host, sizeof(host), "%s:%d", fetch->host, fetch->port);
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Connection", "close");
    evhttp_add_header(headers, "User-Agent", "cella");
    if (fetch->options->key_name && fetch->options->key_value) {
        evhttp_add_header(headers, fetch->options->key_name, fetch->options->key_value);
    }
    if (fetch->options->type) {
        char length[24]; /* libevent makes it for POST and PUT only */
        snprintf(length, sizeof(length), "%zu", strlen(fetch->options->body));
        evhttp_add_header(headers, "Content-Type", fetch->options->type);
        evhttp_add_header(headers, "Content-Length", length);
        evbuffer_add(evhttp_request_get_output_buffer(request), fetch->options->body,
                     strlen(fetch->options->body));
    }
    const bool is_patch = fetch->options->method && strcmp(fetch->options->method, "PATCH") == 0;
    /* evhttp owns the request from here, also when this fails. */
    return evhttp_make_request(fetch->connection, request,
                               is_patch ? EVHTTP_REQ_PATCH : EVHTTP_REQ_GET, target) == 0
               ? CELLA_OK
               : fail(fetch, "cannot connect");
}

static void disconnect(struct fetch *fetch)
{
    if (fetch->connection) {
        evhttp_connection_free(fetch->connection); /* and the bufferevent */
    } else if (fetch->bufferevent) {
        bufferevent_free(fetch->bufferevent);
    }
    fetch->connection = NULL;
    fetch->bufferevent = NULL;
}

/* One address; whether it answered, `fetch` says. */
static cella_result try(struct fetch *fetch, const struct addrinfo *address)
{
    cella_result result = connect_to(fetch, address);
    if (cella_is_ok(result)) {
        result = send_request(fetch);
    }
    if (cella_is_ok(result)) {
        event_base_dispatch(fetch->base);
    }
    disconnect(fetch);
    return result;
}

static void on_time(evutil_socket_t fd, short what, void *argument)
{
    struct fetch *fetch = argument;
    (void)fd, (void)what;
    fetch->is_late = true;
    event_base_loopexit(fetch->base, NULL);
}

static cella_result run(struct fetch *fetch)
{
    const struct timeval all = {.tv_sec = fetch->options->seconds};
    cella_result result = CELLA_OK;
    fetch->base = event_base_new();
    CELLA_ENSURE(fetch->base, OUT_OF_MEMORY);
    CELLA_TRY(parse_url(fetch));
    CELLA_TRY(resolve(fetch));
    CELLA_ENSURE(event_base_once(fetch->base, -1, EV_TIMEOUT, on_time, fetch, &all) == 0,
                 OUT_OF_MEMORY);
    for (const struct addrinfo *at = fetch->addresses;
         at && !fetch->answered && !fetch->was_connected && !fetch->is_late; at = at->ai_next) {
        result = try(fetch, at);
    }
    CELLA_TRY(result);
    if (fetch->out_of_memory) {
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (!fetch->answered) {
        return fail(fetch, fetch->verify != X509_V_OK ? X509_verify_cert_error_string(fetch->verify)
                                                      : "no answer");
    }
    return CELLA_OK;
}

cella_result fetch_get(const char *url, const struct fetch_options *options,
                       struct fetch_answer *ret_answer, struct cella_error *error)
{
    struct fetch fetch = {.url = url, .options = options, .error = error};
    cella_result result = run(&fetch);
    disconnect(&fetch);
    if (fetch.addresses) {
        freeaddrinfo(fetch.addresses);
    }
    if (fetch.uri) {
        evhttp_uri_free(fetch.uri);
    }
    SSL_CTX_free(fetch.tls);
    if (fetch.base) {
        event_base_free(fetch.base);
    }
    if (!cella_is_ok(result)) {
        fetch_done(&fetch.answer);
        return result;
    }
    *ret_answer = fetch.answer;
    return CELLA_OK;
}

const char *fetch_header(const struct fetch_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->names[i], name) == 0) {
            return answer->values[i];
        }
    }
    return NULL;
}

void fetch_done(struct fetch_answer *answer)
{
    free(answer->body);
    for (size_t i = 0; i < answer->header_count; i++) {
        free(answer->names[i]);
        free(answer->values[i]);
    }
    *answer = (struct fetch_answer){0};
}
