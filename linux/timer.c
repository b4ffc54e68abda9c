/*
 * Timers: setitimer, alarm, timer_create, timerfd. One thread of the kernel's own sleeps until the next one is due.
 * Side: enclave. Called for the program's system calls. Source: timer_create(2), setitimer(2), timerfd_create(2).
 * Never has the thread before the first timer is set; a host that wakes it early or late moves time, nothing else.
 */
#include "enclave/descriptors.h"
#include "linux/clock_look.h"
#include "linux/linux.h"

#define TIMERS_MAX 256u
#define NANOSECONDS 1000000000ll
#define CPU_LOOK 1000000ll /* processor time is looked at no more often than this */
#define TIMER_ABSTIME 1u
#define TIMERFD_FLAGS (LINUX_O_CLOEXEC | LINUX_O_NONBLOCK)
#define SI_KERNEL 0x80
#define SIGALRM_NUMBER 14u
#define SIGVTALRM_NUMBER 26u
#define SIGPROF_NUMBER 27u
#define NOTIFY_SIGNAL 0
#define NOTIFY_NONE 1
#define NOTIFY_THREAD_ID 4
#define SECONDS_MAX (1ll << 33)

enum timer_kind {
    TIMER_FREE,
    TIMER_INTERVAL, /* of setitimer: the first three places */
    TIMER_POSIX,
    TIMER_DESCRIPTOR,
};

struct timer {
    enum timer_kind kind;
    uint32_t clock;
    int64_t due; /* in its clock's nanoseconds; 0: not set */
    int64_t interval;
    int32_t notify;
    uint32_t number; /* of the signal */
    uint32_t tid;
    uint64_t value;
    uint32_t overrun;
    uint64_t expired; /* of a descriptor, since it was read */
    struct cella_open *open;
    uint64_t serial;
    struct cella_open *told; /* `open` with a reference, which the thread puts without the lock */
};

static struct linux_mutex timer_lock;
static struct timer *timers; /* TIMERS_MAX of them, from the first use on */
static _Atomic uint32_t changes;

static int64_t clock_now(uint32_t clock)
{
    if (clock == CLOCK_PROCESS_CPU_ID || clock == CLOCK_THREAD_CPU_ID) {
        return (int64_t)linux_clock_host(CLOCK_PROCESS_CPU_ID);
    }
    return (int64_t)linux_clock_now(clock == CLOCK_REALTIME_ID);
}

/* Programs say "never" with the largest number that there is. */
static int64_t later(int64_t time, int64_t by)
{
    int64_t result;
    return __builtin_add_overflow(time, by, &result) ? INT64_MAX : result;
}

/* ------------------------------------------------------------------ the thread */

static void timer_notify(struct timer *timer, uint64_t times)
{
    if (timer->kind == TIMER_DESCRIPTOR) {
        timer->expired += times;
        if (cella_open_take(timer->open, timer->serial)) {
            cella_poll_notify(timer->open);
            cella_futex_wake((uint64_t)&timer->open->changes, INT32_MAX);
            timer->told = timer->open;
        }
        return;
    }
    const struct linux_signal_info info = {.code = timer->kind == TIMER_POSIX ? LINUX_SI_TIMER
                                                                              : SI_KERNEL,
                                           .timer = (uint32_t)(timer - timers),
                                           .overrun = (uint32_t)(times - 1),
                                           .value = timer->value};
    if (timer->notify == NOTIFY_NONE) {
        return;
    }
    struct linux_thread *thread =
        timer->notify == NOTIFY_THREAD_ID ? linux_thread_of(timer->tid) : NULL;
    if (thread) {
        (void)linux_signal_send(thread, timer->number, &info);
    } else {
        (void)linux_signal_send_process(timer->number, &info);
    }
}

/* Under the lock: how often a timer has gone off since this was asked last; when it does next is set. */
static uint64_t timer_elapse(struct timer *timer)
{
    const int64_t late = timer->due != 0 ? clock_now(timer->clock) - timer->due : -1;
    uint64_t times = late >= 0 ? 1 : 0;
    if (late >= 0 && timer->interval > 0) {
        times += (uint64_t)(late / timer->interval);
        timer->due = later(timer->due + (int64_t)(times - 1) * timer->interval, timer->interval);
    } else if (late >= 0) {
        timer->due = 0;
    }
    return times;
}

