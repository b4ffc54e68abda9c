/*
 * Names of newer glibcs, and contexts, that musl lacks.
 * Side: enclave, musl only. Called by the distribution's static libraries.
 * Never switches contexts: those functions fail, as they may.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* These have no prototypes in musl's headers. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

long __isoc23_strtol(const char *text, char **end, int base)
{
    return strtol(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base)
{
    return strtoll(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
    return strtoul(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
    return strtoull(text, end, base);
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int count = vsscanf(text, format, list);
    va_end(list);
    return count;
}

/* libcrypto's asynchronous jobs ask for these; it goes on without them. */
int getcontext(void *context)
{
    (void)context;
    errno = ENOSYS;
    return -1;
}

int setcontext(const void *context)
{
    return getcontext((void *)(uintptr_t)context);
}

/* Only after a getcontext that has succeeded. */
void makecontext(void *context, void (*function)(void), int count, ...)
{
    (void)context, (void)function, (void)count;
}

int swapcontext(void *old, const void *context)
{
    (void)old;
    return setcontext(context);
}
