/*
 * corelibc: the libc's functions under Open Enclave's names.
 * Side: enclave. Called by generated code and applications.
 * Never differs from the libc but where a comment says so.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <openenclave/corelibc/errno.h>
#include <openenclave/corelibc/stdlib.h>
#include <openenclave/corelibc/string.h>
#include <openenclave/corelibc/wchar.h>

int *__oe_errno_location(void)
{
    return &errno;
}

void *oe_malloc(size_t size)
{
    return malloc(size);
}

void oe_free(void *ptr)
{
    free(ptr);
}

void *oe_calloc(size_t nmemb, size_t size)
{
    return calloc(nmemb, size);
}

void *oe_realloc(void *ptr, size_t size)
{
    return realloc(ptr, size);
}

void *oe_memalign(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

void oe_memalign_free(void *ptr)
{
    free(ptr);
}

int oe_posix_memalign(void **memptr, size_t alignment, size_t size)
{
    return posix_memalign(memptr, alignment, size);
}

void *oe_aligned_alloc(size_t alignment, size_t size)
{
    return aligned_alloc(alignment, size);
}

size_t oe_malloc_usable_size(void *ptr)
{
    return malloc_usable_size(ptr);
}

unsigned long int oe_strtoul(const char *nptr, char **endptr, int base)
{
    return strtoul(nptr, endptr, base);
}

int oe_atoi(const char *nptr)
{
    return (int)strtol(nptr, NULL, 10);
}

int oe_atexit(void (*function)(void))
{
    return atexit(function);
}

char *oe_realpath(const char *path, oe_syscall_path_t *resolved_path)
{
    return realpath(path, resolved_path ? resolved_path->buf : NULL);
}

void oe_exit(int status)
{
    exit(status);
}

size_t oe_strlen(const char *s)
{
    return strlen(s);
}

size_t oe_wcslen(const wchar_t *s)
{
    return wcslen(s);
}

int oe_strcmp(const char *a, const char *b)
{
    return strcmp(a, b);
}

int oe_strncmp(const char *a, const char *b, size_t n)
{
    return strncmp(a, b, n);
}

char *oe_strstr(const char *haystack, const char *needle)
{
    return strstr(haystack, needle);
}

/* glibc has these two only since 2.38. */
size_t oe_strlcpy(char *dest, const char *src, size_t size)
{
    const size_t length = strlen(src);
    if (size > 0) {
        const size_t part = length < size ? length : size - 1;
        memcpy(dest, src, part);
        dest[part] = 0;
    }
    return length;
}

size_t oe_strlcat(char *dest, const char *src, size_t size)
{
    const size_t used = strnlen(dest, size);
    return used == size ? size + strlen(src) : used + oe_strlcpy(dest + used, src, size - used);
}

char *oe_strerror(int errnum)
{
    return strerror(errnum);
}

/* POSIX's, not GNU's: both libcs have strerror. */
int oe_strerror_r(int errnum, char *buf, size_t buflen)
{
    return oe_strlcpy(buf, strerror(errnum), buflen) < buflen ? 0 : ERANGE;
}

char *oe_strtok_r(char *str, const char *delim, char **saveptr)
{
    return strtok_r(str, delim, saveptr);
}

char *oe_strdup(const char *s)
{
    return strdup(s);
}

size_t oe_strspn(const char *s, const char *accept)
{
    return strspn(s, accept);
}

size_t oe_strcspn(const char *s, const char *reject)
{
    return strcspn(s, reject);
}

char *oe_strchr(const char *s, int c)
{
    return strchr(s, c);
}

char *oe_strchrnul(const char *s, int c)
{
    return strchrnul(s, c);
}

char *oe_strrchr(const char *s, int c)
{
    return strrchr(s, c);
}
