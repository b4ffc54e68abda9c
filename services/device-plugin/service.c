/*
 * The kubelet's calls: DevicePlugin of v1beta1.
 * Side: services. Called by rpc_server.c, on the loop's thread. Never remembers who has what: a kubelet does, and tells no
 * one when a container ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "deviceplugin.pb-c.h"
#include "services/common/log_limit.h"
#include "services/device-plugin/plugin.h"

#define CONTAINERS_MAX 64u

static void refuse(struct rpc_call *call, const struct resource *resource, enum rpc_status status,
                   const char *text)
{
    plugin_count(METRIC_REFUSED, resource->index);
    rpc_call_fail(call, status, "%s: %s", resource->kind->name, text);
}

/* ------------------------------------------------------------------- options, ListAndWatch */

static bool has_no_fields(struct rpc_call *call, struct cella_bytes message)
{
    V1beta1__Empty *empty = v1beta1__empty__unpack(NULL, message.size, message.data);
    if (!empty) {
        rpc_call_fail(call, RPC_INTERNAL, "the message is not an Empty");
        return false;
    }
    v1beta1__empty__free_unpacked(empty, NULL);
    return true;
}

static void options_answer(struct rpc_call *call, struct cella_bytes message, void *context)
{
    const struct resource *resource = context;
    V1beta1__DevicePluginOptions options = V1BETA1__DEVICE_PLUGIN_OPTIONS__INIT;
    if (!has_no_fields(call, message)) {
        return;
    }
    options.pre_start_required = resource->kind->devices != 0;
    /* not for units of memory: a kubelet would send all their ids with each request */
    options.get_preferred_allocation_available = resource->kind->unit == RESOURCE_SLOT;
    const size_t size = v1beta1__device_plugin_options__get_packed_size(&options);
    uint8_t *out = malloc(RPC_PREFIX_SIZE + size);
    if (out) {
        v1beta1__device_plugin_options__pack(&options, out + RPC_PREFIX_SIZE);
    }
    rpc_call_answer(call, out, size);
}

static void list_answer(struct rpc_call *call, struct cella_bytes message, void *context)
{
    if (has_no_fields(call, message)) {
        resource_watch(context, call);
    }
}

/* ------------------------------------------------------------------- Allocate, PreStartContainer */

