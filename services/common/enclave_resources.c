/*
 * The names under which clusters know enclaves. enclave_resources.h is the manual.
 * Side: services. Called by the device plugin and the webhook.
 */
#include "services/common/enclave_resources.h"

#include <string.h>

#define BOTH (RESOURCE_ENCLAVE | RESOURCE_PROVISION)

const struct enclave_resource enclave_resources[ENCLAVE_RESOURCES] = {
    {RESOURCE_EPC, DIALECT_INTEL, RESOURCE_BYTES, 0, NULL},
    {RESOURCE_ENCLAVES, DIALECT_INTEL, RESOURCE_SLOT, RESOURCE_ENCLAVE, "sgx-enclave-"},
    {RESOURCE_PROVISIONS, DIALECT_INTEL, RESOURCE_SLOT, RESOURCE_PROVISION, "sgx-provision-"},
    {"kubernetes.azure.com/sgx_epc_mem_in_MiB", DIALECT_AZURE, RESOURCE_MIB, BOTH, NULL},
    {"alibabacloud.com/sgx_epc_MiB", DIALECT_ALIBABA, RESOURCE_MIB, BOTH, NULL},
    {"cella.dev/soft-enclave", DIALECT_CELLA, RESOURCE_SLOT, 0, "soft-enclave-"},
};

const char *const dialect_names[] = {"intel", "azure", "alibaba", "cella", NULL};

const struct enclave_resource *enclave_resource_find(const char *name)
{
    for (size_t i = 0; i < ENCLAVE_RESOURCES; i++) {
        if (strcmp(enclave_resources[i].name, name) == 0) {
            return &enclave_resources[i];
        }
    }
    return NULL;
}
