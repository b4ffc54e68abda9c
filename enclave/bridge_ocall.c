/*
 * Generated ocalls inside the enclave: what the pointers describe is packed into a slice, results are checked and taken.
 * Side: enclave. Called by generated code (cella/bridge.h). Host memory only through slice.h.
 * Never writes to the caller's memory before all that comes back has been checked; never reads host memory twice.
 */
#include "enclave/boundary.h"
#include "enclave/bridge.h"
#include "enclave/slice.h"

static uint64_t text_size(const struct cella_bridge_pointer *pointer, const void *at)
{
    uint64_t units = 1;
    if ((pointer->flags & CELLA_BRIDGE_WSTRING) != 0) {
        for (const uint32_t *wide = (const uint32_t *)at; *wide != 0; wide++) {
            units++;
        }
        return units * 4;
    }
    for (const char *narrow = (const char *)at; *narrow != 0; narrow++) {
        units++;
    }
    return units;
}

uint64_t cella_bridge_part_size(const struct cella_bridge_pointer *pointer, const void *record,
                                const void *at)
{
    return cella_bridge_is_string(pointer) ? text_size(pointer, at)
                                           : cella_bridge_size(pointer, record);
}

cella_result cella_bridge_part_put(struct cella_ocall_pack *pack, uint64_t present, uint64_t size)
{
    const struct cella_bridge_part part = {.present = present, .size = size};
    const uint64_t at = pack->parts_at + pack->parts * sizeof(part);
    pack->parts++;
    CELLA_ENSURE(pack->parts <= CELLA_BRIDGE_SPAN_MAX, LIMIT_EXCEEDED);
    return pack->slice ? cella_slice_put(pack->slice, at, &part, sizeof(part)) : CELLA_OK;
}

cella_result cella_bridge_part_pack(struct cella_ocall_pack *pack,
                                    const struct cella_bridge_pointer *pointer, const void *record,
                                    const void *at, uint32_t direction, uint64_t *ret_offset,
                                    uint64_t *ret_size)
{
    *ret_size = 0;
    *ret_offset = 0;
    if (!at) {
        return cella_bridge_part_put(pack, 0, 0);
    }
    const uint64_t size = cella_bridge_part_size(pointer, record, at);
    CELLA_ENSURE(size != CELLA_BRIDGE_BAD, SIZE_OVERFLOW);
    CELLA_ENSURE((pack->function->flags & CELLA_BRIDGE_INSIDE) == 0 || size == 0 ||
                     cella_enclave_inside(at, size),
                 INVALID_ARGUMENT);
    uint64_t *next = (direction & CELLA_BRIDGE_OUT) != 0 ? &pack->out_at : &pack->in_at;
    *ret_offset = *next;
    *ret_size = size;
    *next += CELLA_BRIDGE_ALIGN(size);
    CELLA_ENSURE(*next <= CELLA_BRIDGE_SIZE_MAX, SIZE_OVERFLOW);
    if (pack->slice && (direction & CELLA_BRIDGE_OUT) != 0) {
        *ret_offset += pack->slice->in_size;
    }
    return cella_bridge_part_put(pack, 1, size);
}

static cella_result plain_pack(struct cella_ocall_pack *pack, const void *head, void *const *at)
{
    const struct cella_bridge_function *function = pack->function;
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint32_t direction = cella_bridge_direction(pointer);
        uint64_t offset, size;
        CELLA_TRY(cella_bridge_part_pack(pack, pointer, head, at[i], direction, &offset, &size));
        if (pack->slice && (direction & CELLA_BRIDGE_IN) != 0) {
            CELLA_TRY(cella_slice_put(pack->slice, offset, at[i], size));
        }
    }
    return CELLA_OK;
}

/* Nothing can be wrong with plain bytes: they go where they belong at once. */
cella_result cella_bridge_results_plain(const struct cella_ocall_pack *pack, const void *head,
                                        void *const *at, void *reply, bool *is_torn)
{
    const struct cella_bridge_function *function = pack->function;
    const struct cella_slice *slice = pack->slice;
    *is_torn = true; /* until all is there */
    uint64_t used = CELLA_BRIDGE_ALIGN(function->reply_size);
    CELLA_TRY(cella_slice_get(slice, 0, reply, function->reply_size));
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        if (at[i] && (pointer->flags & CELLA_BRIDGE_OUT) != 0) {
            const uint64_t size = cella_bridge_size(pointer, head);
            CELLA_TRY(cella_slice_get(slice, used, at[i], size));
            used += CELLA_BRIDGE_ALIGN(size);
        }
    }
    *is_torn = false;
    return CELLA_OK;
}

