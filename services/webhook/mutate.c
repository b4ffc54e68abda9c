/*
 * What a pod that asks for enclave memory lacks: devices, the quote service's socket, tolerations.
 * Side: services. Called by review.c. Never changes what a pod says itself; a part of a pod that is not as it should be is
 * left to the API server to refuse.
 *
 * The annotation sgx.intel.com/quote-provider is as Intel's webhook has it: "aesmd", or the name of the container that makes
 * quotes itself and for that needs the provisioning device. cella.dev/quote-provider is the same, and goes before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/webhook/webhook.h"

#define PATH_MAX_SIZE 512u
#define VOLUME "cella-quote-socket"
#define VARIABLE "SGX_AESM_ADDR"

/* ------------------------------------------------------------------- changes */

/* RFC 6901: '~' is "~0", '/' is "~1". */
static bool pointer_make(const char *path, const char *key, char out[PATH_MAX_SIZE])
{
    size_t used = (size_t)snprintf(out, PATH_MAX_SIZE, "%s/", path);
    for (; *key && used + 3 < PATH_MAX_SIZE; key++) {
        if (*key == '/' || *key == '~') {
            out[used++] = '~';
            out[used++] = *key == '/' ? '1' : '0';
        } else {
            out[used++] = *key;
        }
    }
    out[used < PATH_MAX_SIZE ? used : PATH_MAX_SIZE - 1] = 0;
    return !*key;
}

/* Takes `value`: into the copy, and into the patch as it is now. */
static void member_set(struct mutation *mutation, json_t *object, const char *path, const char *key,
                       json_t *value)
{
    char pointer[PATH_MAX_SIZE];
    if (!value || !pointer_make(path, key, pointer)) {
        json_decref(value);
        return;
    }
    json_array_append_new(mutation->patch, json_pack("{s:s,s:s,s:o}", "op", "add", "path", pointer,
                                                     "value", json_deep_copy(value)));
    json_object_set_new(object, key, value);
}

static void element_append(struct mutation *mutation, json_t *array, const char *path,
                           json_t *value)
{
    char pointer[PATH_MAX_SIZE];
    snprintf(pointer, sizeof(pointer), "%s/-", path);
    json_array_append_new(mutation->patch, json_pack("{s:s,s:s,s:o}", "op", "add", "path", pointer,
                                                     "value", json_deep_copy(value)));
    json_array_append_new(array, value);
}

/* The member, made when it is absent or null. NULL: it is of another type. ret_path is its pointer. */
static json_t *member_need(struct mutation *mutation, json_t *object, const char *path,
                           const char *key, json_type type, char ret_path[PATH_MAX_SIZE])
{
    json_t *member = json_object_get(object, key);
    if (!json_is_object(object) || !pointer_make(path, key, ret_path)) {
        return NULL;
    }
    if (!member || json_is_null(member)) {
        member_set(mutation, object, path, key, type == JSON_OBJECT ? json_object() : json_array());
        member = json_object_get(object, key);
    }
    return member && json_typeof(member) == type ? member : NULL;
}

/* ------------------------------------------------------------------- what is asked */

/* What the pod's containers are, by the two lists that can have resources. */
static const char *const g_lists[] = {"initContainers", "containers"};

struct container {
    json_t *json;
    char path[64];
    const char *name;
    uint64_t memory; /* bytes */
    bool asks;       /* for memory, or for a software enclave */
    bool needs_device;
};

/* One of limits and requests. */
static void resources_read(struct mutation *mutation, struct container *container,
                           const char *which, uint64_t *ret_memory)
{
    json_t *list = json_object_get(json_object_get(container->json, "resources"), which);
    const char *name;
    json_t *quantity;
    json_object_foreach(list, name, quantity)
    {
        uint64_t amount = 0;
        warn_resource(mutation, container->name, name, quantity);
        const struct enclave_resource *resource = enclave_resource_find(name);
        if (!resource || !quantity_parse(quantity, &amount) || amount == 0) {
            continue;
        }
        if (enclave_resource_is_memory(resource)) {
            container->asks = true;
            container->needs_device |= mutation->settings->devices_for == DEVICES_ANY ||
                                       resource->dialect == DIALECT_INTEL;
            *ret_memory += resource->unit == RESOURCE_BYTES ? amount
                           : amount < 1u << 30              ? amount << 20
                                                            : 0;
        }
        container->asks |= resource->dialect == DIALECT_CELLA;
    }
}

