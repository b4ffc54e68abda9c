/*
 * The pod of an application with an enclave.
 * Side: tools. Called by cli/manifest.c.
 */
#ifndef CELLA_CLI_MANIFEST_POD_H
#define CELLA_CLI_MANIFEST_POD_H

#include "cli/manifest.h"

/* A PodSpec. */
json_t *manifest_pod(const struct manifest *manifest);

#endif
