/*
 * The host's heap, for enclave code.
 * Side: enclave. Called by applications.
 * Never returns an address that is not whole outside; never writes there but through the boundary.
 */
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

static void *host_realloc(const void *address, size_t size, bool is_zeroed)
{
    const struct oe_realloc request = {
        .address = (uint64_t)address, .size = size, .is_zeroed = is_zeroed};
    uint64_t answer = 0;
    size_t got = 0;
    const cella_result result = cella_system_ocall(OE_OCALL_REALLOC, &request, sizeof(request),
                                                   &answer, sizeof(answer), &got);
    if (!cella_is_ok(result) || got != sizeof(answer) || answer == 0) {
        return NULL;
    }
    if (!cella_enclave_outside((const void *)answer, size > 0 ? size : 1)) {
        cella_abort(); /* a host that wants us to write into ourselves */
    }
    return (void *)answer;
}

void *oe_host_malloc(size_t size)
{
    return host_realloc(NULL, size, false);
}

void *oe_host_calloc(size_t nmemb, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(nmemb, size, &total) ? NULL : host_realloc(NULL, total, true);
}

void *oe_host_realloc(void *ptr, size_t size)
{
    if (ptr && !cella_enclave_outside(ptr, 1)) {
        return NULL;
    }
    return host_realloc(ptr, size, false);
}

void oe_host_free(void *ptr)
{
    const uint64_t in[2] = {(uint64_t)ptr, 0};
    if (ptr) {
        cella_ignore(cella_system_ocall(CELLA_OCALL_FREE, in, sizeof(in), NULL, 0, NULL));
    }
}

char *oe_host_strndup(const char *str, size_t n)
{
    const size_t size = str ? strnlen(str, n) : 0;
    if (!str || size == SIZE_MAX) {
        return NULL;
    }
    char *copy = oe_host_malloc(size + 1);
    if (!copy) {
        return NULL;
    }
    const char end = 0;
    if (!cella_is_ok(cella_copy_out(cella_host_pointer_out((uint64_t)copy), str, size)) ||
        !cella_is_ok(cella_copy_out(cella_host_pointer_out((uint64_t)copy + size), &end, 1))) {
        oe_host_free(copy);
        return NULL;
    }
    return copy;
}
