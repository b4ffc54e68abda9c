/*
 * Descriptors that are copied or closed by other means than dup and close: fcntl, close_range, closefrom.
 * Side: soft. Called by the application instead of libc's; part of the interposers (interpose.c).
 * Never closes the processor's own descriptors: a number that was closed soon names another file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "soft/driver.h"
#include "soft/transition.h"

#define CLOSE_RANGE_NUMBER 436
#define CLOSE_RANGE_CLOEXEC_FLAG 4u
#define FD_LIMIT (1u << 20)

typedef int (*fcntl_fn)(int, int, void *);

#define DEFINE_FCNTL(name)                                                                         \
    int name(int fd, int command, ...);                                                            \
    SOFT_EXPORT int name(int fd, int command, ...)                                                 \
    {                                                                                              \
        static fcntl_fn next;                                                                      \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        void *argument = va_arg(list, void *);                                                     \
        va_end(list);                                                                              \
        if (!next) {                                                                               \
            next = (fcntl_fn)soft_next(#name);                                                     \
        }                                                                                          \
        int result = next(fd, command, argument);                                                  \
        if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {                   \
            soft_dup_fd(fd);                                                                       \
        }                                                                                          \
        return result;                                                                             \
    }
#undef fcntl
#undef fcntl64
DEFINE_FCNTL(fcntl)
DEFINE_FCNTL(fcntl64)

/* What an enclave's descriptor in the range stands for is told before it goes. */
static void tell_closed(unsigned int first, unsigned int last)
{
    struct rlimit limit = {.rlim_cur = FD_LIMIT};
    (void)soft_syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit, 0, 0, 0, 0);
    const unsigned int end = limit.rlim_cur < FD_LIMIT ? (unsigned int)limit.rlim_cur : FD_LIMIT;
    for (unsigned int fd = first; fd <= last && fd < end; fd++) {
        soft_close_fd((int)fd);
    }
}

/* The range without the processor's own descriptors, piece by piece. */
static long close_pieces(unsigned int first, unsigned int last, int flags)
{
    for (unsigned int at = first;;) {
        const int own = soft_next_own_fd((int)(at < FD_LIMIT ? at : FD_LIMIT));
        const bool more = own >= 0 && (unsigned int)own <= last;
        if (!more || (unsigned int)own > at) {
            const unsigned int end = more ? (unsigned int)own - 1 : last;
            long result = soft_syscall(CLOSE_RANGE_NUMBER, at, end, flags, 0, 0, 0);
            if (result < 0) {
                return result;
            }
        }
        if (!more || (unsigned int)own == last) {
            return 0;
        }
        at = (unsigned int)own + 1;
    }
}

int close_range(unsigned int first, unsigned int last, int flags);
SOFT_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
    long result;
    if (!soft_any_enclave() || ((unsigned int)flags & CLOSE_RANGE_CLOEXEC_FLAG) || first > last) {
        result = soft_syscall(CLOSE_RANGE_NUMBER, first, last, flags, 0, 0, 0);
    } else {
        tell_closed(first, last);
        result = close_pieces(first, last, flags);
    }
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return 0;
}

void closefrom(int low);
SOFT_EXPORT void closefrom(int low)
{
    if (close_range(low < 0 ? 0 : (unsigned int)low, ~0u, 0) < 0) { /* before Linux 5.9 */
        void (*next)(int) = (void (*)(int))soft_next("closefrom");
        if (next) {
            next(low);
        }
    }
}
