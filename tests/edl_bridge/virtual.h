/*
 * Between the two halves of the virtual kernel.
 * Side: tests. Included by virtual_host.c and virtual_enclave.c.
 */
#ifndef CELLA_TESTS_EDL_BRIDGE_VIRTUAL_H
#define CELLA_TESTS_EDL_BRIDGE_VIRTUAL_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

/* The range that counts as the enclave when the host names it. Nothing is mapped there. */
#define VIRTUAL_BASE 0x100000000000ull
#define VIRTUAL_SIZE 0x10000000ull

struct virtual_host {
    cella_result (*ocall)(uint32_t number, const void *in, size_t in_size, void *out,
                          size_t out_capacity, size_t *ret_size);
};

struct cella_ecall;

struct virtual_enclave {
    const struct cella_ecall *table;
    size_t count;
};

#endif
