/*
 * Evidence at the host's request: the ecall's function, which is the libc's code, and its entry, which is the kernel's.
 * Side: enclave. Included by attest.c and attest_ecall.c.
 */
#ifndef CELLA_ENCLAVE_EVIDENCE_H
#define CELLA_ENCLAVE_EVIDENCE_H

#include <stddef.h>

#include "abi/service.h"
#include "cella/result.h"

cella_result cella_evidence_serve(const void *in, size_t in_size, void *out, size_t out_capacity,
                                  size_t *ret_size);

#endif
