/*
 * sgx_default_quote_provider.h: collateral and certificates from a directory, and of the software platform.
 * Side: host. Called by quote and verification libraries, Intel's among them, that look for libdcap_quoteprov.
 * Never asks a network: `cella evidence fetch-collateral` fills the directory.
 */
#include "sgx_default_quote_provider.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat/intel/untrusted/documents.h"

#define EXPORT __attribute__((visibility("default")))
#define FMSPC_SIZE INTEL_DOCUMENT_FMSPC_SIZE

static sgx_ql_logging_callback_t g_logger;
static sgx_ql_log_level_t g_level;

static void say(const char *format, const char *what)
{
    char text[256];
    if (g_logger && g_level >= SGX_QL_LOG_ERROR) {
        snprintf(text, sizeof(text), format, what);
        g_logger(SGX_QL_LOG_ERROR, text);
    }
}

/* ------------------------------------------------------------------- collateral */

/* One document of the set; its zero at the end counts, as with Intel's provider. */
static bool document_set(const uint8_t *fmspc, const char *name, char **ret_data,
                         uint32_t *ret_size)
{
    uint8_t *data;
    size_t size;
    if (!intel_document_read(fmspc, name, &data, &size)) {
        say("quote provider: no %s for this FMSPC", name);
        return false;
    }
    *ret_data = (char *)data;
    *ret_size = (uint32_t)size + 1;
    return true;
}

EXPORT quote3_error_t
sgx_ql_free_quote_verification_collateral(sgx_ql_qve_collateral_t *p_quote_collateral)
{
    if (!p_quote_collateral) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    free(p_quote_collateral->pck_crl_issuer_chain);
    free(p_quote_collateral->root_ca_crl);
    free(p_quote_collateral->pck_crl);
    free(p_quote_collateral->tcb_info_issuer_chain);
    free(p_quote_collateral->tcb_info);
    free(p_quote_collateral->qe_identity_issuer_chain);
    free(p_quote_collateral->qe_identity);
    free(p_quote_collateral);
    return SGX_QL_SUCCESS;
}

