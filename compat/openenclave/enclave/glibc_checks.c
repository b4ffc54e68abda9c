/*
 * Names that the distribution's static libraries, built for glibc with fortification, use and musl lacks.
 * Side: enclave, musl only. Called by libcrypto, mbed TLS and their kind. One archive member: what is not called goes.
 * Never weaker than the function it stands for: sizes are checked here where glibc checks them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

/* These have no prototypes anywhere: compilers make the calls. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static void check(size_t wanted, size_t there)
{
    if (wanted > there) {
        static const char text[] = "buffer overflow detected\n";
        (void)!write(2, text, sizeof(text) - 1);
        abort();
    }
}

void *__memcpy_chk(void *to, const void *from, size_t size, size_t there)
{
    check(size, there);
    return memcpy(to, from, size);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t there)
{
    check(size, there);
    return memmove(to, from, size);
}

void *__memset_chk(void *to, int value, size_t size, size_t there)
{
    check(size, there);
    return memset(to, value, size);
}

void __explicit_bzero_chk(void *to, size_t size, size_t there)
{
    check(size, there);
    explicit_bzero(to, size);
}

char *__strcpy_chk(char *to, const char *from, size_t there)
{
    const size_t size = strlen(from) + 1;
    check(size, there);
    return memcpy(to, from, size);
}

char *__stpcpy_chk(char *to, const char *from, size_t there)
{
    const size_t size = strlen(from) + 1;
    check(size, there);
    memcpy(to, from, size);
    return to + size - 1;
}

char *__strncpy_chk(char *to, const char *from, size_t size, size_t there)
{
    check(size, there);
    return strncpy(to, from, size);
}

char *__strcat_chk(char *to, const char *from, size_t there)
{
    check(strlen(to) + strlen(from) + 1, there);
    return strcat(to, from);
}

char *__strncat_chk(char *to, const char *from, size_t size, size_t there)
{
    check(strlen(to) + strnlen(from, size) + 1, there);
    return strncat(to, from, size);
}

int __vsnprintf_chk(char *to, size_t size, int flag, size_t there, const char *format, va_list list)
{
    (void)flag;
    check(size, there);
    return vsnprintf(to, size, format, list);
}

int __snprintf_chk(char *to, size_t size, int flag, size_t there, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int written = __vsnprintf_chk(to, size, flag, there, format, list);
    va_end(list);
    return written;
}

int __vsprintf_chk(char *to, int flag, size_t there, const char *format, va_list list)
{
    (void)flag;
    const int written = vsnprintf(to, there, format, list);
    check(written < 0 ? 0 : (size_t)written + 1, there);
    return written;
}

int __sprintf_chk(char *to, int flag, size_t there, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int written = __vsprintf_chk(to, flag, there, format, list);
    va_end(list);
    return written;
}

int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list list)
{
    (void)flag;
    return vfprintf(stream, format, list);
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
    va_list list;
    (void)flag;
    va_start(list, format);
    const int written = vfprintf(stream, format, list);
    va_end(list);
    return written;
}

int __printf_chk(int flag, const char *format, ...)
{
    va_list list;
    (void)flag;
    va_start(list, format);
    const int written = vprintf(format, list);
    va_end(list);
    return written;
}

int __vasprintf_chk(char **ret_text, int flag, const char *format, va_list list)
{
    (void)flag;
    return vasprintf(ret_text, format, list);
}

int __asprintf_chk(char **ret_text, int flag, const char *format, ...)
{
    va_list list;
    (void)flag;
    va_start(list, format);
    const int written = vasprintf(ret_text, format, list);
    va_end(list);
    return written;
}

char *__fgets_chk(char *to, size_t there, int size, FILE *stream)
{
    check(size < 0 ? 0 : (size_t)size, there);
    return fgets(to, size, stream);
}

size_t __fread_chk(void *to, size_t there, size_t size, size_t count, FILE *stream)
{
    size_t total;
    check(__builtin_mul_overflow(size, count, &total) ? SIZE_MAX : total, there);
    return fread(to, size, count, stream);
}

ssize_t __read_chk(int fd, void *to, size_t size, size_t there)
{
    check(size, there);
    return read(fd, to, size);
}

/* There is no log daemon: nothing is said. */
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    (void)priority, (void)flag, (void)format;
}

/* The index of a descriptor's word in a set. */
long __fdelt_chk(long fd)
{
    check(fd < 0 || fd >= FD_SETSIZE, 0);
    return fd / (long)(8 * sizeof(long));
}
