/*
 * What time it is for the program: the latest look at the host's clocks, carried on by the time stamp counter.
 * Side: enclave. Included by clock.c, who looks, and by the vDSO (vdso/), which reads without entering the kernel.
 * Never lets a thread's monotonic clock go back, nor two threads' differ by more than LATEST_STEP, whatever their counters say.
 */
#ifndef CELLA_LINUX_CLOCK_LOOK_H
#define CELLA_LINUX_CLOCK_LOOK_H

#include "enclave/td.h"

#include <stdatomic.h>

/* clock_gettime(2) */
#define CLOCK_REALTIME_ID 0u
#define CLOCK_MONOTONIC_ID 1u
#define CLOCK_PROCESS_CPU_ID 2u
#define CLOCK_THREAD_CPU_ID 3u
#define CLOCK_RAW_ID 4u
#define CLOCK_REALTIME_COARSE_ID 5u
#define CLOCK_MONOTONIC_COARSE_ID 6u
#define CLOCK_BOOT_ID 7u
#define CLOCK_REALTIME_ALARM_ID 8u
#define CLOCK_BOOT_ALARM_ID 9u
#define CLOCK_COUNT 12u

#define LINUX_CLOCK_LATEST_STEP 65536u /* nanoseconds */
#define LINUX_CLOCK_SCALE_BITS 32u
#define LINUX_CLOCK_TRIES 4096u

/* Nanoseconds and ticks. Written by one thread at a time, while `turn` is odd. */
struct linux_clock_look {
    _Atomic uint32_t turn; /* 0: nobody has looked yet */
    _Atomic uint64_t tsc, monotonic, realtime;
    _Atomic uint64_t scale;     /* nanoseconds a tick, times 2^32 */
    _Atomic uint64_t ticks_max; /* so long it is good for; 0: the counter's rate is not known yet */
    _Atomic uint64_t latest;    /* no monotonic time is before it */
};

/* Whether a clock is one that a look tells, and which of the two. */
static inline bool linux_clock_is_looked_at(uint64_t clock, bool *ret_realtime)
{
    *ret_realtime = clock == CLOCK_REALTIME_ID || clock == CLOCK_REALTIME_COARSE_ID;
    return *ret_realtime || clock == CLOCK_MONOTONIC_ID || clock == CLOCK_RAW_ID ||
           clock == CLOCK_MONOTONIC_COARSE_ID || clock == CLOCK_BOOT_ID;
}

static inline uint64_t linux_clock_word(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

/* Read where it stands, neither earlier nor later. */
static inline uint64_t linux_clock_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t linux_clock_scaled(uint64_t ticks, uint64_t scale)
{
    return (uint64_t)((unsigned __int128)ticks * scale >> LINUX_CLOCK_SCALE_BITS);
}

/* As `now`, but never before what this thread (`last`) was told, nor long before what another was. */
static inline uint64_t linux_clock_forward(struct linux_clock_look *look, uint64_t *last,
                                           uint64_t now)
{
    uint64_t latest = linux_clock_word(&look->latest);
    now = now > latest ? now : latest;
    now = now > *last ? now : *last;
    *last = now;
    while (now > latest && now - latest > LINUX_CLOCK_LATEST_STEP &&
           !atomic_compare_exchange_weak(&look->latest, &latest, now)) {
    }
    return now;
}

/* The time by the latest look. false: the host has to be asked again. Inlined: for either clock there is half of it. */
__attribute__((always_inline)) static inline bool
linux_clock_read(struct linux_clock_look *look, uint64_t *last, bool realtime, uint64_t *ret_now)
{
    for (uint32_t i = 0; i < LINUX_CLOCK_TRIES; i++) {
        const uint32_t turn = atomic_load_explicit(&look->turn, memory_order_acquire);
        const uint64_t base = linux_clock_word(realtime ? &look->realtime : &look->monotonic);
        const uint64_t scale = linux_clock_word(&look->scale);
        const uint64_t max = linux_clock_word(&look->ticks_max);
        const int64_t ticks = (int64_t)(linux_clock_tsc() - linux_clock_word(&look->tsc));
        atomic_thread_fence(memory_order_acquire);
        if ((turn & 1) == 0 && atomic_load_explicit(&look->turn, memory_order_relaxed) == turn) {
            /* Another processor's counter may be a little behind. */
            const uint64_t passed = ticks > 0 ? (uint64_t)ticks : 0;
            if (passed >= max || ticks < -(int64_t)max) {
                return false;
            }
            *ret_now = base + linux_clock_scaled(passed, scale);
            if (!realtime) {
                *ret_now = linux_clock_forward(look, last, *ret_now);
            }
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

#endif
