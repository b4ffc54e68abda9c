/*
 * Generated ecalls whose structs have pointers that are followed: spans are taken in the order of traversal.
 * Side: enclave. Called by generated code (cella/bridge.h), and linked only where an interface has such a function.
 * Never reads host memory twice, never follows deeper than CELLA_BRIDGE_DEPTH_MAX.
 */
#include "enclave/boundary.h"
#include "enclave/bridge.h"
#include "enclave/slice.h"

/* Whether a struct's working copy is followed by an untouched one: what came from the host is needed for the way back. */
static bool is_kept(const struct cella_bridge_pointer *pointer, uint32_t direction)
{
    return pointer->deep && direction == (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT);
}

static CELLA_MUST_USE cella_result part_take(struct cella_bridge_call *call,
                                             const struct cella_bridge_pointer *pointer,
                                             const void *record, uint32_t direction, uint32_t depth,
                                             void **ret_at);

/* The pointers in structs that have just been copied in. */
static cella_result structs_take(struct cella_bridge_call *call,
                                 const struct cella_bridge_struct *type, uint8_t *structs,
                                 uint64_t count, uint32_t direction, uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = structs + i * type->size;
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            const uint64_t address = cella_bridge_load(record, pointer->offset);
            void *at = NULL;
            if (address != 0) {
                CELLA_ENSURE(call->next < call->span_count, TRUNCATED);
                CELLA_ENSURE(call->spans[call->next].address == address, HOST_VALUE);
                CELLA_TRY(part_take(call, pointer, record, direction, depth + 1, &at));
            }
            cella_bridge_store(record, pointer->offset, (uint64_t)at);
        }
    }
    return CELLA_OK;
}

static cella_result part_take(struct cella_bridge_call *call,
                              const struct cella_bridge_pointer *pointer, const void *record,
                              uint32_t direction, uint32_t depth, void **ret_at)
{
    CELLA_ENSURE(call->next < call->span_count, TRUNCATED);
    const struct cella_bridge_span span = call->spans[call->next++];
    *ret_at = NULL;
    if (span.address == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_bridge_size_check(pointer, record, span.size));
    if (span.size == 0 && (call->function->flags & CELLA_BRIDGE_EMPTY_NULL) != 0) {
        return CELLA_OK;
    }
    uint8_t *room = cella_bridge_room(call, span.size);
    if ((direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_TRY(cella_copy_in(room, cella_host_pointer(span.address), span.size));
    } else {
        __builtin_memset(room, 0, span.size);
    }
    if (cella_bridge_is_string(pointer) && (direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_ENSURE(cella_bridge_is_ended(pointer, room, span.size), BAD_FIELD);
    }
    if (is_kept(pointer, direction)) {
        __builtin_memcpy(cella_bridge_room(call, span.size), room, span.size);
    }
    if (pointer->deep && (direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_TRY(structs_take(call, pointer->deep, room, span.size / pointer->deep->size,
                               direction, depth));
    }
    *ret_at = room;
    return CELLA_OK;
}

static cella_result parts_take(struct cella_bridge_call *call)
{
    const struct cella_bridge_function *function = call->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        call->at[i].next = call->next;
        call->at[i].used = call->used;
        CELLA_TRY(part_take(call, pointer, call->head, cella_bridge_direction(pointer), 0,
                            &call->at[i].at));
    }
    CELLA_ENSURE(call->next == call->span_count, TRAILING_BYTES);
    __asm__ volatile("lfence" : : : "memory");
    return CELLA_OK;
}

cella_result cella_bridge_enter_deep(struct cella_bridge_call *call,
                                     const struct cella_bridge_function *function, const void *in,
                                     size_t in_size, void *out, size_t out_capacity,
                                     struct cella_bridge_at *at)
{
    CELLA_TRY(cella_bridge_open(call, function, in, in_size, out, out_capacity, at));
    cella_result result = parts_take(call);
    if (!cella_is_ok(result)) {
        cella_bridge_close(call);
    }
    return result;
}

/* ---- The way back ---- */

static CELLA_MUST_USE cella_result part_give(struct cella_bridge_call *call,
                                             const struct cella_bridge_pointer *pointer,
                                             uint32_t direction, const uint8_t *changed);

/*
 * What the function left in a followed pointer: the same memory, or with FOLLOW other memory of the enclave. *ret_size is
 * 0 when nothing is to be copied.
 */
static cella_result changed_find(const struct cella_bridge_function *function,
                                 const struct cella_bridge_pointer *pointer, const uint8_t *record,
                                 uint64_t limit, const uint8_t **ret_at, uint64_t *ret_size)
{
    *ret_at = NULL;
    *ret_size = limit;
    if ((function->flags & CELLA_BRIDGE_FOLLOW) == 0 || cella_bridge_is_string(pointer)) {
        return CELLA_OK;
    }
    const uint64_t at = cella_bridge_load(record, pointer->offset);
    const uint64_t size = cella_bridge_size(pointer, record);
    if (at == 0 || size == 0) {
        *ret_size = 0;
        return CELLA_OK;
    }
    CELLA_ENSURE(size != CELLA_BRIDGE_BAD && size <= limit, LENGTH_GREW);
    CELLA_ENSURE(cella_enclave_inside((const void *)at, size), BAD_FIELD);
    *ret_at = (const uint8_t *)at;
    *ret_size = size;
    return CELLA_OK;
}

/* Copies out what a member points to, then puts the host's own pointer back. */
static cella_result member_give(struct cella_bridge_call *call,
                                const struct cella_bridge_pointer *pointer, uint8_t *record,
                                const uint8_t *original)
{
    const uint64_t address = cella_bridge_load(original, pointer->offset);
    if (address != 0) {
        CELLA_ENSURE(call->next < call->span_count, INTERNAL);
        CELLA_TRY(part_give(call, pointer, CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT, record));
    }
    cella_bridge_store(record, pointer->offset, address);
    return CELLA_OK;
}

static cella_result structs_give(struct cella_bridge_call *call,
                                 const struct cella_bridge_struct *type, uint8_t *structs,
                                 const uint8_t *originals, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = structs + i * type->size;
        const uint8_t *original = originals + i * type->size;
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            CELLA_TRY(member_give(call, &type->pointers[k], record, original));
        }
        if ((call->function->flags & CELLA_BRIDGE_FOLLOW) == 0) {
            CELLA_TRY(cella_bridge_lengths_keep(type, record, original));
        }
    }
    return CELLA_OK;
}

