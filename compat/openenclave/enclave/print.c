/*
 * Text straight to the host's console.
 * Side: enclave. Called by applications that know Open Enclave's internal/print.h.
 * Never buffers.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openenclave/bits/defs.h>

int oe_host_vfprintf(int device, const char *format, va_list list);
int oe_host_vprintf(const char *format, va_list list);
OE_PRINTF_FORMAT(2, 3) int oe_host_fprintf(int device, const char *format, ...);
OE_PRINTF_FORMAT(1, 2) int oe_host_printf(const char *format, ...);
int oe_host_write(int device, const char *text, size_t size);

/* Device 0 is standard output, 1 standard error. 0, or -1. */
int oe_host_write(int device, const char *text, size_t size)
{
    if ((device != 0 && device != 1) || !text) {
        return -1;
    }
    size = size == SIZE_MAX ? strlen(text) : strnlen(text, size);
    return write(device + 1, text, size) == (ssize_t)size ? 0 : -1;
}

int oe_host_vfprintf(int device, const char *format, va_list list)
{
    char small[256];
    va_list again;
    va_copy(again, list);
    int size = vsnprintf(small, sizeof(small), format, list);
    char *text = small;
    if (size >= (int)sizeof(small)) {
        text = malloc((size_t)size + 1);
        size = text ? vsnprintf(text, (size_t)size + 1, format, again) : -1;
    }
    va_end(again);
    if (size > 0 && oe_host_write(device, text, (size_t)size) != 0) {
        size = -1;
    }
    if (text != small) {
        free(text);
    }
    return size;
}

int oe_host_vprintf(const char *format, va_list list)
{
    return oe_host_vfprintf(0, format, list);
}

int oe_host_fprintf(int device, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int size = oe_host_vfprintf(device, format, list);
    va_end(list);
    return size;
}

int oe_host_printf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int size = oe_host_vfprintf(0, format, list);
    va_end(list);
    return size;
}
