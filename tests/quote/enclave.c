/*
 * An enclave that asks for quotes and evidence about itself.
 * Side: enclave, tests.
 */
#include <string.h>

#include "calls.h"
#include "cella/attest.h"
#include "cella/enclave.h"
#include "cella/report.h"

static cella_result call_quote(const void *in, size_t in_size, void *out, size_t out_capacity,
                               size_t *ret_size)
{
    size_t size = 0;
    CELLA_ENSURE(in_size == 64, INVALID_ARGUMENT);
    CELLA_TRY(cella_quote_create(in, out, out_capacity, &size));
    *ret_size = size;
    return CELLA_OK;
}

static cella_result call_report(const void *in, size_t in_size, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    struct sgx_targetinfo target;
    struct sgx_report report;
    CELLA_ENSURE(in_size == sizeof(target) && out_capacity >= sizeof(report), INVALID_ARGUMENT);
    memcpy(&target, in, sizeof(target));
    CELLA_TRY(cella_report_create(&target,
                                  (const uint8_t *)"report of the test enclave, with data "
                                                   "of sixty-four bytes in it...",
                                  &report));
    memcpy(out, &report, sizeof(report));
    *ret_size = sizeof(report);
    return CELLA_OK;
}

static cella_result call_verify(const void *in, size_t in_size, void *out, size_t out_capacity,
                                size_t *ret_size)
{
    struct sgx_report report;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size == sizeof(report), INVALID_ARGUMENT);
    memcpy(&report, in, sizeof(report));
    return cella_report_verify(&report);
}

static cella_result call_evidence(const void *in, size_t in_size, void *out, size_t out_capacity,
                                  size_t *ret_size)
{
    uint32_t nonce_size;
    size_t size = 0;
    CELLA_ENSURE(in_size >= sizeof(nonce_size), INVALID_ARGUMENT);
    memcpy(&nonce_size, in, sizeof(nonce_size));
    CELLA_ENSURE(nonce_size <= in_size - sizeof(nonce_size), INVALID_ARGUMENT);
    const uint8_t *nonce = (const uint8_t *)in + sizeof(nonce_size);
    const struct cella_claim claim = {"colour", nonce + nonce_size,
                                      in_size - sizeof(nonce_size) - nonce_size};
    const struct cella_evidence_request request = {
        .nonce = nonce, .nonce_size = nonce_size, .claims = &claim, .claim_count = 1};
    CELLA_TRY(cella_evidence_get(&request, out, out_capacity, &size));
    *ret_size = size;
    return CELLA_OK;
}

CELLA_ECALLS([CALL_QUOTE] = {call_quote, 64, CELLA_QUOTE_MAX},
             [CALL_REPORT] = {call_report, 512, 432}, [CALL_VERIFY] = {call_verify, 432, 0},
             [CALL_EVIDENCE] = {call_evidence, 4096, CELLA_QUOTE_MAX});
