/*
 * The poll module: poll, ppoll, select, pselect6 over handles of the host and objects inside. Opt-in: -u cella_module_poll.
 * Side: enclave. Called for the libc's system calls.
 * Never believes that something inside is ready because the host called: it looks again. For handles it is the host's word.
 */
#include "enclave/waiting.h"

#define NANOSECONDS 1000000000ll
#define SELECT_IN (LINUX_POLLIN | LINUX_POLLHUP | LINUX_POLLERR)
#define SELECT_OUT (LINUX_POLLOUT | LINUX_POLLERR)
#define SELECT_EXCEPT 2u
#define ALWAYS (LINUX_POLLERR | LINUX_POLLHUP)

extern const char cella_module_poll;
const char cella_module_poll = 1;

struct linux_pollfd {
    int32_t fd;
    int16_t events, revents;
};

/* One call's memory, in pages: the request, the answer, the objects with a reference each. */
struct poll_work {
    uint64_t pages_size;
    uint32_t count;
    struct cella_open **opens;
    uint32_t *index_of_handle;            /* which entry a handle of the request is */
    struct cella_call_wait_list *request; /* `polls` follow it */
    struct cella_call_poll *polls;
    struct cella_call_waited *answer;
    uint32_t *events;
};

static struct poll_work *work_new(uint32_t count)
{
    const uint64_t size = sizeof(struct poll_work) + 64 +
                          count * (sizeof(void *) + 4 + sizeof(struct cella_call_poll) + 4) + 64;
    struct poll_work *work = cella_pages_new(size);
    if (!work) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(work + 1);
    work->pages_size = size;
    work->count = count;
    work->opens = (struct cella_open **)at;
    at += count * sizeof(void *);
    work->request = (void *)at;
    at += sizeof(*work->request);
    work->polls = (struct cella_call_poll *)at;
    at += count * sizeof(struct cella_call_poll);
    work->answer = (struct cella_call_waited *)at;
    at += sizeof(*work->answer);
    work->events = (uint32_t *)at;
    at += (count + 1) / 2 * 8;
    work->index_of_handle = (uint32_t *)at;
    return work;
}

static void work_free(struct poll_work *work)
{
    for (uint32_t i = 0; i < work->count; i++) {
        if (work->opens[i]) {
            cella_open_put(work->opens[i]);
        }
    }
    cella_pages_free(work, work->pages_size);
}

/* What holds of the objects inside, and what is not open; the rest is a request to the host. */
static uint32_t look_inside(struct poll_work *work, struct linux_pollfd *fds, uint32_t *ret_handles)
{
    uint32_t ready = 0, handles = 0;
    for (uint32_t i = 0; i < work->count; i++) {
        struct cella_open *open = work->opens[i];
        const uint32_t wanted = (uint16_t)fds[i].events | ALWAYS;
        fds[i].revents = 0;
        if (fds[i].fd < 0) {
            continue;
        }
        if (!open) {
            fds[i].revents = LINUX_POLLNVAL;
        } else if (open->class->ready) {
            fds[i].revents = (int16_t)(open->class->ready(open) & wanted);
        }
        if (open && open->handle != CELLA_NO_HANDLE) {
            work->polls[handles] =
                (struct cella_call_poll){.handle = open->handle, .events = (uint16_t)fds[i].events};
            work->index_of_handle[handles++] = i;
        }
        ready += fds[i].revents != 0;
    }
    *ret_handles = handles;
    return ready;
}

/* What the host says of its handles: only what was asked for, on entries where it makes sense. */
static uint32_t look_outside(struct poll_work *work, struct linux_pollfd *fds, uint32_t handles)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < handles; i++) {
        struct linux_pollfd *fd = &fds[work->index_of_handle[i]];
        const uint32_t wanted = (uint16_t)fd->events | ALWAYS | LINUX_POLLNVAL;
        const bool was = fd->revents != 0;
        fd->revents |= (int16_t)(work->events[i] & wanted & 0x7FFF);
        ready += !was && fd->revents != 0;
    }
    return ready;
}

