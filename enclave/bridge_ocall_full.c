/*
 * Generated ocalls in full: structs whose pointers are followed, results that are looked at before they reach the caller,
 * calls over the ring.
 * Side: enclave. Called by generated code (cella/bridge.h), and linked only where an interface has such a function.
 * Never writes to the caller's memory before all that comes back has been checked; never reads host memory twice.
 */
#include "enclave/boundary.h"
#include "enclave/bridge.h"
#include "enclave/slice.h"

/* Structs go out without the enclave's addresses: 1 stands for a pointer, 0 for NULL. */
static cella_result struct_put(const struct cella_slice *slice, uint64_t offset,
                               const struct cella_bridge_struct *type, const uint8_t *record)
{
    uint64_t from = 0;
    for (uint32_t k = 0; k < type->pointer_count; k++) {
        const uint32_t at = type->pointers[k].offset;
        const uint64_t mark = cella_bridge_load(record, at) != 0;
        CELLA_TRY(cella_slice_put(slice, offset + from, record + from, at - from));
        CELLA_TRY(cella_slice_put(slice, offset + at, &mark, sizeof(mark)));
        from = at + sizeof(mark);
    }
    return cella_slice_put(slice, offset + from, record + from, type->size - from);
}

static CELLA_MUST_USE cella_result part_pack(struct cella_ocall_pack *pack,
                                             const struct cella_bridge_pointer *pointer,
                                             const void *record, const void *at, uint32_t direction,
                                             uint32_t depth);

static cella_result structs_pack(struct cella_ocall_pack *pack,
                                 const struct cella_bridge_struct *type, const uint8_t *structs,
                                 uint64_t count, uint64_t offset, uint32_t direction,
                                 uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *record = structs + i * type->size;
        if (pack->slice) {
            CELLA_TRY(struct_put(pack->slice, offset + i * type->size, type, record));
        }
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            const void *at = (const void *)cella_bridge_load(record, pointer->offset);
            if (at) {
                CELLA_TRY(part_pack(pack, pointer, record, at, direction, depth + 1));
            }
        }
    }
    return CELLA_OK;
}

static cella_result part_pack(struct cella_ocall_pack *pack,
                              const struct cella_bridge_pointer *pointer, const void *record,
                              const void *at, uint32_t direction, uint32_t depth)
{
    uint64_t offset, size;
    CELLA_TRY(cella_bridge_part_pack(pack, pointer, record, at, direction, &offset, &size));
    CELLA_ENSURE(!pointer->deep || size % pointer->deep->size == 0, SIZE_OVERFLOW);
    if ((direction & CELLA_BRIDGE_IN) == 0) {
        return CELLA_OK;
    }
    if (pointer->deep) {
        return structs_pack(pack, pointer->deep, (const uint8_t *)at, size / pointer->deep->size,
                            offset, direction, depth);
    }
    return pack->slice ? cella_slice_put(pack->slice, offset, at, size) : CELLA_OK;
}

static cella_result full_pack(struct cella_ocall_pack *pack, const void *head, void *const *at)
{
    const struct cella_bridge_function *function = pack->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        CELLA_TRY(part_pack(pack, pointer, head, at[i], cella_bridge_direction(pointer), 0));
    }
    return CELLA_OK;
}

/* ---- What came back ---- */

/*
 * What a checked result is copied to. Buffers of the caller may overlap, and sizes of strings and structs are read from
 * them: so all of them are known before the first changes.
 */
struct ocall_result {
    void *to;
    const uint8_t *from;
    uint64_t size;
};

/* The walk over the results: everything is checked (and memory allocated); after a failure that memory is released. */
struct ocall_results {
    const struct cella_bridge_function *function;
    uint8_t *room; /* the enclave's copy of the whole output */
    uint64_t size;
    uint64_t used;
    struct ocall_result *checked; /* behind the room: one for each part at most */
    uint64_t checked_count, checked_max;
    bool is_release;
    struct cella_deep_source source;
};

static CELLA_MUST_USE cella_result result_take(struct ocall_results *results,
                                               const struct cella_bridge_pointer *pointer,
                                               const void *record, void *at, const uint8_t *changed,
                                               uint32_t direction);

/* In+out structs: lengths by the caller's own (or with FOLLOW not above them), pointers stay the caller's. */
static cella_result structs_take(struct ocall_results *results,
                                 const struct cella_bridge_struct *type, uint8_t *structs,
                                 uint8_t *room, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = room + i * type->size;
        const uint8_t *original = structs + i * type->size;
        if ((results->function->flags & CELLA_BRIDGE_FOLLOW) == 0) {
            CELLA_TRY(cella_bridge_lengths_keep(type, record, original));
        }
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            const uint64_t at = cella_bridge_load(original, pointer->offset);
            if (at != 0) {
                CELLA_TRY(result_take(results, pointer, original, (void *)at, record,
                                      CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT));
            }
            cella_bridge_store(record, pointer->offset, at);
        }
    }
    return CELLA_OK;
}

