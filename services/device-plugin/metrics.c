/*
 * What the device plugin counts.
 * Side: services. Called by all of it, on any thread.
 */
#include "services/device-plugin/plugin.h"

/* In the order of enclave_resources, without the first: that is no resource of devices. */
#define ROW_COUNT (ENCLAVE_RESOURCES - 1)
#define ROWS(name, help, gauge)                                                                    \
    {name, help, "resource=\"sgx.intel.com/enclave\"", gauge, 0},                                  \
        {name, help, "resource=\"sgx.intel.com/provision\"", gauge, 0},                            \
        {name, help, "resource=\"kubernetes.azure.com/sgx_epc_mem_in_MiB\"", gauge, 0},            \
        {name, help, "resource=\"alibabacloud.com/sgx_epc_MiB\"", gauge, 0},                       \
    {                                                                                              \
        name, help, "resource=\"cella.dev/soft-enclave\"", gauge, 0                                \
    }

struct metric plugin_metrics[] = {
    ROWS("cella_plugin_devices", "Devices advertised to the kubelet.", true),
    ROWS("cella_plugin_devices_healthy", "Devices advertised as healthy.", true),
    ROWS("cella_plugin_allocated_total", "Devices granted to containers.", false),
    ROWS("cella_plugin_refused_total", "Allocate and PreStartContainer calls refused.", false),
    ROWS("cella_plugin_registrations_total", "Registrations the kubelet has accepted.", false),
    ROWS("cella_plugin_registration_failures_total", "Registrations that failed.", false),
    ROWS("cella_plugin_watches", "ListAndWatch streams open.", true),
    {"cella_plugin_epc_bytes", "Enclave memory of the node.", NULL, true, 0},
    {"cella_plugin_quote_service_up", "1: somebody listens at the quote socket.", NULL, true, 0},
    {"cella_plugin_kubelet_starts_total", "Times a new kubelet was found.", NULL, false, 0},
    {"cella_plugin_calls_total", "gRPC calls answered.", NULL, false, 0},
    {"cella_plugin_calls_failed_total", "gRPC calls answered with an error.", NULL, false, 0},
    {"cella_plugin_node_updates_total", "Updates of the node in the API server.", NULL, false, 0},
    {"cella_plugin_node_failures_total", "Failures to reach or change the node.", NULL, false, 0},
    {NULL, NULL, NULL, false, 0},
};

_Static_assert(sizeof(plugin_metrics) / sizeof(plugin_metrics[0]) ==
                   METRIC_BY_RESOURCE * ROW_COUNT + (METRIC_COUNT - METRIC_BY_RESOURCE) + 1,
               "a row for each");

struct metric *plugin_metric(enum plugin_metric metric, size_t resource_index)
{
    return metric < METRIC_BY_RESOURCE
               ? &plugin_metrics[(size_t)metric * ROW_COUNT + resource_index - 1]
               : &plugin_metrics[(size_t)METRIC_BY_RESOURCE * ROW_COUNT +
                                 ((size_t)metric - METRIC_BY_RESOURCE)];
}