static long wait_outside(struct poll_work *work, uint32_t handles, int64_t *timeout)
{
    if (handles == 0 && *timeout == 0) {
        return 0;
    }
    *work->request = (struct cella_call_wait_list){
        .slot = cella_td_self()->slot, .count = handles, .timeout = *timeout};
    size_t size = 0;
    const size_t expected = sizeof(*work->answer) + handles * sizeof(uint32_t);
    cella_result result =
        cella_system_ocall(CELLA_OCALL_POLL, work->request,
                           sizeof(*work->request) + handles * sizeof(struct cella_call_poll),
                           work->answer, expected, &size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    if (size != expected) {
        return -EIO;
    }
    return cella_waited_take(work->answer, handles, timeout);
}

static long poll_rounds(struct poll_work *work, struct linux_pollfd *fds, int64_t timeout)
{
    for (;;) {
        struct cella_poll_waiter waiter;
        uint32_t handles;
        cella_poll_waiter_add(&waiter);
        uint32_t ready = look_inside(work, fds, &handles);
        int64_t left = ready > 0 ? 0 : timeout;
        const bool interrupted = left != 0 && cella_is_interrupted();
        const long waited = interrupted ? -EINTR : wait_outside(work, handles, &left);
        cella_poll_waiter_remove(&waiter);
        if (waited < 0) {
            return ready > 0 ? (long)ready : waited;
        }
        ready += look_outside(work, fds, handles);
        if (ready > 0) {
            return (long)ready;
        }
        uint32_t unused;
        ready = look_inside(work, fds, &unused);
        if (ready > 0 || left == 0) {
            return (long)ready;
        }
        timeout = left;
    }
}

static long poll_entries(struct linux_pollfd *fds, uint32_t count, int64_t timeout)
{
    struct poll_work *work = work_new(count);
    if (!work) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        work->opens[i] = fds[i].fd >= 0 ? cella_descriptor_get((uint32_t)fds[i].fd) : NULL;
    }
    const long result = poll_rounds(work, fds, timeout);
    work_free(work);
    return result;
}

/* The list is copied: another thread may change it while this one waits. */
static long call_poll(uint64_t at, uint64_t count, int64_t timeout)
{
    if (count > CELLA_CALL_POLL_MAX) {
        return -EINVAL;
    }
    const uint64_t size = count * sizeof(struct linux_pollfd);
    if (!cella_user_writable(at, size)) {
        return -EFAULT;
    }
    struct linux_pollfd *fds = cella_pages_new(size + 1);
    if (!fds) {
        return -ENOMEM;
    }
    __builtin_memcpy(fds, (const void *)at, size);
    const long result = poll_entries(fds, (uint32_t)count, timeout);
    for (uint64_t i = 0; i < count && result >= 0; i++) {
        ((struct linux_pollfd *)at)[i].revents = fds[i].revents;
    }
    cella_pages_free(fds, size + 1);
    return result;
}

static bool set_has(const uint64_t *set, uint32_t fd)
{
    return set && (set[fd / 64] >> fd % 64 & 1) != 0;
}

