/*
 * Reports at the host's request. Linked in when the EDL imports sgx/attestation.edl or attestation.edl.
 * Side: enclave. Called by the kernel for the host's oe_get_report and oe_verify_report.
 * Never binds data of the host's choice: report data is zero.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

extern const char cella_module_oe_report;
const char cella_module_oe_report = 1;

static cella_result serve_report(const void *in, size_t in_size, void *out, size_t out_capacity,
                                 size_t *ret_size)
{
    struct oe_answer answer = {0};
    uint8_t *report = NULL;
    size_t size = 0;
    uint32_t flags;
    CELLA_ENSURE(in_size >= sizeof(flags), TRUNCATED);
    CELLA_ENSURE(out_capacity >= sizeof(answer), BUFFER_TOO_SMALL);
    memcpy(&flags, in, sizeof(flags));
    const size_t target_size = in_size - sizeof(flags);
    answer.result = oe_get_report_v2(flags, NULL, 0,
                                     target_size > 0 ? (const uint8_t *)in + sizeof(flags) : NULL,
                                     target_size, &report, &size);
    if (answer.result == OE_OK && size > out_capacity - sizeof(answer)) {
        answer.result = OE_BUFFER_TOO_SMALL;
    }
    *ret_size = sizeof(answer);
    if (answer.result == OE_OK) {
        answer.size = (uint32_t)size;
        memcpy((uint8_t *)out + sizeof(answer), report, size);
        *ret_size += size;
    }
    memcpy(out, &answer, sizeof(answer));
    oe_free_report(report);
    return CELLA_OK;
}

static cella_result serve_verify(const void *in, size_t in_size, void *out, size_t out_capacity,
                                 size_t *ret_size)
{
    struct oe_answer answer = {0};
    CELLA_ENSURE(out_capacity >= sizeof(answer), BUFFER_TOO_SMALL);
    answer.result = oe_report_local_verify(in, in_size);
    memcpy(out, &answer, sizeof(answer));
    *ret_size = sizeof(answer);
    return CELLA_OK;
}

static const struct cella_system_ecall report_ecall = {
    .number = OE_ECALL_REPORT,
    .ecall = {.function = serve_report, .in_max = 516, .out_max = OE_ECALL_REPORT_MAX}};
CELLA_SYSTEM_ECALL(report_ecall);
static const struct cella_system_ecall verify_ecall = {
    .number = OE_ECALL_VERIFY,
    .ecall = {.function = serve_verify,
              .in_max = OE_ECALL_VERIFY_MAX,
              .out_max = sizeof(struct oe_answer)}};
CELLA_SYSTEM_ECALL(verify_ecall);