/* After a failure: what is out only holds zeros; with `is_torn`, in+out as well. */
static void outputs_clear(const struct cella_bridge_function *function, const void *head,
                          void *const *at, bool is_torn)
{
    for (uint32_t i = 0; i < function->pointer_count; i++) {
        const struct cella_bridge_pointer *pointer = &function->pointers[i];
        const uint32_t direction = cella_bridge_direction(pointer);
        const bool is_cleared =
            direction == CELLA_BRIDGE_OUT || (is_torn && (direction & CELLA_BRIDGE_OUT) != 0);
        if (!at[i] || !is_cleared || cella_bridge_is_string(pointer)) {
            continue;
        }
        const uint64_t size = cella_bridge_size(pointer, head);
        if (size != CELLA_BRIDGE_BAD && (size == 0 || cella_enclave_inside(at[i], size))) {
            __builtin_memset(at[i], 0, size);
        }
    }
}

static cella_result slice_run(const struct cella_ocall_way *way, struct cella_ocall_pack *pack,
                              uint64_t part_count, uint32_t number, const void *head,
                              void *const *at, void *reply, bool *is_torn)
{
    const struct cella_bridge_function *function = pack->function;
    CELLA_TRY(cella_slice_put(pack->slice, 0, head, function->head_size));
    if ((function->flags & CELLA_BRIDGE_DEEP) != 0) {
        CELLA_TRY(cella_bridge_part_put(pack, part_count - 1, 0));
    }
    CELLA_TRY(way->pack(pack, head, at));
    CELLA_TRY(way->call(function, pack->slice, number));
    return way->take(pack, head, at, reply, is_torn);
}

static cella_result ocall_run(const struct cella_ocall_way *way,
                              const struct cella_bridge_function *function, uint32_t number,
                              const void *head, void *const *at, void *reply, bool *is_torn)
{
    struct cella_slice slice;
    struct cella_ocall_pack pack = {.function = function,
                                    .parts = (function->flags & CELLA_BRIDGE_DEEP) != 0 ? 1 : 0};
    CELLA_TRY(way->pack(&pack, head, at));
    const uint64_t parts_at = CELLA_BRIDGE_ALIGN(function->head_size);
    const uint64_t part_count = pack.parts;
    const uint64_t in_at = parts_at + part_count * sizeof(struct cella_bridge_part);
    const uint64_t reply_room = CELLA_BRIDGE_ALIGN(function->reply_size);
    CELLA_TRY(cella_slice_take(&slice, in_at + pack.in_at, reply_room + pack.out_at));
    pack = (struct cella_ocall_pack){.function = function,
                                     .slice = &slice,
                                     .parts_at = parts_at,
                                     .in_at = in_at,
                                     .out_at = reply_room};
    cella_result result = slice_run(way, &pack, part_count, number, head, at, reply, is_torn);
    cella_slice_give(&slice);
    return result;
}

/* init.c, in every enclave: for ocalls that constructors make. false: nothing has changed. */
bool cella_names_offer(void) __attribute__((weak));

cella_result cella_bridge_ocall_by(const struct cella_ocall_way *way,
                                   const struct cella_bridge_function *function, uint32_t number,
                                   const void *head, void *const *at, void *reply)
{
    bool is_torn = false;
    cella_result result = ocall_run(way, function, number, head, at, reply, &is_torn);
    if (result.code == CELLA_CODE_NOT_FOUND && cella_names_offer && cella_names_offer()) {
        result = ocall_run(way, function, number, head, at, reply, &is_torn);
    }
    if (!cella_is_ok(result)) {
        if (function->reply_size > 0) {
            __builtin_memset(reply, 0, function->reply_size);
        }
        outputs_clear(function, head, at, is_torn);
    }
    return result;
}

static cella_result plain_call(const struct cella_bridge_function *function,
                               const struct cella_slice *slice, uint32_t number)
{
    (void)function;
    return cella_slice_call(slice, number);
}

cella_result cella_bridge_ocall(const struct cella_bridge_function *function, uint32_t number,
                                const void *head, void *const *at, void *reply)
{
    static const struct cella_ocall_way way = {plain_pack, plain_call, cella_bridge_results_plain};
    const uint32_t full = CELLA_BRIDGE_DEEP | CELLA_BRIDGE_STAGED | CELLA_BRIDGE_SWITCHLESS;
    CELLA_ENSURE((function->flags & full) == 0, INTERNAL);
    return cella_bridge_ocall_by(&way, function, number, head, at, reply);
}
