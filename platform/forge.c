/*
 * A quote v3 that no enclave made: for tests of verifiers, on platforms whose PCK key is of their seed.
 * Side: host, tests. Source: Intel SGX ECDSA QuoteLibReferenceDCAP API, appendix A.4.
 * Never works with the key of a real provisioning certification enclave: nobody outside it has that key.
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "platform/internal.h"

#define HEADER_SIZE 48u
#define BODY_SIZE sizeof(struct sgx_report_body)

static const uint8_t g_vendor[16] = {0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9,
                                     0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07};

static uint8_t *put(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_number(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
    return at + size;
}

static void header_put(const struct platform *platform, const struct platform_forgery *forgery,
                       uint8_t *at)
{
    memset(at, 0, HEADER_SIZE);
    put_number(at, 3, 2);
    put_number(at + 2, 2, 2); /* ECDSA-256-with-P-256 */
    put_number(at + 8, forgery->qe_svn, 2);
    put_number(at + 10, forgery->pce_svn, 2);
    put(at + 12, g_vendor, sizeof(g_vendor));
    put(at + 28, platform->ppid, 16); /* user data starts with an id of the platform */
}

static struct sgx_report_body qe_report_make(const struct platform *platform,
                                             const struct platform_forgery *forgery,
                                             const uint8_t point[PLATFORM_KEY_SIZE],
                                             const uint8_t *auth, size_t auth_size)
{
    struct sgx_report_body report = {0};
    if (forgery->qe_report) {
        report = *forgery->qe_report;
    } else {
        memcpy(report.cpu_svn, platform->options.cpu_svn, 16);
        report.misc_select = forgery->qe.misc_select;
        report.attributes = forgery->qe.attributes;
        memcpy(report.mr_signer, forgery->qe.mr_signer, 32);
        report.isv_prod_id = forgery->qe.isv_prod_id;
        report.isv_svn = forgery->qe.isv_svn;
    }
    uint8_t bound[PLATFORM_KEY_SIZE + UINT16_MAX];
    memcpy(bound, point, PLATFORM_KEY_SIZE);
    memcpy(bound + PLATFORM_KEY_SIZE, auth, auth_size);
    memset(report.report_data, 0, sizeof(report.report_data));
    SHA256(bound, PLATFORM_KEY_SIZE + auth_size, report.report_data);
    return report;
}

cella_result platform_forge_quote(const struct platform *platform,
                                  const struct platform_forgery *forgery,
                                  struct platform_blob *ret_quote, struct cella_error *error)
{
    CELLA_ENSURE(!platform->options.pck_public, WRONG_STATE);
    uint8_t default_auth[32];
    uint8_t point[PLATFORM_KEY_SIZE];
    for (size_t i = 0; i < sizeof(default_auth); i++) {
        default_auth[i] = (uint8_t)i;
    }
    const uint8_t *auth = forgery->auth_data ? forgery->auth_data : default_auth;
    const size_t auth_size = forgery->auth_data ? forgery->auth_data_size : sizeof(default_auth);
    CELLA_CLEANUP(platform_key_done) EVP_PKEY *attestation = NULL;
    CELLA_TRY(platform_key_derive(platform->options.seed, "attestation key of no enclave",
                                  &attestation, error));
    CELLA_TRY(platform_key_point(attestation, point, error));
    const struct sgx_report_body qe_report =
        qe_report_make(platform, forgery, point, auth, auth_size);

    const size_t chain = platform->pck_chain.size;
    const size_t rest = 64 + PLATFORM_KEY_SIZE + BODY_SIZE + 64 + 2 + auth_size + 2 + 4 + chain;
    const size_t size = HEADER_SIZE + BODY_SIZE + 4 + rest;
    uint8_t *quote = calloc(1, size + 1);
    CELLA_ENSURE(quote != NULL, OUT_OF_MEMORY);
    header_put(platform, forgery, quote);
    uint8_t *at = put(quote + HEADER_SIZE, forgery->body, BODY_SIZE);
    at = put_number(at, rest, 4);
    cella_result result = platform_sign(attestation, quote, HEADER_SIZE + BODY_SIZE, at, error);
    at = put(at + 64, point, sizeof(point));
    at = put(at, &qe_report, BODY_SIZE);
    if (cella_is_ok(result)) {
        result =
            platform_sign(platform->keys[PLATFORM_PCK], &qe_report, sizeof(qe_report), at, error);
    }
    at = put_number(at + 64, auth_size, 2);
    at = put(at, auth, auth_size);
    at = put_number(at, 5, 2); /* PCK certificate chain */
    at = put_number(at, chain, 4);
    put(at, platform->pck_chain.data, chain);
    if (!cella_is_ok(result)) {
        free(quote);
        return result;
    }
    *ret_quote = (struct platform_blob){quote, size};
    return CELLA_OK;
}
