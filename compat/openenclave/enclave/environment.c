/*
 * What the host half tells at creation: strings that the kernel has copied in and the libc never sees.
 * Side: enclave. Called by oe_get_enclave and the log.
 * Never a secret, never the truth: numbers that are handed back to the host or choose how much is logged.
 */
#include <string.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

const char *oe_environment(const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = cella_environment; *at; at += strlen(at) + 1) {
        if (strncmp(at, name, size) == 0) {
            return at + size;
        }
    }
    return NULL;
}

uint64_t oe_environment_number(const char *name, unsigned base, uint64_t otherwise)
{
    const char *text = oe_environment(name);
    uint64_t value = 0;
    for (; text && *text; text++) {
        const unsigned digit =
            *text <= '9' ? (unsigned)(*text - '0') : (unsigned)(*text - 'a' + 10);
        if (digit >= base || value > (UINT64_MAX - digit) / base) {
            return otherwise;
        }
        value = value * base + digit;
    }
    return text ? value : otherwise;
}
