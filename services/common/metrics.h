/*
 * Figures for Prometheus: counters, gauges, and the time that requests take.
 * Side: services. Counted from every thread without locks. Never resets.
 */
#ifndef CELLA_SERVICES_METRICS_H
#define CELLA_SERVICES_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct evbuffer;

/* A counter or gauge of a service; tables end in a row without a name. */
struct metric {
    const char *name;
    const char *help;
    const char *labels; /* as name="value"; NULL: none. Rows of one name stand together */
    bool gauge;
    _Atomic int64_t value;
};

#define METRICS_BUCKETS 12u
#define METRICS_STATUSES 24u

/* What one route has seen. */
struct route_metrics {
    _Atomic uint64_t statuses[METRICS_STATUSES];
    _Atomic uint64_t buckets[METRICS_BUCKETS + 1];
    _Atomic uint64_t microseconds;
};

static inline void metric_add(struct metric *metric, int64_t value)
{
    atomic_fetch_add_explicit(&metric->value, value, memory_order_relaxed);
}

void metrics_count(struct route_metrics *route, int status, double seconds);
/* In the text format 0.0.4. */
void metrics_write(struct evbuffer *out, struct metric *table);
void metrics_write_routes_head(struct evbuffer *out);
void metrics_write_route(struct evbuffer *out, const char *name, struct route_metrics *route);
void metrics_write_times_head(struct evbuffer *out);
void metrics_write_times(struct evbuffer *out, const char *name, struct route_metrics *route);

#endif
