/*
 * The answer to an enclave's request for a quote where there are none: stands in for quote_serve.c in programs whose
 * enclave has no module that asks (cella build).
 * Side: host. Called by service.c.
 */
#include "cella/host.h"
#include "host/quote.h"

cella_result cella_quote_serve(cella_enclave *enclave, const void *in, size_t in_size, void *out,
                               size_t out_capacity, size_t *ret_size)
{
    (void)enclave, (void)in, (void)in_size, (void)out, (void)out_capacity, (void)ret_size;
    return CELLA_RESULT(UNSUPPORTED);
}
