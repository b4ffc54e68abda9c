/*
 * A program's image in an enclave: loaded, entered, and what it ended with.
 * Side: tools. Called by ego_run.c.
 */
#ifndef CELLA_CLI_EGO_ENTER_H
#define CELLA_CLI_EGO_ENTER_H

#include "cella/host.h"
#include "common/bytes.h"

CELLA_MUST_USE cella_result ego_load(struct cella_bytes image, const char *name,
                                     cella_enclave **ret_enclave, struct cella_error *error);

/* With these arguments behind its own, and this process's environment. *ret_status: as a shell has it. */
CELLA_MUST_USE cella_result ego_enter(cella_enclave *enclave, char **arguments, int *ret_status,
                                      struct cella_error *error);

#endif
