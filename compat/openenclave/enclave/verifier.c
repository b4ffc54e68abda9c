/*
 * Verifying local evidence: a report that was made for this enclave, and the hash of the custom claims in it.
 * Side: enclave. Called by common/verifier.c.
 * Never gives claims of a report whose MAC is wrong.
 */
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/common/evidence.h"
#include "compat/openenclave/enclave/report.h"
#include "compat/openenclave/enclave/sha256.h"
#include "compat/openenclave/enclave/skin.h"

bool oe_local_possible(void)
{
    return true;
}

oe_result_t oe_local_settings(uint8_t **ret_settings, size_t *ret_size)
{
    uint8_t *report = NULL;
    size_t size = 0;
    void *target = NULL;
    OE_TRY(oe_get_report_v2(0, NULL, 0, NULL, 0, &report, &size));
    const oe_result_t result = oe_get_target_info_v2(report, size, &target, ret_size);
    oe_free_report(report);
    *ret_settings = target;
    return result;
}

oe_result_t oe_local_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                            oe_claim_t **ret_claims, size_t *ret_count)
{
    sgx_report_t report;
    uint8_t hash[32];
    OE_ENSURE(size >= sizeof(report), OE_INVALID_PARAMETER);
    memcpy(&report, evidence, sizeof(report));
    OE_TRY(oe_report_check(&report));
    oe_sha256(evidence + sizeof(report), size - sizeof(report), hash);
    OE_ENSURE(memcmp(hash, report.body.report_data.field, sizeof(hash)) == 0,
              OE_QUOTE_HASH_MISMATCH);
    if (!ret_claims) {
        return OE_OK;
    }
    return oe_claims_of_report(format, &report.body, evidence + sizeof(report),
                               size - sizeof(report), ret_claims, ret_count);
}
