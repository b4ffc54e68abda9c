/*
 * What the enclave's kernel asks of this half: the console in step with the host's own output, the log, the heap.
 * Side: host. Called by host/service.c for system ocalls, on the thread that is inside the enclave.
 * Never writes more than the capacity it was given.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/call.h"
#include "compat/openenclave/host/quote_source.h"
#include "compat/openenclave/host/skin.h"

_Static_assert(OE_SKIN_BASE == CELLA_OCALL_SKIN, "common/calls.h");

#define TEXT_MAX 4096u

/* Through stdio, so that the host's own buffered output and the enclave's come out in the order they were made. */
static cella_result serve_write(const uint8_t *in, size_t in_size, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    uint64_t fd;
    CELLA_ENSURE(in_size >= sizeof(fd), TRUNCATED);
    memcpy(&fd, in, sizeof(fd));
    CELLA_ENSURE((fd == 1 || fd == 2) && out_capacity >= sizeof(int64_t), OUT_OF_RANGE);
    const size_t size = in_size - sizeof(fd);
    const size_t done = fwrite(in + sizeof(fd), 1, size, fd == 1 ? stdout : stderr);
    const int64_t answer = done > 0 || size == 0 ? (int64_t)done : -EIO;
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}

static cella_result serve_log(const uint8_t *in, size_t in_size)
{
    uint64_t level;
    char text[TEXT_MAX];
    CELLA_ENSURE(in_size >= sizeof(level), TRUNCATED);
    memcpy(&level, in, sizeof(level));
    CELLA_ENSURE(level < OE_LOG_LEVEL_MAX, OUT_OF_RANGE);
    size_t size = in_size - sizeof(level);
    size = size < sizeof(text) ? size : sizeof(text) - 1;
    memcpy(text, in + sizeof(level), size);
    text[size] = 0;
    oe_log_message(true, (oe_log_level_t)level, text);
    return CELLA_OK;
}

static cella_result serve_realloc(const void *in, size_t in_size, void *out, size_t out_capacity,
                                  size_t *ret_size)
{
    struct oe_realloc request;
    CELLA_ENSURE(in_size == sizeof(request) && out_capacity >= sizeof(uint64_t), TRUNCATED);
    memcpy(&request, in, sizeof(request));
    if (request.size == 0 && request.address != 0) { /* frees, as Open Enclave's does */
        const uint64_t none = 0;
        free((void *)request.address);
        memcpy(out, &none, sizeof(none));
        *ret_size = sizeof(none);
        return CELLA_OK;
    }
    const size_t size = request.size > 0 ? request.size : 1;
    void *memory = request.is_zeroed ? calloc(1, size) : realloc((void *)request.address, size);
    const uint64_t answer = (uint64_t)memory;
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}

cella_result oe_host_service(void *context, uint32_t number, const void *in, size_t in_size,
                             void *out, size_t out_capacity, size_t *ret_size)
{
    (void)context;
    switch (number) {
    case CELLA_OCALL_WRITE:
        return serve_write(in, in_size, out, out_capacity, ret_size);
    case OE_OCALL_LOG:
        return serve_log(in, in_size);
    case OE_OCALL_ENDORSEMENTS:
        return oe_endorsements_make(in, in_size, out, out_capacity, ret_size);
    case OE_OCALL_REALLOC:
        return serve_realloc(in, in_size, out, out_capacity, ret_size);
    case OE_OCALL_ROOTS:
        return oe_roots_serve(out, out_capacity, ret_size);
    default:
        return CELLA_RESULT(NOT_FOUND);
    }
}