static long select_entries(uint32_t limit, uint64_t *sets[3], int64_t timeout,
                           struct linux_pollfd *fds)
{
    uint32_t count = 0;
    long total = 0;
    for (uint32_t fd = 0; fd < limit; fd++) {
        const uint32_t events = (set_has(sets[0], fd) ? LINUX_POLLIN : 0) |
                                (set_has(sets[1], fd) ? LINUX_POLLOUT : 0) |
                                (set_has(sets[2], fd) ? SELECT_EXCEPT : 0);
        if (events != 0) {
            fds[count++] = (struct linux_pollfd){.fd = (int32_t)fd, .events = (int16_t)events};
        }
    }
    const long result = count > CELLA_CALL_POLL_MAX ? -ENOMEM : poll_entries(fds, count, timeout);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((fds[i].revents & (int16_t)LINUX_POLLNVAL) != 0) {
            return -EBADF;
        }
    }
    for (uint32_t s = 0; s < 3; s++) {
        for (uint32_t i = 0; sets[s] && i < (limit + 63) / 64; i++) {
            sets[s][i] = 0;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        static const uint32_t shows[3] = {SELECT_IN, SELECT_OUT, SELECT_EXCEPT};
        static const uint32_t asks[3] = {LINUX_POLLIN, LINUX_POLLOUT, SELECT_EXCEPT};
        for (uint32_t s = 0; s < 3; s++) {
            if (((uint32_t)fds[i].events & asks[s]) != 0 &&
                ((uint32_t)fds[i].revents & shows[s]) != 0) {
                sets[s][fds[i].fd / 64] |= 1ull << fds[i].fd % 64;
                total++;
            }
        }
    }
    return total;
}

static long call_select(const struct cella_regs *regs, int64_t timeout)
{
    const uint64_t limit = (uint32_t)ARG0(regs);
    uint64_t *sets[3] = {(uint64_t *)ARG1(regs), (uint64_t *)ARG2(regs), (uint64_t *)ARG3(regs)};
    if (limit > CELLA_DESCRIPTOR_COUNT) {
        return -EINVAL;
    }
    for (uint32_t s = 0; s < 3; s++) {
        if (sets[s] && !cella_user_writable((uint64_t)sets[s], (limit + 63) / 64 * 8)) {
            return -EFAULT;
        }
    }
    const uint64_t size = limit * sizeof(struct linux_pollfd) + 1;
    struct linux_pollfd *fds = cella_pages_new(size);
    if (!fds) {
        return -ENOMEM;
    }
    const long result = select_entries((uint32_t)limit, sets, timeout, fds);
    cella_pages_free(fds, size);
    return result;
}

/* A time limit of the libc (0: none) in units of 1/per_second; negative: an errno, -1: for ever. */
static bool limit_of(uint64_t at, int64_t per_second, int64_t *ret_timeout, long *ret_error)
{
    *ret_timeout = -1;
    *ret_error = 0;
    if (at == 0) {
        return true;
    }
    if (!cella_user_range(at, 16)) {
        *ret_error = -EFAULT;
        return false;
    }
    const int64_t seconds = ((const int64_t *)at)[0];
    const int64_t part = ((const int64_t *)at)[1];
    if (seconds < 0 || part < 0 || part >= per_second) {
        *ret_error = -EINVAL;
        return false;
    }
    *ret_timeout = seconds > INT64_MAX / NANOSECONDS / 2
                       ? INT64_MAX / 2
                       : seconds * NANOSECONDS + part * (NANOSECONDS / per_second);
    return true;
}

static bool poll_syscall(struct cella_regs *regs, long *ret_result)
{
    int64_t timeout;
    switch (regs->rax) {
    case __NR_poll:
        timeout = (int32_t)ARG2(regs) < 0 ? -1 : (int64_t)(int32_t)ARG2(regs) * 1000000;
        *ret_result = call_poll(ARG0(regs), (uint32_t)ARG1(regs), timeout);
        return true;
    case __NR_ppoll:
        if (limit_of(ARG2(regs), NANOSECONDS, &timeout, ret_result)) {
            *ret_result = call_poll(ARG0(regs), (uint32_t)ARG1(regs), timeout);
        }
        return true;
    case __NR_select:
        if (limit_of(ARG4(regs), 1000000, &timeout, ret_result)) {
            *ret_result = call_select(regs, timeout);
        }
        return true;
    case __NR_pselect6:
        if (limit_of(ARG4(regs), NANOSECONDS, &timeout, ret_result)) {
            *ret_result = call_select(regs, timeout);
        }
        return true;
    default:
        return false;
    }
}

static const struct cella_module poll_module = {.name = "poll", .syscall = poll_syscall};
CELLA_MODULE(poll_module);
