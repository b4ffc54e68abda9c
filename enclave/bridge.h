/*
 * What the parts of the bridge know of each other.
 * Side: enclave. Included by bridge.c, bridge_follow.c, bridge_deep.c, bridge_ocall.c and bridge_ocall_full.c.
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

/* cella_bridge_bytes, once: it is a long function. */
uint64_t cella_bridge_size(const struct cella_bridge_pointer *pointer, const void *record);
/* What the pointer's span must be, by the sizes in `record`. */
CELLA_MUST_USE cella_result cella_bridge_size_check(const struct cella_bridge_pointer *pointer,
                                                    const void *record, uint64_t size);
/* The message and its spans are checked; the buffer for the copies is there if there are pointers. */
CELLA_MUST_USE cella_result cella_bridge_open(struct cella_bridge_call *call,
                                              const struct cella_bridge_function *function,
                                              const void *in, size_t in_size, void *out,
                                              size_t out_capacity, struct cella_bridge_at *at);
void cella_bridge_close(struct cella_bridge_call *call);

static inline uint8_t *cella_bridge_room(struct cella_bridge_call *call, uint64_t size)
{
    uint8_t *room = call->buffer + call->used;
    call->used += CELLA_BRIDGE_ALIGN(size);
    return room;
}

/* bridge_ocall.c: a message on its way out. */
struct cella_slice;
struct cella_ocall_pack {
    const struct cella_bridge_function *function;
    const struct cella_slice *slice; /* NULL: only measuring */
    uint64_t parts_at, parts;        /* offset of the first, number so far */
    uint64_t in_at, out_at; /* offsets of the next bytes, in the message and in the output */
};
/* The two ways of an ocall: plain, and in full. *is_torn: the caller's memory has some of the results. */
struct cella_ocall_way {
    cella_result (*pack)(struct cella_ocall_pack *pack, const void *head, void *const *at);
    cella_result (*call)(const struct cella_bridge_function *function,
                         const struct cella_slice *slice, uint32_t number);
    cella_result (*take)(const struct cella_ocall_pack *pack, const void *head, void *const *at,
                         void *reply, bool *is_torn);
};
CELLA_MUST_USE cella_result cella_bridge_ocall_by(const struct cella_ocall_way *way,
                                                  const struct cella_bridge_function *function,
                                                  uint32_t number, const void *head,
                                                  void *const *at, void *reply);
/* The bytes of a part: of a string up to and with its end. */
uint64_t cella_bridge_part_size(const struct cella_bridge_pointer *pointer, const void *record,
                                const void *at);
CELLA_MUST_USE cella_result cella_bridge_part_put(struct cella_ocall_pack *pack, uint64_t present,
                                                  uint64_t size);
/* One pointer's part; its bytes are the caller's to put at *ret_offset. */
CELLA_MUST_USE cella_result cella_bridge_part_pack(struct cella_ocall_pack *pack,
                                                   const struct cella_bridge_pointer *pointer,
                                                   const void *record, const void *at,
                                                   uint32_t direction, uint64_t *ret_offset,
                                                   uint64_t *ret_size);
/* Nothing can be wrong with plain bytes: they go where they belong at once. */
CELLA_MUST_USE cella_result cella_bridge_results_plain(const struct cella_ocall_pack *pack,
                                                       const void *head, void *const *at,
                                                       void *reply, bool *is_torn);

/*
 * bridge_deep.c: members that are lengths of others are the caller's again, and the function must not have made them
 * bigger.
 */
CELLA_MUST_USE cella_result cella_bridge_lengths_keep(const struct cella_bridge_struct *type,
                                                      uint8_t *record, const uint8_t *original);
/* Out-only structs whose followed memory the called side has allocated. */
/* An ecall's: packs it all into host memory that the reply names, and releases it. */
CELLA_MUST_USE cella_result cella_bridge_deep_give(struct cella_bridge_call *call);
/* After that, when the call fails all the same: the host will not hear of its memory. */
void cella_bridge_deep_take_back(struct cella_bridge_call *call);
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
