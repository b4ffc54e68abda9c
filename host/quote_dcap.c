/*
 * Quotes on SGX hardware from Intel's quote library, where it is installed.
 * Side: host. Called by quote.c and services/quoted.
 * Never takes this project's own library of that name for Intel's.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "host/quote.h"
#include "host/quote_key.h"

#define LIBRARY "libsgx_dcap_ql.so.1"
#define QE_LIBRARY "libsgx_qe3_logic.so.1"
#define OWN_MARK "cella_dcap_skin" /* exported by compat/intel's library */
#define QL_SUCCESS 0u
#define QL_INVALID_REPORT 0xE015u

static struct {
    pthread_once_t once;
    void *library;
    uint32_t (*init)(const void *key_id, struct sgx_targetinfo *target, bool refresh,
                     size_t *public_key_id_size, uint8_t *public_key_id);
    uint32_t (*target)(struct sgx_targetinfo *target);
    uint32_t (*size)(uint32_t *size);
    uint32_t (*quote)(const struct sgx_report *report, uint32_t size, uint8_t *quote);
    /* of the lower library: with a report of the quoting enclave */
    uint32_t (*quote_with_report)(const struct sgx_report *report, const void *key_id,
                                  struct sgx_qe_report_info *info, uint8_t *quote, uint32_t size);
} g_dcap = {.once = PTHREAD_ONCE_INIT};

static void dcap_load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library || dlsym(library, OWN_MARK)) {
        return;
    }
    g_dcap.target = (__typeof__(g_dcap.target))dlsym(library, "sgx_qe_get_target_info");
    g_dcap.size = (__typeof__(g_dcap.size))dlsym(library, "sgx_qe_get_quote_size");
    g_dcap.quote = (__typeof__(g_dcap.quote))dlsym(library, "sgx_qe_get_quote");
    void *lower = dlopen(QE_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    g_dcap.quote_with_report =
        (__typeof__(g_dcap.quote_with_report))dlsym(lower ? lower : library, "sgx_ql_get_quote");
    g_dcap.init = (__typeof__(g_dcap.init))dlsym(lower ? lower : library, "sgx_ql_init_quote");
    g_dcap.library = g_dcap.target && g_dcap.size && g_dcap.quote ? library : NULL;
}

static cella_result dcap_ready(struct cella_error *error)
{
    pthread_once(&g_dcap.once, dcap_load);
    if (!g_dcap.library) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "%s is not installed: quotes on hardware need it or the AESM socket",
                               LIBRARY);
    }
    return CELLA_OK;
}

static cella_result dcap_result(uint32_t code, const char *call, struct cella_error *error)
{
    if (code == QL_SUCCESS) {
        return CELLA_OK;
    }
    return cella_error_set(
        error, code == QL_INVALID_REPORT ? CELLA_RESULT(AUTH_FAILED) : CELLA_RESULT(HOST_REFUSED),
        "%s: %s: error 0x%x", LIBRARY, call, code);
}

static cella_result dcap_target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                                struct cella_error *error)
{
    CELLA_TRY(dcap_ready(error));
    if (ret_target) {
        CELLA_TRY(dcap_result(g_dcap.target(ret_target), "sgx_qe_get_target_info", error));
    }
    if (ret_quote_size) {
        CELLA_TRY(dcap_result(g_dcap.size(ret_quote_size), "sgx_qe_get_quote_size", error));
    }
    return CELLA_OK;
}

static cella_result dcap_quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                               void *out, size_t out_capacity, size_t *ret_size,
                               struct cella_error *error)
{
    uint32_t size;
    CELLA_TRY(dcap_target(NULL, &size, error));
    *ret_size = size;
    CELLA_ENSURE(out_capacity >= size, BUFFER_TOO_SMALL);
    if (!info) {
        return dcap_result(g_dcap.quote(report, size, out), "sgx_qe_get_quote", error);
    }
    if (!g_dcap.quote_with_report) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: no sgx_ql_get_quote: no reports of the quoting enclave",
                               LIBRARY);
    }
    uint8_t key_id[SGX_KEY_ID_SIZE];
    cella_quote_key_intel(key_id);
    return dcap_result(g_dcap.quote_with_report(report, key_id, info, out, size),
                       "sgx_ql_get_quote", error);
}

static cella_result dcap_key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    struct sgx_targetinfo target;
    size_t size = 32;
    CELLA_TRY(dcap_ready(error));
    if (!g_dcap.init) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "%s: no sgx_ql_init_quote",
                               LIBRARY);
    }
    cella_quote_key_intel(key_id);
    return dcap_result(g_dcap.init(key_id, &target, false, &size, ret_key_id), "sgx_ql_init_quote",
                       error);
}

const struct cella_quote_source *cella_quote_dcap(void)
{
    static const struct cella_quote_source source = {
        .name = LIBRARY, .target = dcap_target, .quote = dcap_quote, .key_id = dcap_key_id};
    return &source;
}
