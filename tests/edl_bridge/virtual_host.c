/*
 * The host API over a shared library instead of an enclave: what host/binding.c and host/bridge.c need.
 * Side: tests. Messages are copied into buffers of exactly their size, as the real dispatcher does, for ASan.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "host/bridge.h"
#include "host/host.h"
#include "tests/edl_bridge/virtual.h"

static cella_enclave *g_running;
static const struct virtual_enclave *g_virtual;

static cella_result ocall(uint32_t number, const void *in, size_t in_size, void *out,
                          size_t out_capacity, size_t *ret_size)
{
    CELLA_ENSURE(number < g_running->ocall_count, NOT_FOUND);
    return g_running->ocalls[number](NULL, in, in_size, out, out_capacity, ret_size);
}

cella_result cella_enclave_create(const char *path, const struct cella_enclave_options *options,
                                  cella_enclave **ret_enclave, struct cella_error *error)
{
    static const struct virtual_host host = {ocall};
    (void)options;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s", dlerror());
    }
    const struct virtual_enclave *(*start)(const struct virtual_host *);
    *(void **)&start = dlsym(library, "virtual_enclave_start");
    if (!start) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s", dlerror());
    }
    g_virtual = start(&host);
    g_running = aligned_alloc(64, (sizeof(*g_running) + 63) & ~63ul);
    memset(g_running, 0, sizeof(*g_running));
    pthread_mutex_init(&g_running->lock, NULL);
    *ret_enclave = g_running;
    return CELLA_OK;
}

void cella_enclave_destroy(cella_enclave *enclave)
{
    cella_bindings_free(enclave);
    free(enclave);
}

void cella_enclave_range(const cella_enclave *enclave, uint64_t *ret_base, uint64_t *ret_size)
{
    (void)enclave;
    *ret_base = VIRTUAL_BASE;
    *ret_size = VIRTUAL_SIZE;
}

static void *room(size_t size)
{
    return size > 0 ? aligned_alloc(16, (size + 15) & ~15ul) : NULL;
}

cella_result cella_ecall(cella_enclave *enclave, uint32_t number, const void *in, size_t in_size,
                         void *out, size_t out_capacity, size_t *ret_size)
{
    (void)enclave;
    CELLA_ENSURE(number < g_virtual->count, NOT_FOUND);
    const struct cella_ecall *ecall = &g_virtual->table[number];
    CELLA_ENSURE(in_size <= ecall->in_max, OUT_OF_RANGE);
    out_capacity = out_capacity < ecall->out_max ? out_capacity : ecall->out_max;
    size_t size = 0;
    void *in_copy = room(in_size);
    void *out_copy = room(out_capacity);
    if (in_size > 0) {
        memcpy(in_copy, in, in_size);
    }
    if (out_capacity > 0) {
        memset(out_copy, 0, out_capacity);
    }
    cella_result result = ecall->function(in_copy, in_size, out_copy, out_capacity, &size);
    if (cella_is_ok(result) && size > 0) {
        memcpy(out, out_copy, size);
        *ret_size = size;
    }
    free(in_copy);
    free(out_copy);
    return result;
}

cella_result cella_ecall_switchless(cella_enclave *enclave, uint32_t number, const void *in,
                                    size_t in_size, void *out, size_t out_capacity,
                                    size_t *ret_size)
{
    return cella_ecall(enclave, number, in, in_size, out, out_capacity, ret_size);
}