static void container_read(struct mutation *mutation, json_t *json, const char *list, size_t index,
                           struct container *ret_container)
{
    uint64_t limits = 0, requests = 0;
    const char *name = json_string_value(json_object_get(json, "name"));
    *ret_container = (struct container){.json = json, .name = name ? name : ""};
    snprintf(ret_container->path, sizeof(ret_container->path), "/spec/%s/%zu", list, index);
    if (json_is_object(json)) {
        resources_read(mutation, ret_container, "limits", &limits);
        resources_read(mutation, ret_container, "requests", &requests);
    }
    ret_container->memory = limits > requests ? limits : requests;
    mutation->asks |= ret_container->asks;
}

/* All containers; the caller frees. NULL: out of memory, or too many. */
static struct container *containers_read(struct mutation *mutation, json_t *spec, size_t *ret_count)
{
    size_t room = 0, count = 0;
    for (size_t i = 0; i < CELLA_COUNT(g_lists); i++) {
        room += json_array_size(json_object_get(spec, g_lists[i]));
    }
    if (room > CONTAINERS_MAX) {
        warn(mutation, "%zu containers: pods with more than %u get nothing added", room,
             CONTAINERS_MAX);
        *ret_count = 0;
        return NULL;
    }
    struct container *containers = calloc(room ? room : 1, sizeof(*containers));
    for (size_t i = 0; containers && i < CELLA_COUNT(g_lists); i++) {
        json_t *list = json_object_get(spec, g_lists[i]), *json;
        size_t index;
        json_array_foreach(list, index, json)
        {
            container_read(mutation, json, g_lists[i], index, &containers[count++]);
        }
    }
    *ret_count = containers ? count : 0;
    return containers;
}

/* ------------------------------------------------------------------- devices */

/* One of `name` in limits and requests, where the pod does not ask for it itself. */
static void device_add(struct mutation *mutation, struct container *container, const char *name)
{
    static const char *const lists[] = {"limits", "requests"};
    char path[PATH_MAX_SIZE], list_path[PATH_MAX_SIZE];
    json_t *resources =
        member_need(mutation, container->json, container->path, "resources", JSON_OBJECT, path);
    for (size_t i = 0; resources && i < CELLA_COUNT(lists); i++) {
        if (json_object_get(json_object_get(resources, lists[i]), name)) {
            return;
        }
    }
    for (size_t i = 0; resources && i < CELLA_COUNT(lists); i++) {
        json_t *list = member_need(mutation, resources, path, lists[i], JSON_OBJECT, list_path);
        if (list) {
            member_set(mutation, list, list_path, name, json_string("1"));
        }
    }
}

/* ------------------------------------------------------------------- the quote service */

static const char *provider_of(const struct mutation *mutation)
{
    json_t *annotations =
        json_object_get(json_object_get(mutation->pod, "metadata"), "annotations");
    const char *own = json_string_value(json_object_get(annotations, "cella.dev/quote-provider"));
    const char *intel =
        json_string_value(json_object_get(annotations, "sgx.intel.com/quote-provider"));
    return own                                                    ? own
           : intel                                                ? intel
           : mutation->settings->quote_provider == PROVIDER_AESMD ? "aesmd"
                                                                  : NULL;
}

/* Paths are the same but for slashes at the end. */
static bool same_path(const char *a, const char *b)
{
    size_t a_size = a ? strlen(a) : 0, b_size = strlen(b);
    while (a_size > 1 && a[a_size - 1] == '/') {
        a_size--;
    }
    while (b_size > 1 && b[b_size - 1] == '/') {
        b_size--;
    }
    return a && a_size == b_size && memcmp(a, b, a_size) == 0;
}