/* All ids are ours, and none is there twice. */
static bool ids_check(struct rpc_call *call, const struct resource *resource, char *const *ids,
                      size_t count)
{
    uint8_t *seen = calloc(1, resource->count / 8 + 1);
    const char *bad = NULL;
    bool twice = false;
    if (!seen) {
        refuse(call, resource, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    for (size_t i = 0; i < count && !bad; i++) {
        uint32_t index = 0;
        if (!resource_id_parse(resource, ids[i], &index)) {
            bad = ids[i];
        } else if (seen[index / 8] & 1u << index % 8) {
            bad = ids[i];
            twice = true;
        } else {
            seen[index / 8] |= (uint8_t)(1u << index % 8);
        }
    }
    free(seen);
    if (bad) {
        char text[128];
        snprintf(text, sizeof(text), twice ? "device '%.63s' twice" : "no device '%.63s'", bad);
        refuse(call, resource, twice ? RPC_INVALID_ARGUMENT : RPC_NOT_FOUND, text);
    }
    return !bad;
}

/* The devices are there at this moment. */
static bool devices_check(struct rpc_call *call, const struct resource *resource)
{
    resources_probe(resource->plugin);
    if (!resource->healthy) {
        refuse(call, resource, RPC_UNAVAILABLE, resource->reason);
    }
    return resource->healthy;
}

/* What one container gets. It points into itself: never copied. */
struct grant {
    V1beta1__ContainerAllocateResponse message;
    V1beta1__DeviceSpec devices[4];
    V1beta1__DeviceSpec *device_list[4];
    V1beta1__CdiDevice cdi[2];
    V1beta1__CdiDevice *cdi_list[2];
    V1beta1__Mount mounts[2];
    V1beta1__Mount *mount_list[2];
    V1beta1__Pair envs[3];
    V1beta1__Pair *env_list[3];
    char quote_folder[128];
};

static void grant_device(struct grant *grant, const char *container_path, const char *host_path)
{
    V1beta1__DeviceSpec *spec = &grant->devices[grant->message.n_devices];
    v1beta1__device_spec__init(spec);
    spec->container_path = (char *)(uintptr_t)container_path;
    spec->host_path = (char *)(uintptr_t)host_path;
    spec->permissions = "rw";
    grant->device_list[grant->message.n_devices++] = spec;
}

static void grant_cdi(struct grant *grant, const char *name)
{
    V1beta1__CdiDevice *device = &grant->cdi[grant->message.n_cdi_devices];
    v1beta1__cdi_device__init(device);
    device->name = (char *)(uintptr_t)name;
    grant->cdi_list[grant->message.n_cdi_devices++] = device;
}

static void grant_env(struct grant *grant, const char *key, const char *value)
{
    V1beta1__Pair *pair = &grant->envs[grant->message.n_envs];
    v1beta1__pair__init(pair);
    pair->key = (char *)(uintptr_t)key;
    pair->value = (char *)(uintptr_t)value;
    grant->env_list[grant->message.n_envs++] = pair;
}

static void grant_mount(struct grant *grant, const char *path, bool read_only)
{
    V1beta1__Mount *mount = &grant->mounts[grant->message.n_mounts];
    v1beta1__mount__init(mount);
    mount->container_path = mount->host_path = (char *)(uintptr_t)path;
    mount->read_only = read_only;
    grant->mount_list[grant->message.n_mounts++] = mount;
}

/* Under the path it has on the node, and where images of older SDKs look for it. */
static void grant_node(struct grant *grant, const struct plugin_settings *settings,
                       const struct device_node *node, const char *path, const char *legacy)
{
    const bool is_isgx = strcmp(node->host_path, "/dev/isgx") == 0;
    if (!node->is_there) {
        return;
    }
    grant_device(grant, is_isgx ? node->host_path : path, node->host_path);
    if (settings->legacy_paths && !is_isgx) {
        grant_device(grant, legacy, node->host_path);
    }
}

static void grant_devices(struct grant *grant, const struct resource *resource)
{
    const struct plugin *plugin = resource->plugin;
    const unsigned devices = resource->kind->devices;
    if (plugin->settings->cdi) {
        if (devices & RESOURCE_ENCLAVE) {
            grant_cdi(grant, CDI_KIND "=enclave");
        }
        if ((devices & RESOURCE_PROVISION) && plugin->devices.provision.is_there) {
            grant_cdi(grant, CDI_KIND "=provision");
        }
        return;
    }
    if (devices & RESOURCE_ENCLAVE) {
        grant_node(grant, plugin->settings, &plugin->devices.enclave, "/dev/sgx_enclave",
                   "/dev/sgx/enclave");
    }
    if (devices & RESOURCE_PROVISION) {
        grant_node(grant, plugin->settings, &plugin->devices.provision, "/dev/sgx_provision",
                   "/dev/sgx/provision");
    }
}

static void grant_fill(struct grant *grant, const struct resource *resource)
{
    const struct plugin_settings *settings = resource->plugin->settings;
    *grant = (struct grant){0};
    v1beta1__container_allocate_response__init(&grant->message);
    grant->message.devices = grant->device_list;
    grant->message.cdi_devices = grant->cdi_list;
    grant->message.mounts = grant->mount_list;
    grant->message.envs = grant->env_list;
    grant_devices(grant, resource);
    if (resource->kind->dialect == DIALECT_CELLA) {
        grant_env(grant, "CELLA_PROCESSOR", "software");
        if (settings->soft_platform) {
            grant_env(grant, "CELLA_PLATFORM_DIR", settings->soft_platform);
            grant_mount(grant, settings->soft_platform, true);
        }
    }
    if (settings->quote_mount && resource->kind->devices != RESOURCE_PROVISION) {
        snprintf(grant->quote_folder, sizeof(grant->quote_folder), "%s", settings->quote_socket);
        char *slash = strrchr(grant->quote_folder, '/');
        if (slash && slash != grant->quote_folder) {
            *slash = 0;
            grant_mount(grant, grant->quote_folder, false);
            grant_env(grant, "SGX_AESM_ADDR", "1");
        }
    }
}

static void allocate_log(const struct resource *resource, const V1beta1__AllocateRequest *request)
{
    struct log_line line;
    size_t count = 0;
    for (size_t i = 0; i < request->n_container_requests; i++) {
        count += request->container_requests[i]->n_ids;
    }
    metric_add(plugin_metric(METRIC_ALLOCATED, resource->index), (int64_t)count);
    if (!log_may(LOG_DEBUG)) {
        return;
    }
    log_begin(&line, LOG_DEBUG, "allocated");
    log_text(&line, "resource", resource->kind->name);
    log_number(&line, "devices", (int64_t)count);
    log_end(&line);
}

/* An answer for each container: all are the same, as devices of one kind are. */
static void allocate_pack(struct rpc_call *call, const struct resource *resource, size_t containers)
{
    struct grant grant;
    V1beta1__ContainerAllocateResponse *list[CONTAINERS_MAX];
    V1beta1__AllocateResponse response = V1BETA1__ALLOCATE_RESPONSE__INIT;
    grant_fill(&grant, resource);
    for (size_t i = 0; i < containers; i++) {
        list[i] = &grant.message;
    }
    response.container_responses = list;
    response.n_container_responses = containers;
    const size_t size = v1beta1__allocate_response__get_packed_size(&response);
    uint8_t *out = malloc(RPC_PREFIX_SIZE + size);
    if (out) {
        v1beta1__allocate_response__pack(&response, out + RPC_PREFIX_SIZE);
    }
    rpc_call_answer(call, out, size);
}

static void allocate_answer(struct rpc_call *call, struct cella_bytes message, void *context)
{
    const struct resource *resource = context;
    V1beta1__AllocateRequest *request =
        v1beta1__allocate_request__unpack(NULL, message.size, message.data);
    if (!request) {
        refuse(call, resource, RPC_INTERNAL, "the message is not an AllocateRequest");
        return;
    }
    bool good = request->n_container_requests <= CONTAINERS_MAX;
    if (!good) {
        refuse(call, resource, RPC_INVALID_ARGUMENT, "too many containers at once");
    }
    for (size_t i = 0; good && i < request->n_container_requests; i++) {
        good = ids_check(call, resource, request->container_requests[i]->ids,
                         request->container_requests[i]->n_ids);
    }
    if (good && devices_check(call, resource)) {
        allocate_log(resource, request);
        allocate_pack(call, resource, request->n_container_requests);
    }
    v1beta1__allocate_request__free_unpacked(request, NULL);
}

/* Each start of a container, also a restart with an older grant: says early that a device is gone. */
static void start_answer(struct rpc_call *call, struct cella_bytes message, void *context)
{
    const struct resource *resource = context;
    V1beta1__PreStartContainerRequest *request =
        v1beta1__pre_start_container_request__unpack(NULL, message.size, message.data);
    if (!request) {
        refuse(call, resource, RPC_INTERNAL, "the message is not a PreStartContainerRequest");
        return;
    }
    if (ids_check(call, resource, request->ids, request->n_ids) && devices_check(call, resource)) {
        rpc_call_answer(call, malloc(RPC_PREFIX_SIZE), 0);
    }
    v1beta1__pre_start_container_request__free_unpacked(request, NULL);
}

/* ------------------------------------------------------------------- GetPreferredAllocation */

/* 1 in `marks`: available; 2: must be included. false: an id is not ours. */
static bool marks_set(const struct resource *resource, uint8_t *marks, char *const *ids,
                      size_t count, uint8_t mark)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = 0;
        if (!resource_id_parse(resource, ids[i], &index)) {
            return false;
        }
        marks[index] |= mark;
    }
    return true;
}

