/*
 * The device plugin: its settings, what it offers, and who does what.
 * Side: services. Called by the files of this folder. One thread (the loop) has all of it but `metrics`, which everyone
 * counts in, and `node`, which has a thread of its own: nothing waits for the API server.
 */
#ifndef CELLA_DEVICE_PLUGIN_PLUGIN_H
#define CELLA_DEVICE_PLUGIN_PLUGIN_H

#include <pthread.h>
#include <stdatomic.h>

#include "services/common/enclave_resources.h"
#include "services/common/http.h"
#include "services/device-plugin/wire.h"

#define KUBELET_SOCKET "kubelet.sock"
#define UNITS_MAX (1u << 24) /* of one resource, before the size of a message limits them */

enum quote_health { QUOTE_REPORT, QUOTE_REQUIRE, QUOTE_OFF };

struct plugin_settings {
    struct http_options http;
    char *folder; /* the kubelet's, of device plugins */
    char *dev_folder;
    char *sys_folder;
    struct setting_list dialects;
    uint32_t enclave_limit, provision_limit, soft_enclaves;
    uint32_t epc_mib; /* 0: what the machine has */
    char *soft_platform;
    char *quote_socket;
    uint32_t quote_health; /* enum quote_health */
    bool quote_mount;
    bool legacy_paths;
    bool cdi;
    char *cdi_folder;
    char *seccomp_profile; /* NULL: none is installed */
    char *seccomp_folder;
    bool node_update, node_labels;
    char *node_name;
    char *api_server;
    char *api_ca;
    char *api_token;
};

/* A device node as the container runtime of the node knows it, or why there is none. */
struct device_node {
    bool is_there;
    unsigned major, minor;
    char host_path[192];
    char reason[256];
};

/* devices.c */
struct node_devices {
    struct device_node enclave, provision;
};
void devices_probe(const struct plugin_settings *settings, struct node_devices *ret_devices);
/* 0: the machine has none. */
uint64_t devices_epc_bytes(const struct plugin_settings *settings);
/* Whether somebody listens at the quote socket. */
bool devices_quotes(const char *socket_path);

struct plugin;

/* A ListAndWatch that a kubelet has open. */
struct watch {
    struct watch *next, **link;
    struct resource *resource;
    struct rpc_call *call;
    uint64_t sent; /* the version that the kubelet has or is being sent */
    bool in_message, healthy;
    uint32_t index, count;
    uint8_t piece[96];
    size_t piece_size, piece_sent;
};

enum registration { REGISTRATION_NEEDED, REGISTRATION_PENDING, REGISTRATION_DONE };

/* What is offered under one name. */
struct resource {
    struct plugin *plugin;
    const struct enclave_resource *kind;
    size_t index; /* in the table, and of its metrics */
    uint32_t count;
    bool is_offered; /* its device has been there once */
    bool healthy;
    char reason[256];
    uint64_t version; /* of what is advertised */
    struct watch *watches;
    struct rpc_service service;
    struct wire_listener *listener;
    char endpoint[96];
    /* with the kubelet */
    enum registration registration;
    struct wire *call;
    int64_t retry_at, lonely_since; /* milliseconds */
    uint32_t backoff, lonely_limit;
    char last_failure[RPC_TEXT_SIZE];
};

struct
    node; /* node_file.c: a file of the node, replaced in one step; the seccomp profile that is one */
CELLA_MUST_USE cella_result node_file_write(const char *folder, const char *name, const void *data,
                                            size_t size, struct cella_error *error);
CELLA_MUST_USE cella_result seccomp_install(const struct plugin_settings *settings,
                                            struct cella_error *error);

/* node.c */

struct plugin {
    const struct plugin_settings *settings;
    struct event_base *base;
    pthread_t thread;
    bool has_thread;
    int stop_fd; /* eventfd: ends the loop */
    struct event *stop, *tick, *changes, *soon;
    int watch_fd; /* inotify */
    int64_t kubelet_id[4];
    bool kubelet_is_there;
    struct node_devices devices;
    uint64_t epc_bytes;
    bool counts_bytes; /* they are a figure in the node's status */
    bool quotes;
    struct resource resources[ENCLAVE_RESOURCES];
    size_t resource_count;
    struct node *node;
    atomic_bool is_registered;
    struct metric *metrics;
};

/* resources.c: what is offered, its health, and the list that the kubelet watches */
CELLA_MUST_USE cella_result resources_open(struct plugin *plugin, struct cella_error *error);
/* Looks at the quote socket; at the devices. The second tells the watchers what has changed. */
void quotes_probe(struct plugin *plugin);
void resources_probe(struct plugin *plugin);
/* Opens a stream of the list. */
void resource_watch(struct resource *resource, struct rpc_call *call);
void resource_id(const struct resource *resource, uint32_t index, char ret_id[40]);
bool resource_id_parse(const struct resource *resource, const char *id, uint32_t *ret_index);
/* How many devices fit into a message. */
uint32_t resource_fit(const struct resource *resource, uint32_t count, bool healthy);

/* service.c: the kubelet's calls */
extern const struct rpc_method plugin_methods[];
extern const size_t plugin_method_count;

/* kubelet.c: sockets, registration, restarts; on the loop's thread */
CELLA_MUST_USE cella_result kubelet_open(struct plugin *plugin, struct cella_error *error);
void kubelet_tick(struct plugin *plugin);
void kubelet_close(struct plugin *plugin);

/* cdi.c */
#define CDI_KIND "cella.dev/sgx"
CELLA_MUST_USE cella_result cdi_write(const struct plugin *plugin, struct cella_error *error);

/* node.c */
CELLA_MUST_USE cella_result node_open(const struct plugin_settings *settings, uint64_t epc_bytes,
                                      bool has_devices, struct node **ret_node,
                                      struct cella_error *error);
/* The kubelet has started anew: it has forgotten what was in the node's status. Any thread; NULL is fine. */
void node_refresh(struct node *node);
void node_close(struct node *node);

/* epc_use.c: enclave memory by pod, where the kernel counts it; on any thread */
struct evbuffer;
void epc_use_write(struct evbuffer *out, const char *sys_folder);

/* metrics.c */
enum plugin_metric {
    METRIC_DEVICES, /* these have a row for each resource of devices */
    METRIC_HEALTHY,
    METRIC_ALLOCATED,
    METRIC_REFUSED,
    METRIC_REGISTRATIONS,
    METRIC_REGISTRATION_FAILURES,
    METRIC_WATCHES,
    METRIC_BY_RESOURCE, /* how many of those there are */
    METRIC_EPC_BYTES = METRIC_BY_RESOURCE,
    METRIC_QUOTES,
    METRIC_KUBELET_RESTARTS,
    METRIC_CALLS,
    METRIC_CALLS_FAILED,
    METRIC_NODE_UPDATES,
    METRIC_NODE_FAILURES,
    METRIC_COUNT,
};
extern struct metric plugin_metrics[];
struct metric *plugin_metric(enum plugin_metric metric, size_t resource_index);
static inline void plugin_count(enum plugin_metric metric, size_t resource_index)
{
    metric_add(plugin_metric(metric, resource_index), 1);
}
static inline void plugin_gauge(enum plugin_metric metric, size_t resource_index, int64_t value)
{
    atomic_store_explicit(&plugin_metric(metric, resource_index)->value, value,
                          memory_order_relaxed);
}

#endif
