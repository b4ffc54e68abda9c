/*
 * What an enclave's own request for a quote is answered.
 * Side: host. Called by service.c. Not in programs whose enclave never asks: quote_none.c is, and libcrypto's certificates
 * and ciphers stay away.
 */
#include <stddef.h>
#include <string.h>

#include "abi/service.h"
#include "host/host.h"
#include "host/quote.h"

static cella_result serve_target(int software, void *out, size_t out_capacity, size_t *ret_size)
{
    struct cella_call_quote_target answer = {0};
    CELLA_ENSURE(out_capacity >= sizeof(answer), BUFFER_TOO_SMALL);
    CELLA_TRY(cella_quote_target(software, &answer.target, &answer.quote_size, NULL));
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}

cella_result cella_quote_serve(cella_enclave *enclave, const void *in, size_t in_size, void *out,
                               size_t out_capacity, size_t *ret_size)
{
    const int software = strcmp(enclave->processor->name, "software") == 0;
    struct sgx_report report;
    uint32_t operation;
    size_t size = 0;
    CELLA_ENSURE(in_size >= sizeof(operation), TRUNCATED);
    memcpy(&operation, in, sizeof(operation));
    if (operation == CELLA_QUOTE_TARGET) {
        return serve_target(software, out, out_capacity, ret_size);
    }
    CELLA_ENSURE(operation == CELLA_QUOTE_GET, UNSUPPORTED);
    CELLA_ENSURE(in_size == sizeof(struct cella_call_quote), TRUNCATED);
    memcpy(&report, (const uint8_t *)in + offsetof(struct cella_call_quote, report),
           sizeof(report));
    CELLA_TRY(cella_quote_of_report(software, &report, NULL, out, out_capacity, &size, NULL));
    *ret_size = size;
    return CELLA_OK;
}