static cella_result result_take(struct ocall_results *results,
                                const struct cella_bridge_pointer *pointer, const void *record,
                                void *at, const uint8_t *changed, uint32_t direction)
{
    uint64_t size = cella_bridge_part_size(pointer, record, at);
    uint8_t *room = results->room + results->used;
    CELLA_ENSURE(size != CELLA_BRIDGE_BAD &&
                     CELLA_BRIDGE_ALIGN(size) <= results->size - results->used,
                 INTERNAL);
    results->used += CELLA_BRIDGE_ALIGN(size);
    if (cella_bridge_is_string(pointer)) {
        CELLA_ENSURE(cella_bridge_end(results->function, pointer, room, size), BAD_FIELD);
    }
    if (changed && !cella_bridge_is_string(pointer)) {
        const uint64_t now = cella_bridge_size(pointer, changed);
        CELLA_ENSURE(now != CELLA_BRIDGE_BAD && now <= size, LENGTH_GREW);
        size = pointer->deep ? size : now;
    }
    if (pointer->deep && (direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_TRY(
            structs_take(results, pointer->deep, (uint8_t *)at, room, size / pointer->deep->size));
    }
    if (pointer->deep && direction == CELLA_BRIDGE_OUT) {
        const uint64_t count = size / pointer->deep->size;
        if (results->is_release) {
            cella_bridge_deep_release(results->source.memory, pointer->deep, room, count,
                                      &results->source.taken);
        } else {
            CELLA_TRY(cella_bridge_deep_take(&results->source, pointer->deep, room, count, 0));
        }
    }
    CELLA_ENSURE(results->checked_count < results->checked_max, INTERNAL);
    results->checked[results->checked_count++] =
        (struct ocall_result){.to = at, .from = room, .size = size};
    return CELLA_OK;
}

static cella_result results_walk(struct ocall_results *results, const void *head, void *const *at,
                                 bool is_release)
{
    results->is_release = is_release;
    results->checked_count = 0;
    results->used = CELLA_BRIDGE_ALIGN(results->function->reply_size);
    for (uint32_t i = 0; i < results->function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &results->function->pointers[i];
        const uint32_t direction = cella_bridge_direction(pointer);
        if (at[i] && (direction & CELLA_BRIDGE_OUT) != 0) {
            CELLA_TRY(result_take(results, pointer, head, at[i], NULL, direction));
        }
    }
    return CELLA_OK;
}

static cella_result deep_begin(struct ocall_results *results)
{
    struct cella_bridge_deep deep;
    if ((results->function->flags & CELLA_BRIDGE_DEEP_OUT) == 0) {
        return CELLA_OK;
    }
    __builtin_memcpy(&deep, results->room, sizeof(deep));
    CELLA_ENSURE(deep.size <= CELLA_BRIDGE_SIZE_MAX, HOST_VALUE);
    CELLA_TRY(cella_span_check(deep.address, deep.size));
    results->source.memory = results->function->memory;
    results->source.deep = deep;
    return CELLA_OK;
}

static cella_result results_check(struct ocall_results *results, const void *head, void *const *at)
{
    CELLA_TRY(deep_begin(results));
    CELLA_TRY(results_walk(results, head, at, false));
    CELLA_ENSURE(results->source.used == results->source.deep.size, HOST_VALUE);
    __asm__ volatile("lfence" : : : "memory");
    return CELLA_OK;
}

/* The whole output comes into the enclave at once and is checked there; only then the caller's memory changes. */
static cella_result results_staged(const struct cella_ocall_pack *pack, const void *head,
                                   void *const *at, void *reply)
{
    const struct cella_bridge_function *function = pack->function;
    const uint64_t size = pack->slice->out_capacity; /* a multiple of 16 */
    uint64_t capacity = 0;
    struct ocall_results results = {.function = function, .size = size, .checked_max = pack->parts};
    results.room = (uint8_t *)cella_call_buffer_take(
        size + pack->parts * sizeof(struct ocall_result), &capacity);
    CELLA_ENSURE(results.room != NULL, OUT_OF_MEMORY);
    results.checked = (struct ocall_result *)(results.room + size);
    cella_result result = cella_slice_get(pack->slice, 0, results.room, size);
    if (cella_is_ok(result)) {
        result = results_check(&results, head, at);
        if (!cella_is_ok(result)) {
            cella_ignore(results_walk(&results, head, at, true));
        }
    }
    for (uint64_t i = 0; i < results.checked_count && cella_is_ok(result); i++) {
        __builtin_memcpy(results.checked[i].to, results.checked[i].from, results.checked[i].size);
    }
    if (results.source.deep.size != 0) {
        cella_host_memory_give(results.source.deep.address, results.source.deep.size);
    }
    if (cella_is_ok(result) && function->reply_size > 0) {
        __builtin_memcpy(reply, results.room, function->reply_size);
    }
    cella_call_buffer_give(results.room, capacity);
    return result;
}

static cella_result full_take(const struct cella_ocall_pack *pack, const void *head,
                              void *const *at, void *reply, bool *is_torn)
{
    return (pack->function->flags & CELLA_BRIDGE_STAGED) != 0
               ? results_staged(pack, head, at, reply)
               : cella_bridge_results_plain(pack, head, at, reply, is_torn);
}

static cella_result full_call(const struct cella_bridge_function *function,
                              const struct cella_slice *slice, uint32_t number)
{
    return (function->flags & CELLA_BRIDGE_SWITCHLESS) != 0
               ? cella_slice_call_switchless(slice, number)
               : cella_slice_call(slice, number);
}

cella_result cella_bridge_ocall_full(const struct cella_bridge_function *function, uint32_t number,
                                     const void *head, void *const *at, void *reply)
{
    static const struct cella_ocall_way way = {full_pack, full_call, full_take};
    return cella_bridge_ocall_by(&way, function, number, head, at, reply);
}
