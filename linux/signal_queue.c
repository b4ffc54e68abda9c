/*
 * What signals are pending, for a thread or for the process: one of each, and of the real-time ones all, in order.
 * Side: enclave. Called by signal.c. Source: signal(7), "Queueing and delivery semantics"; timer_getoverrun(2).
 * Never loses the information of the first of a kind; a timer has at most one, which counts those that came on top.
 */
#include "linux/linux.h"

#define POOL_COUNT 1024u /* further real-time signals of the whole process */
#define FIRST_QUEUED 32u
#define BIT(number) (1ull << ((number)-1))

struct queued {
    struct linux_signal_info info;
    uint32_t number;
    uint32_t next; /* index + 1; 0: the last */
};

static struct cella_lock lock; /* of the pool and of every struct linux_pending */
static struct queued *pool;    /* from the first use on */
static uint32_t pool_free, pool_used;

/* Before the lock: it may ask for memory. Another thread may be quicker. */
static void pool_make(void)
{
    if (__atomic_load_n(&pool, __ATOMIC_ACQUIRE)) {
        return;
    }
    struct queued *made = cella_pages_new(POOL_COUNT * sizeof(*made));
    struct queued *nothing = NULL;
    if (made && !__atomic_compare_exchange_n(&pool, &nothing, made, false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_ACQUIRE)) {
        cella_pages_free(made, POOL_COUNT * sizeof(*made));
    }
}

/* Under the lock. Index + 1; 0: full. */
static uint32_t entry_new(void)
{
    const uint32_t at = pool_free;
    if (at != 0) {
        pool_free = pool[at - 1].next;
        return at;
    }
    return pool && pool_used < POOL_COUNT ? ++pool_used : 0;
}

static void entry_free(uint32_t at)
{
    pool[at - 1].next = pool_free;
    pool_free = at;
}

static bool same_timer(const struct linux_signal_info *pending,
                       const struct linux_signal_info *info)
{
    return info->code == LINUX_SI_TIMER && pending->code == LINUX_SI_TIMER &&
           pending->timer == info->timer;
}

/* Under the lock: the pending signal of the same timer; NULL: none. */
static struct linux_signal_info *of_timer(struct linux_pending *pending, uint32_t number,
                                          const struct linux_signal_info *info)
{
    if (same_timer(&pending->info[number], info)) {
        return &pending->info[number];
    }
    for (uint32_t at = pending->queue; at != 0; at = pool[at - 1].next) {
        if (pool[at - 1].number == number && same_timer(&pool[at - 1].info, info)) {
            return &pool[at - 1].info;
        }
    }
    return NULL;
}

/* Under the lock: behind all that are there. false: full. */
static bool entry_add(struct linux_pending *pending, uint32_t number,
                      const struct linux_signal_info *info)
{
    const uint32_t added = entry_new();
    if (added == 0) {
        return false;
    }
    uint32_t *at = &pending->queue;
    while (*at != 0) {
        at = &pool[*at - 1].next;
    }
    *at = added;
    pool[added - 1] = (struct queued){.info = *info, .number = number};
    return true;
}

enum linux_pended linux_pending_add(struct linux_pending *pending, uint32_t number,
                                    const struct linux_signal_info *info)
{
    enum linux_pended result = LINUX_PENDED_ALREADY;
    if (number >= FIRST_QUEUED) {
        pool_make();
    }
    cella_lock_take(&lock);
    if ((atomic_load(&pending->bits) & BIT(number)) == 0) {
        pending->info[number] = *info;
        atomic_fetch_or(&pending->bits, BIT(number));
        result = LINUX_PENDED_NEW;
    } else {
        struct linux_signal_info *before = of_timer(pending, number, info);
        if (before) {
            before->overrun += 1 + info->overrun;
        } else if (number >= FIRST_QUEUED) {
            result = entry_add(pending, number, info) ? LINUX_PENDED_NEW : LINUX_PENDED_FULL;
        }
    }
    cella_lock_give(&lock);
    return result;
}

/* Under the lock: the next one of `number` takes the first one's place; without one the bit goes. */
static void advance(struct linux_pending *pending, uint32_t number)
{
    for (uint32_t *at = &pending->queue; *at != 0; at = &pool[*at - 1].next) {
        const uint32_t found = *at;
        if (pool[found - 1].number == number) {
            pending->info[number] = pool[found - 1].info;
            *at = pool[found - 1].next;
            entry_free(found);
            return;
        }
    }
    atomic_fetch_and(&pending->bits, ~BIT(number));
}

uint32_t linux_pending_take(struct linux_pending *pending, uint64_t of,
                            struct linux_signal_info *ret_info)
{
    uint32_t number = 0;
    if ((atomic_load(&pending->bits) & of) == 0) {
        return 0;
    }
    cella_lock_take(&lock);
    const uint64_t there = atomic_load(&pending->bits) & of;
    if (there != 0) {
        number = (uint32_t)__builtin_ctzll(there) + 1;
        *ret_info = pending->info[number];
        advance(pending, number);
    }
    cella_lock_give(&lock);
    return number;
}

void linux_pending_drop(struct linux_pending *pending, uint64_t of)
{
    struct linux_signal_info unused;
    while (linux_pending_take(pending, of, &unused) != 0) {
    }
}
