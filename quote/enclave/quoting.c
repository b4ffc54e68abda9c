/*
 * The quoting enclave: verifies reports of enclaves on this processor and signs quotes of them.
 * Side: enclave. Called by quote/host.c. Layout: Intel SGX ECDSA QuoteLibReferenceDCAP API, appendix A.4; quotes differ from
 * those of Intel's quoting enclave by the certificates alone.
 * Never quotes a report that was not made for it. Never keeps anything but its key, which EGETKEY gives it anew each time.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

#include "cella/enclave.h"
#include "key.h"
#include "quoting_t.h"

#define CERTIFICATION_MAX (64u << 10)

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static EC_KEY *g_key;
static uint8_t g_point[QUOTE_POINT_SIZE];
static uint8_t g_qe_id[16];
static uint16_t g_svn;

static cella_result keys_derive(void)
{
    struct sgx_keyrequest request;
    struct sgx_report self;
    uint8_t secret[48];
    CELLA_TRY(cella_report_self(&self));
    CELLA_TRY(quote_key_request(SGX_KEY_SEAL, &request));
    CELLA_TRY(quote_key_derive(&request, "attestation key", &g_key, g_point));
    /* names the platform, so no version of anything goes into it */
    request.isv_svn = 0;
    memset(request.cpu_svn, 0, sizeof(request.cpu_svn));
    CELLA_TRY(quote_secret(&request, "QE id", secret));
    memcpy(g_qe_id, secret, sizeof(g_qe_id));
    g_svn = self.body.isv_svn;
    return CELLA_OK;
}

static cella_result keys_load(void)
{
    pthread_mutex_lock(&g_lock);
    const cella_result result = g_key ? CELLA_OK : keys_derive();
    if (!cella_is_ok(result)) {
        EC_KEY_free(g_key);
        g_key = NULL;
    }
    pthread_mutex_unlock(&g_lock);
    return result;
}

cella_result qe_identify(struct sgx_report *self, struct sgx_targetinfo *target, uint8_t *qe_id)
{
    CELLA_ENSURE(self && target && qe_id, INVALID_ARGUMENT);
    CELLA_TRY(keys_load());
    CELLA_TRY(cella_report_self(self));
    cella_report_target(self, target);
    memcpy(qe_id, g_qe_id, sizeof(g_qe_id));
    return CELLA_OK;
}

cella_result qe_bind_key(const struct sgx_targetinfo *certifier, uint8_t *point,
                         uint8_t *authentication, struct sgx_report *report)
{
    uint8_t bound[QUOTE_POINT_SIZE + SGX_QUOTE3_AUTH_SIZE];
    uint8_t data[CELLA_REPORT_DATA_SIZE] = {0};
    CELLA_ENSURE(certifier && point && authentication && report, INVALID_ARGUMENT);
    CELLA_TRY(keys_load());
    memcpy(bound, g_point, QUOTE_POINT_SIZE);
    for (uint8_t i = 0; i < SGX_QUOTE3_AUTH_SIZE; i++) {
        bound[QUOTE_POINT_SIZE + i] = i; /* what Intel's quoting enclave puts there */
    }
    SHA256(bound, sizeof(bound), data);
    memcpy(point, g_point, QUOTE_POINT_SIZE);
    memcpy(authentication, bound + QUOTE_POINT_SIZE, SGX_QUOTE3_AUTH_SIZE);
    return cella_report_create(certifier, data, report);
}

/* This enclave's own report, which binds the quote to the caller's nonce. */
static cella_result report_add(struct sgx_qe_report_info *info, const uint8_t *quote,
                               size_t quote_size)
{
    uint8_t data[CELLA_REPORT_DATA_SIZE] = {0};
    SHA256_CTX hash;
    CELLA_ENSURE(SHA256_Init(&hash) == 1 &&
                     SHA256_Update(&hash, info->nonce, sizeof(info->nonce)) == 1 &&
                     SHA256_Update(&hash, quote, quote_size) == 1 && SHA256_Final(data, &hash) == 1,
                 CRYPTO);
    return cella_report_create(&info->target, data, &info->report);
}

cella_result qe_quote(const struct sgx_report *report, uint16_t pce_svn,
                      const uint8_t *certification, size_t certification_size,
                      struct sgx_qe_report_info *info, uint8_t *quote, size_t quote_size)
{
    static const uint8_t vendor[16] = SGX_QUOTE3_VENDOR;
    const uint32_t rest = (uint32_t)(QUOTE_SIGNATURE_SIZE + QUOTE_POINT_SIZE + certification_size);
    struct sgx_quote3_signed head = {
        .header = {.version = SGX_QUOTE3_VERSION,
                   .key_type = SGX_QUOTE3_KEY_ECDSA_P256,
                   .pce_svn = pce_svn},
    };
    CELLA_ENSURE(report && certification && quote, INVALID_ARGUMENT);
    CELLA_ENSURE(certification_size <= CERTIFICATION_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(quote_size == sizeof(head) + sizeof(rest) + rest, BUFFER_TOO_SMALL);
    CELLA_TRY(keys_load());
    CELLA_TRY(cella_report_verify(report));
    head.header.qe_svn = g_svn;
    memcpy(head.header.vendor, vendor, sizeof(vendor));
    memcpy(head.header.user_data, g_qe_id, sizeof(g_qe_id));
    head.body = report->body;
    memcpy(quote, &head, sizeof(head));
    uint8_t *at = quote + sizeof(head);
    memcpy(at, &rest, sizeof(rest));
    at += sizeof(rest);
    CELLA_TRY(quote_sign(g_key, &head, sizeof(head), at));
    memcpy(at + QUOTE_SIGNATURE_SIZE, g_point, QUOTE_POINT_SIZE);
    memcpy(at + QUOTE_SIGNATURE_SIZE + QUOTE_POINT_SIZE, certification, certification_size);
    return info ? report_add(info, quote, quote_size) : CELLA_OK;
}
