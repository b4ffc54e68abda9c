/*
 * Switchless calls inside: a worker that serves the ring of ecalls, and ocalls over the other ring.
 * Side: enclave. The worker enters once and stays; called by dispatch.c. Rings are host memory (boundary.h).
 * Never believes the host's count of tickets: both rings are counted here.
 */
#include "abi/service.h"
#include "enclave/kernel.h"
#include "enclave/slice.h"

#define SPINS_MAX 10000000u
#define AHEAD 4u /* slots that are fetched before their turn */
#define PATIENCE                                                                                   \
    10000u /* looks at an answer before the call is withdrawn, or the processor offered to others */

#define SYSTEM_PATIENCE 400u /* of a service's call: leaving costs less than more of it */
#define MISSES_MAX 64u
#define WAKE_EVERY 32u

static _Atomic uint32_t system_misses, system_leaves;
static _Atomic uint32_t ecall_ticket; /* the next to serve, by whichever worker */
static _Atomic uint32_t ocall_ticket; /* the next to hand out */
static _Atomic uint64_t ocall_busy;   /* slots whose call has not come back */
static _Atomic uint64_t
    ocall_withdrawn; /* those of them whose call was withdrawn: until a worker came by */

/* All calls of a batch, in their order. */
static cella_result worker_batch(const struct cella_call_slot *slot)
{
    struct cella_batch batch;
    CELLA_TRY(cella_batch_attach(&batch, slot->in, slot->batch));
    for (uint32_t i = 0; i < batch.count; i++) {
        struct cella_call_record record;
        cella_batch_get(&batch, i, &record);
        struct cella_pair answer = cella_kernel_ecall(record.number, record.in, record.in_size,
                                                      record.out, record.out_capacity);
        cella_batch_answer(&batch, i, (uint32_t)answer.first, answer.second);
    }
    return CELLA_OK;
}

/* Serves one call if there is one, or frees the slot of one that was withdrawn. */
static bool worker_serve(const struct cella_ring *ring)
{
    struct cella_call_slot slot;
    uint32_t ticket = atomic_load_explicit(&ecall_ticket, memory_order_relaxed);
    const uint32_t turn = cella_ring_turn(ring, ticket);
    if (turn != ticket + CELLA_TURN_READY && turn != ticket + CELLA_TURN_WITHDRAWN) {
        return false;
    }
    cella_ring_prefetch(ring, ticket + AHEAD);
    if (!atomic_compare_exchange_strong(&ecall_ticket, &ticket, ticket + 1)) {
        return true; /* another worker has it: look again */
    }
    if (!cella_ring_turn_swap(ring, ticket, ticket + CELLA_TURN_READY, ticket + CELLA_TURN_TAKEN)) {
        cella_ring_turn_set(ring, ticket, ticket + CELLA_RING_SLOTS);
        return true;
    }
    cella_ring_slot_get(ring, ticket, &slot);
    struct cella_pair answer = {0};
    if (slot.batch != 0) {
        answer.first = worker_batch(&slot).code;
    } else {
        answer =
            cella_kernel_ecall(slot.number, slot.in, slot.in_size, slot.out, slot.out_capacity);
    }
    cella_ring_answer_set(ring, ticket, (uint32_t)answer.first, answer.second);
    cella_ring_turn_set(ring, ticket, ticket + CELLA_TURN_ANSWERED);
    return true;
}

struct cella_pair cella_kernel_worker(struct cella_td *td, uint64_t ring_address)
{
    struct cella_ring ring;
    cella_result result = cella_ring_attach(&ring, ring_address);
    if (!cella_is_ok(result) || td->slot >= cella_ecall_slots()) {
        return (struct cella_pair){.first = CELLA_CODE_HOST_POINTER, .second = 0};
    }
    /* The host hears of a worker once it is here: from then on exit handlers can count on it. */
    uint32_t arrived = atomic_load(&ecall_ticket);
    result = cella_system_ocall(CELLA_OCALL_RING_WAIT, &arrived, sizeof(arrived), NULL, 0, NULL);
    while (cella_is_ok(result)) {
        const uint32_t wanted = cella_ring_spins(&ring);
        const uint32_t limit = wanted < SPINS_MAX ? wanted : SPINS_MAX;
        for (uint32_t spins = 0; spins < limit; spins++) {
            if (worker_serve(&ring)) {
                spins = 0;
            } else {
                __builtin_ia32_pause();
            }
        }
        const uint32_t ticket = atomic_load(&ecall_ticket);
        result = cella_system_ocall(CELLA_OCALL_RING_WAIT, &ticket, sizeof(ticket), NULL, 0, NULL);
    }
    return (struct cella_pair){.first = CELLA_CODE_OK, .second = 0};
}

static uint64_t slot_bit(uint32_t ticket)
{
    return 1ull << (ticket % CELLA_RING_SLOTS);
}

