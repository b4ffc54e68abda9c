/*
 * Switchless calls, host side: the ring of ecalls, which enclave workers serve, and the ring of ocalls, which host
 * workers serve.
 * Side: host. Called by applications and by service.c. Rings live as long as the enclave.
 * Never blocks a producer on a full ring: the call is made the ordinary way.
 */
#include "host/host.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS_DEFAULT 20000u
#define SPINS_BEFORE_YIELD                                                                         \
    4000u /* and after one yield more, a call that nobody has taken is withdrawn */
#define WORKERS_MAX 64u
#define WINDOW 16u /* slots that one batch takes at once: room is left for others */
#define PIECE 256u /* calls of a batch in one slot: small enough that all workers have some */

/* The records of a batch are read where the caller has them. */
_Static_assert(sizeof(struct cella_call) == sizeof(struct cella_call_record), "abi/call.h");
_Static_assert(offsetof(struct cella_call, result) == offsetof(struct cella_call_record, result),
               "abi/call.h");
_Static_assert(offsetof(struct cella_call, in) == offsetof(struct cella_call_record, in),
               "abi/call.h");
_Static_assert(offsetof(struct cella_call, out_size) ==
                   offsetof(struct cella_call_record, out_size),
               "abi/call.h");

struct worker {
    pthread_t thread;
    cella_enclave *enclave;
    struct cella_host_slot *slot; /* ecall workers only */
    _Atomic uint32_t is_in;       /* the enclave serves the ring, or has refused to */
};

struct cella_switchless {
    struct cella_call_ring *ecall_ring;
    _Alignas(64) _Atomic uint32_t ecall_head; /* next ticket to hand out */
    _Alignas(64) _Atomic uint32_t ocall_tail; /* next ticket to serve */
    _Atomic uint32_t stop;
    uint32_t worker_count, ocall_worker_count;
    struct worker workers[WORKERS_MAX];
};

static uint32_t *turn_of(struct cella_call_ring *ring, uint32_t ticket)
{
    return &ring->slots[ticket % CELLA_RING_SLOTS].turn;
}

static uint32_t turn_get(struct cella_call_ring *ring, uint32_t ticket)
{
    return __atomic_load_n(turn_of(ring, ticket), __ATOMIC_ACQUIRE);
}

static void turn_set(struct cella_call_ring *ring, uint32_t ticket, uint32_t turn)
{
    __atomic_store_n(turn_of(ring, ticket), turn, __ATOMIC_RELEASE);
}