/* Those that must be, then the lowest numbers: what is in use stays dense. NULL: out of memory or a wrong request. */
static V1beta1__ContainerIds *preference_make(const struct resource *resource,
                                              const V1beta1__ContainerPreference *request)
{
    V1beta1__ContainerIds *answer = calloc(1, sizeof(*answer));
    uint8_t *marks = calloc(1, resource->count);
    const size_t wanted = request->allocation_size > 0 ? (size_t)request->allocation_size : 0;
    bool good = answer && marks && request->n_must_include <= wanted && wanted <= resource->count &&
                marks_set(resource, marks, request->available, request->n_available, 1) &&
                marks_set(resource, marks, request->must_include, request->n_must_include, 2);
    if (answer) {
        v1beta1__container_ids__init(answer);
    }
    if (good && wanted) {
        answer->ids = calloc(wanted, sizeof(*answer->ids));
        good = answer->ids != NULL;
    }
    for (uint8_t pass = 2; good && pass >= 1; pass--) {
        for (uint32_t i = 0; good && i < resource->count && answer->n_ids < wanted; i++) {
            char id[40];
            if (pass == 2 ? !(marks[i] & 2) : marks[i] != 1) {
                continue;
            }
            resource_id(resource, i, id);
            answer->ids[answer->n_ids] = strdup(id);
            good = answer->ids[answer->n_ids] != NULL;
            answer->n_ids += good;
        }
    }
    free(marks);
    if (!good && answer) {
        v1beta1__container_ids__free_unpacked(answer, NULL);
        answer = NULL;
    }
    return answer;
}

