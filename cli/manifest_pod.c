/*
 * The pod of an application with an enclave: what it asks of a node, what it may, what it sees.
 * Side: tools. Called by cli/manifest.c. Asks for no privilege.
 */
#include "cli/manifest_pod.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#define QUOTE_VOLUME "quote-socket"
#define QUOTE_FOLDER "/var/run/aesmd"
#define MIB (1ull << 20)
#define HOST_MEMORY (32 * MIB) /* of a host program beside its files and its enclave */
#define MEMORY_STEP (8 * MIB)  /* to which memory is rounded up */
#define SCRATCH_DEFAULT "16Mi"
#define CPU_SHARE 250u /* thousandths of a processor for each thread of the enclave */
#define CPU_MOST 2000u

/* ------------------------------------------------------------------------- resources */

/* Bytes that are a whole number of pages, as people write them. */
static json_t *bytes_text(uint64_t bytes)
{
    return bytes % MIB == 0 ? json_sprintf("%lluMi", (unsigned long long)(bytes / MIB))
                            : json_sprintf("%lluKi", (unsigned long long)(bytes / 1024));
}

static const struct enclave_resource *memory_resource(enum resource_dialect dialect)
{
    for (size_t i = 0; i < ENCLAVE_RESOURCES; i++) {
        if (enclave_resources[i].dialect == dialect &&
            enclave_resource_is_memory(&enclave_resources[i])) {
            return &enclave_resources[i];
        }
    }
    return NULL;
}

/* Enclave memory and devices: the kubelet takes limits only where requests are the same. */
static void put_enclave(const struct manifest *manifest, json_t *list)
{
    const struct enclave_resource *memory = memory_resource(manifest->dialect);
    const uint64_t epc = manifest_epc(manifest->epc_bytes);
    if (!memory) {
        json_object_set_new(list, "cella.dev/soft-enclave", json_string("1"));
        return;
    }
    if (manifest->epc) {
        json_object_set_new(list, memory->name, json_string(manifest->epc));
    } else if (memory->unit == RESOURCE_MIB) {
        json_object_set_new(list, memory->name,
                            json_sprintf("%llu", (unsigned long long)((epc + MIB - 1) / MIB)));
    } else {
        json_object_set_new(list, memory->name, bytes_text(epc));
    }
    if (manifest->dialect == DIALECT_INTEL) { /* with the others' memory come both devices */
        json_object_set_new(list, RESOURCE_ENCLAVES, json_string("1"));
        if (manifest->quotes == MANIFEST_QUOTES_PROCESS) {
            json_object_set_new(list, RESOURCE_PROVISIONS, json_string("1"));
        }
    }
}

/*
 * The enclave counts as ordinary memory, too: on the software processor it is, and on SGX the kernel puts pages that it
 * takes from the enclave there.
 */
static json_t *memory_text(const struct manifest *manifest)
{
    const uint64_t bytes = HOST_MEMORY + manifest->image_bytes + manifest->epc_bytes;
    return bytes_text((bytes + MEMORY_STEP - 1) / MEMORY_STEP * MEMORY_STEP);
}

static json_t *cpu_text(const struct manifest *manifest)
{
    const unsigned most = CPU_MOST / CPU_SHARE;
    const unsigned threads = manifest->threads < 1      ? 1
                             : manifest->threads > most ? most
                                                        : manifest->threads;
    return json_sprintf("%um", threads * CPU_SHARE);
}

static json_t *resources(const struct manifest *manifest)
{
    json_t *list = json_object();
    json_object_set_new(list, "cpu",
                        manifest->cpu ? json_string(manifest->cpu) : cpu_text(manifest));
    json_object_set_new(list, "memory",
                        manifest->memory ? json_string(manifest->memory) : memory_text(manifest));
    put_enclave(manifest, list);
    return json_pack("{s:o, s:o}", "requests", json_copy(list), "limits", list);
}

/* ------------------------------------------------------------------------- volumes */

static json_t *mount_one(const struct manifest_volume *volume, const char *name)
{
    json_t *mount = json_pack("{s:s, s:s}", "name", name, "mountPath", volume->path);
    if (volume->read_only) {
        json_object_set_new(mount, "readOnly", json_true());
    }
    return mount;
}

/* The first volume that is the same thing: it is declared once, however often it is mounted. */
static unsigned volume_first(const struct manifest *manifest, unsigned index)
{
    const struct manifest_volume *volume = &manifest->volumes[index];
    for (unsigned i = 0; i < index && volume->kind != MANIFEST_SCRATCH; i++) {
        if (manifest->volumes[i].kind == volume->kind &&
            strcmp(manifest->volumes[i].name, volume->name) == 0) {
            return i;
        }
    }
    return index;
}

