/*
 * The devices as a Container Device Interface specification, for clusters whose kubelets take CDI names.
 * Side: services. Called by main.c, and again when a device has moved. Replaces the file in one step.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "services/device-plugin/plugin.h"

/* hostPath needs 0.5.0, and nothing here needs more: runtimes refuse what they do not know. */
#define CDI_VERSION "0.5.0"

static json_t *node_json(const char *path, const struct device_node *node)
{
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "path", path, "hostPath", node->host_path, "type",
                     "c", "major", (json_int_t)node->major, "minor", (json_int_t)node->minor,
                     "permissions", "rw");
}

static void device_append(json_t *devices, const char *name, const struct device_node *node,
                          const char *path, const char *legacy)
{
    json_t *nodes = json_array();
    if (!node->is_there) {
        json_decref(nodes);
        return;
    }
    json_array_append_new(nodes, node_json(path, node));
    if (legacy) {
        json_array_append_new(nodes, node_json(legacy, node));
    }
    json_array_append_new(
        devices, json_pack("{s:s,s:{s:o}}", "name", name, "containerEdits", "deviceNodes", nodes));
}

static char *spec_text(const struct plugin *plugin)
{
    const bool legacy = plugin->settings->legacy_paths;
    json_t *devices = json_array();
    device_append(devices, "enclave", &plugin->devices.enclave, "/dev/sgx_enclave",
                  legacy ? "/dev/sgx/enclave" : NULL);
    device_append(devices, "provision", &plugin->devices.provision, "/dev/sgx_provision",
                  legacy ? "/dev/sgx/provision" : NULL);
    json_t *spec =
        json_pack("{s:s,s:s,s:o}", "cdiVersion", CDI_VERSION, "kind", CDI_KIND, "devices", devices);
    char *text = spec ? json_dumps(spec, JSON_INDENT(2)) : NULL;
    json_decref(spec);
    return text;
}

cella_result cdi_write(const struct plugin *plugin, struct cella_error *error)
{
    char *text = spec_text(plugin);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    mkdir(plugin->settings->cdi_folder, 0755);
    const cella_result result = node_file_write(plugin->settings->cdi_folder, "cella.dev-sgx.json",
                                                text, strlen(text), error);
    free(text);
    return result;
}
