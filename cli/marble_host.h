/*
 * What the host does for a Marble (abi/program.h, CELLA_OCALL_PROGRAM_MARBLE).
 * Side: tools. Called by program_service.c. Nothing of what is carried is understood here.
 */
#ifndef CELLA_CLI_MARBLE_HOST_H
#define CELLA_CLI_MARBLE_HOST_H

#include <stddef.h>

#include "common/result.h"

/* One request; one connection of this process at a time. Says on standard error why a coordinator cannot be reached. */
CELLA_MUST_USE cella_result marble_host(const void *in, size_t in_size, void *out, size_t room,
                                        size_t *ret_size);

#endif
