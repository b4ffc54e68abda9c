/*
 * Collateral in the structure of Intel's DCAP libraries: taken, given, found. qv_collateral.h is the manual.
 * Side: host. Called by untrusted/qv.c and applications. Never verifies.
 */
#include "compat/intel/untrusted/qv_collateral.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "compat/intel/verify.h"
#include "sgx_dcap_quoteverify.h"

#define EXPORT __attribute__((visibility("default")))
#define PROVIDER "libdcap_quoteprov.so.1"
#define PROVIDER_PATH_SIZE 260u
#define VERSION_1 1u
#define VERSION_3 3u            /* CRLs in PEM */
#define VERSION_3_1 0x00010003u /* CRLs in DER */
#define VERSION_4 4u

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static char g_provider[PROVIDER_PATH_SIZE];

bool qv_provider_set(const char *path)
{
    const size_t size = strlen(path) + 1;
    if (size > sizeof(g_provider)) {
        return false;
    }
    pthread_mutex_lock(&g_lock);
    memcpy(g_provider, path, size);
    pthread_mutex_unlock(&g_lock);
    return true;
}

static const char *provider(char out[PROVIDER_PATH_SIZE])
{
    pthread_mutex_lock(&g_lock);
    memcpy(out, g_provider, sizeof(g_provider));
    pthread_mutex_unlock(&g_lock);
    return out[0] ? out : NULL;
}

quote3_error_t qv_platform_read(struct cella_span quote, struct cella_platform_claims *ret)
{
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    if (!scratch) {
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    struct cella_evidence_claims claims;
    cella_result result = cella_evidence_parse(quote, &claims, NULL);
    quote3_error_t error = SGX_QL_QUOTE_FORMAT_UNSUPPORTED;
    if (cella_is_ok(result)) {
        result = cella_evidence_platform(quote, scratch, CELLA_EVIDENCE_SCRATCH_SIZE, ret);
        error = cella_is_ok(result)                   ? SGX_QL_SUCCESS
                : result.code == CELLA_CODE_NOT_FOUND ? SGX_QL_QUOTE_CERTIFICATION_DATA_UNSUPPORTED
                                                      : SGX_QL_PCK_CERT_CHAIN_ERROR;
    }
    free(scratch);
    return error;
}

quote3_error_t qv_collateral_fetch(struct cella_span quote,
                                   struct cella_quote_documents *ret_documents)
{
    struct cella_platform_claims platform;
    char path[PROVIDER_PATH_SIZE];
    const quote3_error_t error = qv_platform_read(quote, &platform);
    if (error != SGX_QL_SUCCESS) {
        return error;
    }
    switch (cella_quote_documents_get(quote, provider(path), ret_documents, NULL).code) {
    case CELLA_CODE_OK:
        return SGX_QL_SUCCESS;
    case CELLA_CODE_NO_DEVICE:
        return SGX_QL_PLATFORM_LIB_UNAVAILABLE;
    case CELLA_CODE_OUT_OF_MEMORY:
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    default:
        return SGX_QL_NO_QUOTE_COLLATERAL_DATA;
    }
}

quote3_error_t qv_collateral_items(const sgx_ql_qve_collateral_t *collateral,
                                   struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT])
{
    const struct {
        const char *name, *data;
        uint32_t size;
    } documents[CELLA_DOCUMENT_COUNT] = {
        {"pck_crl_issuer_chain", collateral->pck_crl_issuer_chain,
         collateral->pck_crl_issuer_chain_size},
        {"root_ca_crl", collateral->root_ca_crl, collateral->root_ca_crl_size},
        {"pck_crl", collateral->pck_crl, collateral->pck_crl_size},
        {"tcb_info_issuer_chain", collateral->tcb_info_issuer_chain,
         collateral->tcb_info_issuer_chain_size},
        {"tcb_info", collateral->tcb_info, collateral->tcb_info_size},
        {"qe_identity_issuer_chain", collateral->qe_identity_issuer_chain,
         collateral->qe_identity_issuer_chain_size},
        {"qe_identity", collateral->qe_identity, collateral->qe_identity_size},
    };
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        if (!documents[i].data || documents[i].size == 0) {
            return SGX_QL_ERROR_INVALID_PARAMETER;
        }
        ret_items[i] = (struct cella_collateral_item){
            .name = documents[i].name,
            .bytes = cella_collateral_trim((struct cella_span){
                .data = (const uint8_t *)documents[i].data, .size = documents[i].size})};
    }
    return collateral->version == VERSION_1 || collateral->version == VERSION_3 ||
                   collateral->version == VERSION_3_1 || collateral->version == VERSION_4
               ? SGX_QL_SUCCESS
               : SGX_QL_COLLATERAL_VERSION_NOT_SUPPORTED;
}

/* ------------------------------------------------------------------------- given to the application */

/* One block: the structure, and the documents that it points to. */
struct given {
    sgx_ql_qve_collateral_t collateral;
    struct cella_quote_documents documents;
};

static void document_set(struct given *given, enum cella_document which, char **ret_data,
                         uint32_t *ret_size)
{
    const struct cella_span document = given->documents.documents[which];
    *ret_data = (char *)given->documents.memory +
                (document.data - (const uint8_t *)given->documents.memory);
    *ret_size = (uint32_t)document.size + 1;
}

