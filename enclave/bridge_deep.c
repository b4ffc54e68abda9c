/*
 * Out-only structs with pointers: the called function has allocated what they point to, the caller gets copies of its own.
 * Side: enclave. Called by bridge_follow.c (ecalls) and bridge_ocall_full.c.
 * Never allocates more than what the other side's count of bytes covers.
 */
#include "enclave/boundary.h"
#include "enclave/bridge.h"
#include "enclave/slice.h"

#define ALL (~(uint64_t)0)

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

void cella_bridge_deep_release(const struct cella_bridge_memory *memory,
                               const struct cella_bridge_struct *type, uint8_t *structs,
                               uint64_t count, uint64_t *left)
{
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = structs + i * type->size;
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            uint8_t *at = (uint8_t *)cella_bridge_load(record, pointer->offset);
            if (!at) {
                continue;
            }
            if (*left == 0) {
                return;
            }
            (*left)--;
            const uint64_t size = cella_bridge_size(pointer, record);
            if (pointer->deep && size != CELLA_BRIDGE_BAD) {
                cella_bridge_deep_release(memory, pointer->deep, at, size / pointer->deep->size,
                                          left);
            }
            memory->release(at);
            cella_bridge_store(record, pointer->offset, 1); /* the mark: there was something */
        }
    }
}

/* ---- Out of an ecall ---- */

struct deep_packing {
    bool is_measuring;
    uint64_t address; /* of the host's memory */
    uint64_t used;
};

static cella_result structs_pack(struct deep_packing *packing,
                                 const struct cella_bridge_struct *type, const uint8_t *structs,
                                 uint64_t count, uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *record = structs + i * type->size;
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            const uint8_t *at = (const uint8_t *)cella_bridge_load(record, pointer->offset);
            if (!at) {
                continue;
            }
            const uint64_t size = cella_bridge_size(pointer, record);
            CELLA_ENSURE(size != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
            CELLA_ENSURE(size == 0 || cella_enclave_inside(at, size), BAD_FIELD);
            if (!packing->is_measuring) {
                CELLA_TRY(cella_copy_out(cella_host_pointer_out(packing->address + packing->used),
                                         at, size));
            }
            packing->used += CELLA_BRIDGE_ALIGN(size);
            CELLA_ENSURE(packing->used <= CELLA_BRIDGE_SIZE_MAX, OUT_OF_RANGE);
            if (pointer->deep) {
                CELLA_ENSURE(size % pointer->deep->size == 0, SIZE_OVERFLOW);
                CELLA_TRY(structs_pack(packing, pointer->deep, at, size / pointer->deep->size,
                                       depth + 1));
            }
        }
    }
    return CELLA_OK;
}

static bool is_deep_out(const struct cella_bridge_pointer *pointer, const void *at)
{
    return pointer->deep && cella_bridge_direction(pointer) == CELLA_BRIDGE_OUT && at;
}

/* The structs of parameter `i`, as the span says how many they are. */
static uint64_t structs_count(const struct cella_bridge_call *call, uint32_t i)
{
    return call->spans[call->at[i].next].size / call->function->pointers[i].deep->size;
}

static cella_result all_pack(struct cella_bridge_call *call, struct deep_packing *packing)
{
    packing->used = 0;
    for (uint32_t i = 0; i < call->function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &call->function->pointers[i];
        if (is_deep_out(pointer, call->at[i].at)) {
            CELLA_TRY(structs_pack(packing, pointer->deep, (const uint8_t *)call->at[i].at,
                                   structs_count(call, i), 0));
        }
    }
    return CELLA_OK;
}

static cella_result deep_send(struct cella_bridge_call *call, struct cella_bridge_deep *reply)
{
    struct deep_packing packing = {.is_measuring = true};
    CELLA_TRY(all_pack(call, &packing));
    const uint64_t size = packing.used;
    if (size == 0) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_host_memory_take(size, &packing.address));
    packing.is_measuring = false;
    cella_result result = all_pack(call, &packing);
    if (cella_is_ok(result) && packing.used != size) {
        result = CELLA_RESULT(INTERNAL);
    }
    if (!cella_is_ok(result)) {
        cella_host_memory_give(packing.address, size);
        return result;
    }
    *reply = (struct cella_bridge_deep){.address = packing.address, .size = size};
    return CELLA_OK;
}

/* Pointers of the enclave mean nothing outside: the marks that release leaves go to the host instead. */
cella_result cella_bridge_deep_give(struct cella_bridge_call *call)
{
    struct cella_bridge_deep *reply = (struct cella_bridge_deep *)call->reply;
    cella_result result = deep_send(call, reply);
    for (uint32_t i = 0; i < call->function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &call->function->pointers[i];
        if (!is_deep_out(pointer, call->at[i].at)) {
            continue;
        }
        uint64_t left = ALL;
        cella_bridge_deep_release(call->function->memory, pointer->deep, (uint8_t *)call->at[i].at,
                                  structs_count(call, i), &left);
    }
    return result;
}

void cella_bridge_deep_take_back(struct cella_bridge_call *call)
{
    struct cella_bridge_deep *reply = (struct cella_bridge_deep *)call->reply;
    if (reply->size != 0) {
        cella_host_memory_give(reply->address, reply->size);
        *reply = (struct cella_bridge_deep){0};
    }
}

/* ---- Back from an ocall ---- */

static cella_result piece_take(struct cella_deep_source *source, uint64_t size, uint8_t **ret_at)
{
    const uint64_t room = CELLA_BRIDGE_ALIGN(size);
    CELLA_ENSURE(room <= source->deep.size - source->used, HOST_VALUE);
    uint8_t *at = (uint8_t *)source->memory->allocate(size > 0 ? size : 1);
    CELLA_ENSURE(at != NULL, OUT_OF_MEMORY);
    cella_result result =
        cella_copy_in(at, cella_host_pointer(source->deep.address + source->used), size);
    if (!cella_is_ok(result)) {
        source->memory->release(at);
        return result;
    }
    source->used += room;
    source->taken++;
    *ret_at = at;
    return CELLA_OK;
}

cella_result cella_bridge_deep_take(struct cella_deep_source *source,
                                    const struct cella_bridge_struct *type, uint8_t *structs,
                                    uint64_t count, uint32_t depth)
{
    CELLA_ENSURE(depth < CELLA_BRIDGE_DEPTH_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *record = structs + i * type->size;
        for (uint32_t k = 0; k < type->pointer_count; k++) {
            const struct cella_bridge_pointer *pointer = &type->pointers[k];
            if (cella_bridge_load(record, pointer->offset) == 0) {
                continue;
            }
            uint8_t *at = NULL;
            const uint64_t size = cella_bridge_size(pointer, record);
            CELLA_ENSURE(size != CELLA_BRIDGE_BAD, HOST_VALUE);
            CELLA_ENSURE(!pointer->deep || size % pointer->deep->size == 0, HOST_VALUE);
            CELLA_TRY(piece_take(source, size, &at));
            cella_bridge_store(record, pointer->offset, (uint64_t)at);
            if (pointer->deep) {
                CELLA_TRY(cella_bridge_deep_take(source, pointer->deep, at,
                                                 size / pointer->deep->size, depth + 1));
            }
        }
    }
    return CELLA_OK;
}