/* Version 3.1: CRLs in DER. */
static quote3_error_t collateral_get(uint32_t tee, const uint8_t *fmspc, uint16_t fmspc_size,
                                     const char *pck_ca, sgx_ql_qve_collateral_t **ret_collateral)
{
    if (!fmspc || fmspc_size != FMSPC_SIZE || !pck_ca || !ret_collateral ||
        (strcmp(pck_ca, "platform") != 0 && strcmp(pck_ca, "processor") != 0)) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    sgx_ql_qve_collateral_t *set = calloc(1, sizeof(*set));
    if (!set) {
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    set->major_version = 3;
    set->minor_version = 1;
    set->tee_type = tee;
    if (!document_set(fmspc, "pck_crl_issuer_chain.pem", &set->pck_crl_issuer_chain,
                      &set->pck_crl_issuer_chain_size) ||
        !document_set(fmspc, "root_ca_crl.der", &set->root_ca_crl, &set->root_ca_crl_size) ||
        !document_set(fmspc, "pck_crl.der", &set->pck_crl, &set->pck_crl_size) ||
        !document_set(fmspc, "tcb_info_issuer_chain.pem", &set->tcb_info_issuer_chain,
                      &set->tcb_info_issuer_chain_size) ||
        !document_set(fmspc, "tcb_info.json", &set->tcb_info, &set->tcb_info_size) ||
        !document_set(fmspc, "qe_identity_issuer_chain.pem", &set->qe_identity_issuer_chain,
                      &set->qe_identity_issuer_chain_size) ||
        !document_set(fmspc, "qe_identity.json", &set->qe_identity, &set->qe_identity_size)) {
        sgx_ql_free_quote_verification_collateral(set);
        return SGX_QL_NO_QUOTE_COLLATERAL_DATA;
    }
    /* a list in DER has no zero at its end */
    set->root_ca_crl_size--;
    set->pck_crl_size--;
    *ret_collateral = set;
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_ql_get_quote_verification_collateral(
    const uint8_t *fmspc, uint16_t fmspc_size, const char *pck_ca,
    sgx_ql_qve_collateral_t **pp_quote_collateral)
{
    return collateral_get(0, fmspc, fmspc_size, pck_ca, pp_quote_collateral);
}

EXPORT quote3_error_t sgx_ql_get_quote_verification_collateral_with_params(
    const uint8_t *fmspc, const uint16_t fmspc_size, const char *pck_ca, const void *custom_param,
    const uint16_t custom_param_length, sgx_ql_qve_collateral_t **pp_quote_collateral)
{
    (void)custom_param;
    (void)custom_param_length;
    return collateral_get(0, fmspc, fmspc_size, pck_ca, pp_quote_collateral);
}

EXPORT quote3_error_t tdx_ql_get_quote_verification_collateral(
    const uint8_t *fmspc, uint16_t fmspc_size, const char *pck_ca,
    tdx_ql_qv_collateral_t **pp_quote_collateral)
{
    return collateral_get(0x81, fmspc, fmspc_size, pck_ca, pp_quote_collateral);
}

EXPORT quote3_error_t tdx_ql_get_quote_verification_collateral_with_params(
    const uint8_t *fmspc, const uint16_t fmspc_size, const char *pck_ca, const void *custom_param,
    const uint16_t custom_param_length, tdx_ql_qv_collateral_t **pp_quote_collateral)
{
    (void)custom_param;
    (void)custom_param_length;
    return collateral_get(0x81, fmspc, fmspc_size, pck_ca, pp_quote_collateral);
}

EXPORT quote3_error_t
tdx_ql_free_quote_verification_collateral(tdx_ql_qv_collateral_t *p_quote_collateral)
{
    return sgx_ql_free_quote_verification_collateral(p_quote_collateral);
}

/* ------------------------------------------------------------------- the platform's certificates */

EXPORT quote3_error_t sgx_ql_get_quote_config(const sgx_ql_pck_cert_id_t *p_pck_cert_id,
                                              sgx_ql_config_t **pp_quote_config)
{
    uint8_t *chain;
    size_t chain_size;
    if (!p_pck_cert_id || !p_pck_cert_id->p_platform_cpu_svn ||
        !p_pck_cert_id->p_platform_pce_isv_svn || !pp_quote_config) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (!intel_document_read(NULL, "pck_certificate_chain.pem", &chain, &chain_size)) {
        say("quote provider: no %s of this platform", "pck_certificate_chain.pem");
        return SGX_QL_NO_PLATFORM_CERT_DATA;
    }
    sgx_ql_config_t *config = calloc(1, sizeof(*config));
    if (!config) {
        free(chain);
        return SGX_QL_ERROR_OUT_OF_MEMORY;
    }
    config->version = SGX_QL_CONFIG_VERSION_1;
    config->cert_cpu_svn = *p_pck_cert_id->p_platform_cpu_svn;
    config->cert_pce_isv_svn = *p_pck_cert_id->p_platform_pce_isv_svn;
    config->cert_data_size = (uint32_t)chain_size + 1;
    config->p_cert_data = chain;
    *pp_quote_config = config;
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_ql_free_quote_config(sgx_ql_config_t *p_quote_config)
{
    if (!p_quote_config) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    free(p_quote_config->p_cert_data);
    free(p_quote_config);
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_ql_get_root_ca_crl(uint8_t **pp_root_ca_crl, uint16_t *p_root_ca_crl_size)
{
    uint8_t *crl;
    size_t crl_size;
    if (!pp_root_ca_crl || !p_root_ca_crl_size) {
        return SGX_QL_ERROR_INVALID_PARAMETER;
    }
    if (!intel_document_read(NULL, "root_ca_crl.der", &crl, &crl_size)) {
        return SGX_QL_NO_QUOTE_COLLATERAL_DATA;
    }
    if (crl_size > UINT16_MAX) {
        free(crl);
        return SGX_QL_ERROR_UNEXPECTED;
    }
    *pp_root_ca_crl = crl;
    *p_root_ca_crl_size = (uint16_t)crl_size;
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_ql_free_root_ca_crl(uint8_t *p_root_ca_crl)
{
    free(p_root_ca_crl);
    return SGX_QL_SUCCESS;
}

/* ------------------------------------------------------------------- what there is none of */

EXPORT quote3_error_t sgx_ql_get_qve_identity(char **pp_qve_identity, uint32_t *p_qve_identity_size,
                                              char **pp_qve_identity_issuer_chain,
                                              uint32_t *p_qve_identity_issuer_chain_size)
{
    return pp_qve_identity && p_qve_identity_size && pp_qve_identity_issuer_chain &&
                   p_qve_identity_issuer_chain_size
               ? SGX_QL_NO_QVE_IDENTITY_DATA
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t sgx_ql_free_qve_identity(char *p_qve_identity,
                                               char *p_qve_identity_issuer_chain)
{
    free(p_qve_identity);
    free(p_qve_identity_issuer_chain);
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t tee_get_default_platform_policy(const uint8_t *fmspc,
                                                      const uint16_t fmspc_size,
                                                      uint8_t **pp_platform_policy,
                                                      uint32_t *p_platform_policy_size)
{
    return fmspc && fmspc_size == FMSPC_SIZE && pp_platform_policy && p_platform_policy_size
               ? SGX_QL_NO_QUOTE_COLLATERAL_DATA
               : SGX_QL_ERROR_INVALID_PARAMETER;
}

EXPORT quote3_error_t tee_free_platform_policy(uint8_t *p_platform_policy)
{
    free(p_platform_policy);
    return SGX_QL_SUCCESS;
}

/* ------------------------------------------------------------------- the library itself */

EXPORT quote3_error_t sgx_ql_set_logging_callback(sgx_ql_logging_callback_t logger,
                                                  sgx_ql_log_level_t loglevel)
{
    g_logger = logger;
    g_level = loglevel;
    return SGX_QL_SUCCESS;
}

/* Nothing is cached: files are read when they are asked for. */
EXPORT quote3_error_t sgx_qpl_clear_cache(uint32_t cache_type)
{
    (void)cache_type;
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_qpl_global_init(void)
{
    return SGX_QL_SUCCESS;
}

EXPORT quote3_error_t sgx_qpl_global_cleanup(void)
{
    return SGX_QL_SUCCESS;
}
