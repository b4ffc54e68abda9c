/*
 * Generated ecalls on the host: spans of the arguments, the message, what comes back in memory of its own.
 * Side: host. Called by generated code (cella/bridge_host.h).
 * Never copies a buffer: the enclave takes it from where it is.
 */
#include "cella/bridge_host.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "host/bridge.h"

static uint32_t direction_of(const struct cella_bridge_pointer *pointer)
{
    return pointer->flags & (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT);
}

/* Spans, counted (`spans` is NULL) or written. */
struct span_list {
    struct cella_bridge_span *spans;
    uint64_t count, capacity;
};

static cella_result span_add(struct span_list *list, const void *at, uint64_t size)
{
    CELLA_ENSURE(list->count < list->capacity, LIMIT_EXCEEDED);
    if (list->spans) {
        list->spans[list->count] =
            (struct cella_bridge_span){.address = (uint64_t)at, .size = size};
    }
    list->count++;
    return CELLA_OK;
}

static inline uint64_t span_size(const struct cella_bridge_pointer *pointer, const void *record,
                                 const void *at)
{
    if ((pointer->flags & CELLA_BRIDGE_STRING) != 0) {
        return strlen(at) + 1;
    }
    if ((pointer->flags & CELLA_BRIDGE_WSTRING) != 0) {
        return (wcslen(at) + 1) * sizeof(wchar_t);
    }
    return cella_bridge_bytes(pointer, record);
}

/* One span for each pointer, when no struct is followed. */
static inline cella_result spans_plain(struct cella_bridge_span *spans,
                                       const struct cella_bridge_function *function,
                                       const void *head, void *const *at)
{
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const uint64_t size = at[i] ? span_size(&function->pointers[i], head, at[i]) : 0;
        CELLA_ENSURE(size != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
        spans[i] = (struct cella_bridge_span){.address = (uint64_t)at[i], .size = size};
    }
    return CELLA_OK;
}

static cella_result spans_of(struct span_list *list, const struct cella_bridge_pointer *pointer,
                             const void *record, const void *at, bool is_followed, uint32_t depth)
{
    if (!at) {
        return span_add(list, NULL, 0);
    }
    const uint64_t size = span_size(pointer, record, at);
    CELLA_ENSURE(size != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
    CELLA_TRY(span_add(list, at, size));
    const struct cella_bridge_struct *type = pointer->deep;
    if (!type || !is_followed) {
        return CELLA_OK;
    }
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(size % type->size == 0, SIZE_OVERFLOW);
    for (const uint8_t *item = at; item < (const uint8_t *)at + size; item += type->size) {
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const void *next;
            memcpy(&next, item + type->pointers[k].offset, sizeof(next));
            if (next) {
                CELLA_TRY(spans_of(list, &type->pointers[k], item, next, true, depth + 1));
            }
        }
    }
    return CELLA_OK;
}

static cella_result spans_make(struct span_list *list, const struct cella_bridge_function *function,
                               const void *head, void *const *at)
{
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        CELLA_TRY(spans_of(list, pointer, head, at[i], (pointer->flags & CELLA_BRIDGE_IN) != 0, 0));
    }
    return CELLA_OK;
}

/* Frees what it has allocated for `left` pointers of out-only structs, in the order of their allocation. */
static void deep_free(const struct cella_bridge_struct *type, uint8_t *structs, uint64_t count,
                      uint64_t *left)
{
    for (uint8_t *item = structs; item < structs + count * type->size; item += type->size) {
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            void *at;
            memcpy(&at, item + pointer->offset, sizeof(at));
            if (!at) {
                continue;
            }
            if (*left == 0) {
                return;
            }
            (*left)--;
            if (pointer->deep) {
                deep_free(pointer->deep, at,
                          cella_bridge_bytes(pointer, item) / pointer->deep->size, left);
            }
            free(at);
        }
    }
}

struct deep_source {
    const struct cella_bridge_memory *memory;
    const uint8_t *bytes;
    uint64_t size, used;
    uint64_t taken;
};

static cella_result deep_take(struct deep_source *source, const struct cella_bridge_struct *type,
                              uint8_t *structs, uint64_t count, uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    for (uint8_t *item = structs; item < structs + count * type->size; item += type->size) {
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            void *at;
            memcpy(&at, item + pointer->offset, sizeof(at));
            if (!at) {
                continue;
            }
            const uint64_t size = cella_bridge_bytes(pointer, item);
            CELLA_ENSURE(size != CELLA_BRIDGE_BAD &&
                             CELLA_BRIDGE_ALIGN(size) <= source->size - source->used &&
                             (!pointer->deep || size % pointer->deep->size == 0),
                         BAD_FIELD);
            at = source->memory->allocate(size > 0 ? size : 1);
            CELLA_ENSURE(at != NULL, OUT_OF_MEMORY);
            memcpy(at, source->bytes + source->used, size);
            source->used += CELLA_BRIDGE_ALIGN(size);
            source->taken++;
            memcpy(item + pointer->offset, &at, sizeof(at));
            if (pointer->deep) {
                CELLA_TRY(
                    deep_take(source, pointer->deep, at, size / pointer->deep->size, depth + 1));
            }
        }
    }
    return CELLA_OK;
}