static bool turn_swap(struct cella_call_ring *ring, uint32_t ticket, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(turn_of(ring, ticket), &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/* Whether a worker whose next ticket this is has something to do. */
static bool turn_is_due(struct cella_call_ring *ring, uint32_t ticket)
{
    const uint32_t turn = turn_get(ring, ticket);
    return turn == ticket + CELLA_TURN_READY || turn == ticket + CELLA_TURN_WITHDRAWN;
}

static struct cella_call_ring *ring_new(void)
{
    struct cella_call_ring *ring = aligned_alloc(64, sizeof(*ring));
    if (ring) {
        memset(ring, 0, sizeof(*ring));
        for (uint32_t i = 0; i < CELLA_RING_SLOTS; i++) {
            ring->slots[i].turn = i;
        }
    }
    return ring;
}

static void bell_ring(struct cella_call_ring *ring)
{
    __atomic_fetch_add(&ring->bell, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &ring->bell, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps until the bell, unless the slot of `ticket` is ready or the ring is to stop. */
static void bell_wait(struct cella_call_ring *ring, uint32_t ticket, const _Atomic uint32_t *stop)
{
    const uint32_t bell = __atomic_load_n(&ring->bell, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&ring->sleepers, 1, __ATOMIC_SEQ_CST);
    if (!turn_is_due(ring, ticket) && !atomic_load(stop)) {
        syscall(SYS_futex, &ring->bell, FUTEX_WAIT_PRIVATE, bell, NULL, NULL, 0);
    }
    __atomic_fetch_sub(&ring->sleepers, 1, __ATOMIC_SEQ_CST);
}

static void worker_is_in(struct worker *worker)
{
    atomic_store(&worker->is_in, 1);
    syscall(SYS_futex, &worker->is_in, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Whether this is the first that is heard of the worker on `slot`. */
static bool worker_arrives(struct cella_switchless *switchless, const struct cella_host_slot *slot)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *worker = &switchless->workers[i];
        if (worker->slot == slot && atomic_load(&worker->is_in) == 0) {
            worker_is_in(worker);
            return true;
        }
    }
    return false;
}

/* CELLA_OCALL_RING_WAIT: an enclave worker has nothing to do, or has just come. */
cella_result cella_switchless_wait(cella_enclave *enclave, const struct cella_host_slot *slot,
                                   uint32_t ticket)
{
    struct cella_switchless *switchless = enclave->switchless;
    CELLA_ENSURE(switchless && !atomic_load(&switchless->stop), WRONG_STATE);
    if (worker_arrives(switchless, slot)) {
        return CELLA_OK;
    }
    bell_wait(switchless->ecall_ring, ticket, &switchless->stop);
    CELLA_ENSURE(!atomic_load(&switchless->stop), WRONG_STATE);
    return CELLA_OK;
}

void cella_switchless_wake(cella_enclave *enclave)
{
    if (enclave->ocall_ring) {
        bell_ring(enclave->ocall_ring);
    }
}

static void *ecall_worker(void *argument)
{
    struct worker *worker = argument;
    cella_enclave *enclave = worker->enclave;
    cella_ignore(cella_host_call(enclave, worker->slot, CELLA_ENTER_WORKER,
                                 (uint64_t)enclave->switchless->ecall_ring, 0));
    worker_is_in(worker);
    __atomic_fetch_sub(&enclave->switchless->ecall_ring->workers, 1, __ATOMIC_SEQ_CST);
    cella_host_slot_give(enclave, worker->slot);
    return NULL;
}

/* Services that need not know which thread asks; of the clocks one is the thread's. */
static bool is_apart(uint32_t number)
{
    return number == CELLA_OCALL_FILE || number == CELLA_OCALL_SOCKET ||
           number == CELLA_OCALL_EPOLL;
}

/* The slot's buffers are the enclave's own slice of an arena. */
static void ocall_answer(cella_enclave *enclave, struct cella_call_slot *slot)
{
    size_t size = 0;
    cella_result result = CELLA_RESULT(NOT_FOUND);
    if (slot->number < enclave->ocall_count) {
        result = enclave->ocalls[slot->number](enclave->ocall_context, (const void *)slot->in,
                                               slot->in_size, (void *)slot->out, slot->out_capacity,
                                               &size);
    } else if (is_apart(slot->number)) {
        result =
            cella_host_service(enclave, &enclave->slots[0], slot->number, (const void *)slot->in,
                               slot->in_size, (void *)slot->out, slot->out_capacity, &size);
    }
    slot->result = result.code;
    slot->out_size = size;
}

static bool ocall_serve(cella_enclave *enclave, struct cella_switchless *switchless)
{
    struct cella_call_ring *ring = enclave->ocall_ring;
    uint32_t ticket = atomic_load(&switchless->ocall_tail);
    if (!turn_is_due(ring, ticket)) {
        return false;
    }
    if (!atomic_compare_exchange_strong(&switchless->ocall_tail, &ticket, ticket + 1)) {
        return true;
    }
    if (turn_swap(ring, ticket, ticket + CELLA_TURN_READY, ticket + CELLA_TURN_TAKEN)) {
        ocall_answer(enclave, &ring->slots[ticket % CELLA_RING_SLOTS]);
        turn_set(ring, ticket, ticket + CELLA_TURN_ANSWERED);
    } else {
        turn_set(ring, ticket, ticket + CELLA_RING_SLOTS);
    }
    return true;
}

static void *ocall_worker(void *argument)
{
    struct worker *worker = argument;
    struct cella_switchless *switchless = worker->enclave->switchless;
    struct cella_call_ring *ring = worker->enclave->ocall_ring;
    while (!atomic_load(&switchless->stop)) {
        for (uint32_t spins = 0; spins < ring->spins && !atomic_load(&switchless->stop); spins++) {
            if (ocall_serve(worker->enclave, switchless)) {
                spins = 0;
            }
            __builtin_ia32_pause();
        }
        bell_wait(ring, atomic_load(&switchless->ocall_tail), &switchless->stop);
    }
    __atomic_fetch_sub(&ring->workers, 1, __ATOMIC_SEQ_CST);
    while (ocall_serve(worker->enclave, switchless)) { /* what was posted before the count fell */
    }
    return NULL;
}

static bool worker_start(cella_enclave *enclave, struct worker *worker, bool for_ecalls)
{
    worker->enclave = enclave;
    worker->slot = NULL;
    atomic_store(&worker->is_in, !for_ecalls);
    if (for_ecalls) {
        worker->slot = cella_host_slot_take_last(enclave);
        if (!worker->slot) {
            return false;
        }
    }
    struct cella_call_ring *ring =
        for_ecalls ? enclave->switchless->ecall_ring : enclave->ocall_ring;
    __atomic_fetch_add(&ring->workers, 1, __ATOMIC_SEQ_CST);
    if (pthread_create(&worker->thread, NULL, for_ecalls ? ecall_worker : ocall_worker, worker) !=
        0) {
        __atomic_fetch_sub(&ring->workers, 1, __ATOMIC_SEQ_CST);
        if (worker->slot) {
            cella_host_slot_give(enclave, worker->slot);
        }
        return false;
    }
    return true;
}

static cella_result switchless_prepare(cella_enclave *enclave)
{
    if (enclave->switchless) {
        return CELLA_OK;
    }
    struct cella_switchless *switchless =
        aligned_alloc(64, (sizeof(*switchless) + 63) & ~(size_t)63);
    CELLA_ENSURE(switchless != NULL, OUT_OF_MEMORY);
    memset(switchless, 0, sizeof(*switchless));
    switchless->ecall_ring = ring_new();
    if (!switchless->ecall_ring) {
        free(switchless);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    atomic_store(&switchless->stop, 1);
    enclave->switchless = switchless;
    return CELLA_OK;
}

cella_result cella_switchless_start(cella_enclave *enclave,
                                    const struct cella_switchless_options *options)
{
    CELLA_ENSURE(options->workers <= enclave->slot_count, OUT_OF_THREADS);
    CELLA_ENSURE(options->workers + options->ocall_workers > 0 && options->workers <= WORKERS_MAX &&
                     options->ocall_workers <= WORKERS_MAX - options->workers,
                 INVALID_ARGUMENT);
    pthread_mutex_lock(&enclave->lock);
    cella_result result = switchless_prepare(enclave);
    struct cella_switchless *switchless = enclave->switchless;
    if (cella_is_ok(result) && !atomic_load(&switchless->stop)) {
        result = CELLA_RESULT(WRONG_STATE);
    }
    if (!cella_is_ok(result)) {
        pthread_mutex_unlock(&enclave->lock);
        return result;
    }
    const uint32_t spins = options->spins ? options->spins : SPINS_DEFAULT;
    switchless->ecall_ring->spins = spins;
    enclave->ocall_ring->spins = spins;
    switchless->worker_count = 0;
    atomic_store(&switchless->stop, 0);
    for (uint32_t i = 0; i < options->workers + options->ocall_workers; i++) {
        if (!worker_start(enclave, &switchless->workers[i], i < options->workers)) {
            result = CELLA_RESULT(OUT_OF_THREADS);
            break;
        }
        switchless->worker_count++;
    }
    for (uint32_t i = 0; i < switchless->worker_count; i++) {
        while (atomic_load(&switchless->workers[i].is_in) == 0) {
            syscall(SYS_futex, &switchless->workers[i].is_in, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        }
    }
    pthread_mutex_unlock(&enclave->lock);
    if (!cella_is_ok(result)) {
        cella_switchless_stop(enclave);
    }
    return result;
}

void cella_switchless_stop(cella_enclave *enclave)
{
    pthread_mutex_lock(&enclave->lock);
    struct cella_switchless *switchless = enclave->switchless;
    if (switchless && !atomic_load(&switchless->stop)) {
        atomic_store(&switchless->stop, 1);
        bell_ring(switchless->ecall_ring);
        bell_ring(enclave->ocall_ring);
        for (uint32_t i = 0; i < switchless->worker_count; i++) {
            pthread_join(switchless->workers[i].thread, NULL);
        }
        switchless->worker_count = 0;
    }
    pthread_mutex_unlock(&enclave->lock);
}

bool cella_switchless_holds(const cella_enclave *enclave, const struct cella_host_slot *slot)
{
    const struct cella_switchless *switchless = enclave->switchless;
    for (uint32_t i = 0; switchless && i < switchless->worker_count; i++) {
        if (switchless->workers[i].slot == slot) {
            return true;
        }
    }
    return false;
}

void cella_switchless_free(cella_enclave *enclave)
{
    if (enclave->switchless) {
        free(enclave->switchless->ecall_ring);
        free(enclave->switchless);
    }
    free(enclave->ocall_ring);
}

cella_result cella_switchless_prepare_ocalls(cella_enclave *enclave)
{
    enclave->ocall_ring = ring_new();
    CELLA_ENSURE(enclave->ocall_ring != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

/* Takes the next ticket when its slot is free. */
static bool ecall_claim(struct cella_switchless *switchless, uint32_t *ret_ticket)
{
    uint32_t ticket = atomic_load_explicit(&switchless->ecall_head, memory_order_relaxed);
    while (turn_get(switchless->ecall_ring, ticket) == ticket) {
        if (atomic_compare_exchange_strong(&switchless->ecall_head, &ticket, ticket + 1)) {
            *ret_ticket = ticket;
            return true;
        }
    }
    return false;
}

static void ecall_post(struct cella_call_ring *ring, uint32_t ticket, const struct cella_call *call)
{
    struct cella_call_slot *slot = &ring->slots[ticket % CELLA_RING_SLOTS];
    slot->number = call->number;
    slot->batch = 0;
    slot->in = (uint64_t)call->in;
    slot->in_size = call->in_size;
    slot->out = (uint64_t)call->out;
    slot->out_capacity = call->out_capacity;
    turn_set(ring, ticket, ticket + CELLA_TURN_READY);
}

static void workers_wake(struct cella_call_ring *ring)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the post is seen before the look at `sleepers` */
    if (__atomic_load_n(&ring->sleepers, __ATOMIC_RELAXED) != 0) {
        bell_ring(ring);
    }
}

/* The TCS for a call that is made the ordinary way. */
struct own {
    struct cella_host_slot *slot;
    bool is_taken; /* to be given back */
};

/*
 * Withdraws a call that no worker has taken, if there is a TCS to make it on: workers may have them all. While exit handlers
 * run the enclave takes no other calls than those of its workers.
 */
static bool ecall_withdraw(cella_enclave *enclave, struct cella_call_ring *ring, uint32_t ticket,
                           struct own *ret_own)
{
    if (turn_get(ring, ticket) != ticket + CELLA_TURN_READY ||
        (atomic_load(&enclave->is_ending) && __atomic_load_n(&ring->workers, __ATOMIC_ACQUIRE))) {
        return false;
    }
    ret_own->slot = cella_host_slot_spare(enclave, &ret_own->is_taken);
    if (!ret_own->slot) {
        return false;
    }
    if (turn_swap(ring, ticket, ticket + CELLA_TURN_READY, ticket + CELLA_TURN_WITHDRAWN)) {
        return true;
    }
    if (ret_own->is_taken) {
        cella_host_slot_give(enclave, ret_own->slot);
    }
    return false;
}

/* false: no worker took the call in time, and it is withdrawn; it is to be made on *ret_own. */
static bool ecall_collect(cella_enclave *enclave, struct cella_call_ring *ring, uint32_t ticket,
                          struct cella_call *call, struct own *ret_own)
{
    uint32_t spins = 0;
    while (turn_get(ring, ticket) != ticket + CELLA_TURN_ANSWERED) {
        __builtin_ia32_pause();
        if (++spins >= SPINS_BEFORE_YIELD) {
            if (spins > SPINS_BEFORE_YIELD && ecall_withdraw(enclave, ring, ticket, ret_own)) {
                return false;
            }
            const uint32_t dead = atomic_load(&enclave->dead);
            if (dead) { /* nobody will answer; the slot stays lost */
                call->result = (cella_result){.code = dead};
                return true;
            }
            sched_yield();
        }
    }
    const struct cella_call_slot *slot = &ring->slots[ticket % CELLA_RING_SLOTS];
    call->result = (cella_result){.code = slot->result};
    call->out_size = slot->out_size;
    turn_set(ring, ticket, ticket + CELLA_RING_SLOTS);
    return true;
}

static bool ring_serves(const cella_enclave *enclave)
{
    const struct cella_switchless *switchless = enclave->switchless;
    return switchless && !atomic_load_explicit(&switchless->stop, memory_order_acquire) &&
           __atomic_load_n(&switchless->ecall_ring->workers, __ATOMIC_ACQUIRE) != 0 &&
           atomic_load_explicit(&enclave->dead, memory_order_relaxed) == 0;
}

static void calls_own(cella_enclave *enclave, const struct own *own, struct cella_call *calls,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cella_call *call = &calls[i];
        call->result =
            cella_host_ecall_on(enclave, own->slot, call->number, call->in, call->in_size,
                                call->out, call->out_capacity, &call->out_size);
    }
    if (own->is_taken) {
        cella_host_slot_give(enclave, own->slot);
    }
}

/* The ring is full, or serves nobody. false: no TCS is free now, but there are workers: the ring is to be tried again. */
static bool calls_apart(cella_enclave *enclave, struct cella_call *calls, size_t count)
{
    struct own own;
    if (!ring_serves(enclave)) {
        for (size_t i = 0; i < count; i++) {
            calls[i].result =
                cella_host_ecall(enclave, true, calls[i].number, calls[i].in, calls[i].in_size,
                                 calls[i].out, calls[i].out_capacity, &calls[i].out_size);
        }
        return true;
    }
    own.slot =
        atomic_load(&enclave->is_ending) ? NULL : cella_host_slot_spare(enclave, &own.is_taken);
    if (!own.slot) {
        sched_yield();
        return false;
    }
    calls_own(enclave, &own, calls, count);
    return true;
}

cella_result cella_ecall_switchless(cella_enclave *enclave, uint32_t number, const void *in,
                                    size_t in_size, void *out, size_t out_capacity,
                                    size_t *ret_size)
{
    uint32_t ticket;
    bool is_done = false;
    struct cella_call call = {
        .number = number, .in = in, .in_size = in_size, .out = out, .out_capacity = out_capacity};
    while (!is_done) {
        if (!ring_serves(enclave) || !ecall_claim(enclave->switchless, &ticket)) {
            is_done = calls_apart(enclave, &call, 1);
            continue;
        }
        struct own own;
        struct cella_call_ring *ring = enclave->switchless->ecall_ring;
        ecall_post(ring, ticket, &call);
        workers_wake(ring);
        if (!ecall_collect(enclave, ring, ticket, &call, &own)) {
            calls_own(enclave, &own, &call, 1);
        }
        is_done = true;
    }
    if (ret_size && cella_is_ok(call.result)) {
        *ret_size = call.out_size;
    }
    return call.result;
}

static void batch_post(struct cella_call_ring *ring, uint32_t ticket, struct cella_call *calls,
                       size_t count)
{
    struct cella_call_slot *slot = &ring->slots[ticket % CELLA_RING_SLOTS];
    slot->number = 0;
    slot->batch = (uint32_t)count;
    slot->in = (uint64_t)calls;
    turn_set(ring, ticket, ticket + CELLA_TURN_READY);
}

/*
 * Waits for one piece, or makes its calls. What the enclave refused as a whole, or will never answer, has that result in
 * every call.
 */
static void piece_collect(cella_enclave *enclave, uint32_t ticket, struct cella_call *calls,
                          size_t count)
{
    struct cella_call whole;
    struct own own;
    if (!ecall_collect(enclave, enclave->switchless->ecall_ring, ticket, &whole, &own)) {
        calls_own(enclave, &own, calls, count);
        return;
    }
    for (size_t i = 0; i < count && !cella_is_ok(whole.result); i++) {
        calls[i].result = whole.result;
    }
}

cella_result cella_ecall_batch(cella_enclave *enclave, struct cella_call *calls, size_t count)
{
    uint32_t tickets[WINDOW];
    const size_t pieces = count / PIECE + (count % PIECE != 0);
    size_t posted = 0, collected = 0;
    while (collected < pieces) {
        const size_t before = posted;
        while (posted < pieces && posted - collected < WINDOW && ring_serves(enclave) &&
               ecall_claim(enclave->switchless, &tickets[posted % WINDOW])) {
            const size_t left = count - posted * PIECE;
            batch_post(enclave->switchless->ecall_ring, tickets[posted % WINDOW],
                       calls + posted * PIECE, left < PIECE ? left : PIECE);
            posted++;
        }
        if (posted > before) {
            workers_wake(enclave->switchless->ecall_ring);
        }
        const size_t left = count - collected * PIECE;
        const size_t size = left < PIECE ? left : PIECE;
        struct cella_call *piece = calls + collected * PIECE;
        if (collected == posted) {
            if (!calls_apart(enclave, piece, size)) {
                continue;
            }
            posted++;
        } else {
            piece_collect(enclave, tickets[collected % WINDOW], piece, size);
        }
        collected++;
    }
    return CELLA_OK;
}
