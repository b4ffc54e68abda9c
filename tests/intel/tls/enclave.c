/*
 * An enclave that makes and verifies certificates by sgx_ttls.h. keys.sh puts its key pair in: no
 * secret, a test.
 * Side: enclave, tests.
 */
#include <string.h>

#include "sgx_ttls.h"
#include "tls_t.h"

/* openssl ecparam -name prime256v1 -genkey, twice. */
static const char g_secret[] = "@SECRET@";
static const char g_other[] = "@OTHER@";
static const char g_public[] = "@PUBLIC@";

quote3_error_t make(uint8_t *buffer, size_t capacity, size_t *size, int wrong)
{
    uint8_t *certificate = NULL;
    const char *secret = wrong ? g_other : g_secret;
    const quote3_error_t error = tee_get_certificate_with_evidence(
        (const unsigned char *)"CN=Test,O=Tests,C=US", (const uint8_t *)secret, strlen(secret) + 1,
        (const uint8_t *)g_public, sizeof(g_public), &certificate, size);
    if (error != SGX_QL_SUCCESS) {
        return error;
    }
    if (*size > capacity) {
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    memcpy(buffer, certificate, *size);
    return tee_free_certificate(certificate);
}

quote3_error_t check(const uint8_t *certificate, size_t size, int64_t time,
                     sgx_ql_qv_result_t *result, uint32_t *supplemental_size)
{
    uint8_t *supplemental = NULL;
    const quote3_error_t error = tee_verify_certificate_with_evidence(
        certificate, size, (time_t)time, result, &supplemental, supplemental_size);
    tee_free_supplemental_data(supplemental);
    return error;
}
