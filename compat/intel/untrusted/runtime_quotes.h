/*
 * What libsgx_dcap_ql finds of the runtime in libsgx_urts, by one symbol: two functions, with structures as bytes.
 * Side: host. Included by urts_quotes.c and dcap_ql.c.
 */
#ifndef COMPAT_INTEL_UNTRUSTED_RUNTIME_QUOTES_H
#define COMPAT_INTEL_UNTRUSTED_RUNTIME_QUOTES_H

#include <stdint.h>

#include "common/result.h"

#define RUNTIME_QUOTES_TEXT 256u

/* Results are enum cella_code. `text` takes RUNTIME_QUOTES_TEXT bytes: why, in words. */
struct runtime_quotes {
    uint32_t (*target)(void *ret_target, uint32_t *ret_quote_size, char *text);
    uint32_t (*quote)(const void *report, void *out, uint32_t out_capacity, char *text);
};

extern const struct runtime_quotes cella_runtime_quotes;

#endif