/* A busy slot whose call was withdrawn is free again when the host says so: it becomes the caller's. */
static bool slot_reclaim(const struct cella_ring *ring, uint32_t ticket)
{
    const uint64_t bit = slot_bit(ticket);
    return (atomic_load(&ocall_withdrawn) & bit) != 0 && cella_ring_turn(ring, ticket) == ticket &&
           (atomic_fetch_and(&ocall_withdrawn, ~bit) & bit) != 0;
}

/* The next ticket, if its slot is not in use; only this side knows which are. */
static bool ocall_claim(const struct cella_ring *ring, uint32_t *ret_ticket)
{
    uint32_t ticket = atomic_load(&ocall_ticket);
    const uint64_t bit = slot_bit(ticket);
    if ((atomic_fetch_or(&ocall_busy, bit) & bit) != 0 && !slot_reclaim(ring, ticket)) {
        return false;
    }
    if (!atomic_compare_exchange_strong(&ocall_ticket, &ticket, ticket + 1)) {
        atomic_fetch_and(&ocall_busy, ~bit);
        return false;
    }
    *ret_ticket = ticket;
    return true;
}

/* false: no worker took the call in time, and it is withdrawn. */
static bool answer_wait(const struct cella_ring *ring, uint32_t ticket, uint32_t patience)
{
    for (uint32_t looks = 0; cella_ring_turn(ring, ticket) != ticket + CELLA_TURN_ANSWERED;
         looks++) {
        __builtin_ia32_pause();
        if (looks == patience) {
            looks = 0;
            if (cella_ring_turn_swap(ring, ticket, ticket + CELLA_TURN_READY,
                                     ticket + CELLA_TURN_WITHDRAWN)) {
                atomic_fetch_or(&ocall_withdrawn, slot_bit(ticket));
                return false;
            }
            cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
        }
    }
    return true;
}

/* Posts the request and waits for its answer; *ret_size is the host's word. false: to be made the ordinary way. */
static bool ring_exchange(const struct cella_ring *ring, uint32_t ticket,
                          const struct cella_call_slot *request, cella_result *ret_result,
                          uint64_t *ret_size)
{
    struct cella_call_slot answer;
    cella_ring_request_set(ring, ticket, request);
    cella_ring_turn_set(ring, ticket, ticket + CELLA_TURN_READY);
    if (cella_ring_sleepers(ring) != 0) {
        cella_ignore(cella_system_ocall(CELLA_OCALL_RING_WAKE, NULL, 0, NULL, 0, NULL));
    }
    if (!answer_wait(ring, ticket, PATIENCE)) {
        return false;
    }
    cella_ring_slot_get(ring, ticket, &answer);
    *ret_size = answer.out_size;
    *ret_result = cella_result_from_host(answer.result);
    return true;
}

static void ring_release(const struct cella_ring *ring, uint32_t ticket)
{
    cella_ring_turn_set(ring, ticket, ticket + CELLA_RING_SLOTS);
    atomic_fetch_and(&ocall_busy, ~slot_bit(ticket));
}

cella_result cella_slice_call_switchless(const struct cella_slice *slice, uint32_t number)
{
    const struct cella_ring *ring = &cella_kernel.ocall_ring;
    const struct cella_call_slot request = {.number = number,
                                            .in = slice->at,
                                            .in_size = slice->in_size,
                                            .out = slice->at + slice->in_size,
                                            .out_capacity = slice->out_capacity};
    cella_result result = CELLA_OK;
    uint64_t size = 0;
    uint32_t ticket;
    CELLA_ENSURE((number & CELLA_OCALL_SYSTEM) == 0, OUT_OF_RANGE);
    if (ring->address == 0 || cella_ring_workers(ring) == 0 || !ocall_claim(ring, &ticket) ||
        !ring_exchange(ring, ticket, &request, &result, &size)) {
        return cella_slice_call_by(CELLA_EXIT_SWITCHLESS, slice, number);
    }
    ring_release(ring, ticket);
    CELLA_TRY(result);
    CELLA_ENSURE(size == slice->out_capacity, HOST_VALUE);
    return CELLA_OK;
}

/* The answer out of the slice. */
static cella_result ocall_take(const struct cella_call_slot *request, void *out, uint64_t size,
                               size_t *ret_size)
{
    CELLA_ENSURE(size <= request->out_capacity, HOST_VALUE);
    CELLA_TRY(cella_copy_in(out, cella_host_pointer(request->out), size));
    if (ret_size) {
        *ret_size = size;
    }
    return CELLA_OK;
}

