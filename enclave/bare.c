/*
 * What compilers want of a libc, for enclaves that have none: memory functions and the stack protector's exit.
 * Side: enclave. Linked in only without a libc (libcella_enclave_bare.a).
 * Never more than that: an enclave that wants a libc links one.
 */
#include <stddef.h>

#include "cella/enclave.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
_Noreturn void __stack_chk_fail(void);

/* The kernel's own, enclave/string.c. */
void *cella_kernel_memcpy(void *to, const void *from, size_t size);
void *cella_kernel_memmove(void *to, const void *from, size_t size);
void *cella_kernel_memset(void *at, int value, size_t size);
int cella_kernel_memcmp(const void *a, const void *b, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return cella_kernel_memcpy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    return cella_kernel_memmove(to, from, size);
}

void *memset(void *at, int value, size_t size)
{
    return cella_kernel_memset(at, value, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
    return cella_kernel_memcmp(a, b, size);
}

size_t strlen(const char *text)
{
    size_t size = 0;
    while (text[size] != 0) {
        size++;
        __asm__ volatile("" : : : "memory");
    }
    return size;
}

_Noreturn void __stack_chk_fail(void)
{
    cella_abort();
}
