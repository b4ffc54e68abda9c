/*
 * Files in blocks, for the enclave's protected files.
 * Side: host. Included by host/service.c and host/enclave.c.
 */
#ifndef CELLA_HOST_BLOCKS_H
#define CELLA_HOST_BLOCKS_H

#include "host/host.h"

CELLA_MUST_USE cella_result cella_host_blocks(cella_enclave *enclave, const void *in,
                                              size_t in_size, void *out, size_t out_capacity,
                                              size_t *ret_size);
/* Closes what the enclave has left open; no call of it may be running. */
void cella_host_blocks_end(const cella_enclave *enclave);

#endif
