/*
 * EREPORT and EGETKEY: identity, local attestation, keys.
 * Side: enclave. Called by applications, sealing and INIT. Source: Intel SDM Vol. 3D, chapter 38.
 * Never leaves a key behind: each buffer that held one is cleared.
 */
#include "enclave/kernel.h"

#include "cella/report.h"

static uint32_t enclu(uint32_t leaf, const void *rbx, const void *rcx, void *rdx)
{
    return (uint32_t)cella_enclu(leaf, (uint64_t)rbx, (uint64_t)rcx, (uint64_t)rdx);
}

/* Clears what the compiler takes for dead. */
static void wipe(void *at, size_t size)
{
    cella_zero(at, size);
    __asm__ volatile("" : : "r"(at) : "memory");
}

static void report_make(const struct sgx_targetinfo *target, const uint8_t *data,
                        struct sgx_report *ret_report)
{
    struct {
        _Alignas(512) struct sgx_targetinfo target;
        _Alignas(512) struct sgx_report report;
        _Alignas(128) uint8_t data[CELLA_REPORT_DATA_SIZE];
    } operands;
    cella_zero(&operands, sizeof(operands));
    if (data) {
        __builtin_memcpy(operands.data, data, sizeof(operands.data));
    }
    operands.target = *target;
    enclu(SGX_EREPORT, &operands.target, operands.data, &operands.report);
    *ret_report = operands.report;
}

cella_result cella_report_create(const struct sgx_targetinfo *target, const uint8_t *data,
                                 struct sgx_report *ret_report)
{
    struct sgx_targetinfo self;
    if (!target) {
        struct sgx_report report;
        CELLA_TRY(cella_report_self(&report));
        cella_report_target(&report, &self);
        target = &self;
    }
    report_make(target, data, ret_report);
    return CELLA_OK;
}

/*
 * With an all-zero target the report's MAC is of use to nobody, and its body says who we are. What EREPORT says of an
 * enclave never changes while it runs, so one is enough.
 */
cella_result cella_report_self(struct sgx_report *ret_report)
{
    static struct cella_lock lock;
    static struct sgx_report kept;
    static bool known;
    cella_lock_take(&lock);
    if (!known) {
        const struct sgx_targetinfo nobody = {.misc_select = 0};
        struct sgx_targetinfo self;
        report_make(&nobody, NULL, &kept);
        cella_report_target(&kept, &self);
        report_make(&self, NULL, &kept);
        known = true;
    }
    *ret_report = kept;
    cella_lock_give(&lock);
    return CELLA_OK;
}

void cella_report_target(const struct sgx_report *report, struct sgx_targetinfo *ret_target)
{
    const struct sgx_report_body *body = &report->body;
    cella_zero(ret_target, sizeof(*ret_target));
    __builtin_memcpy(ret_target->measurement, body->mr_enclave, sizeof(ret_target->measurement));
    ret_target->attributes = body->attributes;
    ret_target->cet_attributes = body->cet_attributes;
    ret_target->config_svn = body->config_svn;
    ret_target->misc_select = body->misc_select;
    __builtin_memcpy(ret_target->config_id, body->config_id, sizeof(ret_target->config_id));
}

cella_result cella_key_get(const struct sgx_keyrequest *request, uint8_t ret_key[16])
{
    struct {
        _Alignas(512) struct sgx_keyrequest request;
        _Alignas(16) uint8_t key[16];
    } operands;
    operands.request = *request;
    const uint32_t code = enclu(SGX_EGETKEY, &operands.request, operands.key, NULL);
    if (code == SGX_SUCCESS) {
        __builtin_memcpy(ret_key, operands.key, sizeof(operands.key));
    }
    wipe(&operands, sizeof(operands));
    switch (code) {
    case SGX_SUCCESS:
        return CELLA_OK;
    case SGX_INVALID_ATTRIBUTE:
        return CELLA_RESULT(ATTRIBUTE_REFUSED);
    case SGX_INVALID_CPUSVN:
    case SGX_INVALID_ISVSVN:
        return CELLA_RESULT(SVN_TOO_OLD);
    case SGX_INVALID_KEYNAME:
        return CELLA_RESULT(INVALID_ARGUMENT);
    default:
        return CELLA_RESULT(INTERNAL);
    }
}

/*
 * AES-128-CMAC needs AES. The kernel has no cipher, and a report is only checked with one: the rounds are done by the
 * processor (AES-NI), which every SGX processor has. Vector registers are free here: callers hold nothing in them.
 */
CELLA_KERNEL void cella_cmac_128(const uint8_t key[16], const void *data, size_t size,
                                 uint8_t ret_mac[16]);

cella_result cella_report_verify(const struct sgx_report *report)
{
    struct sgx_keyrequest request;
    uint8_t key[16];
    uint8_t mac[16];
    cella_zero(&request, sizeof(request));
    request.key_name = SGX_KEY_REPORT;
    __builtin_memcpy(request.key_id, report->key_id, sizeof(request.key_id));
    CELLA_TRY(cella_key_get(&request, key));
    cella_cmac_128(key, &report->body, sizeof(report->body), mac);
    wipe(key, sizeof(key));
    uint8_t difference = 0;
    for (size_t i = 0; i < sizeof(mac); i++) {
        difference |= mac[i] ^ report->mac[i];
    }
    wipe(mac, sizeof(mac));
    CELLA_ENSURE(difference == 0, AUTH_FAILED);
    return CELLA_OK;
}
