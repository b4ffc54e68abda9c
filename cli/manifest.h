/*
 * Kubernetes' objects for an application with an enclave: what to make, and of what.
 * Side: tools. Called by cella k8s manifest (cli/cmd_k8s.c). Reads no file, asks no cluster.
 */
#ifndef CELLA_CLI_MANIFEST_H
#define CELLA_CLI_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "services/common/enclave_resources.h"

#define MANIFEST_LIST_MAX 32u
#define MANIFEST_LABEL_SIZE 64u /* names are at most 63 characters, and a zero */
#define MANIFEST_USER 65534u

enum manifest_kind {
    MANIFEST_DEPLOYMENT,
    MANIFEST_JOB,
};

enum manifest_quotes {
    MANIFEST_QUOTES_NONE,
    MANIFEST_QUOTES_SOCKET,  /* of the node's quote service */
    MANIFEST_QUOTES_PROCESS, /* made by the application itself */
};

struct manifest_port {
    char name[16];
    uint16_t port;   /* of the Service */
    uint16_t target; /* of the container */
};

enum manifest_volume_kind {
    MANIFEST_CLAIM, /* a PersistentVolumeClaim */
    MANIFEST_CONFIG,
    MANIFEST_SECRET,
    MANIFEST_SCRATCH, /* empty, in memory, gone with the pod */
};

struct manifest_volume {
    enum manifest_volume_kind kind;
    char name[MANIFEST_LABEL_SIZE];
    char path[256];
    char size[24]; /* of a claim that is to be made, or of scratch; empty: none given */
    bool read_only;
};

enum manifest_probe_kind {
    MANIFEST_PROBE_NONE,
    MANIFEST_PROBE_HTTP,
    MANIFEST_PROBE_HTTPS,
    MANIFEST_PROBE_TCP,
    MANIFEST_PROBE_GRPC,
    MANIFEST_PROBE_EXEC,
};

struct manifest_probe {
    enum manifest_probe_kind kind;
    uint16_t port;
    char path[256];
    json_t *command; /* array of strings, owned */
};

struct manifest_pair {
    char key[256];
    const char *value; /* borrowed, `value_size` bytes of it; NULL: none */
    size_t value_size;
    const char *effect; /* of a toleration; NULL: all */
};

/* Zero-initialise; strings are the caller's. */
struct manifest {
    enum manifest_kind kind;
    enum resource_dialect dialect;
    enum manifest_quotes quotes;
    char name[MANIFEST_LABEL_SIZE];
    const char *space; /* namespace; NULL: the cluster's default */
    char image[512];   /* reference */
    const char *pull_secret;
    const char *service_type; /* of the Service; NULL: ClusterIP */
    unsigned replicas;
    uint32_t user;       /* and group; 0: not told yet */
    const char *seccomp; /* path below the kubelet's folder; NULL: the runtime's own profile */
    const char *epc, *memory, *cpu; /* quantities that go before what follows from the image */
    struct manifest_port ports[MANIFEST_LIST_MAX];
    struct manifest_volume volumes[MANIFEST_LIST_MAX];
    struct manifest_pair variables[MANIFEST_LIST_MAX];
    struct manifest_pair tolerations[MANIFEST_LIST_MAX];
    struct manifest_pair node_labels[MANIFEST_LIST_MAX];
    unsigned port_count, volume_count, variable_count, toleration_count, node_label_count;
    struct manifest_probe probe;
    char *const *arguments;
    unsigned argument_count;
    /* Of the image. */
    uint64_t epc_bytes;   /* that its enclave can come to have, without the processor's own pages */
    uint64_t image_bytes; /* of all files */
    uint32_t threads;
    json_t *identity; /* cella.dev/… to strings, owned: annotations of the pod */
};

void manifest_done(struct manifest *manifest);

/* Bytes of enclave memory with the pages that the processor itself needs: SECS, and version arrays of 512 pages each. */
uint64_t manifest_epc(uint64_t enclave_bytes);

/* An array of objects, in the order in which they are to be applied; NULL: out of memory. The caller frees. */
json_t *manifest_make(const struct manifest *manifest);

/* ------------------------------------------------------------------- values of options (manifest_parse.c) */

/* Each false when the text is not what it should be; the option's help says what that is. */
bool manifest_name_parse(const char *text, char ret_name[MANIFEST_LABEL_SIZE]);
bool manifest_image_is_good(const char *reference);
bool manifest_quantity_is_good(const char *text);
bool manifest_seccomp_is_good(const char *path);
bool manifest_port_parse(const char *text, struct manifest_port *ret_port);
bool manifest_volume_parse(const char *text, struct manifest_volume *ret_volume);
bool manifest_probe_parse(const char *text, struct manifest_probe *ret_probe);
bool manifest_variable_parse(const char *text, struct manifest_pair *ret_variable);
bool manifest_toleration_parse(const char *text, struct manifest_pair *ret_toleration);
bool manifest_node_label_parse(const char *text, struct manifest_pair *ret_label);

#endif
