/*
 * The inside of the host half: the handle, the log, images.
 * Side: host. Included by compat/openenclave/host only.
 * Never prints but through the log.
 */
#ifndef CELLA_COMPAT_OE_HOST_SKIN_H
#define CELLA_COMPAT_OE_HOST_SKIN_H

#include <stdbool.h>

#include <openenclave/host.h>
#include <openenclave/log.h>

#include "cella/bridge_host.h"
#include "cella/host.h"
#include "compat/openenclave/common/calls.h"
#include "compat/openenclave/common/glue.h"

#define OE_ENCLAVE_ALIVE 0x6543616c6c654f45ull

struct _oe_enclave {
    uint64_t magic; /* OE_ENCLAVE_ALIVE until it is terminated */
    cella_enclave *core;
    struct cella_bridge_module module;
};

cella_enclave *oe_enclave_core(oe_enclave_t *enclave);

/* log.c: one line, with its newline. */
OE_PRINTF_FORMAT(2, 3) oe_result_t oe_log(oe_log_level_t level, const char *format, ...);
void oe_log_message(bool is_enclave, oe_log_level_t level, const char *message);
uint32_t oe_log_level_now(void);

/* service.c: what the enclave's kernel asks for, for struct cella_enclave_options. */
cella_result oe_host_service(void *context, uint32_t number, const void *in, size_t in_size,
                             void *out, size_t out_capacity, size_t *ret_size);

/* endorsements.c: oe_endorsements_t for a quote, from where collateral is found on this host (cella/collateral.h). */
cella_result oe_endorsements_make(const void *quote, size_t quote_size, void *out, size_t capacity,
                                  size_t *ret_size);

/* call.c: an ecall of the skin. The answer's rest is at ret_rest, `capacity` bytes; OE_UNSUPPORTED when it has none. */
oe_result_t oe_skin_call(oe_enclave_t *enclave, uint32_t number, const void *in, size_t in_size,
                         void *ret_rest, size_t capacity, uint32_t *ret_first, size_t *ret_size);

#endif
