/*
 * What the skin's half in the enclave asks of the runtime: collateral for a quote that it verifies itself.
 * Side: host. Called by host/service.c through struct cella_enclave_options. Includes no header of Intel's.
 * Never verifies: the enclave does.
 */
#include "compat/intel/untrusted/urts_service.h"

#include <pthread.h>
#include <stdio.h>

#include "cella/collateral.h"
#include "common/error.h"
#include "compat/intel/calls.h"

static pthread_once_t g_notice = PTHREAD_ONCE_INIT;

static void notice(void)
{
    fputs("libsgx_urts: CELLA_INSECURE_ROOTS is set: debug enclaves accept quotes of other roots "
          "than Intel's\n",
          stderr);
}

cella_result intel_service(void *context, uint32_t number, const void *in, size_t in_size,
                           void *out, size_t out_capacity, size_t *ret_size)
{
    struct cella_error error = {.text = ""};
    struct cella_roots named = {.count = 0};
    size_t count = 0;
    (void)context;
    CELLA_ENSURE(number == INTEL_OCALL_COLLATERAL, NOT_FOUND);
    CELLA_TRY(cella_roots_add_environment(&named, &count, &error));
    if (count > 0) {
        pthread_once(&g_notice, notice);
    }
    return cella_collateral_answer((struct cella_span){in, in_size}, out, out_capacity, ret_size,
                                   &error);
}