/* The thread may be late: what has elapsed until now belongs to this signal. */
void linux_timer_delivered(struct linux_signal_info *info, uint32_t number)
{
    if (!timers || info->timer >= TIMERS_MAX) { /* a program may say so itself, by sigqueue */
        return;
    }
    struct timer *timer = &timers[info->timer];
    linux_mutex_take(&timer_lock);
    if (timer->kind == TIMER_POSIX && timer->number == number) {
        info->overrun += timer->interval > 0 ? (uint32_t)timer_elapse(timer) : 0;
        timer->overrun = info->overrun;
    }
    linux_mutex_give(&timer_lock);
}

/* Under the lock: what is due is told of; how long until the next one, negative: for ever. */
static int64_t timers_look(void)
{
    int64_t wait = -1;
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        struct timer *timer = &timers[i];
        if (timer->kind == TIMER_FREE || timer->due == 0) {
            continue;
        }
        const uint64_t times = timer_elapse(timer);
        if (times != 0) {
            timer_notify(timer, times);
        }
        if (timer->due != 0) {
            int64_t left = timer->due - clock_now(timer->clock);
            const bool is_cpu =
                timer->clock == CLOCK_PROCESS_CPU_ID || timer->clock == CLOCK_THREAD_CPU_ID;
            /* All threads together use processor time faster than time goes. */
            left = is_cpu ? left / (int64_t)cella_linux_cpu_count() : left;
            left = left < 1 || (is_cpu && left < CPU_LOOK) ? (is_cpu ? CPU_LOOK : 1) : left;
            wait = wait < 0 || left < wait ? left : wait;
        }
    }
    return wait;
}

/* The reference may be the last one, and what goes with it takes the lock. Until then the place is not free. */
static void told_put(void)
{
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i].told) {
            cella_open_put(CELLA_TAKE(timers[i].told));
        }
    }
}

static void timer_main(void)
{
    for (;;) {
        const uint32_t seen = atomic_load(&changes);
        linux_mutex_take(&timer_lock);
        const int64_t wait = timers_look();
        linux_mutex_give(&timer_lock);
        told_put();
        if (wait < 0) {
            cella_futex_wait_uninterrupted((uint64_t)&changes, seen, NULL);
            continue;
        }
        const int64_t until = later((int64_t)linux_clock_now(false), wait);
        const struct libc_timespec time = {.seconds = until / NANOSECONDS,
                                           .nanoseconds = until % NANOSECONDS};
        cella_futex_wait_uninterrupted((uint64_t)&changes, seen, &time);
    }
}

static void timers_changed(void)
{
    atomic_fetch_add(&changes, 1);
    cella_futex_wake((uint64_t)&changes, 1);
}

