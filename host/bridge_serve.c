/*
 * Generated ocalls on the host: the message's parts become pointers for the user's function, into the slice itself.
 * Side: host. Called by generated code (cella/bridge_host.h).
 * Never goes beyond the message or the output, whatever the enclave wrote.
 */
#include <stdlib.h>
#include <string.h>

#include "host/bridge.h"

struct serve {
    const struct cella_bridge_part *parts;
    uint64_t count, next;
    uint8_t *in, *out;
    uint64_t in_left, out_left;
};

static cella_result room_take(uint8_t **next, uint64_t *left, uint64_t size, void **ret_at)
{
    CELLA_ENSURE(size <= *left && CELLA_BRIDGE_ALIGN(size) <= *left, TRUNCATED);
    *ret_at = *next;
    *next += CELLA_BRIDGE_ALIGN(size);
    *left -= CELLA_BRIDGE_ALIGN(size);
    return CELLA_OK;
}

static cella_result part_serve(struct serve *serve, const struct cella_bridge_pointer *pointer,
                               const void *record, uint32_t direction, uint32_t depth,
                               void **ret_at);

/* Marks in structs become pointers to what follows. */
static cella_result structs_serve(struct serve *serve, const struct cella_bridge_struct *type,
                                  uint8_t *structs, uint64_t size, uint32_t direction,
                                  uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(size % type->size == 0, BAD_FIELD);
    for (uint8_t *item = structs; item < structs + size; item += type->size) {
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            void *at;
            memcpy(&at, item + type->pointers[k].offset, sizeof(at));
            if (at) {
                CELLA_TRY(part_serve(serve, &type->pointers[k], item, direction, depth + 1, &at));
                memcpy(item + type->pointers[k].offset, &at, sizeof(at));
            }
        }
    }
    return CELLA_OK;
}

static cella_result part_serve(struct serve *serve, const struct cella_bridge_pointer *pointer,
                               const void *record, uint32_t direction, uint32_t depth,
                               void **ret_at)
{
    const bool is_string = (pointer->flags & (CELLA_BRIDGE_STRING | CELLA_BRIDGE_WSTRING)) != 0;
    *ret_at = NULL;
    CELLA_ENSURE(serve->next < serve->count, TRUNCATED);
    const struct cella_bridge_part part = serve->parts[serve->next++];
    if (!part.present) {
        return CELLA_OK;
    }
    CELLA_ENSURE(is_string || part.size == cella_bridge_bytes(pointer, record), BAD_FIELD);
    if ((direction & CELLA_BRIDGE_OUT) != 0) {
        CELLA_TRY(room_take(&serve->out, &serve->out_left, part.size, ret_at));
    } else {
        CELLA_TRY(room_take(&serve->in, &serve->in_left, part.size, ret_at));
    }
    if (direction == CELLA_BRIDGE_OUT) {
        memset(*ret_at, 0, part.size);
    } else if (pointer->deep) {
        return structs_serve(serve, pointer->deep, *ret_at, part.size, direction, depth);
    }
    return CELLA_OK;
}

/* Without followed structs there is a part for each pointer; with them a first part says how many there are. */
cella_result cella_bridge_serve(const struct cella_bridge_function *function, const void *in,
                                size_t in_size, void *out, size_t out_capacity, void **at)
{
    const uint64_t parts_at = CELLA_BRIDGE_ALIGN(function->head_size);
    const uint64_t reply_room = CELLA_BRIDGE_ALIGN(function->reply_size);
    CELLA_ENSURE(in_size >= parts_at && out_capacity >= reply_room, TRUNCATED);
    memset(out, 0, reply_room);
    struct serve serve = {.parts =
                              (const struct cella_bridge_part *)((const uint8_t *)in + parts_at),
                          .count = (in_size - parts_at) / sizeof(struct cella_bridge_part),
                          .out = (uint8_t *)out + reply_room,
                          .out_left = out_capacity - reply_room};
    uint64_t parts = function->pointer_count;
    if ((function->flags & CELLA_BRIDGE_DEEP) != 0) {
        CELLA_ENSURE(serve.count > 0, TRUNCATED);
        parts = serve.parts[0].present;
        serve.parts++;
        serve.count--;
        CELLA_ENSURE(parts <= serve.count, TRUNCATED);
    }
    CELLA_ENSURE(parts <= serve.count, TRUNCATED);
    serve.count = parts;
    serve.in = (uint8_t *)(uintptr_t)(serve.parts + parts);
    serve.in_left = (uint64_t)((const uint8_t *)in + in_size - serve.in);
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        CELLA_TRY(part_serve(&serve, pointer, in,
                             pointer->flags & (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT), 0, &at[i]));
    }
    return CELLA_OK;
}

/* Copies to `to` (or only counts) all that out-only structs point to, and frees it. */
struct gathering {
    uint8_t *to;
    uint64_t used;
    void (*release)(void *at);
};

static cella_result structs_gather(struct gathering *gathering,
                                   const struct cella_bridge_struct *type, uint8_t *structs,
                                   uint64_t size, uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(size % type->size == 0, SIZE_OVERFLOW);
    for (uint8_t *item = structs; item < structs + size; item += type->size) {
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            uint8_t *at;
            memcpy(&at, item + pointer->offset, sizeof(at));
            if (!at) {
                continue;
            }
            const uint64_t bytes = cella_bridge_bytes(pointer, item);
            CELLA_ENSURE(bytes != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
            if (gathering->to) {
                memcpy(gathering->to + gathering->used, at, bytes);
            }
            gathering->used += CELLA_BRIDGE_ALIGN(bytes);
            if (pointer->deep) {
                CELLA_TRY(structs_gather(gathering, pointer->deep, at, bytes, depth + 1));
            }
            if (gathering->release) {
                gathering->release(at);
            }
        }
    }
    return CELLA_OK;
}

static cella_result all_gather(const struct cella_bridge_function *function, const void *in,
                               void *const *at, struct gathering *gathering)
{
    gathering->used = 0;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint32_t direction = pointer->flags & (CELLA_BRIDGE_IN | CELLA_BRIDGE_OUT);
        if (pointer->deep && direction == CELLA_BRIDGE_OUT && at[i]) {
            CELLA_TRY(structs_gather(gathering, pointer->deep, at[i],
                                     cella_bridge_bytes(pointer, in), 0));
        }
    }
    return CELLA_OK;
}

cella_result cella_bridge_served(const struct cella_bridge_function *function, const void *in,
                                 void *const *at, void *out, size_t out_capacity, size_t *ret_size)
{
    if ((function->flags & CELLA_BRIDGE_DEEP_OUT) != 0) {
        struct gathering gathering = {0};
        struct cella_bridge_deep deep = {0};
        CELLA_TRY(all_gather(function, in, at, &gathering));
        if (gathering.used > 0) {
            deep.size = gathering.used;
            deep.address = (uint64_t)aligned_alloc(64, (gathering.used + 63) & ~(size_t)63);
            CELLA_ENSURE(deep.address != 0, OUT_OF_MEMORY);
            gathering.to = (uint8_t *)deep.address;
        }
        gathering.release = function->memory->release;
        CELLA_TRY(all_gather(function, in, at, &gathering)); /* what was counted cannot fail */
        memcpy(out, &deep, sizeof(deep));
    }
    *ret_size = out_capacity;
    return CELLA_OK;
}