/* Volumes of two kinds may have one name, claim "data" and secret "data"; a name of 63 characters has no room for more. */
static void volume_name(const struct manifest *manifest, unsigned index, char ret_name[80])
{
    static const char *const kinds[] = {"claim", "config", "secret", "scratch"};
    const struct manifest_volume *volume = &manifest->volumes[index];
    if (volume->kind == MANIFEST_SCRATCH || strlen(volume->name) > 55) {
        snprintf(ret_name, 80, "%s-%u", kinds[volume->kind], volume_first(manifest, index));
    } else {
        snprintf(ret_name, 80, "%s-%s", volume->name, kinds[volume->kind]);
    }
}

static json_t *volume_one(const struct manifest_volume *volume, const char *name)
{
    switch (volume->kind) {
    case MANIFEST_CLAIM:
        return json_pack("{s:s, s:{s:s}}", "name", name, "persistentVolumeClaim", "claimName",
                         volume->name);
    case MANIFEST_CONFIG:
        return json_pack("{s:s, s:{s:s}}", "name", name, "configMap", "name", volume->name);
    case MANIFEST_SECRET:
        return json_pack("{s:s, s:{s:s, s:i}}", "name", name, "secret", "secretName", volume->name,
                         "defaultMode", 0440);
    default:
        return json_pack("{s:s, s:{s:s, s:s}}", "name", name, "emptyDir", "medium", "Memory",
                         "sizeLimit", volume->size[0] ? volume->size : SCRATCH_DEFAULT);
    }
}

static void make_volumes(const struct manifest *manifest, json_t *mounts, json_t *volumes)
{
    char name[80];
    for (unsigned i = 0; i < manifest->volume_count; i++) {
        volume_name(manifest, i, name);
        json_array_append_new(mounts, mount_one(&manifest->volumes[i], name));
        if (volume_first(manifest, i) == i) {
            json_array_append_new(volumes, volume_one(&manifest->volumes[i], name));
        }
    }
    if (manifest->quotes == MANIFEST_QUOTES_SOCKET) {
        json_array_append_new(mounts, json_pack("{s:s, s:s, s:b}", "name", QUOTE_VOLUME,
                                                "mountPath", QUOTE_FOLDER, "readOnly", 1));
        /* The folder, so that the service may come after the pod. */
        json_array_append_new(volumes,
                              json_pack("{s:s, s:{s:s, s:s}}", "name", QUOTE_VOLUME, "hostPath",
                                        "path", QUOTE_FOLDER, "type", "DirectoryOrCreate"));
    }
}

/* ------------------------------------------------------------------------- probes */

static json_t *probe_handler(const struct manifest_probe *probe)
{
    switch (probe->kind) {
    case MANIFEST_PROBE_TCP:
        return json_pack("{s:{s:i}}", "tcpSocket", "port", (int)probe->port);
    case MANIFEST_PROBE_GRPC:
        return json_pack("{s:{s:i}}", "grpc", "port", (int)probe->port);
    case MANIFEST_PROBE_EXEC:
        return json_pack("{s:{s:O}}", "exec", "command", probe->command);
    default:
        return json_pack("{s:{s:s, s:i, s:s*}}", "httpGet", "path", probe->path, "port",
                         (int)probe->port, "scheme",
                         probe->kind == MANIFEST_PROBE_HTTPS ? "HTTPS" : NULL);
    }
}

static void put_probe(const struct manifest *manifest, json_t *container, const char *name,
                      int period, int failures)
{
    json_t *probe = probe_handler(&manifest->probe);
    json_object_set_new(probe, "periodSeconds", json_integer(period));
    json_object_set_new(probe, "failureThreshold", json_integer(failures));
    json_object_set_new(container, name, probe);
}

/* A large enclave takes seconds to load, a busy processor a probe's second: only the first probe is impatient. */
static void put_probes(const struct manifest *manifest, json_t *container)
{
    if (manifest->probe.kind == MANIFEST_PROBE_NONE) {
        return;
    }
    put_probe(manifest, container, "startupProbe", 1, 120);
    put_probe(manifest, container, "livenessProbe", 20, 3);
    if (manifest->kind != MANIFEST_JOB) { /* nobody waits for a Job's readiness */
        put_probe(manifest, container, "readinessProbe", 5, 2);
    }
}

/* ------------------------------------------------------------------------- the container */

static json_t *variables(const struct manifest *manifest)
{
    json_t *list = json_array();
    bool told = false;
    for (unsigned i = 0; i < manifest->variable_count; i++) {
        const struct manifest_pair *variable = &manifest->variables[i];
        told = told || strcmp(variable->key, "SGX_AESM_ADDR") == 0;
        json_array_append_new(list, json_pack("{s:s, s:s%}", "name", variable->key, "value",
                                              variable->value, variable->value_size));
    }
    if (manifest->quotes == MANIFEST_QUOTES_SOCKET && !told) {
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", "SGX_AESM_ADDR", "value", "1"));
    }
    return list;
}

