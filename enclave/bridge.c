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

uint64_t cella_bridge_size(const struct cella_bridge_pointer *pointer, const void *record)
{
    return cella_bridge_bytes(pointer, record);
}

cella_result cella_bridge_size_check(const struct cella_bridge_pointer *pointer, const void *record,
                                     uint64_t size)
{
    if (cella_bridge_is_string(pointer)) {
        CELLA_ENSURE(size >= unit_of(pointer) && size % unit_of(pointer) == 0, TRUNCATED);
        return CELLA_OK;
    }
    const uint64_t expected = cella_bridge_size(pointer, record);
    CELLA_ENSURE(expected != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
    CELLA_ENSURE(size >= expected, TRUNCATED);
    CELLA_ENSURE(size == expected, TRAILING_BYTES);
    CELLA_ENSURE(!pointer->deep || expected % pointer->deep->size == 0, SIZE_OVERFLOW);
    return CELLA_OK;
}

void cella_bridge_close(struct cella_bridge_call *call)
{
    if (call->buffer) {
        cella_call_buffer_give(call->buffer, call->capacity);
        call->buffer = NULL;
    }
}

cella_result cella_bridge_open(struct cella_bridge_call *call,
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
    call->span_count = 0;
    if (function->pointer_count == 0) {
        return CELLA_OK;
    }
    call->spans = (const struct cella_bridge_span *)((const uint8_t *)in + spans_at);
    call->span_count = (in_size - spans_at) / sizeof(struct cella_bridge_span);
    uint64_t total = 0;
    CELLA_TRY(spans_check(call, &total));
    call->buffer = (uint8_t *)cella_call_buffer_take(total + 16, &call->capacity);
    CELLA_ENSURE(call->buffer != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

/* Pointer i is span i: the functions that follow structs are in bridge_follow.c. */
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
        CELLA_TRY(cella_bridge_size_check(pointer, call->head, span.size));
        if (span.size == 0 && (function->flags & CELLA_BRIDGE_EMPTY_NULL) != 0) {
            continue;
        }
        uint8_t *room = cella_bridge_room(call, span.size);
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

cella_result cella_bridge_enter(struct cella_bridge_call *call,
                                const struct cella_bridge_function *function, const void *in,
                                size_t in_size, void *out, size_t out_capacity,
                                struct cella_bridge_at *at)
{
    CELLA_ENSURE((function->flags & CELLA_BRIDGE_DEEP) == 0, INTERNAL);
    CELLA_TRY(cella_bridge_open(call, function, in, in_size, out, out_capacity, at));
    cella_result result = plain_take(call);
    if (!cella_is_ok(result)) {
        cella_bridge_close(call);
    }
    return result;
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
    cella_result result = plain_give(call);
    cella_bridge_close(call);
    if (cella_is_ok(result)) {
        *ret_size = call->function->reply_size;
    }
    return result;
}

cella_result cella_bridge_names_answer(uint32_t ecall_count, uint32_t ocall_count,
                                       const char *names, size_t size, void *out,
                                       size_t out_capacity, size_t *ret_size)
{
    const struct cella_bridge_names answer = {.magic = CELLA_BRIDGE_MAGIC,
                                              .ecall_count = ecall_count,
                                              .ocall_count = ocall_count,
                                              .size = size};
    CELLA_ENSURE(out_capacity >= sizeof(answer), BUFFER_TOO_SMALL);
    const size_t room = out_capacity - sizeof(answer);
    const size_t part = size < room ? size : room;
    __builtin_memcpy(out, &answer, sizeof(answer));
    __builtin_memcpy((uint8_t *)out + sizeof(answer), names, part);
    *ret_size = sizeof(answer) + part;
    return CELLA_OK;
}
