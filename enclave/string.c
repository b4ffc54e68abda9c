/*
 * Memory functions of the kernel.
 * Side: enclave. Called by the kernel, and by the compiler through names.h. Knows nothing of the host.
 * Never uses vector registers (-mgeneral-regs-only).
 */
#include "enclave/kernel.h"

void *cella_kernel_memcpy(void *to, const void *from, size_t size) CELLA_KERNEL;
void *cella_kernel_memmove(void *to, const void *from, size_t size) CELLA_KERNEL;
void *cella_kernel_memset(void *at, int value, size_t size) CELLA_KERNEL;
int cella_kernel_memcmp(const void *a, const void *b, size_t size) CELLA_KERNEL;

void *cella_kernel_memcpy(void *to, const void *from, size_t size)
{
    void *out = to;
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *cella_kernel_memmove(void *to, const void *from, size_t size)
{
    if ((uint64_t)to - (uint64_t)from >= size) {
        return cella_kernel_memcpy(to, from, size);
    }
    uint8_t *out = (uint8_t *)to + size;
    const uint8_t *source = (const uint8_t *)from + size;
    while (size-- > 0) {
        *--out = *--source;
        __asm__ volatile("" : : : "memory"); /* or the loop becomes a call of memmove */
    }
    return to;
}

void *cella_kernel_memset(void *at, int value, size_t size)
{
    void *out = at;
    __asm__ volatile("rep stosb" : "+D"(out), "+c"(size) : "a"(value) : "memory");
    return at;
}

int cella_kernel_memcmp(const void *a, const void *b, size_t size)
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

void cella_zero(void *at, size_t size)
{
    cella_kernel_memset(at, 0, size);
}

size_t cella_strlen(const char *text)
{
    size_t size = 0;
    while (text[size] != 0) {
        size++;
    }
    return size;
}

bool cella_equal(const void *a, const void *b, size_t size)
{
    return cella_kernel_memcmp(a, b, size) == 0;
}
