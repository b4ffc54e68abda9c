/*
 * Reports of an enclave, and their verification by it.
 * Side: host. Called by applications.
 * Never verifies a local report itself: only the enclave it was made for can. Quotes need no enclave.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/host_verify.h>

#include "compat/openenclave/common/report.h"
#include "compat/openenclave/host/skin.h"

oe_result_t oe_get_report_v2(oe_enclave_t *enclave, uint32_t flags, const void *opt_params,
                             size_t opt_params_size, uint8_t **report_buffer,
                             size_t *report_buffer_size)
{
    uint32_t first;
    const bool remote = (flags & OE_REPORT_FLAGS_REMOTE_ATTESTATION) != 0;
    uint8_t request[sizeof(flags) + sizeof(sgx_target_info_t)];
    OE_ENSURE(oe_enclave_core(enclave) != NULL && report_buffer != NULL &&
                  report_buffer_size != NULL,
              OE_INVALID_PARAMETER);
    OE_ENSURE(opt_params ? !remote && opt_params_size == sizeof(sgx_target_info_t)
                         : opt_params_size == 0,
              OE_INVALID_PARAMETER);
    *report_buffer = NULL;
    *report_buffer_size = 0;
    memcpy(request, &flags, sizeof(flags));
    if (opt_params_size > 0) {
        memcpy(request + sizeof(flags), opt_params, opt_params_size);
    }
    uint8_t *report = malloc(OE_ECALL_REPORT_MAX);
    OE_ENSURE(report != NULL, OE_OUT_OF_MEMORY);
    const oe_result_t result =
        oe_skin_call(enclave, OE_ECALL_REPORT, request, sizeof(flags) + opt_params_size, report,
                     OE_ECALL_REPORT_MAX - sizeof(struct oe_answer), &first, report_buffer_size);
    if (result != OE_OK) {
        free(report);
        *report_buffer_size = 0;
        return result;
    }
    *report_buffer = report;
    return OE_OK;
}

oe_result_t oe_verify_report(oe_enclave_t *enclave, const uint8_t *report, size_t report_size,
                             oe_report_t *parsed_report)
{
    oe_report_t parsed;
    uint32_t first;
    size_t size;
    OE_ENSURE(report != NULL && report_size > 0, OE_INVALID_PARAMETER);
    OE_TRY(oe_parse_report(report, report_size, &parsed));
    if (parsed.identity.attributes & OE_REPORT_ATTRIBUTES_REMOTE) {
        return oe_verify_remote_report(report, report_size, NULL, 0, parsed_report);
    }
    OE_ENSURE(oe_enclave_core(enclave) != NULL, OE_INVALID_PARAMETER);
    OE_TRY(oe_skin_call(enclave, OE_ECALL_VERIFY, report, report_size, NULL, 0, &first, &size));
    if (parsed_report) {
        *parsed_report = parsed;
    }
    return OE_OK;
}