/* The caller's own copies of what out-only structs point to. */
static cella_result deep_receive(const struct cella_bridge_function *function, const void *head,
                                 void *const *at, const struct cella_bridge_deep *deep)
{
    struct deep_source source = {
        .memory = function->memory, .bytes = (const uint8_t *)deep->address, .size = deep->size};
    cella_result result = CELLA_OK;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < function->pointer_count; i++) {
            const struct cella_bridge_pointer *pointer = &function->pointers[i];
            if (!pointer->deep || direction_of(pointer) != CELLA_BRIDGE_OUT || !at[i]) {
                continue;
            }
            const uint64_t count = cella_bridge_bytes(pointer, head) / pointer->deep->size;
            if (pass == 1) {
                deep_free(pointer->deep, at[i], count, &source.taken);
            } else if (cella_is_ok(result)) {
                result = deep_take(&source, pointer->deep, at[i], count, 0);
            }
        }
        if (cella_is_ok(result)) {
            break;
        }
    }
    free((void *)deep->address);
    return result;
}

static void outputs_clear(const struct cella_bridge_function *function, const void *head,
                          void *const *at)
{
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint64_t size = at[i] && direction_of(pointer) == CELLA_BRIDGE_OUT
                                  ? cella_bridge_bytes(pointer, head)
                                  : CELLA_BRIDGE_BAD;
        if (size != CELLA_BRIDGE_BAD) {
            memset(at[i], 0, size);
        }
    }
}

static inline cella_result message_send(cella_enclave *enclave, uint32_t number,
                                        const struct cella_bridge_function *function,
                                        const void *message, size_t size, void *reply)
{
    size_t got = 0;
    cella_result result =
        (function->flags & CELLA_BRIDGE_SWITCHLESS) != 0
            ? cella_ecall_switchless(enclave, number, size ? message : NULL, size,
                                     function->reply_size ? reply : NULL, function->reply_size,
                                     &got)
            : cella_ecall(enclave, number, size ? message : NULL, size,
                          function->reply_size ? reply : NULL, function->reply_size, &got);
    CELLA_TRY(result);
    CELLA_ENSURE(got == function->reply_size, INTERNAL);
    return CELLA_OK;
}

/* Structs that are followed: as many spans as there are pointers, in a message of their own. */
static cella_result deep_send(cella_enclave *enclave, uint32_t number,
                              const struct cella_bridge_function *function, const void *head,
                              void *const *at, void *reply)
{
    const uint64_t spans_at = CELLA_BRIDGE_SPANS_AT(function->head_size);
    struct span_list list = {.capacity = CELLA_BRIDGE_SPAN_MAX};
    CELLA_TRY(spans_make(&list, function, head, at));
    const size_t size = spans_at + list.count * sizeof(struct cella_bridge_span);
    uint8_t *message = malloc(size + 16);
    CELLA_ENSURE(message != NULL, OUT_OF_MEMORY);
    memcpy(message, head, function->head_size);
    memset(message + function->head_size, 0, spans_at - function->head_size);
    list = (struct span_list){.spans = (struct cella_bridge_span *)(message + spans_at),
                              .capacity = list.count};
    cella_result result = spans_make(&list, function, head, at);
    if (cella_is_ok(result)) {
        result = message_send(enclave, number, function, message,
                              spans_at + list.count * sizeof(struct cella_bridge_span), reply);
    }
    free(message);
    if (cella_is_ok(result) && (function->flags & CELLA_BRIDGE_DEEP_OUT) != 0) {
        struct cella_bridge_deep deep;
        memcpy(&deep, reply, sizeof(deep));
        result = deep_receive(function, head, at, &deep);
    }
    return result;
}

static inline cella_result call_run(cella_enclave *enclave,
                                    const struct cella_bridge_module *module, uint32_t index,
                                    const struct cella_bridge_function *function, void *message,
                                    void *const *at, void *reply)
{
    uint32_t number = 0;
    CELLA_ENSURE(enclave != NULL, NO_ENCLAVE);
    CELLA_TRY(cella_binding_number(enclave, module, index, &number));
    if ((function->flags & CELLA_BRIDGE_DEEP) != 0) {
        return deep_send(enclave, number, function, message, at, reply);
    }
    const uint64_t spans_at = CELLA_BRIDGE_SPANS_AT(function->head_size);
    CELLA_TRY(spans_plain((struct cella_bridge_span *)((uint8_t *)message + spans_at), function,
                          message, at));
    return message_send(enclave, number, function, message,
                        CELLA_BRIDGE_MESSAGE_SIZE(function->head_size, function->pointer_count),
                        reply);
}

cella_result cella_bridge_ecall(cella_enclave *enclave, const struct cella_bridge_module *module,
                                uint32_t index, const struct cella_bridge_function *function,
                                void *message, void *const *at, void *reply)
{
    cella_result result = call_run(enclave, module, index, function, message, at, reply);
    if (!cella_is_ok(result)) {
        if (function->reply_size > 0) {
            memset(reply, 0, function->reply_size);
        }
        outputs_clear(function, message, at);
    }
    return result;
}
