/*
 * What the Open Enclave API has for TDX quotes beside the verifier, and the two names of EEID, which is an experiment of
 * upstream's that few builds had.
 * Side: both. Called by applications.
 * Never verifies.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/tdx/evidence.h>

#include "compat/openenclave/common/quote.h"

oe_result_t oe_get_tdx_endorsements(const uint8_t *evidence_buffer, uint32_t evidence_buffer_size,
                                    uint8_t **endorsements_buffer,
                                    uint32_t *endorsements_buffer_size)
{
    uint8_t *buffer = NULL;
    size_t size = 0;
    OE_ENSURE(evidence_buffer != NULL && evidence_buffer_size > 0 && endorsements_buffer != NULL &&
                  endorsements_buffer_size != NULL,
              OE_INVALID_PARAMETER);
    OE_TRY(oe_endorsements_get((struct cella_span){evidence_buffer, evidence_buffer_size}, &buffer,
                               &size));
    *endorsements_buffer = buffer;
    *endorsements_buffer_size = (uint32_t)size;
    return OE_OK;
}

void oe_free_tdx_endorsements(uint8_t *endorsements_buffer)
{
    free(endorsements_buffer);
}

oe_result_t oe_get_tdx_fmspc_from_quote(const uint8_t *quote, uint32_t quote_size, uint8_t *fmspc,
                                        uint32_t fmspc_size)
{
    struct cella_platform_claims platform;
    OE_ENSURE(quote != NULL && quote_size > 0 && fmspc != NULL && fmspc_size >= OE_TDX_FMSPC_SIZE,
              OE_INVALID_PARAMETER);
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    OE_ENSURE(scratch != NULL, OE_OUT_OF_MEMORY);
    const cella_result result = cella_evidence_platform(
        (struct cella_span){quote, quote_size}, scratch, CELLA_EVIDENCE_SCRATCH_SIZE, &platform);
    free(scratch);
    OE_ENSURE(cella_is_ok(result), OE_REPORT_PARSE_ERROR);
    memcpy(fmspc, platform.fmspc, OE_TDX_FMSPC_SIZE);
    return OE_OK;
}

oe_result_t oe_sgx_eeid_verifier_initialize(void);
oe_result_t oe_sgx_eeid_verifier_initialize(void)
{
    return OE_UNSUPPORTED;
}

oe_result_t oe_sgx_eeid_verifier_shutdown(void);
oe_result_t oe_sgx_eeid_verifier_shutdown(void)
{
    return OE_OK;
}
