/*
 * Time for the program: the host's clock, carried on by the time stamp counter between two looks.
 * Side: enclave. Called for the program's system calls. There is no trusted time: what hour it is, the host decides.
 * Never lets the monotonic clock go back, nor a field out of its range, whatever host and counter say (clock_look.h).
 */
#include "linux/clock_look.h"
#include "linux/linux.h"

#define NANOSECONDS 1000000000ull
#define SECONDS_MAX (1ll << 33)
#define LOOK_AGAIN_SHIFT 5u /* after a 32nd of a second the host is asked again */
#define HZ_MIN 100000000ull
#define HZ_MAX 20000000000ull
#define TIMER_ABSTIME 1u
#define COUNT_MIN 5000000ull    /* nanoseconds between two looks that tell the rate */
#define COUNT_MAX 4000000000ull /* and so far apart that nothing overflows */

/* What the host says, all at the same moment, as far as that can be had. */
struct said {
    uint64_t tsc, monotonic, realtime;
};

struct linux_clock_look cella_linux_clock;
static struct said first_said; /* with `turn` odd, as what follows */
static uint64_t counted_hz;    /* of the counter, where the host does not say */

uint64_t linux_clock_host(uint64_t clock)
{
    struct libc_timespec time = {0};
    size_t size = 0;
    cella_result result =
        cella_system_ocall(CELLA_OCALL_CLOCK, &clock, sizeof(clock), &time, sizeof(time), &size);
    if (!cella_is_ok(result) || size != sizeof(time) || time.seconds < 0 ||
        time.seconds > SECONDS_MAX || time.nanoseconds < 0 ||
        time.nanoseconds >= (int64_t)NANOSECONDS) {
        return 0;
    }
    return (uint64_t)time.seconds * NANOSECONDS + (uint64_t)time.nanoseconds;
}

/* The counter's rate, from two looks that lie far enough apart; the host's clock is the measure, as for all time. */
static void hz_count(const struct said *said)
{
    const uint64_t ticks = said->tsc - first_said.tsc;
    const uint64_t time = said->monotonic - first_said.monotonic;
    if (said->monotonic > first_said.monotonic && time >= COUNT_MIN && time < COUNT_MAX &&
        ticks < UINT64_MAX / NANOSECONDS) {
        counted_hz = ticks * NANOSECONDS / time;
    }
}

/* What the look that is being replaced has told at most: the clock stands still until the new one is there, too. */
static uint64_t told_at_most(const struct linux_clock_look *look, uint64_t tsc)
{
    const uint64_t max = linux_clock_word(&look->ticks_max);
    const uint64_t passed = tsc - linux_clock_word(&look->tsc);
    return linux_clock_word(&look->monotonic) +
           linux_clock_scaled(passed < max ? passed : max, linux_clock_word(&look->scale));
}

