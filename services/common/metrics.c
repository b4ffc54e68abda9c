/*
 * Figures for Prometheus.
 * Side: services. Counted from every thread without locks. Never resets.
 */
#include "services/common/metrics.h"

#include <event2/buffer.h>
#include <string.h>

static const int g_statuses[METRICS_STATUSES] = {200, 201, 204, 301, 304, 400, 401, 403,
                                                 404, 405, 408, 409, 413, 415, 429, 460,
                                                 461, 462, 500, 501, 502, 503, 504, 0 /* others */};
static const double g_bounds[METRICS_BUCKETS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                 0.05,   0.1,   0.25,   1,     5,    15};

void metrics_count(struct route_metrics *route, int status, double seconds)
{
    unsigned at = 0;
    while (at < METRICS_STATUSES - 1 && g_statuses[at] != status) {
        at++;
    }
    atomic_fetch_add_explicit(&route->statuses[at], 1, memory_order_relaxed);
    at = 0;
    while (at < METRICS_BUCKETS && seconds > g_bounds[at]) {
        at++;
    }
    atomic_fetch_add_explicit(&route->buckets[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&route->microseconds, (uint64_t)(seconds * 1e6),
                              memory_order_relaxed);
}

void metrics_write(struct evbuffer *out, struct metric *table)
{
    const char *last = "";
    for (struct metric *metric = table; metric && metric->name; metric++) {
        if (strcmp(last, metric->name) != 0) {
            evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                                metric->name, metric->gauge ? "gauge" : "counter");
            last = metric->name;
        }
        evbuffer_add_printf(out, "%s%s%s%s %lld\n", metric->name, metric->labels ? "{" : "",
                            metric->labels ? metric->labels : "", metric->labels ? "}" : "",
                            (long long)metric->value);
    }
}

void metrics_write_routes_head(struct evbuffer *out)
{
    evbuffer_add_printf(out, "# HELP cella_http_requests_total Requests answered.\n"
                             "# TYPE cella_http_requests_total counter\n");
}

void metrics_write_route(struct evbuffer *out, const char *name, struct route_metrics *route)
{
    for (unsigned i = 0; i < METRICS_STATUSES; i++) {
        uint64_t count = route->statuses[i];
        if (count && g_statuses[i]) {
            evbuffer_add_printf(out, "cella_http_requests_total{route=\"%s\",status=\"%d\"} %llu\n",
                                name, g_statuses[i], (unsigned long long)count);
        } else if (count) {
            evbuffer_add_printf(out,
                                "cella_http_requests_total{route=\"%s\",status=\"other\"} %llu\n",
                                name, (unsigned long long)count);
        }
    }
}

void metrics_write_times_head(struct evbuffer *out)
{
    evbuffer_add_printf(out, "# HELP cella_http_request_seconds Time from the whole request to the "
                             "answer.\n# TYPE cella_http_request_seconds histogram\n");
}

void metrics_write_times(struct evbuffer *out, const char *name, struct route_metrics *route)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= METRICS_BUCKETS; i++) {
        sum += route->buckets[i];
    }
    if (sum == 0) {
        return;
    }
    sum = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        sum += route->buckets[i];
        evbuffer_add_printf(out, "cella_http_request_seconds_bucket{route=\"%s\",le=\"%g\"} %llu\n",
                            name, g_bounds[i], (unsigned long long)sum);
    }
    sum += route->buckets[METRICS_BUCKETS];
    evbuffer_add_printf(out,
                        "cella_http_request_seconds_bucket{route=\"%s\",le=\"+Inf\"} %llu\n"
                        "cella_http_request_seconds_sum{route=\"%s\"} %.6f\n"
                        "cella_http_request_seconds_count{route=\"%s\"} %llu\n",
                        name, (unsigned long long)sum, name, (double)route->microseconds / 1e6,
                        name, (unsigned long long)sum);
}
