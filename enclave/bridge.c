/*
 * Generated ecalls inside the enclave: the message's spans are checked, copied in once, and copied back.
 * Side: enclave. Called by generated code (cella/bridge.h); kernel functions only through slice.h and boundary.h.
 * Never reads host memory twice, never trusts a size that the description does not confirm.
 */
#include "cella/bridge.h"

#include "enclave/boundary.h"
#include "enclave/bridge.h"
#include "enclave/slice.h"

#define USER_LIMIT 0x800000000000ull

uint64_t cella_bridge_load(const void *record, uint32_t offset)
{
    uint64_t value;
    __builtin_memcpy(&value, (const uint8_t *)record + offset, sizeof(value));
    return value;
}

void cella_bridge_store(void *record, uint32_t offset, uint64_t value)
{
    __builtin_memcpy((uint8_t *)record + offset, &value, sizeof(value));
}

bool cella_bridge_is_string(const struct cella_bridge_pointer *pointer)
{
    return (pointer->flags & (CELLA_BRIDGE_STRING | CELLA_BRIDGE_WSTRING)) != 0;
}

static uint64_t unit_of(const struct cella_bridge_pointer *pointer)
{
    return (pointer->flags & CELLA_BRIDGE_WSTRING) != 0 ? 4 : 1;
}

bool cella_bridge_is_ended(const struct cella_bridge_pointer *pointer, const uint8_t *text,
                           uint64_t size)
{
    const uint64_t unit = unit_of(pointer);
    if (size < unit || size % unit != 0) {
        return false;
    }
    uint32_t last = 0;
    __builtin_memcpy(&last, text + size - unit, unit);
    return last == 0;
}

bool cella_bridge_end(const struct cella_bridge_function *function,
                      const struct cella_bridge_pointer *pointer, uint8_t *text, uint64_t size)
{
    const uint64_t unit = unit_of(pointer);
    if ((function->flags & CELLA_BRIDGE_TERMINATE) != 0 && size >= unit) {
        __builtin_memset(text + size - unit, 0, unit);
    }
    return cella_bridge_is_ended(pointer, text, size);
}

cella_result cella_bridge_allow(const struct cella_bridge_function *function)
{
    if ((function->flags & CELLA_BRIDGE_GUARDED) == 0) {
        return CELLA_OK;
    }
    const uint32_t outstanding = cella_outstanding_ocall();
    if (outstanding == 0) {
        CELLA_ENSURE(!function->is_private, ACCESS_DENIED);
        return CELLA_OK;
    }
    for (uint32_t i = 0; i < function->caller_count; i++) {
        if (function->callers[i] == outstanding - 1) {
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(ACCESS_DENIED);
}

/* Whether a struct's working copy is followed by an untouched one: what came from the host is needed for the way back. */
static bool is_kept(const struct cella_bridge_pointer *pointer, uint32_t direction)
{
    return pointer->deep && direction == (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT);
}

/* All spans are host memory. *ret_total is room for all copies. */
static inline cella_result spans_check(const struct cella_bridge_call *call, uint64_t *ret_total)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < call->span_count; i++) {
        const struct cella_bridge_span span = call->spans[i];
        if (span.address == 0) {
            CELLA_ENSURE(span.size == 0, BAD_FIELD);
            continue;
        }
        CELLA_ENSURE(span.address < USER_LIMIT && span.size <= USER_LIMIT - span.address,
                     OUT_OF_RANGE);
        CELLA_TRY(cella_span_check(span.address, span.size));
        CELLA_ENSURE(span.size <= CELLA_BRIDGE_SIZE_MAX, OUT_OF_RANGE);
        total += CELLA_BRIDGE_ALIGN(span.size);
        CELLA_ENSURE(total <= CELLA_BRIDGE_SIZE_MAX, OUT_OF_RANGE);
    }
    *ret_total = (call->function->flags & CELLA_BRIDGE_DEEP) != 0 ? 2 * total : total;
    return CELLA_OK;
}

