/*
 * Endorsements for a quote, as the host finds them.
 * Side: enclave. Called by attester.c.
 * Never looks into them: they are for whoever verifies the evidence.
 */
#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

oe_result_t oe_endorsements_ask(const void *quote, size_t quote_size, void *out, size_t capacity,
                                size_t *ret_size)
{
    const cella_result result =
        cella_system_ocall(OE_OCALL_ENDORSEMENTS, quote, quote_size, out, capacity, ret_size);
    switch (result.code) {
    case CELLA_CODE_OK:
        return OE_OK;
    case CELLA_CODE_OUT_OF_MEMORY:
        return OE_OUT_OF_MEMORY;
    default:
        return OE_QUOTE_PROVIDER_CALL_ERROR;
    }
}
