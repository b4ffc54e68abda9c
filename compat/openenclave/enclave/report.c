/*
 * Reports: making them, local ones and quotes.
 * Side: enclave. Called by applications, the attestation plug-ins and (report_service.c) the host.
 * Never believes a quote that the host brings to be of another enclave or of other data: the kernel compares.
 */
#include <stdbool.h>
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
/* cella/attest.h, for the same reason. */
cella_result cella_quote_create(const uint8_t *data, void *out, size_t out_capacity,
                                size_t *ret_size);

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

/* What having no quoting service on the host is called. */
static oe_result_t quote_result(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_NO_DEVICE:
        return OE_SERVICE_UNAVAILABLE;
    case CELLA_CODE_BUSY:
        return OE_BUSY;
    case CELLA_CODE_HOST_REFUSED:
    case CELLA_CODE_HOST_VALUE:
    case CELLA_CODE_AUTH_FAILED:
        return OE_PLATFORM_ERROR;
    default:
        return oe_result_of(result);
    }
}

bool oe_report_quote_possible(void)
{
    size_t size;
    return cella_quote_create(NULL, NULL, 0, &size).code == CELLA_CODE_BUFFER_TOO_SMALL;
}

oe_result_t oe_report_quote(const void *data, size_t data_size, size_t head_size, size_t tail_size,
                            uint8_t **ret_buffer, size_t *ret_quote_size)
{
    uint8_t bytes[OE_REPORT_DATA_SIZE] = {0};
    size_t room = 0, size;
    OE_ENSURE(data_size <= sizeof(bytes) && (data != NULL || data_size == 0), OE_INVALID_PARAMETER);
    if (data_size > 0) {
        memcpy(bytes, data, data_size);
    }
    cella_result result = cella_quote_create(bytes, NULL, 0, &room);
    OE_ENSURE(result.code == CELLA_CODE_BUFFER_TOO_SMALL, quote_result(result));
    OE_ENSURE(!__builtin_add_overflow(head_size + room, tail_size, &size), OE_INTEGER_OVERFLOW);
    uint8_t *buffer = calloc(1, size);
    OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
    result = cella_quote_create(bytes, buffer + head_size, room, ret_quote_size);
    if (!cella_is_ok(result)) {
        free(buffer);
        return quote_result(result);
    }
    *ret_buffer = buffer;
    return OE_OK;
}

/* The two kinds behind their header, which the caller writes. */
static oe_result_t report_make(bool remote, const uint8_t *data, size_t data_size,
                               const void *target, size_t target_size, uint8_t **ret_buffer,
                               size_t *ret_size)
{
    sgx_report_t report;
    if (remote) {
        OE_ENSURE(target == NULL && target_size == 0, OE_INVALID_PARAMETER);
        return oe_report_quote(data, data_size, sizeof(struct oe_report_head), 0, ret_buffer,
                               ret_size);
    }
    OE_TRY(oe_report_local(data, data_size, target, target_size, &report));
    uint8_t *buffer = calloc(1, sizeof(struct oe_report_head) + sizeof(report));
    OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
    memcpy(buffer + sizeof(struct oe_report_head), &report, sizeof(report));
    *ret_buffer = buffer;
    *ret_size = sizeof(report);
    return OE_OK;
}

oe_result_t oe_get_report_v2(uint32_t flags, const uint8_t *report_data, size_t report_data_size,
                             const void *opt_params, size_t opt_params_size,
                             uint8_t **report_buffer, size_t *report_buffer_size)
{
    const bool remote = (flags & OE_REPORT_FLAGS_REMOTE_ATTESTATION) != 0;
    uint8_t *buffer = NULL;
    size_t size = 0;
    OE_ENSURE(report_buffer != NULL && report_buffer_size != NULL, OE_INVALID_PARAMETER);
    *report_buffer = NULL;
    *report_buffer_size = 0;
    OE_TRY(report_make(remote, report_data, report_data_size, opt_params, opt_params_size, &buffer,
                       &size));
    const struct oe_report_head head = {.version = OE_REPORT_VERSION,
                                        .kind =
                                            remote ? OE_REPORT_KIND_REMOTE : OE_REPORT_KIND_LOCAL,
                                        .size = size};
    memcpy(buffer, &head, sizeof(head));
    *report_buffer = buffer;
    *report_buffer_size = sizeof(head) + size;
    return OE_OK;
}

oe_result_t oe_report_local_verify(const uint8_t *report, size_t size)
{
    const sgx_report_body_t *body;
    sgx_report_t copy;
    uint32_t kind;
    OE_TRY(oe_report_open(report, size, &kind, &body));
    OE_ENSURE(kind == OE_REPORT_KIND_LOCAL, OE_UNSUPPORTED);
    memcpy(&copy, report + sizeof(struct oe_report_head), sizeof(copy));
    return oe_report_check(&copy);
}
