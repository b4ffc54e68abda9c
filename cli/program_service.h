/*
 * What the host of a program serves beside the host library: collateral for the verifier in the full kernel, and a Marble's connection.
 * Side: tools. Called by those who run programs; given to cella_enclave_create as options.service.
 */
#ifndef CELLA_CLI_PROGRAM_SERVICE_H
#define CELLA_CLI_PROGRAM_SERVICE_H

#include "cella/host.h"

/* A cella_service_function; the context is not used. NOT_FOUND: not one of these. */
cella_result program_service(void *context, uint32_t number, const void *in, size_t in_size,
                             void *out, size_t out_capacity, size_t *ret_size);

/*
 * What debug enclaves of this process said last, for the error of a program that did not start: "; LINE; LINE", or "". An
 * enclave that is not open to its host says nothing.
 */
void program_service_said(char *ret_text, size_t size);

#endif
