/*
 * What the parts of the host's bridge know of each other.
 * Side: host. Included by bridge.c, bridge_serve.c, binding.c and enclave.c.
 * Never included by generated code.
 */
#ifndef CELLA_HOST_BRIDGE_H
#define CELLA_HOST_BRIDGE_H

#include <stdbool.h>

#include "cella/bridge_host.h"

/* binding.c */
/* NOT_FOUND when the enclave has no ecall of that name. Binds the module at its first call. */
CELLA_MUST_USE cella_result cella_binding_number(cella_enclave *enclave,
                                                 const struct cella_bridge_module *module,
                                                 uint32_t index, uint32_t *ret_number);
void cella_bindings_free(cella_enclave *enclave);
/* The names that an enclave brings by itself, for the ocalls of its constructors (CELLA_OCALL_NAMES). */
CELLA_MUST_USE cella_result cella_bindings_offer(cella_enclave *enclave, const void *answer,
                                                 size_t size);

#endif
