/*
 * The older signal functions of libc, which call its own sigaction and sigprocmask past our interposers.
 * Side: soft. Called by the application instead of libc's functions.
 * Never does more than put them down to signal, sigaction and sigprocmask (POSIX.1-2008 and System V say how).
 */
#include "soft/transition.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

typedef void (*handler_fn)(int);

/* Declared here: libc's headers hide most of them, or warn about them. */
handler_fn bsd_signal(int number, handler_fn handler);
handler_fn ssignal(int number, handler_fn handler);
handler_fn sysv_signal(int number, handler_fn handler);
handler_fn sigset(int number, handler_fn handler);
int sigignore(int number);
int sighold(int number);
int sigrelse(int number);
int siginterrupt(int number, int interrupt);
handler_fn __sysv_signal(int number, handler_fn handler);

SOFT_EXPORT handler_fn bsd_signal(int number, handler_fn handler)
{
    return signal(number, handler);
}

SOFT_EXPORT handler_fn ssignal(int number, handler_fn handler)
{
    return signal(number, handler);
}

SOFT_EXPORT handler_fn sysv_signal(int number, handler_fn handler)
{
    return __sysv_signal(number, handler);
}

static int change(int how, int number, sigset_t *ret_old)
{
    sigset_t set;
    sigemptyset(&set);
    return sigaddset(&set, number) < 0 ? -1 : sigprocmask(how, &set, ret_old);
}

SOFT_EXPORT int sighold(int number)
{
    return change(SIG_BLOCK, number, NULL);
}

SOFT_EXPORT int sigrelse(int number)
{
    return change(SIG_UNBLOCK, number, NULL);
}

SOFT_EXPORT int sigignore(int number)
{
    return signal(number, SIG_IGN) == SIG_ERR ? -1 : 0;
}

/* SIG_HOLD blocks and changes nothing else; any other disposition unblocks. The result is SIG_HOLD if it was blocked. */
SOFT_EXPORT handler_fn sigset(int number, handler_fn handler)
{
    struct sigaction action = {.sa_handler = handler}, old;
    sigset_t mask;
    bool hold = handler == (handler_fn)2; /* SIG_HOLD */
    sigemptyset(&action.sa_mask);
    if (sigaction(number, hold ? NULL : &action, &old) < 0 ||
        change(hold ? SIG_BLOCK : SIG_UNBLOCK, number, &mask) < 0) {
        return SIG_ERR;
    }
    return sigismember(&mask, number) ? (handler_fn)2 : old.sa_handler;
}

SOFT_EXPORT int siginterrupt(int number, int interrupt)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) < 0) {
        return -1;
    }
    if (interrupt) {
        action.sa_flags &= ~SA_RESTART;
    } else {
        action.sa_flags |= SA_RESTART;
    }
    return sigaction(number, &action, NULL);
}
