/*
 * What the parts of the bridge know of each other.
 * Side: enclave. Included by bridge.c, bridge_deep.c and bridge_ocall.c.
 * Never included by generated code.
 */
#ifndef CELLA_ENCLAVE_BRIDGE_H
#define CELLA_ENCLAVE_BRIDGE_H

#include <stdbool.h>

#include "cella/bridge.h"

static inline uint32_t cella_bridge_direction(const struct cella_bridge_pointer *pointer)
{
    return pointer->flags & (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT);
}

/* bridge.c: a pointer in a record, as an address. */
uint64_t cella_bridge_load(const void *record, uint32_t offset);
void cella_bridge_store(void *record, uint32_t offset, uint64_t value);
bool cella_bridge_is_string(const struct cella_bridge_pointer *pointer);
bool cella_bridge_is_ended(const struct cella_bridge_pointer *pointer, const uint8_t *text,
                           uint64_t size);
/* Puts the end there when the dialect does so; whether there is one. */
bool cella_bridge_end(const struct cella_bridge_function *function,
                      const struct cella_bridge_pointer *pointer, uint8_t *text, uint64_t size);
CELLA_MUST_USE cella_result cella_bridge_lengths_keep(const struct cella_bridge_struct *type,
                                                      uint8_t *record, const uint8_t *original);

/* bridge_deep.c: out-only structs whose followed memory the called side has allocated. */
/* An ecall's: packs it all into host memory that the reply names, and releases it. */
CELLA_MUST_USE cella_result cella_bridge_deep_give(struct cella_bridge_call *call);
/* The bytes that one ocall brought back for its out-only structs. */
struct cella_deep_source {
    const struct cella_bridge_memory *memory;
    struct cella_bridge_deep deep;
    uint64_t used;
    uint64_t taken; /* allocations so far */
};
/* Replaces the marks in `count` structs by allocated copies. After a failure: cella_bridge_deep_release with `taken`. */
CELLA_MUST_USE cella_result cella_bridge_deep_take(struct cella_deep_source *source,
                                                   const struct cella_bridge_struct *type,
                                                   uint8_t *structs, uint64_t count,
                                                   uint32_t depth);
/* Releases the first *left allocations, counted down, in the order in which they were made; 1 stays in their place. */
void cella_bridge_deep_release(const struct cella_bridge_memory *memory,
                               const struct cella_bridge_struct *type, uint8_t *structs,
                               uint64_t count, uint64_t *left);

#endif
