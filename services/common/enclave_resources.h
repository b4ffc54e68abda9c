/*
 * The names under which clusters know enclaves: three dialects and our own, in one table.
 * Side: services. Called by the device plugin, the webhook and cella k8s. Never changes.
 */
#ifndef CELLA_SERVICES_ENCLAVE_RESOURCES_H
#define CELLA_SERVICES_ENCLAVE_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum resource_dialect { DIALECT_INTEL, DIALECT_AZURE, DIALECT_ALIBABA, DIALECT_CELLA };

enum resource_unit {
    RESOURCE_SLOT,  /* the right to open a device, so many of them */
    RESOURCE_MIB,   /* enclave memory: a device of the kubelet each MiB, and the right to open */
    RESOURCE_BYTES, /* enclave memory: a figure in the node's status */
};

enum {
    RESOURCE_ENCLAVE = 1 << 0,
    RESOURCE_PROVISION = 1 << 1,
};

struct enclave_resource {
    const char *name;
    enum resource_dialect dialect;
    enum resource_unit unit;
    unsigned devices;      /* that a pod gets: RESOURCE_ENCLAVE | … */
    const char *id_prefix; /* of its devices; NULL where they are numbered alone */
};

#define ENCLAVE_RESOURCES 6u

extern const struct enclave_resource enclave_resources[ENCLAVE_RESOURCES];
extern const char *const dialect_names[]; /* by enum resource_dialect; ends in NULL */

/* NULL: none of them. */
const struct enclave_resource *enclave_resource_find(const char *name);
/* Whether it counts enclave memory. */
static inline bool enclave_resource_is_memory(const struct enclave_resource *resource)
{
    return resource->unit != RESOURCE_SLOT;
}

#define RESOURCE_EPC "sgx.intel.com/epc"
#define RESOURCE_ENCLAVES "sgx.intel.com/enclave"
#define RESOURCE_PROVISIONS "sgx.intel.com/provision"

#endif