/* Under the lock: the table and its thread are there. */
static bool timers_ready(void)
{
    if (timers) {
        return true;
    }
    struct timer *table = cella_pages_new(TIMERS_MAX * sizeof(*table));
    if (!table) {
        return false;
    }
    static const uint32_t clocks[] = {CLOCK_MONOTONIC_ID, CLOCK_PROCESS_CPU_ID,
                                      CLOCK_PROCESS_CPU_ID};
    static const uint32_t numbers[] = {SIGALRM_NUMBER, SIGVTALRM_NUMBER, SIGPROF_NUMBER};
    for (uint32_t i = 0; i < CELLA_COUNT(clocks); i++) {
        table[i] = (struct timer){.kind = TIMER_INTERVAL, .clock = clocks[i], .number = numbers[i]};
    }
    timers = table;
    if (!linux_kernel_thread_new(timer_main)) {
        timers = NULL;
        cella_pages_free(table, TIMERS_MAX * sizeof(*table));
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ setting and reading */

/* Two pairs, (seconds, part): the interval, then the value. `unit` nanoseconds a part. */
static bool pairs_read(uint64_t at, int64_t unit, int64_t *ret_interval, int64_t *ret_value)
{
    const int64_t *words = (const int64_t *)at;
    int64_t got[2];
    for (uint32_t i = 0; i < 2; i++) {
        const int64_t seconds = words[2 * i], part = words[2 * i + 1];
        if (seconds < 0 || part < 0 || part >= NANOSECONDS / unit) {
            return false;
        }
        got[i] =
            seconds > SECONDS_MAX ? SECONDS_MAX * NANOSECONDS : seconds * NANOSECONDS + part * unit;
    }
    *ret_interval = got[0];
    *ret_value = got[1];
    return true;
}

static void pairs_write(uint64_t at, int64_t unit, int64_t interval, int64_t value)
{
    int64_t *words = (int64_t *)at;
    words[0] = interval / NANOSECONDS;
    words[1] = interval % NANOSECONDS / unit;
    words[2] = value / NANOSECONDS;
    words[3] = value % NANOSECONDS / unit;
}

static int64_t timer_left(const struct timer *timer)
{
    if (timer->due == 0) {
        return 0;
    }
    const int64_t left = timer->due - clock_now(timer->clock);
    return left > 0 ? left : 1;
}

/* What a timer is set to; the old setting comes back. Under the lock. */
static void timer_set(struct timer *timer, int64_t interval, int64_t value, bool absolute,
                      int64_t *ret_interval, int64_t *ret_left)
{
    *ret_interval = timer->interval;
    *ret_left = timer_left(timer);
    timer->interval = interval;
    timer->due = value == 0 ? 0 : absolute ? value : later(clock_now(timer->clock), value);
    timer->expired = 0;
    timer->overrun = 0;
}

/* The common part of the three families. Another thread may have deleted the timer, and made one of another kind there. */
static long set_call(struct timer *timer, enum timer_kind kind, uint64_t wanted, uint64_t old,
                     int64_t unit, bool absolute)
{
    int64_t interval = 0, value = 0, old_interval, old_left;
    if ((wanted != 0 && !cella_user_range(wanted, 32)) ||
        (old != 0 && !cella_user_writable(old, 32))) {
        return -EFAULT;
    }
    if (wanted != 0 && !pairs_read(wanted, unit, &interval, &value)) {
        return -EINVAL;
    }
    linux_mutex_take(&timer_lock);
    if (timer->kind != kind) {
        linux_mutex_give(&timer_lock);
        return -EINVAL;
    }
    if (wanted != 0) {
        timer_set(timer, interval, value, absolute, &old_interval, &old_left);
    } else {
        old_interval = timer->interval;
        old_left = timer_left(timer);
    }
    linux_mutex_give(&timer_lock);
    if (wanted != 0) {
        timers_changed();
    }
    if (old != 0) {
        pairs_write(old, unit, old_interval, old_left);
    }
    return 0;
}

static bool ready_checked(void)
{
    linux_mutex_take(&timer_lock);
    const bool ready = timers_ready();
    linux_mutex_give(&timer_lock);
    return ready;
}

static long call_interval(uint64_t which, uint64_t wanted, uint64_t old, bool is_set)
{
    if (which > 2) {
        return -EINVAL;
    }
    if (!ready_checked()) {
        return -EAGAIN;
    }
    if (!is_set && old == 0) {
        return -EFAULT;
    }
    if (is_set && wanted == 0) { /* Linux takes it for zeros */
        int64_t unused[2];
        linux_mutex_take(&timer_lock);
        timer_set(&timers[which], 0, 0, false, &unused[0], &unused[1]);
        linux_mutex_give(&timer_lock);
        timers_changed();
        return 0;
    }
    return set_call(&timers[which], TIMER_INTERVAL, wanted, old, 1000, false);
}

static long call_alarm(uint64_t seconds)
{
    int64_t interval, left;
    if (!ready_checked()) {
        return 0;
    }
    linux_mutex_take(&timer_lock);
    timer_set(&timers[0], 0, (int64_t)(uint32_t)seconds * NANOSECONDS, false, &interval, &left);
    linux_mutex_give(&timer_lock);
    timers_changed();
    return (left + NANOSECONDS - 1) / NANOSECONDS;
}

/* A free place, taken as `kind`. Under the lock. */
static struct timer *timer_new(enum timer_kind kind, uint32_t clock)
{
    if (!timers_ready()) {
        return NULL;
    }
    for (uint32_t i = 3; i < TIMERS_MAX; i++) {
        if (timers[i].kind == TIMER_FREE) {
            timers[i] = (struct timer){.kind = kind, .clock = clock, .number = SIGALRM_NUMBER};
            return &timers[i];
        }
    }
    return NULL;
}

static bool clock_is_good(uint64_t clock)
{
    return clock <= CLOCK_THREAD_CPU_ID || clock == CLOCK_BOOT_ID ||
           clock == CLOCK_REALTIME_ALARM_ID || clock == CLOCK_BOOT_ALARM_ID;
}

static uint32_t clock_kind(uint64_t clock)
{
    return clock == CLOCK_REALTIME_ALARM_ID                         ? CLOCK_REALTIME_ID
           : clock == CLOCK_BOOT_ID || clock == CLOCK_BOOT_ALARM_ID ? CLOCK_MONOTONIC_ID
                                                                    : (uint32_t)clock;
}

/* struct sigevent: value, number, notify, tid. */
static long call_create(uint64_t clock, uint64_t event, uint64_t to)
{
    if (!clock_is_good(clock)) {
        return -EINVAL;
    }
    if ((event != 0 && !cella_user_range(event, 64)) || !cella_user_writable(to, 4)) {
        return -EFAULT;
    }
    struct timer wanted = {.notify = NOTIFY_SIGNAL, .number = SIGALRM_NUMBER};
    if (event != 0) {
        wanted.value = *(const uint64_t *)event;
        wanted.number = *(const uint32_t *)(event + 8);
        wanted.notify = *(const int32_t *)(event + 12);
        wanted.tid = *(const uint32_t *)(event + 16);
        if ((wanted.notify != NOTIFY_NONE &&
             (wanted.number < 1 || wanted.number > LINUX_SIGNAL_COUNT)) ||
            (wanted.notify == NOTIFY_THREAD_ID && !linux_thread_of(wanted.tid)) ||
            (wanted.notify != NOTIFY_SIGNAL && wanted.notify != NOTIFY_NONE &&
             wanted.notify != NOTIFY_THREAD_ID)) {
            return -EINVAL;
        }
    }
    linux_mutex_take(&timer_lock);
    struct timer *timer = timer_new(TIMER_POSIX, clock_kind(clock));
    if (timer) {
        timer->notify = wanted.notify;
        timer->number = wanted.number;
        timer->tid = wanted.tid;
        timer->value = event != 0 ? wanted.value : (uint64_t)(timer - timers);
    }
    linux_mutex_give(&timer_lock);
    if (!timer) {
        return -EAGAIN;
    }
    *(uint32_t *)to = (uint32_t)(timer - timers);
    return 0;
}

/* Its place; whether it is (still) a timer's, is to be asked under the lock. */
static struct timer *posix_timer(uint64_t id)
{
    return timers && (uint32_t)id >= 3 && (uint32_t)id < TIMERS_MAX ? &timers[(uint32_t)id] : NULL;
}

static long posix_overrun(const struct timer *timer)
{
    linux_mutex_take(&timer_lock);
    const long result = timer->kind == TIMER_POSIX ? (long)timer->overrun : -EINVAL;
    linux_mutex_give(&timer_lock);
    return result;
}

static long posix_delete(struct timer *timer)
{
    linux_mutex_take(&timer_lock);
    const bool is_there = timer->kind == TIMER_POSIX;
    if (is_there) {
        timer->kind = TIMER_FREE;
        timer->due = 0;
    }
    linux_mutex_give(&timer_lock);
    return is_there ? 0 : -EINVAL;
}

static bool timer_posix(struct cella_regs *regs, long *ret_result)
{
    struct timer *timer = regs->rax == __NR_timer_create ? NULL : posix_timer(ARG0(regs));
    *ret_result = -EINVAL;
    switch (regs->rax) {
    case __NR_timer_create:
        *ret_result = call_create(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_timer_settime:
        if (timer && ARG2(regs) != 0) {
            *ret_result = set_call(timer, TIMER_POSIX, ARG2(regs), ARG3(regs), 1,
                                   (ARG1(regs) & TIMER_ABSTIME) != 0);
        }
        return true;
    case __NR_timer_gettime:
        if (timer) {
            *ret_result =
                ARG1(regs) != 0 ? set_call(timer, TIMER_POSIX, 0, ARG1(regs), 1, false) : -EFAULT;
        }
        return true;
    case __NR_timer_getoverrun:
        if (timer) {
            *ret_result = posix_overrun(timer);
        }
        return true;
    case __NR_timer_delete:
        if (timer) {
            *ret_result = posix_delete(timer);
        }
        return true;
    default:
        return false;
    }
}

/* ------------------------------------------------------------------ descriptors */

static struct timer *timer_of(const struct cella_open *open)
{
    return &timers[open->words[0]];
}

static long descriptor_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct timer *timer = timer_of(open);
    if (transfer->writing || transfer->bytes.size < 8) {
        return -EINVAL;
    }
    for (;;) {
        const uint32_t seen = atomic_load(&open->changes);
        linux_mutex_take(&timer_lock);
        uint64_t times = timer->expired + timer_elapse(timer);
        timer->expired = 0;
        linux_mutex_give(&timer_lock);
        if (times != 0) {
            return cella_gather_bytes(&transfer->bytes, 0, &times, sizeof(times), true) ==
                           sizeof(times)
                       ? (long)sizeof(times)
                       : -EFAULT;
        }
        if ((open->flags & LINUX_O_NONBLOCK) != 0) {
            return -EAGAIN;
        }
        struct cella_regs wait = {.rdi = (uint64_t)&open->changes, .rsi = 128, .rdx = seen};
        if (cella_futex(&wait) == -EINTR) {
            return -EINTR;
        }
    }
}

static uint32_t descriptor_ready(struct cella_open *open)
{
    return __atomic_load_n(&timer_of(open)->expired, __ATOMIC_RELAXED) != 0 ? LINUX_POLLIN : 0;
}

static void descriptor_release(struct cella_open *open)
{
    struct timer *timer = timer_of(open);
    linux_mutex_take(&timer_lock);
    timer->kind = TIMER_FREE;
    timer->due = 0;
    linux_mutex_give(&timer_lock);
}

static const struct cella_open_class timer_class = {
    .transfer = descriptor_transfer, .ready = descriptor_ready, .release = descriptor_release};

static long call_descriptor_new(uint64_t clock, uint64_t flags)
{
    if (!clock_is_good(clock) || clock == CLOCK_PROCESS_CPU_ID || clock == CLOCK_THREAD_CPU_ID ||
        (flags & ~(uint64_t)TIMERFD_FLAGS) != 0) {
        return -EINVAL;
    }
    linux_mutex_take(&timer_lock);
    struct timer *timer = timer_new(TIMER_DESCRIPTOR, clock_kind(clock));
    linux_mutex_give(&timer_lock);
    if (!timer) {
        return -ENOMEM;
    }
    long error = 0;
    struct cella_open *open = cella_open_new(
        &timer_class, CELLA_NO_HANDLE, LINUX_O_RDWR | ((uint32_t)flags & LINUX_O_NONBLOCK), &error);
    if (!open) {
        timer->kind = TIMER_FREE;
        return error;
    }
    open->words[0] = (uint32_t)(timer - timers);
    timer->open = open;
    timer->serial = open->serial;
    return cella_descriptor_add(open, (flags & LINUX_O_CLOEXEC) != 0, 0);
}

static long call_descriptor(const struct cella_regs *regs, bool is_set)
{
    CELLA_OPEN_GET(open, (uint32_t)ARG0(regs));
    if (!open) {
        return -EBADF;
    }
    if (open->class != &timer_class) {
        return -EINVAL;
    }
    if (!is_set) {
        return ARG1(regs) != 0 ? set_call(timer_of(open), TIMER_DESCRIPTOR, 0, ARG1(regs), 1, false)
                               : -EFAULT;
    }
    if (ARG2(regs) == 0) {
        return -EFAULT;
    }
    return set_call(timer_of(open), TIMER_DESCRIPTOR, ARG2(regs), ARG3(regs), 1,
                    (ARG1(regs) & 1) != 0);
}

bool linux_timer_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_getitimer:
        *ret_result = call_interval(ARG0(regs), 0, ARG1(regs), false);
        return true;
    case __NR_setitimer:
        *ret_result = call_interval(ARG0(regs), ARG1(regs), ARG2(regs), true);
        return true;
    case __NR_alarm:
        *ret_result = call_alarm(ARG0(regs));
        return true;
    case __NR_timerfd_create:
        *ret_result = call_descriptor_new(ARG0(regs), ARG1(regs));
        return true;
    case __NR_timerfd_settime:
        *ret_result = call_descriptor(regs, true);
        return true;
    case __NR_timerfd_gettime:
        *ret_result = call_descriptor(regs, false);
        return true;
    default:
        return timer_posix(regs, ret_result);
    }
}
