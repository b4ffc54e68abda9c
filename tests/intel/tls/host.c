/*
 * The host of the enclave with certificates: what the enclave and the host say of them.
 * Side: host, tests. Usage: host IMAGE DEBUG ENCLAVE-TRUSTS HOST-TRUSTS, each 0 or 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sgx_urts.h"
#include "sgx_utls.h"
#include "tls_u.h"

static unsigned failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: FAILED: %s (0x%x)\n", __LINE__, #condition, (unsigned)error);         \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static quote3_error_t told(int trust)
{
    return trust ? SGX_QL_SUCCESS : SGX_QL_PCK_CERT_CHAIN_ERROR;
}

int main(int argc, char **argv)
{
    sgx_enclave_id_t id;
    uint8_t certificate[16384], *supplemental = NULL;
    size_t size = 0;
    sgx_ql_qv_result_t result = SGX_QL_QV_RESULT_OK;
    uint32_t supplemental_size = 0;
    quote3_error_t error = SGX_QL_SUCCESS;
    if (argc < 5) {
        return 2;
    }
    const int enclave_trusts = atoi(argv[3]), host_trusts = atoi(argv[4]);
    if (sgx_create_enclave(argv[1], atoi(argv[2]), NULL, NULL, &id, NULL) != SGX_SUCCESS) {
        puts("create: FAILED");
        return 1;
    }
    const int64_t now = time(NULL);
    CHECK(make(id, &error, certificate, sizeof(certificate), &size, 0) == SGX_SUCCESS &&
          error == SGX_QL_SUCCESS);
    CHECK(check(id, &error, certificate, size, now, &result, &supplemental_size) == SGX_SUCCESS);
    CHECK(error == told(enclave_trusts));
    CHECK(result == (enclave_trusts ? SGX_QL_QV_RESULT_OK : SGX_QL_QV_RESULT_UNSPECIFIED));
    CHECK(!enclave_trusts || supplemental_size == sizeof(sgx_ql_qv_supplemental_t));
    error = tee_verify_certificate_with_evidence_host(certificate, size, now, &result,
                                                      &supplemental, &supplemental_size);
    CHECK(error == told(host_trusts));
    tee_free_supplemental_data_host(supplemental);
    certificate[size - 9] ^= 1; /* the signature */
    CHECK(check(id, &error, certificate, size, now, &result, &supplemental_size) == SGX_SUCCESS);
    CHECK(error == SGX_QL_RESULT_INVALID_SIGNATURE);
    error = tee_verify_certificate_with_evidence_host(certificate, size, now, &result, NULL, NULL);
    CHECK(error == SGX_QL_RESULT_INVALID_SIGNATURE);
    error = tee_verify_certificate_with_evidence_host(certificate, 20, now, &result, NULL, NULL);
    CHECK(error == SGX_QL_ERROR_INVALID_PARAMETER);
    CHECK(make(id, &error, certificate, sizeof(certificate), &size, 1) == SGX_SUCCESS);
    CHECK(error == SGX_QL_ERROR_INVALID_PARAMETER);
    sgx_destroy_enclave(id);
    printf("%u failures\n", failures);
    return failures != 0;
}
