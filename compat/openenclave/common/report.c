/*
 * Reading reports, verifying nothing.
 * Side: both. Called by oe_parse_report, oe_verify_report and the attestation plug-ins.
 * Never trusts a size of the report before it has been compared with the buffer's.
 */
#include "compat/openenclave/common/report.h"

#include <stdlib.h>
#include <string.h>

#ifdef OE_SKIN_ENCLAVE
#include <openenclave/enclave.h>
#else
#include <openenclave/host.h>
#endif

oe_result_t oe_report_open(const uint8_t *report, size_t size, uint32_t *ret_kind,
                           const sgx_report_body_t **ret_body)
{
    struct oe_report_head head;
    OE_ENSURE(report != NULL, OE_INVALID_PARAMETER);
    OE_ENSURE(size >= sizeof(head), OE_INCORRECT_REPORT_SIZE);
    memcpy(&head, report, sizeof(head));
    OE_ENSURE(head.version == OE_REPORT_VERSION, OE_INVALID_PARAMETER);
    OE_ENSURE(head.size == size - sizeof(head), OE_INCORRECT_REPORT_SIZE);
    if (head.kind == OE_REPORT_KIND_LOCAL) {
        OE_ENSURE(head.size == sizeof(sgx_report_t), OE_INCORRECT_REPORT_SIZE);
        *ret_body = (const sgx_report_body_t *)(report + sizeof(head));
    } else if (head.kind == OE_REPORT_KIND_REMOTE) {
        OE_ENSURE(head.size >= sizeof(sgx_quote_t), OE_INCORRECT_REPORT_SIZE);
        *ret_body = (const sgx_report_body_t *)(report + sizeof(head) +
                                                OE_OFFSETOF(sgx_quote_t, report_body));
    } else {
        return OE_REPORT_PARSE_ERROR;
    }
    *ret_kind = head.kind;
    return OE_OK;
}

oe_result_t oe_parse_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report)
{
    const sgx_report_body_t *at;
    uint32_t kind;
    OE_ENSURE(report != NULL && parsed_report != NULL, OE_INVALID_PARAMETER);
    OE_TRY(oe_report_open(report, report_size, &kind, &at));
    sgx_report_body_t body; /* a quote's is not aligned */
    memcpy(&body, at, sizeof(body));
    memset(parsed_report, 0, sizeof(*parsed_report));
    parsed_report->size = sizeof(*parsed_report);
    parsed_report->type = OE_ENCLAVE_TYPE_SGX;
    parsed_report->report_data_size = sizeof(at->report_data);
    parsed_report->report_data = (uint8_t *)&at->report_data;
    parsed_report->enclave_report_size =
        kind == OE_REPORT_KIND_LOCAL ? sizeof(sgx_report_t) : sizeof(body);
    parsed_report->enclave_report = (uint8_t *)at;
    oe_identity_t *identity = &parsed_report->identity;
    identity->security_version = body.isvsvn;
    identity->attributes =
        ((body.attributes.flags & SGX_FLAGS_DEBUG) ? OE_REPORT_ATTRIBUTES_DEBUG : 0) |
        (kind == OE_REPORT_KIND_REMOTE ? OE_REPORT_ATTRIBUTES_REMOTE : 0);
    memcpy(identity->unique_id, body.mrenclave, sizeof(identity->unique_id));
    memcpy(identity->signer_id, body.mrsigner, sizeof(identity->signer_id));
    identity->product_id[0] = (uint8_t)body.isvprodid;
    identity->product_id[1] = (uint8_t)(body.isvprodid >> 8);
    return OE_OK;
}

oe_result_t oe_get_target_info_v2(const uint8_t *report, size_t report_size,
                                  void **target_info_buffer, size_t *target_info_size)
{
    const sgx_report_body_t *at;
    uint32_t kind;
    OE_ENSURE(target_info_buffer != NULL && target_info_size != NULL, OE_INVALID_PARAMETER);
    OE_TRY(oe_report_open(report, report_size, &kind, &at));
    sgx_target_info_t *target = calloc(1, sizeof(*target));
    OE_ENSURE(target != NULL, OE_OUT_OF_MEMORY);
    sgx_report_body_t body;
    memcpy(&body, at, sizeof(body));
    memcpy(target->mrenclave, body.mrenclave, sizeof(target->mrenclave));
    target->attributes = body.attributes;
    target->misc_select = body.miscselect;
    memcpy(target->reserved1 + 2, &body.configsvn, 2);
    memcpy(target->reserved2 + 8, body.configid, sizeof(body.configid));
    *target_info_buffer = target;
    *target_info_size = sizeof(*target);
    return OE_OK;
}

void oe_free_target_info(void *target_info)
{
    free(target_info);
}

void oe_free_report(uint8_t *report_buffer)
{
    free(report_buffer);
}
