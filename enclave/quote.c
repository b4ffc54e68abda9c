/*
 * Quotes for the enclave: a report for the quoting enclave that the host names, and the quote that the host brings.
 * Side: enclave. Called by applications, attest.c and the skins. abi/service.h has the records.
 * Never lets a quote through that is not about this enclave and this data. What signed it, only a verifier can say.
 */
#include "enclave/kernel.h"

#include "abi/service.h"
#include "cella/attest.h"
#include "cella/report.h"

#define QUOTE_MIN (sizeof(struct sgx_quote3_signed) + 4 + sizeof(struct sgx_quote3_signature))

static cella_result ask_target(struct cella_call_quote_target *ret_target)
{
    const uint32_t operation = CELLA_QUOTE_TARGET;
    size_t size = 0;
    CELLA_TRY(cella_system_ocall(CELLA_OCALL_QUOTE, &operation, sizeof(operation), ret_target,
                                 sizeof(*ret_target), &size));
    CELLA_ENSURE(size == sizeof(*ret_target) && ret_target->quote_size >= QUOTE_MIN &&
                     ret_target->quote_size <= CELLA_QUOTE_MAX,
                 HOST_VALUE);
    return CELLA_OK;
}

/* Version, sizes, and that the body is the report's. */
static cella_result quote_check(const uint8_t *quote, size_t size, const struct sgx_report *report)
{
    struct sgx_quote3_signed head;
    uint32_t rest;
    CELLA_ENSURE(size >= QUOTE_MIN, HOST_VALUE);
    __builtin_memcpy(&head, quote, sizeof(head));
    __builtin_memcpy(&rest, quote + sizeof(head), sizeof(rest));
    CELLA_ENSURE(head.header.version == SGX_QUOTE3_VERSION &&
                     head.header.key_type == SGX_QUOTE3_KEY_ECDSA_P256 &&
                     rest <= size - sizeof(head) - sizeof(rest),
                 HOST_VALUE);
    CELLA_ENSURE(__builtin_memcmp(&head.body, &report->body, sizeof(head.body)) == 0, HOST_VALUE);
    return CELLA_OK;
}

static cella_result quote_once(const uint8_t *data, void *out, size_t out_capacity,
                               size_t *ret_size)
{
    struct cella_call_quote_target target;
    struct cella_call_quote request = {.operation = CELLA_QUOTE_GET};
    size_t size = 0;
    CELLA_TRY(ask_target(&target));
    *ret_size = target.quote_size;
    CELLA_ENSURE(out_capacity >= target.quote_size, BUFFER_TOO_SMALL);
    CELLA_TRY(cella_report_create(&target.target, data, &request.report));
    CELLA_TRY(
        cella_system_ocall(CELLA_OCALL_QUOTE, &request, sizeof(request), out, out_capacity, &size));
    CELLA_TRY(quote_check(out, size, &request.report));
    *ret_size = size;
    return CELLA_OK;
}

/* The quoting enclave may have been replaced between the two questions: then its new one is asked. */
cella_result cella_quote_create(const uint8_t *data, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    CELLA_ENSURE(ret_size != NULL && (out != NULL || out_capacity == 0), INVALID_ARGUMENT);
    const cella_result result = quote_once(data, out, out_capacity, ret_size);
    if (result.code != CELLA_CODE_AUTH_FAILED) {
        return result;
    }
    return quote_once(data, out, out_capacity, ret_size);
}
