/*
 * cella-device-plugin: enclave devices and memory for a Kubernetes node. cella-device-plugin(8) is the manual.
 * Side: services. The program's entry: settings, the loop's thread, figures over HTTP.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/common/daemon.h"
#include "services/common/log.h"
#include "services/device-plugin/plugin.h"

#define FIELD(member) offsetof(struct plugin_settings, member)
#define LISTEN "tcp://127.0.0.1:9871"
#define SECRETS "/var/run/secrets/kubernetes.io/serviceaccount/"

static const char g_usage[] =
    "usage: cella-device-plugin [--config FILE] [--check] [--version] [--help]\n"
    "\n"
    "Gives the pods of a node SGX devices and enclave memory, under the names that manifests have\n"
    "for them (sgx.intel.com/{epc,enclave,provision}, kubernetes.azure.com/sgx_epc_mem_in_MiB,\n"
    "alibabacloud.com/sgx_epc_MiB), and cella.dev/soft-enclave where that is asked for.\n"
    "Speaks the kubelet's device plugin interface v1beta1.\n"
    "\n"
    "  --config FILE   key = value lines; cella-device-plugin(8) lists the keys\n"
    "  --check         read the configuration and end\n"
    "\n"
    "/healthz, /readyz and /metrics are at " LISTEN " unless `listen` says otherwise.\n"
    "The log is JSON, a line an event, on standard error.\n";

static const char *const g_quote_health[] = {"report", "require", "off", NULL};

static const struct setting g_settings[] = {
    HTTP_SETTINGS(struct plugin_settings, http, LISTEN),
    {"folder", SETTING_TEXT, FIELD(folder), 0, 0, 0, "/var/lib/kubelet/device-plugins"},
    {"dev_folder", SETTING_TEXT, FIELD(dev_folder), 0, 0, 0, "/dev"},
    {"sys_folder", SETTING_TEXT, FIELD(sys_folder), 0, 0, 0, "/sys"},
    {"dialect", SETTING_LIST, FIELD(dialects), 0, 0, 0, NULL},
    {"enclave_limit", SETTING_NUMBER, FIELD(enclave_limit), 0, 100000, 0, "110"},
    {"provision_limit", SETTING_NUMBER, FIELD(provision_limit), 0, 100000, 0, "110"},
    {"soft_enclaves", SETTING_NUMBER, FIELD(soft_enclaves), 0, 100000, 0, "0"},
    {"soft_platform", SETTING_TEXT, FIELD(soft_platform), 0, 0, 0, NULL},
    {"epc_mib", SETTING_NUMBER, FIELD(epc_mib), 0, UNITS_MAX, 0, "0"},
    {"quote_socket", SETTING_TEXT, FIELD(quote_socket), 0, 0, 0, "/var/run/aesmd/aesm.socket"},
    {"quote_health", SETTING_CHOICE, FIELD(quote_health), 0, 0, g_quote_health, "report"},
    {"quote_mount", SETTING_FLAG, FIELD(quote_mount), 0, 0, 0, "no"},
    {"legacy_paths", SETTING_FLAG, FIELD(legacy_paths), 0, 0, 0, "yes"},
    {"cdi", SETTING_FLAG, FIELD(cdi), 0, 0, 0, "no"},
    {"cdi_folder", SETTING_TEXT, FIELD(cdi_folder), 0, 0, 0, "/var/run/cdi"},
    {"seccomp_profile", SETTING_TEXT, FIELD(seccomp_profile), 0, 0, 0, NULL},
    {"seccomp_folder", SETTING_TEXT, FIELD(seccomp_folder), 0, 0, 0, "/var/lib/kubelet/seccomp"},
    {"node_update", SETTING_FLAG, FIELD(node_update), 0, 0, 0, "no"},
    {"node_labels", SETTING_FLAG, FIELD(node_labels), 0, 0, 0, "yes"},
    {"node_name", SETTING_TEXT, FIELD(node_name), 0, 0, 0, NULL},
    {"api_server", SETTING_TEXT, FIELD(api_server), 0, 0, 0, NULL},
    {"api_ca", SETTING_TEXT, FIELD(api_ca), 0, 0, 0, SECRETS "ca.crt"},
    {"api_token", SETTING_TEXT, FIELD(api_token), 0, 0, 0, SECRETS "token"},
    {NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL},
};

/* ------------------------------------------------------------------- the loop's thread */

static void on_stop(evutil_socket_t fd, short what, void *argument)
{
    struct plugin *plugin = argument;
    (void)fd, (void)what;
    event_base_loopbreak(plugin->base);
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    struct plugin *plugin = argument;
    const struct node_devices before = plugin->devices;
    struct cella_error error = {0};
    (void)fd, (void)what;
    kubelet_tick(plugin);
    if (plugin->settings->cdi && memcmp(&before, &plugin->devices, sizeof(before)) != 0 &&
        !cella_is_ok(cdi_write(plugin, &error))) {
        log_say(LOG_ERROR, "cdi", "%s", error.text);
    }
    malloc_trim(0); /* what a large request has taken */
}

