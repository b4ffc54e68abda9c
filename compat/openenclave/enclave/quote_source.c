/*
 * Endorsements and roots for the verifier in an enclave: from the host, and from what was linked.
 * Side: enclave. Called by common/quote_verify.c.
 * Never takes a root from the host in an enclave that hides anything from it: only debug enclaves do (ADR 0130).
 */
#include <stdlib.h>

#include "cella/roots.h"
#include "compat/openenclave/common/quote.h"
#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

#define ROOTS_ROOM 512u

oe_result_t oe_endorsements_get(struct cella_span quote, uint8_t **ret_buffer, size_t *ret_size)
{
    size_t size = 0;
    uint8_t *buffer = malloc(OE_ATTESTATION_ENDORSEMENT_MAX_SIZE);
    OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
    const oe_result_t result = oe_endorsements_ask(quote.data, quote.size, buffer,
                                                   OE_ATTESTATION_ENDORSEMENT_MAX_SIZE, &size);
    if (result != OE_OK) {
        free(buffer);
        return result;
    }
    *ret_buffer = buffer;
    *ret_size = size;
    return OE_OK;
}

/* Its host can read and write a debug enclave: whom it trusts is the host's word already. */
static oe_result_t host_roots_add(struct cella_roots *roots)
{
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots named = {.count = 0};
    uint8_t answer[ROOTS_ROOM];
    size_t size = 0;
    cella_result result =
        cella_system_ocall(OE_OCALL_ROOTS, NULL, 0, answer, sizeof(answer), &size);
    if (cella_is_ok(result)) {
        result = cella_collateral_answer_read((struct cella_span){answer, size}, items, &named);
    }
    OE_ENSURE(cella_is_ok(result), OE_QUOTE_PROVIDER_CALL_ERROR);
    for (size_t i = 0; i < named.count && roots->count < CELLA_ROOT_MAX; i++) {
        roots->keys[roots->count++] = named.keys[i];
    }
    return OE_OK;
}

oe_result_t oe_roots_get(struct cella_roots *ret_roots)
{
    OE_TRY_CELLA(cella_roots_add_linked(ret_roots));
    return cella_is_debug() ? host_roots_add(ret_roots) : OE_OK;
}

void oe_quote_explain(const struct cella_evidence_failure *failure)
{
    oe_log(OE_LOG_LEVEL_ERROR, "evidence refused: %s: %s: %s\n",
           cella_evidence_step_name(failure->step), failure->object, failure->text);
}
