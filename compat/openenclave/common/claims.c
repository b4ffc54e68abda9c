/*
 * Lists of claims: their names, and freeing them.
 * Side: both. Called by verifiers and by applications.
 * Never frees what was not allocated by the claims' makers.
 */
#include <stdlib.h>

#include <openenclave/attestation/custom_claims.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/glue.h"

const char *OE_REQUIRED_CLAIMS[OE_REQUIRED_CLAIMS_COUNT] = {
    OE_CLAIM_ID_VERSION, OE_CLAIM_SECURITY_VERSION, OE_CLAIM_ATTRIBUTES, OE_CLAIM_UNIQUE_ID,
    OE_CLAIM_SIGNER_ID,  OE_CLAIM_PRODUCT_ID,       OE_CLAIM_FORMAT_UUID};
const char *OE_OPTIONAL_CLAIMS[OE_OPTIONAL_CLAIMS_COUNT] = {
    OE_CLAIM_TCB_STATUS,     OE_CLAIM_TCB_DATE, OE_CLAIM_VALIDITY_FROM,
    OE_CLAIM_VALIDITY_UNTIL, OE_CLAIM_UEID,     OE_CLAIM_HARDWARE_MODEL};

oe_result_t oe_free_claims(oe_claim_t *claims, size_t claims_length)
{
    for (size_t i = 0; claims && i < claims_length; i++) {
        free(claims[i].name);
        free(claims[i].value);
    }
    free(claims);
    return OE_OK;
}

oe_result_t oe_free_custom_claims(oe_claim_t *custom_claims, size_t custom_claims_length)
{
    return oe_free_claims(custom_claims, custom_claims_length);
}