static void *loop_run(void *argument)
{
    struct plugin *plugin = argument;
    event_base_dispatch(plugin->base);
    return NULL;
}

static cella_result loop_open(struct plugin *plugin, struct cella_error *error)
{
    static const struct timeval second = {.tv_sec = 1};
    plugin->base = event_base_new();
    plugin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CELLA_ENSURE(plugin->base && plugin->stop_fd >= 0, OUT_OF_MEMORY);
    plugin->stop = event_new(plugin->base, plugin->stop_fd, EV_READ, on_stop, plugin);
    plugin->tick = event_new(plugin->base, -1, EV_PERSIST, on_tick, plugin);
    CELLA_ENSURE(plugin->stop && plugin->tick && event_add(plugin->stop, NULL) == 0 &&
                     event_add(plugin->tick, &second) == 0,
                 OUT_OF_MEMORY);
    CELLA_TRY(resources_open(plugin, error));
    if (plugin->settings->cdi) {
        CELLA_TRY(cdi_write(plugin, error));
    }
    CELLA_TRY(seccomp_install(plugin->settings, error));
    if (plugin->settings->node_update) {
        CELLA_TRY(node_open(plugin->settings, plugin->counts_bytes ? plugin->epc_bytes : 0,
                            plugin->devices.enclave.is_there, &plugin->node, error));
    }
    return kubelet_open(plugin, error);
}

static void plugin_stop(void *context)
{
    struct plugin *plugin = context;
    if (plugin->has_thread) {
        eventfd_write(plugin->stop_fd, 1);
        pthread_join(plugin->thread, NULL);
    }
    kubelet_close(plugin);
    node_close(plugin->node);
    if (plugin->stop) {
        event_free(plugin->stop);
    }
    if (plugin->tick) {
        event_free(plugin->tick);
    }
    if (plugin->base) {
        event_base_free(plugin->base);
    }
    if (plugin->stop_fd > 0) {
        close(plugin->stop_fd);
    }
    free(plugin);
}

/* ------------------------------------------------------------------- the service */

static bool plugin_is_ready(void *context, const char **ret_reason)
{
    const struct plugin *plugin = context;
    *ret_reason = "not registered with the kubelet\n";
    return plugin->is_registered;
}

static void metrics_write_more(struct evbuffer *out, void *context)
{
    const struct plugin *plugin = context;
    epc_use_write(out, plugin->settings->sys_folder);
}

static cella_result name_set(struct plugin_settings *settings)
{
    const char *name = getenv("NODE_NAME");
    if (!settings->node_name && name) {
        settings->node_name = strdup(name);
        CELLA_ENSURE(settings->node_name, OUT_OF_MEMORY);
    }
    if (settings->http.threads == 0) {
        settings->http.threads = 1; /* health and figures only */
    }
    return CELLA_OK;
}

static cella_result plugin_start(void *values, struct http_service *ret_service,
                                 struct cella_error *error)
{
    mallopt(M_ARENA_MAX, 1); /* one thread allocates much */
    log_set_level((enum log_level)((struct plugin_settings *)values)->http.log_level);
    CELLA_TRY(name_set(values));
    struct plugin *plugin = calloc(1, sizeof(*plugin));
    CELLA_ENSURE(plugin, OUT_OF_MEMORY);
    plugin->settings = values;
    cella_result result = loop_open(plugin, error);
    if (cella_is_ok(result)) {
        plugin->has_thread = pthread_create(&plugin->thread, NULL, loop_run, plugin) == 0;
        result = plugin->has_thread ? CELLA_OK : CELLA_RESULT(OUT_OF_THREADS);
    }
    if (!cella_is_ok(result)) {
        plugin_stop(plugin);
        return result;
    }
    ret_service->context = plugin;
    ret_service->metrics = plugin_metrics;
    ret_service->write_metrics = metrics_write_more;
    ret_service->is_ready = plugin_is_ready;
    return CELLA_OK;
}

int main(int argc, char **argv)
{
    static const struct setting *const tables[] = {g_settings};
    static const struct settings settings = {tables, CELLA_COUNT(tables)};
    static const struct daemon_service service = {
        .name = "cella-device-plugin",
        .usage = g_usage,
        .settings = &settings,
        .values_size = sizeof(struct plugin_settings),
        .http_offset = FIELD(http),
        .listen = LISTEN,
        .start = plugin_start,
        .stop = plugin_stop,
    };
    return daemon_main(&service, argc, argv);
}
