/*
 * Evidence taken apart, and claims put together.
 * Side: both. Called by attesters and verifiers; the bytes may come from anybody.
 * Never verifies anything.
 */
#include "compat/openenclave/common/evidence.h"

#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/report.h"

oe_result_t oe_evidence_open(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                             oe_uuid_t *ret_format, const uint8_t **ret_body, size_t *ret_size)
{
    static const oe_uuid_t legacy = {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE};
    struct oe_evidence_head head;
    struct oe_report_head report;
    *ret_body = evidence;
    *ret_size = size;
    if (format) {
        *ret_format = *format;
        return OE_OK;
    }
    if (size >= sizeof(report)) {
        memcpy(&report, evidence, sizeof(report));
        if (report.version == OE_REPORT_VERSION) {
            *ret_format = legacy;
            return OE_OK;
        }
    }
    OE_ENSURE(size >= sizeof(head), OE_INVALID_PARAMETER);
    memcpy(&head, evidence, sizeof(head));
    OE_ENSURE(head.version == OE_EVIDENCE_VERSION && head.size == size - sizeof(head),
              OE_INVALID_PARAMETER);
    *ret_format = head.format;
    *ret_body = evidence + sizeof(head);
    *ret_size = size - sizeof(head);
    return OE_OK;
}

void oe_claim_add(struct oe_claim_list *list, const char *name, const void *value, size_t size)
{
    oe_claim_t *claim = &list->claims[list->count++];
    claim->name = strdup(name);
    claim->value = malloc(size > 0 ? size : 1);
    claim->value_size = size;
    if (!claim->name || !claim->value) {
        list->failed = true;
        return;
    }
    if (size > 0) {
        memcpy(claim->value, value, size);
    }
}

static void identity_add(struct oe_claim_list *list, const sgx_report_body_t *body, bool remote)
{
    const uint32_t id_version = 0;
    const uint32_t security_version = body->isvsvn;
    const uint64_t attributes =
        ((body->attributes.flags & SGX_FLAGS_DEBUG) ? OE_EVIDENCE_ATTRIBUTES_SGX_DEBUG : 0) |
        (remote ? OE_EVIDENCE_ATTRIBUTES_SGX_REMOTE : 0);
    const uint8_t product[OE_PRODUCT_ID_SIZE] = {(uint8_t)body->isvprodid,
                                                 (uint8_t)(body->isvprodid >> 8)};
    oe_claim_add(list, OE_CLAIM_ID_VERSION, &id_version, sizeof(id_version));
    oe_claim_add(list, OE_CLAIM_SECURITY_VERSION, &security_version, sizeof(security_version));
    oe_claim_add(list, OE_CLAIM_ATTRIBUTES, &attributes, sizeof(attributes));
    oe_claim_add(list, OE_CLAIM_UNIQUE_ID, body->mrenclave, sizeof(body->mrenclave));
    oe_claim_add(list, OE_CLAIM_SIGNER_ID, body->mrsigner, sizeof(body->mrsigner));
    oe_claim_add(list, OE_CLAIM_PRODUCT_ID, product, sizeof(product));
}

static void sgx_add(struct oe_claim_list *list, const sgx_report_body_t *body)
{
    const uint64_t flags = body->attributes.flags;
    const bool exinfo = (body->miscselect & SGX_SECS_MISCSELECT_EXINFO) != 0;
    const bool is_64 = (flags & SGX_FLAGS_MODE64BIT) != 0;
    const bool provision = (flags & SGX_FLAGS_PROVISION_KEY) != 0;
    const bool launch = (flags & SGX_FLAGS_EINITTOKEN_KEY) != 0;
    const bool kss = (flags & SGX_FLAGS_KSS) != 0;
    oe_claim_add(list, OE_CLAIM_SGX_PF_GP_EXINFO_ENABLED, &exinfo, sizeof(exinfo));
    oe_claim_add(list, OE_CLAIM_SGX_ISV_EXTENDED_PRODUCT_ID, body->isvextprodid,
                 sizeof(body->isvextprodid));
    oe_claim_add(list, OE_CLAIM_SGX_IS_MODE64BIT, &is_64, sizeof(is_64));
    oe_claim_add(list, OE_CLAIM_SGX_HAS_PROVISION_KEY, &provision, sizeof(provision));
    oe_claim_add(list, OE_CLAIM_SGX_HAS_EINITTOKEN_KEY, &launch, sizeof(launch));
    oe_claim_add(list, OE_CLAIM_SGX_USES_KSS, &kss, sizeof(kss));
    oe_claim_add(list, OE_CLAIM_SGX_CONFIG_ID, body->configid, sizeof(body->configid));
    oe_claim_add(list, OE_CLAIM_SGX_CONFIG_SVN, &body->configsvn, sizeof(body->configsvn));
    oe_claim_add(list, OE_CLAIM_SGX_ISV_FAMILY_ID, body->isvfamilyid, sizeof(body->isvfamilyid));
    oe_claim_add(list, OE_CLAIM_SGX_CPU_SVN, body->cpusvn, sizeof(body->cpusvn));
}

oe_result_t oe_claims_new(struct oe_claim_list *list, size_t max)
{
    *list = (struct oe_claim_list){.claims = calloc(max, sizeof(*list->claims))};
    return list->claims ? OE_OK : OE_OUT_OF_MEMORY;
}

oe_result_t oe_claims_done(struct oe_claim_list *list, oe_claim_t **ret_claims, size_t *ret_count)
{
    if (list->failed) {
        oe_free_claims(list->claims, list->count);
        return OE_OUT_OF_MEMORY;
    }
    *ret_claims = list->claims;
    *ret_count = list->count;
    return OE_OK;
}

void oe_claims_add_body(struct oe_claim_list *list, const oe_uuid_t *format,
                        const sgx_report_body_t *body, bool remote)
{
    identity_add(list, body, remote);
    oe_claim_add(list, OE_CLAIM_FORMAT_UUID, format, sizeof(*format));
    sgx_add(list, body);
}

oe_result_t oe_claims_of_report(const oe_uuid_t *format, const sgx_report_body_t *body,
                                const uint8_t *custom, size_t custom_size, oe_claim_t **ret_claims,
                                size_t *ret_count)
{
    struct oe_claim_list list;
    OE_TRY(oe_claims_new(&list, OE_REQUIRED_CLAIMS_COUNT + OE_SGX_REQUIRED_CLAIMS_COUNT + 1));
    oe_claims_add_body(&list, format, body, false);
    if (custom && custom_size > 0) {
        oe_claim_add(&list, OE_CLAIM_CUSTOM_CLAIMS_BUFFER, custom, custom_size);
    }
    return oe_claims_done(&list, ret_claims, ret_count);
}
