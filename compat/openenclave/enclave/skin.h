/*
 * The inside of the enclave half: what its parts know of each other.
 * Side: enclave. Included by compat/openenclave/enclave only. Compiled as ordinary code of the enclave's libc; musl's
 * headers serve glibc too, for only plain C functions are called.
 * Never includes enclave/kernel.h: its SGX names and those of openenclave/bits/sgx/sgxtypes.h are the same.
 */
#ifndef CELLA_COMPAT_OE_SKIN_H
#define CELLA_COMPAT_OE_SKIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/enclave.h"
#include "compat/openenclave/common/calls.h"
#include "compat/openenclave/common/glue.h"

#include <openenclave/log.h>

/* environment.c: the value behind `name` (NAME=) among the host's strings; NULL: none. Opaque to the libc. */
const char *oe_environment(const char *name);
uint64_t oe_environment_number(const char *name, unsigned base, uint64_t otherwise);

/* endorsements.c: what the host has for a quote; OE_QUOTE_PROVIDER_CALL_ERROR: nothing. */
oe_result_t oe_endorsements_ask(const void *quote, size_t quote_size, void *out, size_t capacity,
                                size_t *ret_size);

/* report.c: a local report with its header. OE_VERIFY_FAILED; OE_UNSUPPORTED: it is a quote. */
oe_result_t oe_report_local_verify(const uint8_t *report, size_t size);

/* log.c: to the callback or the host, if the level passes. */
OE_PRINTF_FORMAT(2, 3) oe_result_t oe_log(oe_log_level_t level, const char *format, ...);

#endif