static void word_set(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

/* With `turn` odd. Whoever reads before it was has read the counter before this does. */
static void look_replace(struct linux_clock_look *look, const struct said *said, bool is_first)
{
    if (is_first) {
        first_said = *said;
    }
    hz_count(said);
    const uint64_t hz = cella_kernel.tsc_hz != 0 ? cella_kernel.tsc_hz : counted_hz;
    const bool is_rate = hz >= HZ_MIN && hz <= HZ_MAX;
    const uint64_t told = told_at_most(look, linux_clock_tsc());
    uint64_t latest = linux_clock_word(&look->latest);
    while (told > latest && !atomic_compare_exchange_weak(&look->latest, &latest, told)) {
    }
    word_set(&look->tsc, said->tsc);
    word_set(&look->monotonic, said->monotonic);
    word_set(&look->realtime, said->realtime);
    word_set(&look->scale, is_rate ? (NANOSECONDS << LINUX_CLOCK_SCALE_BITS) / hz : 0);
    word_set(&look->ticks_max, is_rate ? hz >> LOOK_AGAIN_SHIFT : 0);
}

static struct said look_anew(void)
{
    struct linux_clock_look *look = &cella_linux_clock;
    struct said said = {.realtime = linux_clock_host(CLOCK_REALTIME_ID)};
    said.tsc = linux_clock_tsc();
    said.monotonic = linux_clock_host(CLOCK_MONOTONIC_ID);
    uint32_t turn = atomic_load(&look->turn);
    if ((turn & 1) == 0 && atomic_compare_exchange_strong(&look->turn, &turn, turn + 1)) {
        look_replace(look, &said, turn == 0);
        atomic_store_explicit(&look->turn, turn + 2, memory_order_release);
    }
    return said;
}

uint64_t linux_clock_now(bool realtime)
{
    uint64_t now;
    uint64_t *last = &cella_td_self()->clock_last;
    if (linux_clock_read(&cella_linux_clock, last, realtime, &now)) {
        return now;
    }
    const struct said said = look_anew();
    return realtime ? said.realtime : linux_clock_forward(&cella_linux_clock, last, said.monotonic);
}

/* Nanoseconds of a clock of clock_gettime(2); an errno below zero. */
static int64_t clock_value(uint64_t clock)
{
    bool realtime;
    if (linux_clock_is_looked_at(clock, &realtime)) {
        return (int64_t)linux_clock_now(realtime);
    }
    const int32_t dynamic = (int32_t)clock;
    if (dynamic < 0) { /* of a process or thread by number: ours */
        clock = (dynamic & 4) != 0 ? CLOCK_THREAD_CPU_ID : CLOCK_PROCESS_CPU_ID;
    }
    if (clock >= CLOCK_COUNT) {
        return -EINVAL;
    }
    return (int64_t)linux_clock_host(clock);
}

static long time_write(uint64_t to, int64_t value, uint64_t unit)
{
    if (!cella_user_writable(to, 16)) {
        return -EFAULT;
    }
    ((int64_t *)to)[0] = value / (int64_t)NANOSECONDS;
    ((int64_t *)to)[1] = value % (int64_t)NANOSECONDS / (int64_t)unit;
    return 0;
}

static long call_get(uint64_t clock, uint64_t to)
{
    const int64_t value = clock_value(clock);
    return value < 0 ? (long)value : time_write(to, value, 1);
}

static long call_resolution(uint64_t clock, uint64_t to)
{
    if ((int32_t)clock >= (int32_t)CLOCK_COUNT) {
        return -EINVAL;
    }
    return to == 0 ? 0 : time_write(to, 1, 1);
}

static long sleep_result(long slept, uint64_t end, uint64_t remaining)
{
    if (slept == -EINTR && remaining != 0) {
        const uint64_t now = linux_clock_now(false);
        const long written = time_write(remaining, now < end ? (int64_t)(end - now) : 0, 1);
        return written != 0 ? written : -EINTR;
    }
    return slept;
}

static long call_sleep(uint64_t clock, bool absolute, uint64_t at, uint64_t remaining)
{
    if (!cella_user_range(at, sizeof(struct libc_timespec))) {
        return -EFAULT;
    }
    const struct libc_timespec time = *(const struct libc_timespec *)at;
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= (int64_t)NANOSECONDS ||
        clock >= CLOCK_COUNT) {
        return -EINVAL;
    }
    if (absolute) {
        return cella_sleep(clock == CLOCK_REALTIME_ID ? CELLA_WAIT_UNTIL_REALTIME
                                                      : CELLA_WAIT_UNTIL_MONOTONIC,
                           &time);
    }
    const uint64_t span = time.seconds < SECONDS_MAX
                              ? (uint64_t)time.seconds * NANOSECONDS + (uint64_t)time.nanoseconds
                              : (uint64_t)SECONDS_MAX * NANOSECONDS;
    if (span == 0) {
        return 0;
    }
    const uint64_t end = remaining != 0 ? linux_clock_now(false) + span : 0;
    return sleep_result(cella_sleep(CELLA_WAIT_RELATIVE, &time), end, remaining);
}

static long call_day(uint64_t to, uint64_t zone)
{
    const int64_t value = (int64_t)linux_clock_now(true);
    if (zone != 0) {
        if (!cella_user_writable(zone, 8)) {
            return -EFAULT;
        }
        *(uint64_t *)zone = 0;
    }
    return to == 0 ? 0 : time_write(to, value, 1000);
}

static long call_time(uint64_t to)
{
    const int64_t seconds = (int64_t)(linux_clock_now(true) / NANOSECONDS);
    if (to != 0) {
        if (!cella_user_writable(to, 8)) {
            return -EFAULT;
        }
        *(int64_t *)to = seconds;
    }
    return seconds;
}

bool linux_clock_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_clock_gettime:
        *ret_result = call_get(ARG0(regs), ARG1(regs));
        return true;
    case __NR_clock_getres:
        *ret_result = call_resolution(ARG0(regs), ARG1(regs));
        return true;
    case __NR_gettimeofday:
        *ret_result = call_day(ARG0(regs), ARG1(regs));
        return true;
    case __NR_time:
        *ret_result = call_time(ARG0(regs));
        return true;
    case __NR_nanosleep:
        *ret_result = call_sleep(CLOCK_MONOTONIC_ID, false, ARG0(regs), ARG1(regs));
        return true;
    case __NR_clock_nanosleep:
        *ret_result =
            call_sleep(ARG0(regs), (ARG1(regs) & TIMER_ABSTIME) != 0, ARG2(regs), ARG3(regs));
        return true;
    case __NR_clock_settime:
    case __NR_settimeofday:
    case __NR_clock_adjtime:
    case __NR_adjtimex:
        *ret_result = -EPERM;
        return true;
    default:
        return false;
    }
}