static json_t *container_ports(const struct manifest *manifest)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < manifest->port_count; i++) {
        json_array_append_new(list, json_pack("{s:s, s:i}", "name", manifest->ports[i].name,
                                              "containerPort", (int)manifest->ports[i].target));
    }
    return list;
}

/* Takes `list`; an empty one is left out. */
static void put_list(json_t *object, const char *key, json_t *list)
{
    if (json_array_size(list) > 0) {
        json_object_set(object, key, list);
    }
    json_decref(list);
}

static json_t *container(const struct manifest *manifest, json_t *mounts)
{
    json_t *arguments = json_array();
    for (unsigned i = 0; i < manifest->argument_count; i++) {
        json_array_append_new(arguments, json_string(manifest->arguments[i]));
    }
    json_t *object = json_pack("{s:s, s:s}", "name", manifest->name, "image", manifest->image);
    put_list(object, "args", arguments);
    put_list(object, "env", variables(manifest));
    put_list(object, "ports", container_ports(manifest));
    json_object_set_new(object, "resources", resources(manifest));
    put_probes(manifest, object);
    json_object_set_new(object, "securityContext",
                        json_pack("{s:b, s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0,
                                  "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL"));
    put_list(object, "volumeMounts", mounts);
    return object;
}

/* ------------------------------------------------------------------------- the pod */

static json_t *security(const struct manifest *manifest, bool volumes)
{
    json_t *seccomp = manifest->seccomp ? json_pack("{s:s, s:s}", "type", "Localhost",
                                                    "localhostProfile", manifest->seccomp)
                                        : json_pack("{s:s}", "type", "RuntimeDefault");
    json_t *object =
        json_pack("{s:b, s:I, s:I}", "runAsNonRoot", 1, "runAsUser", (json_int_t)manifest->user,
                  "runAsGroup", (json_int_t)manifest->user);
    if (volumes) { /* claims and secrets are the group's to read */
        json_object_set_new(object, "fsGroup", json_integer(manifest->user));
    }
    json_object_set_new(object, "seccompProfile", seccomp);
    return object;
}

static void add_toleration(json_t *list, const struct manifest_pair *pair)
{
    json_t *toleration =
        json_pack("{s:s, s:s}", "key", pair->key, "operator", pair->value ? "Equal" : "Exists");
    if (pair->value) {
        json_object_set_new(toleration, "value", json_stringn(pair->value, pair->value_size));
    }
    if (pair->effect) {
        json_object_set_new(toleration, "effect", json_string(pair->effect));
    }
    json_array_append_new(list, toleration);
}

/* The taints of pools with SGX: the documents of AKS have both names, whichever the resource is. */
static json_t *tolerations(const struct manifest *manifest)
{
    static const enum resource_dialect keys[] = {DIALECT_INTEL, DIALECT_AZURE, DIALECT_ALIBABA};
    json_t *list = json_array();
    for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
        const bool of_azure = keys[i] != DIALECT_ALIBABA && manifest->dialect != DIALECT_ALIBABA;
        struct manifest_pair pair = {.effect = "NoSchedule"};
        if (manifest->dialect != DIALECT_CELLA && (of_azure || keys[i] == manifest->dialect)) {
            snprintf(pair.key, sizeof(pair.key), "%s", memory_resource(keys[i])->name);
            add_toleration(list, &pair);
        }
    }
    for (unsigned i = 0; i < manifest->toleration_count; i++) {
        add_toleration(list, &manifest->tolerations[i]);
    }
    return list;
}

static json_t *node_selector(const struct manifest *manifest)
{
    json_t *object =
        json_pack("{s:s, s:s}", "kubernetes.io/os", "linux", "kubernetes.io/arch", "amd64");
    for (unsigned i = 0; i < manifest->node_label_count; i++) {
        const struct manifest_pair *label = &manifest->node_labels[i];
        json_object_set_new(object, label->key, json_stringn(label->value, label->value_size));
    }
    return object;
}

json_t *manifest_pod(const struct manifest *manifest)
{
    json_t *mounts = json_array(), *volumes = json_array();
    make_volumes(manifest, mounts, volumes);
    json_t *pod =
        json_pack("{s:b, s:b}", "automountServiceAccountToken", 0, "enableServiceLinks", 0);
    if (manifest->kind == MANIFEST_JOB) {
        json_object_set_new(pod, "restartPolicy", json_string("Never"));
    }
    if (manifest->pull_secret) {
        json_object_set_new(pod, "imagePullSecrets",
                            json_pack("[{s:s}]", "name", manifest->pull_secret));
    }
    json_object_set_new(pod, "nodeSelector", node_selector(manifest));
    put_list(pod, "tolerations", tolerations(manifest));
    json_object_set_new(pod, "securityContext", security(manifest, manifest->volume_count > 0));
    json_object_set_new(pod, "containers", json_pack("[o]", container(manifest, mounts)));
    put_list(pod, "volumes", volumes);
    return pod;
}
