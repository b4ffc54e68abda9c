/*
 * File operations for the enclave's files module, below one directory.
 * Side: host. Called by service.c. Never follows a path out of that directory (openat2, RESOLVE_IN_ROOT).
 */
#include "host/host.h"

cella_result cella_host_file(cella_enclave *enclave, const void *in, size_t in_size, void *out,
                             size_t out_capacity, size_t *ret_size)
{
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(enclave->file_root >= 0, ACCESS_DENIED);
    return CELLA_RESULT(UNSUPPORTED);
}
