/*
 * Futexes: the table of waiters is the enclave's; the host only puts threads to sleep and wakes them.
 * Side: enclave. Called by the libc's mutexes, condition variables, joins. Source: futex(2).
 * Never believes a wake-up: a waiter goes on only when a waker inside has taken it off the table, or its time is over.
 */
#include "enclave/libc.h"

#define FUTEX_WAIT 0u
#define FUTEX_WAKE 1u
#define FUTEX_REQUEUE 3u
#define FUTEX_CMP_REQUEUE 4u
#define FUTEX_WAIT_BITSET 9u
#define FUTEX_WAKE_BITSET 10u
#define FUTEX_PRIVATE_FLAG 128u
#define FUTEX_CLOCK_REALTIME 256u
#define FUTEX_ANY 0xFFFFFFFFu

#define BUCKETS 64u
#define WAKE_MAX 32u
#define SPINS 200u

enum waiter_state {
    WAITER_SPINNING,
    WAITER_ASLEEP,
    WAITER_WOKEN,
};

/* On the stack of the waiting thread. */
struct cella_futex_waiter {
    struct cella_futex_waiter *next;
    uint64_t address;
    uint32_t slot;
    uint32_t bits;
    _Atomic uint32_t state;
};

static struct cella_lock futex_lock; /* one for the table: requeue moves between buckets */
static struct cella_futex_waiter *buckets[BUCKETS];

static struct cella_futex_waiter **bucket_of(uint64_t address)
{
    return &buckets[(address >> 2 ^ address >> 8) % BUCKETS];
}

static void waiter_append(struct cella_futex_waiter *waiter)
{
    struct cella_futex_waiter **at = bucket_of(waiter->address);
    while (*at) {
        at = &(*at)->next;
    }
    waiter->next = NULL;
    *at = waiter;
}

static bool waiter_remove(struct cella_futex_waiter *waiter)
{
    for (struct cella_futex_waiter **at = bucket_of(waiter->address); *at; at = &(*at)->next) {
        if (*at == waiter) {
            *at = waiter->next;
            return true;
        }
    }
    return false;
}

/* Under the lock: takes one waiter off the table. true: its thread is asleep in the host and must be called. */
static bool waiter_wake(struct cella_futex_waiter **at, uint32_t *ret_slot)
{
    struct cella_futex_waiter *waiter = *at;
    *at = waiter->next;
    *ret_slot = waiter->slot;
    /* After this the waiter may be gone. */
    return atomic_exchange(&waiter->state, WAITER_WOKEN) == WAITER_ASLEEP;
}

static void host_wake(const uint32_t *slots, uint32_t count)
{
    if (count > 0) {
        cella_ignore(
            cella_system_ocall(CELLA_OCALL_WAKE, slots, count * sizeof(slots[0]), NULL, 0, NULL));
    }
}

/* Wakes up to `count`; returns how many. In rounds, because the host is called without the lock. */
static uint32_t wake(uint64_t address, uint32_t count, uint32_t bits)
{
    uint32_t woken = 0;
    bool more = true;
    while (more && woken < count) {
        uint32_t slots[WAKE_MAX];
        uint32_t asleep = 0;
        more = false;
        cella_lock_take(&futex_lock);
        for (struct cella_futex_waiter **at = bucket_of(address); *at && woken < count;) {
            if ((*at)->address != address || ((*at)->bits & bits) == 0) {
                at = &(*at)->next;
                continue;
            }
            if (asleep == WAKE_MAX) {
                more = true;
                break;
            }
            asleep += waiter_wake(at, &slots[asleep]) ? 1 : 0;
            woken++;
        }
        cella_lock_give(&futex_lock);
        host_wake(slots, asleep);
    }
    return woken;
}

void cella_futex_wake(uint64_t address, uint32_t count)
{
    wake(address, count, FUTEX_ANY);
}

static cella_result host_wait(uint32_t clock, const struct libc_timespec *time)
{
    struct cella_call_wait wait = {.slot = cella_td_self()->slot, .clock = clock};
    if (clock != CELLA_WAIT_FOREVER) {
        wait.seconds = time->seconds;
        wait.nanoseconds = time->nanoseconds;
    }
    return cella_system_ocall(CELLA_OCALL_WAIT, &wait, sizeof(wait), NULL, 0, NULL);
}

/* Sleeps until woken or out of time. A host that answers at once costs time, nothing else. */
static long waiter_sleep(struct cella_futex_waiter *waiter, uint32_t clock,
                         const struct libc_timespec *time, bool can_be_interrupted)
{
    for (uint32_t i = 0; i < SPINS; i++) {
        if (atomic_load(&waiter->state) == WAITER_WOKEN) {
            return 0;
        }
        __builtin_ia32_pause();
    }
    uint32_t spinning = WAITER_SPINNING;
    atomic_compare_exchange_strong(&waiter->state, &spinning, WAITER_ASLEEP);
    while (atomic_load(&waiter->state) != WAITER_WOKEN) {
        const bool interrupted = can_be_interrupted && cella_is_interrupted();
        cella_result result = interrupted ? CELLA_OK : host_wait(clock, time);
        const bool over = clock != CELLA_WAIT_FOREVER && result.code == CELLA_CODE_BUSY;
        if (over || interrupted) {
            cella_lock_take(&futex_lock);
            const bool was_waiting = waiter_remove(waiter);
            cella_lock_give(&futex_lock);
            if (was_waiting) {
                return over ? -ETIMEDOUT : -EINTR;
            }
        }
    }
    return 0;
}

