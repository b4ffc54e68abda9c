/*
 * What compilers want of a libc, for enclaves that have none: memory functions and the stack protector's exit.
 * Side: enclave. Linked in only without a libc (libcella_enclave_bare.a).
 * Never more than that: an enclave that wants a libc links one.
 */
#include <stddef.h>
#include <stdint.h>

#include "cella/enclave.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
_Noreturn void __stack_chk_fail(void);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *out = to;
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size) {
        return memcpy(to, from, size);
    }
    uint8_t *out = (uint8_t *)to + size;
    const uint8_t *source = (const uint8_t *)from + size;
    while (size-- > 0) {
        *--out = *--source;
        __asm__ volatile("" : : : "memory"); /* or the loop becomes a call of memmove */
    }
    return to;
}

void *memset(void *at, int value, size_t size)
{
    void *out = at;
    __asm__ volatile("rep stosb" : "+D"(out), "+c"(size) : "a"(value) : "memory");
    return at;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
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
