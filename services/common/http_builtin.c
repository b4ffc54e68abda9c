/*
 * What every service answers: /healthz, /readyz, /metrics.
 * Side: services. Called by services/common/http_exchange.c. Never tells secrets.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "services/common/http_internal.h"

static int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) {
        return 0;
    }
    if (fscanf(file, "%*d %ld", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void write_server(struct evbuffer *out, struct http_server *server)
{
    struct metric table[] = {
        {"cella_http_connections", "Connections open.", NULL, true, server->connections},
        {"cella_http_connections_total", "Connections accepted.", NULL, false,
         server->connections_total},
        {"cella_http_connections_refused_total", "Connections above connections_max.", NULL, false,
         server->connections_refused},
        {"cella_http_deadlines_total", "Connections cut for not getting a request across in time.",
         NULL, false, server->deadlines},
        {"process_resident_memory_bytes", "Resident memory.", NULL, true, resident_bytes()},
        {NULL, NULL, NULL, false, 0},
    };
    metrics_write(out, table);
}

static void reply_metrics(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct evbuffer *out = evbuffer_new();
    if (!out) {
        exchange_fail(exchange, 500, "out of memory");
        return;
    }
    const size_t count = server->service.route_count;
    for (int times = 0; times <= 1; times++) {
        if (times) {
            metrics_write_times_head(out);
        } else {
            metrics_write_routes_head(out);
        }
        for (size_t i = 0; i < count + 2; i++) {
            char name[160];
            snprintf(name, sizeof(name), "%s %s",
                     i < count ? server->service.routes[i].method : "*",
                     i < count    ? server->service.routes[i].pattern
                     : i == count ? "built-in"
                                  : "none");
            (times ? metrics_write_times : metrics_write_route)(out, name,
                                                                &server->route_metrics[i]);
        }
    }
    write_server(out, server);
    metrics_write(out, server->service.metrics);
    if (server->service.write_metrics) {
        server->service.write_metrics(out, server->service.context);
    }
    size_t size = evbuffer_get_length(out);
    http_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
               cella_bytes_of(evbuffer_pullup(out, -1), size));
    evbuffer_free(out);
}

static void reply_text(struct http_exchange *exchange, int status, const char *text)
{
    http_reply(exchange, status, "text/plain; charset=utf-8", cella_bytes_of(text, strlen(text)));
}

static void reply_ready(struct http_exchange *exchange)
{
    const struct http_service *service = &exchange->server->service;
    const char *reason = "starting\n";
    if (exchange->server->draining) {
        reply_text(exchange, 503, "stopping\n");
    } else if (service->is_ready && !service->is_ready(service->context, &reason)) {
        reply_text(exchange, 503, reason);
    } else {
        reply_text(exchange, 200, "ready\n");
    }
}

bool builtin_handle(struct http_exchange *exchange, const char *method)
{
    const char *path = exchange->path;
    bool health = strcmp(path, "/healthz") == 0;
    bool ready = strcmp(path, "/readyz") == 0;
    if (!health && !ready && strcmp(path, "/metrics") != 0) {
        return false;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_reply_header(exchange, "Allow", "GET, HEAD");
        exchange_fail(exchange, 405, "this method is not allowed here");
    } else if (health) {
        reply_text(exchange, 200, "ok\n");
    } else if (ready) {
        reply_ready(exchange);
    } else {
        reply_metrics(exchange);
    }
    return true;
}