static void preference_pack(struct rpc_call *call, const struct resource *resource,
                            const V1beta1__PreferredAllocationRequest *request)
{
    V1beta1__ContainerIds *list[CONTAINERS_MAX];
    V1beta1__PreferredAllocationResponse response = V1BETA1__PREFERRED_ALLOCATION_RESPONSE__INIT;
    response.container_responses = list;
    bool good = request->n_container_requests <= CONTAINERS_MAX;
    for (size_t i = 0; good && i < request->n_container_requests; i++) {
        list[i] = preference_make(resource, request->container_requests[i]);
        good = list[i] != NULL;
        response.n_container_responses += good;
    }
    if (good) {
        const size_t size = v1beta1__preferred_allocation_response__get_packed_size(&response);
        uint8_t *out = malloc(RPC_PREFIX_SIZE + size);
        if (out) {
            v1beta1__preferred_allocation_response__pack(&response, out + RPC_PREFIX_SIZE);
        }
        rpc_call_answer(call, out, size);
    } else {
        refuse(
            call, resource, RPC_INVALID_ARGUMENT,
            "expected ids of this resource, and no more that must be included than are asked for");
    }
    for (size_t i = 0; i < response.n_container_responses; i++) {
        v1beta1__container_ids__free_unpacked(list[i], NULL);
    }
}

static void preference_answer(struct rpc_call *call, struct cella_bytes message, void *context)
{
    V1beta1__PreferredAllocationRequest *request =
        v1beta1__preferred_allocation_request__unpack(NULL, message.size, message.data);
    if (!request) {
        refuse(call, context, RPC_INTERNAL, "the message is not a PreferredAllocationRequest");
        return;
    }
    preference_pack(call, context, request);
    v1beta1__preferred_allocation_request__free_unpacked(request, NULL);
}

const struct rpc_method plugin_methods[] = {
    {"/v1beta1.DevicePlugin/GetDevicePluginOptions", options_answer},
    {"/v1beta1.DevicePlugin/ListAndWatch", list_answer},
    {"/v1beta1.DevicePlugin/GetPreferredAllocation", preference_answer},
    {"/v1beta1.DevicePlugin/Allocate", allocate_answer},
    {"/v1beta1.DevicePlugin/PreStartContainer", start_answer},
};
const size_t plugin_method_count = CELLA_COUNT(plugin_methods);