static long wait(uint64_t address, uint32_t value, uint32_t bits, uint32_t clock,
                 const struct libc_timespec *time, bool can_be_interrupted)
{
    struct cella_futex_waiter waiter = {
        .address = address, .slot = cella_td_self()->slot, .bits = bits};
    cella_lock_take(&futex_lock);
    if (atomic_load((_Atomic uint32_t *)address) != value) {
        cella_lock_give(&futex_lock);
        return -EAGAIN;
    }
    waiter_append(&waiter);
    cella_lock_give(&futex_lock);
    return waiter_sleep(&waiter, clock, time, can_be_interrupted);
}

void cella_futex_wait_uninterrupted(uint64_t address, uint32_t value,
                                    const struct libc_timespec *until)
{
    wait(address, value, FUTEX_ANY, until ? CELLA_WAIT_UNTIL_MONOTONIC : CELLA_WAIT_FOREVER, until,
         false);
}

static long requeue(uint64_t from, uint64_t to, uint32_t wake_count, uint32_t move_count,
                    bool compare, uint32_t value)
{
    long moved = 0;
    uint32_t slots[WAKE_MAX];
    uint32_t woken = 0, asleep = 0;
    cella_lock_take(&futex_lock);
    if (compare && atomic_load((_Atomic uint32_t *)from) != value) {
        cella_lock_give(&futex_lock);
        return -EAGAIN;
    }
    for (struct cella_futex_waiter **at = bucket_of(from); *at;) {
        struct cella_futex_waiter *waiter = *at;
        if (waiter->address != from) {
            at = &waiter->next;
        } else if (woken < wake_count && asleep < WAKE_MAX) {
            asleep += waiter_wake(at, &slots[asleep]) ? 1 : 0;
            woken++;
        } else if ((uint32_t)moved < move_count && from != to) {
            *at = waiter->next;
            waiter->address = to;
            waiter_append(waiter);
            moved++;
        } else {
            break;
        }
    }
    cella_lock_give(&futex_lock);
    host_wake(slots, asleep);
    return moved + woken;
}

static long wait_call(const struct cella_regs *regs, uint32_t operation, bool realtime)
{
    const struct libc_timespec *time = (const struct libc_timespec *)ARG3(regs);
    uint32_t clock = CELLA_WAIT_FOREVER;
    const uint32_t bits = operation == FUTEX_WAIT_BITSET ? (uint32_t)ARG5(regs) : FUTEX_ANY;
    struct libc_timespec limit = {0};
    if (time) {
        if (!cella_user_range((uint64_t)time, sizeof(*time))) {
            return -EFAULT;
        }
        limit = *time;
        if (limit.seconds < 0 || limit.nanoseconds < 0 || limit.nanoseconds > 999999999) {
            return limit.seconds < 0 ? -ETIMEDOUT : -EINVAL;
        }
        clock = operation == FUTEX_WAIT ? CELLA_WAIT_RELATIVE
                : realtime              ? CELLA_WAIT_UNTIL_REALTIME
                                        : CELLA_WAIT_UNTIL_MONOTONIC;
    }
    return bits == 0 ? -EINVAL : wait(ARG0(regs), (uint32_t)ARG2(regs), bits, clock, &limit, true);
}

long cella_futex(struct cella_regs *regs)
{
    const uint32_t operation = (uint32_t)ARG1(regs) & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    const bool realtime = (ARG1(regs) & FUTEX_CLOCK_REALTIME) != 0;
    const bool two = operation == FUTEX_REQUEUE || operation == FUTEX_CMP_REQUEUE;
    if (ARG0(regs) % 4 != 0 || !cella_user_range(ARG0(regs), 4) ||
        (two && (ARG4(regs) % 4 != 0 || !cella_user_range(ARG4(regs), 4)))) {
        return -EFAULT;
    }
    switch (operation) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return wait_call(regs, operation, realtime);
    case FUTEX_WAKE:
        return wake(ARG0(regs), (uint32_t)ARG2(regs), FUTEX_ANY);
    case FUTEX_WAKE_BITSET:
        return wake(ARG0(regs), (uint32_t)ARG2(regs), (uint32_t)ARG5(regs));
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return requeue(ARG0(regs), ARG4(regs), (uint32_t)ARG2(regs), (uint32_t)ARG3(regs),
                       operation == FUTEX_CMP_REQUEUE, (uint32_t)ARG5(regs));
    default:
        return -ENOSYS;
    }
}

long cella_sleep(uint32_t clock, const struct libc_timespec *time)
{
    /*
     * A late wake of an earlier wait must not end a sleep: one too long is a sleep, one too short is not. There is at
     * most one such wake; a relative sleep that a host cuts short again and again ends.
     */
    for (uint32_t rounds = 0;; rounds++) {
        const cella_result result = host_wait(clock, time);
        if (cella_is_interrupted()) {
            return -EINTR;
        }
        const bool was_kicked =
            result.code == CELLA_CODE_INTERRUPTED; /* for what was seen before */
        if ((!cella_is_ok(result) && !was_kicked) ||
            (clock == CELLA_WAIT_RELATIVE && rounds == 2)) {
            break;
        }
    }
    return 0;
}
