/*
 * sgx_trts.h and sgx_utils.h: addresses, randomness, CPUID, reports and keys.
 * Side: enclave, tests. Functions named test_ give 0 or the line that failed.
 */
#include "sgx_cpuid.h"
#include "sgx_trts.h"
#include "sgx_utils.h"

#include <string.h>

#include "api_t.h"
#include "check.h"

int test_trts(void *outside)
{
    unsigned char a[32] = {0}, b[32] = {0};
    int registers[4] = {0}, zero[4] = {0};
    uint32_t keys;
    CHECK(sgx_is_within_enclave(a, sizeof(a)) && !sgx_is_outside_enclave(a, sizeof(a)));
    CHECK(sgx_is_within_enclave(a, 0) && !sgx_is_outside_enclave(a, 0));
    CHECK(sgx_is_outside_enclave(outside, 64) && !sgx_is_within_enclave(outside, 64));
    CHECK(sgx_is_outside_enclave(outside, 0) && !sgx_is_within_enclave(outside, 0));
    CHECK(!sgx_is_within_enclave(a, SIZE_MAX / 2) && !sgx_is_outside_enclave(a, SIZE_MAX / 2));
    CHECK(!sgx_is_within_enclave(a, SIZE_MAX) && !sgx_is_outside_enclave(outside, SIZE_MAX));
    CHECK(sgx_is_within_enclave((const void *)test_trts, 1));
    CHECK(sgx_is_enclave_crashed() == 0);
    GOOD(sgx_read_rand(a, sizeof(a)));
    GOOD(sgx_read_rand(b, sizeof(b)));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    GOOD(sgx_read_rand(a, 3));
    BAD_PARAMETER(sgx_read_rand(NULL, 1));
    BAD_PARAMETER(sgx_read_rand(a, 0));
    BAD_PARAMETER(sgx_read_rand(outside, 8));
    BAD_PARAMETER(sgx_read_rand(a, SIZE_MAX / 2));
    GOOD(sgx_cpuid(registers, 0));
    CHECK(registers[0] >= 7 && memcmp(registers, zero, sizeof(zero)) != 0);
    GOOD(sgx_cpuidex(registers, 7, 0));
    BAD_PARAMETER(sgx_cpuid(NULL, 0));
    /* Protection keys are not in the attributes of this enclave: both functions say so, and nothing faults. */
    CHECK(sgx_rdpkru(NULL) == 0 && sgx_rdpkru(&keys) == sgx_wrpkru(0));
    CHECK(sgx_get_ossl_fips_sym("none") == NULL);
    return 0;
}

static int report_self(void)
{
    const sgx_report_t *self = sgx_self_report();
    sgx_target_info_t target;
    sgx_report_t report;
    sgx_report_data_t data;
    memset(&data, 0x5A, sizeof(data));
    GOOD(sgx_self_target(&target));
    CHECK(memcmp(&target.mr_enclave, &self->body.mr_enclave, sizeof(target.mr_enclave)) == 0);
    CHECK(memcmp(&target.attributes, &self->body.attributes, sizeof(target.attributes)) == 0);
    GOOD(sgx_create_report(&target, &data, &report));
    CHECK(memcmp(&report.body.report_data, &data, sizeof(data)) == 0);
    CHECK(memcmp(&report.body.mr_signer, &self->body.mr_signer, 32) == 0);
    CHECK(report.body.isv_svn == self->body.isv_svn);
    GOOD(sgx_verify_report(&report));
    /* Every part of the body is under the MAC. */
    for (size_t at = 0; at < sizeof(report.body); at += 11) {
        ((uint8_t *)&report)[at] ^= 0x10;
        CHECK(sgx_verify_report(&report) == SGX_ERROR_MAC_MISMATCH);
        ((uint8_t *)&report)[at] ^= 0x10;
    }
    report.mac[15] ^= 1;
    CHECK(sgx_verify_report(&report) == SGX_ERROR_MAC_MISMATCH);
    /* For nobody, hence not for me. */
    GOOD(sgx_create_report(NULL, NULL, &report));
    CHECK(sgx_verify_report(&report) == SGX_ERROR_MAC_MISMATCH);
    CHECK(sgx_verify_report(self) == SGX_ERROR_MAC_MISMATCH);
    return 0;
}