cella_result cella_ocall_switchless(uint32_t number, const void *in, size_t in_size, void *out,
                                    size_t out_capacity, size_t *ret_size)
{
    const struct cella_ring *ring = &cella_kernel.ocall_ring;
    struct cella_td *td = cella_td_self();
    uint32_t ticket;
    const uint64_t left = td->arena_size - td->arena_used;
    if (ring->address == 0 || (number & CELLA_OCALL_SYSTEM) != 0 || in_size > left ||
        out_capacity > left || in_size + out_capacity + 16 > left || cella_in_exception(td) ||
        cella_ring_workers(ring) == 0 || !ocall_claim(ring, &ticket)) {
        return cella_ocall_by(CELLA_EXIT_SWITCHLESS, number, in, in_size, out, out_capacity,
                              ret_size);
    }
    const uint64_t size = CELLA_CALL_OUTPUT_AT(in_size) + CELLA_CALL_OUTPUT_AT(out_capacity);
    const uint64_t slice = td->arena + td->arena_used;
    const struct cella_call_slot request = {.number = number,
                                            .in = slice,
                                            .in_size = in_size,
                                            .out = slice + CELLA_CALL_OUTPUT_AT(in_size),
                                            .out_capacity = out_capacity};
    td->arena_used += size;
    cella_result result = cella_slice_fill(slice, in, in_size);
    uint64_t answered = 0;
    bool done = true;
    if (!cella_is_ok(
            result)) { /* nothing was posted: the slot is passed over like a withdrawn one */
        cella_ring_turn_set(ring, ticket, ticket + CELLA_TURN_WITHDRAWN);
        atomic_fetch_or(&ocall_withdrawn, slot_bit(ticket));
    } else {
        done = ring_exchange(ring, ticket, &request, &result, &answered);
        if (done && cella_is_ok(result)) {
            result = ocall_take(&request, out, answered, ret_size);
        }
        if (done) {
            ring_release(ring, ticket);
        }
    }
    td->arena_used -= size;
    return done ? result
                : cella_ocall_by(CELLA_EXIT_SWITCHLESS, number, in, in_size, out, out_capacity,
                                 ret_size);
}

/* Whether a service's call comes back at once, whatever the host's files and sockets do, and whoever makes it. */
static bool comes_back(uint32_t number, const struct cella_call_request *request)
{
    switch (number) {
    case CELLA_OCALL_FILE:
        return request->operation == CELLA_FILE_READ || request->operation == CELLA_FILE_WRITE
                   ? request->a >= 0 || request->a == CELLA_FILE_HERE_WAITS_NOT
                   : request->operation != CELLA_FILE_LOCK &&
                         request->operation != CELLA_FILE_FLOCK;
    case CELLA_OCALL_SOCKET:
        return request->operation == CELLA_SOCKET_SEND || request->operation == CELLA_SOCKET_RECEIVE
                   ? (request->a & CELLA_MSG_DONTWAIT) != 0
               : request->operation == CELLA_SOCKET_ACCEPT ||
                       request->operation == CELLA_SOCKET_CONNECT
                   ? request->a == 1
                   : true;
    case CELLA_OCALL_EPOLL:
        return request->operation == CELLA_EPOLL_CONTROL;
    default:
        return false;
    }
}

/*
 * Whether a worker is likely to take a call at once. Those that sleep are woken now and then, by calls that leave: they are
 * many then. After a call that nobody took, because the worker was not running, the next ones leave too.
 */
static bool system_worker_is_up(const struct cella_ring *ring)
{
    const uint32_t misses = atomic_load_explicit(&system_misses, memory_order_relaxed);
    if (misses != 0) {
        atomic_store_explicit(&system_misses, misses - 1, memory_order_relaxed);
        return false;
    }
    const uint32_t workers = cella_ring_workers(ring);
    if (workers != 0 && cella_ring_sleepers(ring) < workers) {
        return true;
    }
    if (workers != 0 && atomic_fetch_add(&system_leaves, 1) % WAKE_EVERY == 0) {
        cella_ignore(cella_system_ocall(CELLA_OCALL_RING_WAKE, NULL, 0, NULL, 0, NULL));
    }
    return false;
}

bool cella_ring_system_call(uint32_t number, const void *in, size_t in_size, uint64_t slice,
                            uint64_t slice_in, uint64_t slice_out, struct cella_pair *ret_answer)
{
    const struct cella_ring *ring = &cella_kernel.ocall_ring;
    const struct cella_call_slot request = {.number = number,
                                            .in = slice,
                                            .in_size = slice_in,
                                            .out = slice + CELLA_CALL_OUTPUT_AT(slice_in),
                                            .out_capacity = slice_out};
    struct cella_call_request head = {0};
    struct cella_call_slot answer;
    uint32_t ticket;
    __builtin_memcpy(&head, in, in_size < sizeof(head) ? in_size : sizeof(head));
    if (!comes_back(number, &head) || !system_worker_is_up(ring) || !ocall_claim(ring, &ticket)) {
        return false;
    }
    cella_ring_request_set(ring, ticket, &request);
    cella_ring_turn_set(ring, ticket, ticket + CELLA_TURN_READY);
    if (!answer_wait(ring, ticket, SYSTEM_PATIENCE)) {
        atomic_store(&system_misses, MISSES_MAX);
        return false;
    }
    cella_ring_slot_get(ring, ticket, &answer);
    ring_release(ring, ticket);
    *ret_answer = (struct cella_pair){.first = answer.result, .second = answer.out_size};
    return true;
}
