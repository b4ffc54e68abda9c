/*
 * Kubernetes' objects for an application with an enclave: Deployment or Job, Service, claims. manifest.h is the manual.
 * Side: tools. Called by cella k8s manifest. Reads no file, asks no cluster.
 */
#include "cli/manifest.h"

#include <string.h>

#include "abi/sgx.h"
#include "cli/manifest_pod.h"
#include "common/cleanup.h"

#define LABEL_NAME "app.kubernetes.io/name"
#define VERSION_SLOTS 512u /* of a page of a version array */

void manifest_done(struct manifest *manifest)
{
    json_decref(manifest->probe.command);
    json_decref(manifest->identity);
    manifest->probe.command = manifest->identity = NULL;
}

uint64_t manifest_epc(uint64_t enclave_bytes)
{
    const uint64_t pages = (enclave_bytes + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE + 1; /* and SECS */
    return (pages + (pages + VERSION_SLOTS - 1) / VERSION_SLOTS) * SGX_PAGE_SIZE;
}

static json_t *labels(const struct manifest *manifest)
{
    return json_pack("{s:s}", LABEL_NAME, manifest->name);
}

static json_t *metadata(const struct manifest *manifest, const char *name)
{
    return json_pack("{s:s, s:s*, s:o}", "name", name, "namespace", manifest->space, "labels",
                     labels(manifest));
}

static json_t *pod_template(const struct manifest *manifest)
{
    return json_pack("{s:{s:o, s:O}, s:o}", "metadata", "labels", labels(manifest), "annotations",
                     manifest->identity, "spec", manifest_pod(manifest));
}

static bool has_claims(const struct manifest *manifest)
{
    for (unsigned i = 0; i < manifest->volume_count; i++) {
        if (manifest->volumes[i].kind == MANIFEST_CLAIM && !manifest->volumes[i].read_only) {
            return true;
        }
    }
    return false;
}

/* A volume that one node at a time can have would keep the new pod waiting for the old one, which waits for the new one. */
static json_t *deployment(const struct manifest *manifest)
{
    json_t *spec = json_pack("{s:i, s:{s:o}}", "replicas", (int)manifest->replicas, "selector",
                             "matchLabels", labels(manifest));
    if (has_claims(manifest)) {
        json_object_set_new(spec, "strategy", json_pack("{s:s}", "type", "Recreate"));
    }
    json_object_set_new(spec, "template", pod_template(manifest));
    return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "apps/v1", "kind", "Deployment",
                     "metadata", metadata(manifest, manifest->name), "spec", spec);
}

static json_t *job(const struct manifest *manifest)
{
    json_t *spec = json_pack("{s:i}", "backoffLimit", 3);
    if (manifest->replicas != 1) {
        json_object_set_new(spec, "completions", json_integer(manifest->replicas));
        json_object_set_new(spec, "parallelism", json_integer(manifest->replicas));
    }
    json_object_set_new(spec, "template", pod_template(manifest));
    return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "batch/v1", "kind", "Job", "metadata",
                     metadata(manifest, manifest->name), "spec", spec);
}

static json_t *service(const struct manifest *manifest)
{
    json_t *ports = json_array();
    for (unsigned i = 0; i < manifest->port_count; i++) {
        const struct manifest_port *port = &manifest->ports[i];
        json_array_append_new(ports, json_pack("{s:s, s:i, s:s}", "name", port->name, "port",
                                               (int)port->port, "targetPort", port->name));
    }
    return json_pack("{s:s, s:s, s:o, s:{s:s*, s:o, s:o}}", "apiVersion", "v1", "kind", "Service",
                     "metadata", metadata(manifest, manifest->name), "spec", "type",
                     manifest->service_type, "selector", labels(manifest), "ports", ports);
}

static json_t *claim(const struct manifest *manifest, const struct manifest_volume *volume)
{
    return json_pack("{s:s, s:s, s:o, s:{s:[s], s:{s:{s:s}}}}", "apiVersion", "v1", "kind",
                     "PersistentVolumeClaim", "metadata", metadata(manifest, volume->name), "spec",
                     "accessModes", "ReadWriteOnce", "resources", "requests", "storage",
                     volume->size);
}

/* Whether an earlier mount is of the same claim. */
static bool claimed_before(const struct manifest *manifest, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (manifest->volumes[i].kind == MANIFEST_CLAIM && manifest->volumes[i].size[0] &&
            strcmp(manifest->volumes[i].name, manifest->volumes[index].name) == 0) {
            return true;
        }
    }
    return false;
}

json_t *manifest_make(const struct manifest *manifest)
{
    json_t *objects = json_array();
    for (unsigned i = 0; i < manifest->volume_count; i++) {
        const struct manifest_volume *volume = &manifest->volumes[i];
        if (volume->kind == MANIFEST_CLAIM && volume->size[0] && !claimed_before(manifest, i)) {
            json_array_append_new(objects, claim(manifest, volume));
        }
    }
    if (manifest->port_count > 0) {
        json_array_append_new(objects, service(manifest));
    }
    json_array_append_new(objects,
                          manifest->kind == MANIFEST_JOB ? job(manifest) : deployment(manifest));
    return objects;
}
