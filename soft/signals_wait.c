/*
 * Calls that wait for signals, or with another signal mask: what a handler may then be interrupted by, and synchronous
 * signals that were sent while the application believes them blocked.
 * Side: soft. Called by the application instead of libc's; part of the interposers (signals.c).
 * Never waits by itself: the kernel does.
 */
#include "soft/transition.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

__attribute__((visibility("hidden"),
               tls_model("initial-exec"))) __thread struct soft_waiting soft_waiting;

/* From here on soft_signal_deliver takes `mask` for what handlers start from. */
static void waits_with(const void *mask)
{
    if (mask) {
        memcpy(&soft_waiting.mask, mask, sizeof(soft_waiting.mask));
    }
    soft_waiting.valid = mask != NULL;
}

#define WAITING(mask, expression)                                                                  \
    ({                                                                                             \
        waits_with(mask);                                                                          \
        __typeof__(expression) result_ = (expression);                                             \
        soft_waiting.valid = false;                                                                \
        result_;                                                                                   \
    })

#define NEXT(name) ((__typeof__(&name))soft_next(#name))

SOFT_EXPORT int sigsuspend(const sigset_t *mask)
{
    return WAITING(mask, NEXT(sigsuspend)(mask));
}

SOFT_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *time,
                      const sigset_t *mask)
{
    return WAITING(mask, NEXT(ppoll)(fds, count, time, mask));
}

SOFT_EXPORT int pselect(int count, fd_set *in, fd_set *out, fd_set *other,
                        const struct timespec *time, const sigset_t *mask)
{
    return WAITING(mask, NEXT(pselect)(count, in, out, other, time, mask));
}

SOFT_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int time,
                            const sigset_t *mask)
{
    return WAITING(mask, NEXT(epoll_pwait)(fd, events, count, time, mask));
}

SOFT_EXPORT int sigpending(sigset_t *ret_set)
{
    int result = NEXT(sigpending)(ret_set);
    if (result == 0) {
        uint64_t bits;
        memcpy(&bits, ret_set, sizeof(bits));
        bits |= soft_signals_held();
        memcpy(ret_set, &bits, sizeof(bits));
    }
    return result;
}

SOFT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *ret_info, const struct timespec *time)
{
    siginfo_t info;
    uint64_t bits;
    memcpy(&bits, set, sizeof(bits));
    if (soft_signals_take_held(bits, &info)) {
        if (ret_info) {
            *ret_info = info;
        }
        return info.si_signo;
    }
    return NEXT(sigtimedwait)(set, ret_info, time);
}

SOFT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
    return sigtimedwait(set, ret_info, NULL);
}

SOFT_EXPORT int sigwait(const sigset_t *set, int *ret_number)
{
    int result;
    do {
        result = sigtimedwait(set, NULL, NULL);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return errno;
    }
    *ret_number = result;
    return 0;
}