/* The name under which the container has `folder` mounted; NULL: it has not. */
static const char *mount_of(const struct container *container, const char *folder)
{
    json_t *mounts = json_object_get(container->json, "volumeMounts"), *mount;
    size_t index;
    json_array_foreach(mounts, index, mount)
    {
        if (same_path(json_string_value(json_object_get(mount, "mountPath")), folder)) {
            const char *name = json_string_value(json_object_get(mount, "name"));
            return name ? name : "";
        }
    }
    return NULL;
}

/* A volume that is this folder of the node; NULL: there is none. */
static const char *volume_of(json_t *volumes, const char *folder)
{
    json_t *volume;
    size_t index;
    json_array_foreach(volumes, index, volume)
    {
        const char *path =
            json_string_value(json_object_get(json_object_get(volume, "hostPath"), "path"));
        const char *name = json_string_value(json_object_get(volume, "name"));
        if (name && same_path(path, folder)) {
            return name;
        }
    }
    return NULL;
}

static bool volume_is_named(json_t *volumes, const char *name)
{
    json_t *volume;
    size_t index;
    json_array_foreach(volumes, index, volume)
    {
        const char *other = json_string_value(json_object_get(volume, "name"));
        if (other && strcmp(other, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A volume for the socket: one that is there, or a new one. false: the pod's list is none, or has all our names. */
static bool volume_need(struct mutation *mutation, json_t *spec, const struct container *sidecar,
                        char *ret_name, size_t room)
{
    const char *folder = mutation->settings->quote_folder;
    char path[PATH_MAX_SIZE];
    const char *there =
        sidecar ? mount_of(sidecar, folder) : volume_of(json_object_get(spec, "volumes"), folder);
    if (there) {
        snprintf(ret_name, room, "%s", there);
        return true;
    }
    json_t *volumes = member_need(mutation, spec, "/spec", "volumes", JSON_ARRAY, path);
    if (!volumes) {
        return false;
    }
    snprintf(ret_name, room, VOLUME);
    for (unsigned i = 1; volume_is_named(volumes, ret_name); i++) {
        if (i == VOLUME_NAMES_MAX) {
            warn(mutation, "no quote socket: the pod's own volumes have the names " VOLUME "...");
            return false;
        }
        snprintf(ret_name, room, VOLUME "-%u", i);
    }
    element_append(
        mutation, volumes, path,
        sidecar ? json_pack("{s:s,s:{s:s}}", "name", ret_name, "emptyDir", "medium", "Memory")
                : json_pack("{s:s,s:{s:s,s:s}}", "name", ret_name, "hostPath", "path", folder,
                            "type", "DirectoryOrCreate"));
    return true;
}

static void mount_add(struct mutation *mutation, struct container *container, const char *volume)
{
    const char *folder = mutation->settings->quote_folder;
    char path[PATH_MAX_SIZE];
    if (mount_of(container, folder)) {
        return;
    }
    json_t *mounts =
        member_need(mutation, container->json, container->path, "volumeMounts", JSON_ARRAY, path);
    if (mounts) {
        element_append(mutation, mounts, path,
                       json_pack("{s:s,s:s}", "name", volume, "mountPath", folder));
    }
}

static void variable_add(struct mutation *mutation, struct container *container)
{
    char path[PATH_MAX_SIZE];
    json_t *variables =
        member_need(mutation, container->json, container->path, "env", JSON_ARRAY, path);
    json_t *variable;
    size_t index;
    json_array_foreach(variables, index, variable)
    {
        const char *name = json_string_value(json_object_get(variable, "name"));
        if (name && strcmp(name, VARIABLE) == 0) {
            return;
        }
    }
    if (variables) {
        element_append(mutation, variables, path,
                       json_pack("{s:s,s:s}", "name", VARIABLE, "value", "1"));
    }
}

static void socket_add(struct mutation *mutation, json_t *spec, struct container *containers,
                       size_t count)
{
    char volume[256]; /* longer names are no names */
    struct container *sidecar = NULL;
    for (size_t i = 0; i < count; i++) {
        sidecar = strcmp(containers[i].name, "aesmd") == 0 ? &containers[i] : sidecar;
    }
    if (!volume_need(mutation, spec, sidecar, volume, sizeof(volume))) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (&containers[i] == sidecar && json_is_object(sidecar->json)) {
            mount_add(mutation, sidecar, volume);
        } else if (containers[i].asks) {
            mount_add(mutation, &containers[i], volume);
            variable_add(mutation, &containers[i]);
        }
    }
}

static void provider_add(struct mutation *mutation, json_t *spec, struct container *containers,
                         size_t count)
{
    const char *provider = provider_of(mutation);
    bool found = false;
    if (!provider) {
        return;
    }
    if (strcmp(provider, "aesmd") == 0) {
        socket_add(mutation, spec, containers, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(containers[i].name, provider) == 0) {
            found = true;
            if (containers[i].needs_device) {
                device_add(mutation, &containers[i], RESOURCE_PROVISIONS);
            }
        }
    }
    if (!found) {
        warn(mutation, "quote-provider \"%.63s\": neither \"aesmd\" nor a container of this pod",
             provider);
    }
}

/* ------------------------------------------------------------------- tolerations, annotation */

/* Whether a toleration of the pod covers any taint of that key that keeps pods from being scheduled. */
static bool is_tolerated(json_t *tolerations, const char *key)
{
    json_t *toleration;
    size_t index;
    json_array_foreach(tolerations, index, toleration)
    {
        const char *has = json_string_value(json_object_get(toleration, "key"));
        const char *how = json_string_value(json_object_get(toleration, "operator"));
        const char *effect = json_string_value(json_object_get(toleration, "effect"));
        const bool exists = how && strcmp(how, "Exists") == 0;
        const bool same = has && strcmp(has, key) == 0;
        if (exists && (!has || !*has || same) &&
            (!effect || !*effect || strcmp(effect, "NoSchedule") == 0)) {
            return true;
        }
    }
    return false;
}

static void tolerations_add(struct mutation *mutation, json_t *spec)
{
    const struct setting_list *list = &mutation->settings->tolerations;
    char path[PATH_MAX_SIZE];
    for (size_t i = 0; i < list->count; i++) {
        if (is_tolerated(json_object_get(spec, "tolerations"), list->items[i])) {
            continue;
        }
        json_t *tolerations = member_need(mutation, spec, "/spec", "tolerations", JSON_ARRAY, path);
        if (!tolerations) {
            return;
        }
        element_append(mutation, tolerations, path,
                       json_pack("{s:s,s:s,s:s}", "key", list->items[i], "operator", "Exists",
                                 "effect", "NoSchedule"));
    }
}

/* The sum of enclave memory, by which runtimes that make a machine of a pod size it. */
static void annotation_add(struct mutation *mutation, const struct container *containers,
                           size_t count)
{
    char path[PATH_MAX_SIZE], value[24], metadata_path[PATH_MAX_SIZE];
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum = containers[i].memory < UINT64_MAX - sum ? sum + containers[i].memory : UINT64_MAX;
    }
    if (!sum) {
        return;
    }
    json_t *metadata =
        member_need(mutation, mutation->pod, "", "metadata", JSON_OBJECT, metadata_path);
    json_t *annotations =
        metadata ? member_need(mutation, metadata, metadata_path, "annotations", JSON_OBJECT, path)
                 : NULL;
    if (annotations && !json_object_get(annotations, RESOURCE_EPC)) {
        snprintf(value, sizeof(value), "%llu", (unsigned long long)sum);
        member_set(mutation, annotations, path, RESOURCE_EPC, json_string(value));
    }
}

void mutate_pod(struct mutation *mutation)
{
    json_t *spec = json_object_get(mutation->pod, "spec");
    size_t count;
    if (!json_is_object(spec)) {
        return;
    }
    struct container *containers = containers_read(mutation, spec, &count);
    if (mutation->asks) {
        for (size_t i = 0; i < count; i++) {
            if (containers[i].needs_device) {
                device_add(mutation, &containers[i], RESOURCE_ENCLAVES);
            }
        }
        provider_add(mutation, spec, containers, count);
        tolerations_add(mutation, spec);
        annotation_add(mutation, containers, count);
    }
    free(containers);
}
