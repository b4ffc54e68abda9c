/*
 * The runtime's quotes for libsgx_dcap_ql, of the processor that this library's enclaves run on.
 * Side: host. Called through cella_runtime_quotes. Includes no header of Intel's: SGX names would come twice.
 */
#include "compat/intel/untrusted/runtime_quotes.h"

#include <stdio.h>
#include <string.h>

#include "cella/attest.h"
#include "cella/host.h"

extern const uint32_t intel_create_flags; /* sim.c or hw.c */

static int processor(void)
{
    return (intel_create_flags & CELLA_ENCLAVE_SOFTWARE) != 0 ? 1 : CELLA_QUOTE_ANY_PROCESSOR;
}

static uint32_t answer(cella_result result, const struct cella_error *error, char *text)
{
    snprintf(text, RUNTIME_QUOTES_TEXT, "%.255s", error->text);
    return result.code;
}

static uint32_t target(void *ret_target, uint32_t *ret_quote_size, char *text)
{
    struct cella_error error = {0};
    return answer(cella_quote_target(processor(), ret_target, ret_quote_size, &error), &error,
                  text);
}

static uint32_t quote(const void *report, void *out, uint32_t out_capacity, char *text)
{
    struct cella_error error = {0};
    struct sgx_report copy;
    size_t size;
    memcpy(&copy, report, sizeof(copy));
    return answer(cella_quote_of_report(processor(), &copy, NULL, out, out_capacity, &size, &error),
                  &error, text);
}

__attribute__((visibility("default")))
const struct runtime_quotes cella_runtime_quotes = {.target = target, .quote = quote};