/* Goes over the spans in the order of part_take. `changed`: the struct that holds the pointer; NULL for a parameter. */
static cella_result part_give(struct cella_bridge_call *call,
                              const struct cella_bridge_pointer *pointer, uint32_t direction,
                              const uint8_t *changed)
{
    const struct cella_bridge_span span = call->spans[call->next++];
    if (span.address == 0 ||
        (span.size == 0 && (call->function->flags & CELLA_BRIDGE_EMPTY_NULL) != 0)) {
        return CELLA_OK;
    }
    uint8_t *room = cella_bridge_room(call, span.size);
    const uint8_t *from = room;
    uint64_t size = span.size;
    if (is_kept(pointer, direction)) {
        if (changed) {
            const uint64_t now = cella_bridge_size(pointer, changed);
            CELLA_ENSURE(now != CELLA_BRIDGE_BAD && now <= size, LENGTH_GREW);
        }
        const uint8_t *kept = cella_bridge_room(call, span.size);
        CELLA_TRY(structs_give(call, pointer->deep, room, kept, span.size / pointer->deep->size));
    } else if (changed) {
        CELLA_TRY(changed_find(call->function, pointer, changed, span.size, &from, &size));
        from = from ? from : room;
    }
    if (size == 0) {
        return CELLA_OK;
    }
    if (cella_bridge_is_string(pointer)) {
        CELLA_ENSURE(cella_bridge_end(call->function, pointer, room, size), BAD_FIELD);
    }
    return cella_copy_out(cella_host_pointer_out(span.address), from, size);
}

static cella_result parts_give(struct cella_bridge_call *call)
{
    const struct cella_bridge_function *function = call->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint32_t direction = cella_bridge_direction(pointer);
        if ((direction & CELLA_BRIDGE_OUT) != 0) {
            call->next = call->at[i].next;
            call->used = call->at[i].used;
            CELLA_TRY(part_give(call, pointer, direction, NULL));
        }
    }
    return CELLA_OK;
}

cella_result cella_bridge_leave_deep(struct cella_bridge_call *call, size_t *ret_size)
{
    const bool is_out = (call->function->flags & CELLA_BRIDGE_DEEP_OUT) != 0;
    cella_result result = is_out ? cella_bridge_deep_give(call) : CELLA_OK;
    if (cella_is_ok(result)) {
        result = parts_give(call);
        if (is_out && !cella_is_ok(result)) {
            cella_bridge_deep_take_back(call);
        }
    }
    cella_bridge_close(call);
    if (cella_is_ok(result)) {
        *ret_size = call->function->reply_size;
    }
    return result;
}