/* The zero behind is counted, but not for binary lists. */
static void given_fill(struct given *given, bool tdx)
{
    sgx_ql_qve_collateral_t *out = &given->collateral;
    const struct cella_span list = given->documents.documents[CELLA_DOCUMENT_PCK_CRL];
    const bool is_der = list.size > 0 && list.data[0] == 0x30;
    out->version = is_der ? VERSION_3_1 : VERSION_3;
    out->tee_type = tdx ? 0x81 : 0;
    document_set(given, CELLA_DOCUMENT_PCK_CRL_CHAIN, &out->pck_crl_issuer_chain,
                 &out->pck_crl_issuer_chain_size);
    document_set(given, CELLA_DOCUMENT_ROOT_CRL, &out->root_ca_crl, &out->root_ca_crl_size);
    document_set(given, CELLA_DOCUMENT_PCK_CRL, &out->pck_crl, &out->pck_crl_size);
    document_set(given, CELLA_DOCUMENT_TCB_INFO_CHAIN, &out->tcb_info_issuer_chain,
                 &out->tcb_info_issuer_chain_size);
    document_set(given, CELLA_DOCUMENT_TCB_INFO, &out->tcb_info, &out->tcb_info_size);
    document_set(given, CELLA_DOCUMENT_QE_IDENTITY_CHAIN, &out->qe_identity_issuer_chain,
                 &out->qe_identity_issuer_chain_size);
    document_set(given, CELLA_DOCUMENT_QE_IDENTITY, &out->qe_identity, &out->qe_identity_size);
    out->root_ca_crl_size -= is_der;
    out->pck_crl_size -= is_der;
}

static uint32_t given_size(const sgx_ql_qve_collateral_t *out)
{
    return (uint32_t)sizeof(*out) + out->pck_crl_issuer_chain_size + out->root_ca_crl_size +
           out->pck_crl_size + out->tcb_info_issuer_chain_size + out->tcb_info_size +
           out->qe_identity_issuer_chain_size + out->qe_identity_size;
}

EXPORT quote3_error_t tee_qv_get_collateral(const uint8_t *p_quote, uint32_t quote_size,
                                            uint8_t **pp_quote_collateral,
                                            uint32_t *p_collateral_size)
{
    uint32_t tee;
    if (!p_quote || quote_size < INTEL_QUOTE_MIN || !pp_quote_collateral || *pp_quote_collateral ||
        !p_collateral_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *p_collateral_size = 0;
    memcpy(&tee, p_quote + 4, sizeof(tee)); /* behind version and key type */
    struct given *given = calloc(1, sizeof(*given));
    if (!given) {
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    const quote3_error_t error =
        qv_collateral_fetch((struct cella_span){p_quote, quote_size}, &given->documents);
    if (error != SGX_QL_SUCCESS) {
        free(given);
        return error;
    }
    given_fill(given, tee == 0x81);
    *pp_quote_collateral = (uint8_t *)given;
    *p_collateral_size = given_size(&given->collateral);
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t tee_qv_free_collateral(uint8_t *p_quote_collateral)
{
    struct given *given = (struct given *)p_quote_collateral;
    if (!given) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    cella_quote_documents_done(&given->documents);
    free(given);
    return SGX_QL_SUCCESS;
}

/* ------------------------------------------------------------------------- the QvE's identity */

/* Intel's own, for those who check reports of Intel's verification enclave: the provider's matter alone. */
static void *provider_symbol(const char *name)
{
    char path[PROVIDER_PATH_SIZE];
    const char *chosen = provider(path);
    void *library = dlopen(chosen ? chosen : PROVIDER, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return library ? dlsym(library, name) : NULL;
}

EXPORT quote3_error_t sgx_qv_get_qve_identity(uint8_t **pp_qveid, uint32_t *p_qveid_size,
                                              uint8_t **pp_qveid_issue_chain,
                                              uint32_t *p_qveid_issue_chain_size,
                                              uint8_t **pp_root_ca_crl,
                                              uint16_t *p_root_ca_crl_size)
{
    quote3_error_t (*identity)(char **, uint32_t *, char **, uint32_t *);
    quote3_error_t (*list)(uint8_t **, uint16_t *);
    if (!pp_qveid || !p_qveid_size || !pp_qveid_issue_chain || !p_qveid_issue_chain_size ||
        !pp_root_ca_crl || !p_root_ca_crl_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *(void **)&identity = provider_symbol("sgx_ql_get_qve_identity");
    *(void **)&list = provider_symbol("sgx_ql_get_root_ca_crl");
    if (!identity || !list) {
        return SGX_QL_PLATFORM_LIB_UNAVAILABLE;
    }
    const quote3_error_t error = identity((char **)pp_qveid, p_qveid_size,
                                          (char **)pp_qveid_issue_chain, p_qveid_issue_chain_size);
    return error == SGX_QL_SUCCESS ? list(pp_root_ca_crl, p_root_ca_crl_size) : error;
}

EXPORT quote3_error_t sgx_qv_free_qve_identity(uint8_t *p_qveid, uint8_t *p_qveid_issue_chain,
                                               uint8_t *p_root_ca_crl)
{
    quote3_error_t (*identity)(char *, char *);
    quote3_error_t (*list)(uint8_t *);
    if (!p_qveid || !p_qveid_issue_chain || !p_root_ca_crl) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    *(void **)&identity = provider_symbol("sgx_ql_free_qve_identity");
    *(void **)&list = provider_symbol("sgx_ql_free_root_ca_crl");
    if (!identity || !list) {
        return SGX_QL_PLATFORM_LIB_UNAVAILABLE;
    }
    const quote3_error_t error = identity((char *)p_qveid, (char *)p_qveid_issue_chain);
    const quote3_error_t freed = list(p_root_ca_crl);
    return error == SGX_QL_SUCCESS ? freed : error;
}
