/*
 * The clock module: time as the host tells it. Opt-in: linked only with -u cella_module_clock.
 * Side: enclave. Called for the libc's system calls.
 * Never lets a monotonic clock go back, nor a field out of its range; what time it is, the host decides all the same.
 */
#include "enclave/libc.h"

#define CLOCK_COUNT 12u
#define CLOCK_REALTIME_ID 0u
#define CLOCK_REALTIME_COARSE_ID 5u
#define CLOCK_TAI_ID 11u
#define NANOSECONDS 1000000000ull
#define SECONDS_MAX (1ll << 33) /* the year 2242 */

extern const char cella_module_clock;
const char cella_module_clock = 1;

static _Atomic uint64_t latest[CLOCK_COUNT]; /* nanoseconds, of the clocks that only go forward */

static bool goes_forward(uint64_t clock)
{
    return clock != CLOCK_REALTIME_ID && clock != CLOCK_REALTIME_COARSE_ID && clock != CLOCK_TAI_ID;
}

static void forward_filter(uint64_t clock, struct libc_timespec *time)
{
    uint64_t now = (uint64_t)time->seconds * NANOSECONDS + (uint64_t)time->nanoseconds;
    uint64_t before = atomic_load(&latest[clock]);
    while (now > before && !atomic_compare_exchange_weak(&latest[clock], &before, now)) {
    }
    now = now > before ? now : before;
    time->seconds = (int64_t)(now / NANOSECONDS);
    time->nanoseconds = (int64_t)(now % NANOSECONDS);
}

static long clock_read(uint64_t clock, struct libc_timespec *ret_time)
{
    struct libc_timespec time;
    size_t size = 0;
    if (clock >= CLOCK_COUNT) {
        return -EINVAL;
    }
    clock = cella_index_clamp(clock, CLOCK_COUNT);
    cella_result result =
        cella_system_ocall(CELLA_OCALL_CLOCK, &clock, sizeof(clock), &time, sizeof(time), &size);
    if (!cella_is_ok(result) || size != sizeof(time)) {
        return -EIO;
    }
    if (time.seconds < 0 || time.seconds > SECONDS_MAX || time.nanoseconds < 0 ||
        time.nanoseconds >= (int64_t)NANOSECONDS) {
        return -EIO;
    }
    if (goes_forward(clock)) {
        forward_filter(clock, &time);
    }
    *ret_time = time;
    return 0;
}

static long clock_get(uint64_t clock, uint64_t to)
{
    struct libc_timespec time;
    if (!cella_user_range(to, sizeof(time))) {
        return -EFAULT;
    }
    const long result = clock_read(clock, &time);
    if (result == 0) {
        *(struct libc_timespec *)to = time;
    }
    return result;
}

static long clock_resolution(uint64_t clock, uint64_t to)
{
    if (clock >= CLOCK_COUNT) {
        return -EINVAL;
    }
    if (to != 0) {
        if (!cella_user_range(to, sizeof(struct libc_timespec))) {
            return -EFAULT;
        }
        *(struct libc_timespec *)to = (struct libc_timespec){.seconds = 0, .nanoseconds = 1};
    }
    return 0;
}

static long clock_day(uint64_t to)
{
    struct libc_timespec time;
    if (to != 0 && !cella_user_range(to, 16)) {
        return -EFAULT;
    }
    const long result = clock_read(CLOCK_REALTIME_ID, &time);
    if (result == 0 && to != 0) {
        ((int64_t *)to)[0] = time.seconds;
        ((int64_t *)to)[1] = time.nanoseconds / 1000;
    }
    return result;
}

static long clock_time(uint64_t to)
{
    struct libc_timespec time;
    if (to != 0 && !cella_user_range(to, 8)) {
        return -EFAULT;
    }
    const long result = clock_read(CLOCK_REALTIME_ID, &time);
    if (result != 0) {
        return result;
    }
    if (to != 0) {
        *(int64_t *)to = time.seconds;
    }
    return time.seconds;
}

static bool clock_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_clock_gettime:
        *ret_result = clock_get(ARG0(regs), ARG1(regs));
        return true;
    case __NR_clock_getres:
        *ret_result = clock_resolution(ARG0(regs), ARG1(regs));
        return true;
    case __NR_gettimeofday:
        *ret_result = clock_day(ARG0(regs));
        return true;
    case __NR_time:
        *ret_result = clock_time(ARG0(regs));
        return true;
    default:
        return false;
    }
}

static const struct cella_module clock_module = {.name = "clock", .syscall = clock_syscall};
CELLA_MODULE(clock_module);
