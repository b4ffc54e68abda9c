/*
 * The provisioning certification enclave of a software platform: holds the PCK key and certifies quoting enclaves' keys.
 * Side: enclave. Called by quote/host.c. The key is EGETKEY(PROVISION) of its own versions: a platform whose CPUSVN or a PCE whose
 * ISVSVN changes has another key, which needs another certificate, as on hardware.
 * Never signs for an enclave without the right to provisioning keys, of another signer, or open to debuggers.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <pthread.h>
#include <string.h>

#include "key.h"
#include "provisioning_t.h"

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static EC_KEY *g_key;
static uint8_t g_point[QUOTE_POINT_SIZE];

static cella_result key_load(void)
{
    struct sgx_keyrequest request;
    cella_result result = CELLA_OK;
    pthread_mutex_lock(&g_lock);
    if (!g_key) {
        result = quote_key_request(SGX_KEY_PROVISION, &request);
        if (cella_is_ok(result)) {
            result = quote_key_derive(&request, "PCK", &g_key, g_point);
        }
    }
    pthread_mutex_unlock(&g_lock);
    return result;
}

cella_result pce_identify(struct sgx_targetinfo *target, uint16_t *isv_svn, uint8_t *cpu_svn,
                          uint8_t *point)
{
    struct sgx_report self;
    CELLA_ENSURE(target && isv_svn && cpu_svn && point, INVALID_ARGUMENT);
    CELLA_TRY(key_load());
    CELLA_TRY(cella_report_self(&self));
    cella_report_target(&self, target);
    *isv_svn = self.body.isv_svn;
    memcpy(cpu_svn, self.body.cpu_svn, sizeof(self.body.cpu_svn));
    memcpy(point, g_point, sizeof(g_point));
    return CELLA_OK;
}

cella_result pce_certify(const struct sgx_report *report, uint8_t *signature)
{
    struct sgx_report self;
    CELLA_ENSURE(report && signature, INVALID_ARGUMENT);
    CELLA_TRY(key_load());
    CELLA_TRY(cella_report_self(&self));
    CELLA_TRY(cella_report_verify(report));
    CELLA_ENSURE((report->body.attributes.flags & SGX_FLAGS_PROVISIONKEY) != 0, ATTRIBUTE_REFUSED);
    CELLA_ENSURE((report->body.attributes.flags & SGX_FLAGS_DEBUG) ==
                     (self.body.attributes.flags & SGX_FLAGS_DEBUG),
                 DEBUG_MISMATCH);
    CELLA_ENSURE(memcmp(report->body.mr_signer, self.body.mr_signer, 32) == 0, ACCESS_DENIED);
    return quote_sign(g_key, &report->body, sizeof(report->body), signature);
}