int test_report(void)
{
    sgx_target_info_t *outside = (sgx_target_info_t *)0x1000;
    sgx_report2_mac_struct_t report2;
    sgx_report_t report;
    const int line = report_self();
    if (line != 0) {
        return line;
    }
    BAD_PARAMETER(sgx_create_report(NULL, NULL, NULL));
    BAD_PARAMETER(sgx_create_report(outside, NULL, &report));
    BAD_PARAMETER(sgx_create_report(NULL, (const sgx_report_data_t *)outside, &report));
    BAD_PARAMETER(sgx_create_report(NULL, NULL, (sgx_report_t *)outside));
    BAD_PARAMETER(sgx_verify_report(NULL));
    BAD_PARAMETER(sgx_verify_report((const sgx_report_t *)outside));
    BAD_PARAMETER(sgx_self_target(NULL));
    BAD_PARAMETER(sgx_self_target(outside));
    memset(&report2, 0, sizeof(report2));
    BAD_PARAMETER(sgx_verify_report2(NULL));
    BAD_PARAMETER(sgx_verify_report2(&report2)); /* the type of an SGX report */
    report2.report_type.type = TEE_REPORT2_TYPE;
    CHECK(sgx_verify_report2(&report2) != SGX_SUCCESS);
    return 0;
}

static int key_values(sgx_key_request_t *request)
{
    sgx_key_128bit_t first, second;
    GOOD(sgx_get_key(request, &first));
    GOOD(sgx_get_key(request, &second));
    CHECK(memcmp(first, second, sizeof(first)) == 0);
    request->key_policy = SGX_KEYPOLICY_MRSIGNER;
    GOOD(sgx_get_key(request, &second));
    CHECK(memcmp(first, second, sizeof(first)) != 0);
    request->key_policy = SGX_KEYPOLICY_MRENCLAVE;
    request->key_id.id[31] ^= 1;
    GOOD(sgx_get_key(request, &second));
    CHECK(memcmp(first, second, sizeof(first)) != 0);
    request->key_id.id[31] ^= 1;
    request->isv_svn--;
    GOOD(sgx_get_key(request, &second));
    CHECK(memcmp(first, second, sizeof(first)) != 0);
    request->isv_svn++;
    request->key_name = SGX_KEYSELECT_REPORT;
    GOOD(sgx_get_key(request, &second));
    CHECK(memcmp(first, second, sizeof(first)) != 0);
    request->key_name = SGX_KEYSELECT_SEAL;
    return 0;
}

/* Whoever does not look at the status has random bytes, never zeros or a key that others know. */
static int key_refused(sgx_key_request_t *request, sgx_status_t wanted)
{
    static const sgx_key_128bit_t zero;
    sgx_key_128bit_t first = {0}, second = {0};
    CHECK(sgx_get_key(request, &first) == wanted);
    CHECK(sgx_get_key(request, &second) == wanted);
    CHECK(memcmp(first, zero, sizeof(zero)) != 0 && memcmp(first, second, sizeof(first)) != 0);
    return 0;
}

int test_keys(int isv_svn, int kss)
{
    const sgx_report_body_t *self = &sgx_self_report()->body;
    sgx_key_request_t request, changed;
    sgx_key_128bit_t key;
    CHECK(self->isv_svn == isv_svn && isv_svn > 0);
    memset(&request, 0, sizeof(request));
    request.key_name = SGX_KEYSELECT_SEAL;
    request.key_policy = SGX_KEYPOLICY_MRENCLAVE;
    request.isv_svn = self->isv_svn;
    request.cpu_svn = self->cpu_svn;
    const int line = key_values(&request);
    if (line != 0) {
        return line;
    }
    changed = request;
    changed.isv_svn++;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_ISVSVN) == 0);
    changed = request;
    memset(&changed.cpu_svn, 0xFF, sizeof(changed.cpu_svn));
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_CPUSVN) == 0);
    changed = request;
    changed.key_name = 0x77;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_KEYNAME) == 0);
    changed.key_name = SGX_KEYSELECT_PROVISION;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_ATTRIBUTE) == 0);
    changed = request;
    changed.reserved1 = 1;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_PARAMETER) == 0);
    changed = request;
    changed.reserved2[sizeof(changed.reserved2) - 1] = 1;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_PARAMETER) == 0);
    changed = request;
    changed.key_policy |= 0x8000;
    CHECK(key_refused(&changed, SGX_ERROR_INVALID_PARAMETER) == 0);
    changed = request;
    changed.key_policy |= SGX_KEYPOLICY_CONFIGID;
    if (kss) {
        GOOD(sgx_get_key(&changed, &key));
    } else {
        CHECK(key_refused(&changed, SGX_ERROR_INVALID_PARAMETER) == 0);
    }
    BAD_PARAMETER(sgx_get_key(NULL, &key));
    BAD_PARAMETER(sgx_get_key(&request, NULL));
    BAD_PARAMETER(sgx_get_key(&request, (sgx_key_128bit_t *)0x1000));
    return 0;
}

sgx_status_t report_make(const sgx_target_info_t *target, sgx_report_t *report)
{
    return sgx_create_report(target, NULL, report);
}

sgx_status_t report_check(const sgx_report_t *report)
{
    return sgx_verify_report(report);
}