static inline uint8_t *room_take(struct cella_bridge_call *call, uint64_t size)
{
    uint8_t *room = call->buffer + call->used;
    call->used += CELLA_BRIDGE_ALIGN(size);
    return room;
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

/* What the pointer's span must be, by the sizes in `record`. */
static inline cella_result size_check(const struct cella_bridge_pointer *pointer,
                                      const void *record, uint64_t size)
{
    if (cella_bridge_is_string(pointer)) {
        CELLA_ENSURE(size >= unit_of(pointer) && size % unit_of(pointer) == 0, TRUNCATED);
        return CELLA_OK;
    }
    const uint64_t expected = cella_bridge_bytes(pointer, record);
    CELLA_ENSURE(expected != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
    CELLA_ENSURE(size >= expected, TRUNCATED);
    CELLA_ENSURE(size == expected, TRAILING_BYTES);
    CELLA_ENSURE(!pointer->deep || expected % pointer->deep->size == 0, SIZE_OVERFLOW);
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
    CELLA_TRY(size_check(pointer, record, span.size));
    if (span.size == 0 && (call->function->flags & CELLA_BRIDGE_EMPTY_NULL) != 0) {
        return CELLA_OK;
    }
    uint8_t *room = room_take(call, span.size);
    if ((direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_TRY(cella_copy_in(room, cella_host_pointer(span.address), span.size));
    } else {
        __builtin_memset(room, 0, span.size);
    }
    if (cella_bridge_is_string(pointer) && (direction & CELLA_BRIDGE_IN) != 0) {
        CELLA_ENSURE(cella_bridge_is_ended(pointer, room, span.size), BAD_FIELD);
    }
    if (is_kept(pointer, direction)) {
        __builtin_memcpy(room_take(call, span.size), room, span.size);
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

/*
 * The same for functions that follow no structs, which is nearly all of them.
 */
static cella_result plain_take(struct cella_bridge_call *call)
{
    const struct cella_bridge_function *function = call->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const struct cella_bridge_span span = call->spans[i];
        struct cella_bridge_at *at = &call->at[i];
        *at = (struct cella_bridge_at){.at = NULL, .next = i, .used = call->used};
        if (span.address == 0) {
            continue;
        }
        CELLA_TRY(size_check(pointer, call->head, span.size));
        if (span.size == 0 && (function->flags & CELLA_BRIDGE_EMPTY_NULL) != 0) {
            continue;
        }
        uint8_t *room = room_take(call, span.size);
        at->at = room;
        if ((pointer->flags & CELLA_BRIDGE_IN) == 0) {
            __builtin_memset(room, 0, span.size);
            continue;
        }
        CELLA_TRY(cella_copy_in(room, cella_host_pointer(span.address), span.size));
        if (cella_bridge_is_string(pointer)) {
            CELLA_ENSURE(cella_bridge_is_ended(pointer, room, span.size), BAD_FIELD);
        }
    }
    __asm__ volatile("lfence" : : : "memory");
    return CELLA_OK;
}

static void buffer_give(struct cella_bridge_call *call)
{
    if (call->buffer) {
        cella_call_buffer_give(call->buffer, call->capacity);
        call->buffer = NULL;
    }
}

cella_result cella_bridge_enter(struct cella_bridge_call *call,
                                const struct cella_bridge_function *function, const void *in,
                                size_t in_size, void *out, size_t out_capacity,
                                struct cella_bridge_at *at)
{
    const uint64_t spans_at = CELLA_BRIDGE_SPANS_AT(function->head_size);
    const uint64_t fixed =
        CELLA_BRIDGE_MESSAGE_SIZE(function->head_size, (uint64_t)function->pointer_count);
    CELLA_TRY(cella_bridge_allow(function));
    CELLA_ENSURE(out_capacity >= function->reply_size, BUFFER_TOO_SMALL);
    CELLA_ENSURE(in_size >= fixed, TRUNCATED);
    CELLA_ENSURE((in_size - fixed) % sizeof(struct cella_bridge_span) == 0, TRAILING_BYTES);
    CELLA_ENSURE(in_size == fixed || (function->flags & CELLA_BRIDGE_DEEP) != 0, TRAILING_BYTES);
    call->function = function; /* one by one: clearing it all takes a string instruction */
    call->head = in;
    call->reply = out;
    call->at = at;
    call->buffer = NULL;
    call->next = 0;
    call->used = 0;
    if (function->pointer_count == 0) {
        __asm__ volatile("lfence" : : : "memory");
        return CELLA_OK;
    }
    call->spans = (const struct cella_bridge_span *)((const uint8_t *)in + spans_at);
    call->span_count = (in_size - spans_at) / sizeof(struct cella_bridge_span);
    uint64_t total = 0;
    CELLA_TRY(spans_check(call, &total));
    call->buffer = (uint8_t *)cella_call_buffer_take(total + 16, &call->capacity);
    CELLA_ENSURE(call->buffer != NULL, OUT_OF_MEMORY);
    cella_result result =
        (function->flags & CELLA_BRIDGE_DEEP) != 0 ? parts_take(call) : plain_take(call);
    if (!cella_is_ok(result)) {
        buffer_give(call);
    }
    return result;
}

/* ---- The way back ---- */

static CELLA_MUST_USE cella_result part_give(struct cella_bridge_call *call,
                                             const struct cella_bridge_pointer *pointer,
                                             uint32_t direction, const uint8_t *changed);

/* Members that are lengths of others: the caller's stay, and the function must not have made them bigger. */
cella_result cella_bridge_lengths_keep(const struct cella_bridge_struct *type, uint8_t *record,
                                       const uint8_t *original)
{
    for (uint32_t i = 0; i < type->length_count; i++) {
        const struct cella_bridge_number *length = &type->lengths[i];
        const uint64_t now = cella_bridge_value(length, record);
        const uint64_t before = cella_bridge_value(length, original);
        CELLA_ENSURE(now <= before && length->width <= 16, LENGTH_GREW);
        __builtin_memcpy(record + length->value, original + length->value, length->width);
    }
    return CELLA_OK;
}

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
    const uint64_t size = cella_bridge_bytes(pointer, record);
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
    uint8_t *room = room_take(call, span.size);
    const uint8_t *from = room;
    uint64_t size = span.size;
    if (is_kept(pointer, direction)) {
        const uint8_t *kept = room_take(call, span.size);
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

static cella_result plain_give(struct cella_bridge_call *call)
{
    const struct cella_bridge_function *function = call->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        uint8_t *room = call->buffer + call->at[i].used;
        if ((pointer->flags & CELLA_BRIDGE_OUT) == 0 || !call->at[i].at) {
            continue;
        }
        const struct cella_bridge_span span = call->spans[i];
        if (cella_bridge_is_string(pointer)) {
            CELLA_ENSURE(cella_bridge_end(function, pointer, room, span.size), BAD_FIELD);
        }
        CELLA_TRY(cella_copy_out(cella_host_pointer_out(span.address), room, span.size));
    }
    return CELLA_OK;
}

cella_result cella_bridge_leave(struct cella_bridge_call *call, size_t *ret_size)
{
    const struct cella_bridge_function *function = call->function;
    cella_result result = CELLA_OK;
    if ((function->flags & CELLA_BRIDGE_DEEP_OUT) != 0) {
        result = cella_bridge_deep_give(call);
    }
    if (cella_is_ok(result)) {
        result = (function->flags & CELLA_BRIDGE_DEEP) != 0 ? parts_give(call) : plain_give(call);
    }
    buffer_give(call);
    if (cella_is_ok(result)) {
        *ret_size = function->reply_size;
    }
    return result;
}
