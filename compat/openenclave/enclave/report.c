/*
 * Local reports: making and verifying them.
 * Side: enclave. Called by applications, the attestation plug-ins and (report_service.c) the host.
 * Never makes a quote: that needs a quoting service on the host.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/common/report.h"
#include "compat/openenclave/enclave/report.h"
#include "compat/openenclave/enclave/skin.h"

/* cella/report.h with abi/sgx.h would give the SGX names a second time. */
struct sgx_targetinfo;
struct sgx_report;
cella_result cella_report_create(const struct sgx_targetinfo *target, const uint8_t *data,
                                 struct sgx_report *ret_report);
cella_result cella_report_verify(const struct sgx_report *report);

oe_result_t oe_report_local(const void *data, size_t data_size, const void *target,
                            size_t target_size, sgx_report_t *ret_report)
{
    uint8_t bytes[OE_REPORT_DATA_SIZE] = {0};
    OE_ENSURE(data_size <= sizeof(bytes) && (data != NULL || data_size == 0), OE_INVALID_PARAMETER);
    OE_ENSURE(target ? target_size == sizeof(sgx_target_info_t) : target_size == 0,
              OE_INVALID_PARAMETER);
    if (data_size > 0) {
        memcpy(bytes, data, data_size);
    }
    return oe_result_of(cella_report_create((const struct sgx_targetinfo *)target, bytes,
                                            (struct sgx_report *)ret_report));
}

oe_result_t oe_report_check(const sgx_report_t *report)
{
    return oe_result_of(cella_report_verify((const struct sgx_report *)report));
}

oe_result_t oe_get_report_v2(uint32_t flags, const uint8_t *report_data, size_t report_data_size,
                             const void *opt_params, size_t opt_params_size,
                             uint8_t **report_buffer, size_t *report_buffer_size)
{
    OE_ENSURE(report_buffer != NULL && report_buffer_size != NULL, OE_INVALID_PARAMETER);
    *report_buffer = NULL;
    *report_buffer_size = 0;
    if (flags & OE_REPORT_FLAGS_REMOTE_ATTESTATION) {
        return OE_UNSUPPORTED;
    }
    struct {
        struct oe_report_head head;
        sgx_report_t report;
    } *made = calloc(1, sizeof(*made));
    OE_ENSURE(made != NULL, OE_OUT_OF_MEMORY);
    made->head.version = OE_REPORT_VERSION;
    made->head.kind = OE_REPORT_KIND_LOCAL;
    made->head.size = sizeof(made->report);
    const oe_result_t result =
        oe_report_local(report_data, report_data_size, opt_params, opt_params_size, &made->report);
    if (result != OE_OK) {
        free(made);
        return result;
    }
    *report_buffer = (uint8_t *)made;
    *report_buffer_size = sizeof(*made);
    return OE_OK;
}

oe_result_t oe_verify_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report)
{
    oe_report_t parsed;
    sgx_report_t copy;
    OE_ENSURE(report != NULL && report_size > 0, OE_INVALID_PARAMETER);
    OE_TRY(oe_parse_report(report, report_size, &parsed));
    if (parsed.identity.attributes & OE_REPORT_ATTRIBUTES_REMOTE) {
        return OE_UNSUPPORTED;
    }
    memcpy(&copy, report + sizeof(struct oe_report_head), sizeof(copy));
    OE_TRY(oe_report_check(&copy));
    if (parsed_report) {
        *parsed_report = parsed;
    }
    return OE_OK;
}
