/*
 * sgx_uae_quote_ex.h: quotes by a chosen key, from the daemon at the AESM socket.
 * Side: host. Called by applications and by libsgx_dcap_ql where quotes come out of process.
 * Never loads an enclave: library sgx_quote_ex has nothing of the runtime in it.
 */
#include "sgx_uae_quote_ex.h"

#include <stdlib.h>
#include <string.h>

#include "host/aesm_client.h"

#define EXPORT __attribute__((visibility("default")))

_Static_assert(sizeof(sgx_att_key_id_t) == CELLA_AESM_KEY_ID_SIZE, "sgx_quote.h");
_Static_assert(sizeof(sgx_att_key_id_ext_t) == CELLA_AESM_KEY_ID_SIZE, "sgx_quote.h");
_Static_assert(sizeof(sgx_target_info_t) == CELLA_AESM_TARGET_SIZE, "sgx_report.h");
_Static_assert(sizeof(sgx_report_t) == CELLA_AESM_REPORT_SIZE, "sgx_report.h");
_Static_assert(sizeof(sgx_qe_report_info_t) == CELLA_AESM_REPORT_INFO_SIZE, "sgx_quote.h");

/* Codes of the daemon that have a status of their own. */
static sgx_status_t status_of_code(uint64_t code)
{
    switch (code) {
    case 3:
        return SGX_ERROR_INVALID_PARAMETER;
    case 18: /* AESM_BUSY */
    case 19: /* AESM_BACKEND_SERVER_BUSY */
        return SGX_ERROR_BUSY;
    case 12:
        return SGX_ERROR_NETWORK_FAILURE;
    case 21:
        return SGX_ERROR_OUT_OF_MEMORY;
    case 29:
        return SGX_ERROR_OUT_OF_EPC;
    case 20:
        return SGX_ERROR_UPDATE_NEEDED;
    case 17: /* AESM_SERVICE_STOPPED */
    case 30: /* AESM_SERVICE_UNAVAILABLE */
        return SGX_ERROR_SERVICE_UNAVAILABLE;
    case 31:
        return SGX_ERROR_UNRECOGNIZED_PLATFORM;
    case 38:
        return SGX_ERROR_UNSUPPORTED_ATT_KEY_ID;
    case 42:
        return SGX_ERROR_ATT_KEY_UNINITIALIZED;
    case 44:
        return SGX_ERROR_PLATFORM_CERT_UNAVAILABLE;
    case 45: /* AESM_ERROR_REPORT */
    case 47: /* AESM_INVALID_REPORT */
        return SGX_ERROR_MAC_MISMATCH;
    case 50:
        return SGX_ERROR_ATT_KEY_CERTIFICATION_FAILURE;
    default:
        return SGX_ERROR_UNEXPECTED;
    }
}

static sgx_status_t status_of(cella_result result, uint64_t code)
{
    if (cella_is_ok(result)) {
        return SGX_SUCCESS;
    }
    if (code != 0) {
        return status_of_code(code);
    }
    switch (result.code) {
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_UNSUPPORTED:
        return SGX_ERROR_SERVICE_UNAVAILABLE;
    case CELLA_CODE_BUSY:
        return SGX_ERROR_SERVICE_TIMEOUT;
    case CELLA_CODE_OUT_OF_MEMORY:
        return SGX_ERROR_OUT_OF_MEMORY;
    case CELLA_CODE_INVALID_ARGUMENT:
        return SGX_ERROR_INVALID_PARAMETER;
    default:
        return SGX_ERROR_UNEXPECTED;
    }
}

EXPORT sgx_status_t sgx_select_att_key_id(const uint8_t *p_att_key_id_list,
                                          uint32_t att_key_id_list_size,
                                          sgx_att_key_id_t *p_selected_key_id)
{
    uint64_t code = 0;
    if (!p_selected_key_id || (p_att_key_id_list == NULL) != (att_key_id_list_size == 0)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = cella_aesm_select_key(p_att_key_id_list, att_key_id_list_size,
                                                      p_selected_key_id, &code, NULL);
    return status_of(result, code);
}

EXPORT sgx_status_t sgx_init_quote_ex(const sgx_att_key_id_t *p_att_key_id,
                                      sgx_target_info_t *p_qe_target_info,
                                      size_t *p_pub_key_id_size, uint8_t *p_pub_key_id)
{
    uint64_t code = 0;
    if (!p_att_key_id || !p_qe_target_info || !p_pub_key_id_size ||
        (p_pub_key_id && (*p_pub_key_id_size == 0 || *p_pub_key_id_size >= UINT32_MAX))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result =
        cella_aesm_init_quote(p_att_key_id, p_qe_target_info, p_pub_key_id_size, p_pub_key_id,
                              p_pub_key_id ? *p_pub_key_id_size : 0, &code, NULL);
    return status_of(result, code);
}

EXPORT sgx_status_t sgx_get_quote_size_ex(const sgx_att_key_id_t *p_att_key_id,
                                          uint32_t *p_quote_size)
{
    uint64_t code = 0;
    if (!p_att_key_id || !p_quote_size) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = cella_aesm_quote_size(p_att_key_id, p_quote_size, &code, NULL);
    return status_of(result, code);
}

EXPORT sgx_status_t sgx_get_quote_ex(const sgx_report_t *p_app_report,
                                     const sgx_att_key_id_t *p_att_key_id,
                                     sgx_qe_report_info_t *p_qe_report_info, uint8_t *p_quote,
                                     uint32_t quote_size)
{
    uint64_t code = 0;
    size_t size = 0;
    if (!p_app_report || !p_att_key_id || !p_quote || quote_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = cella_aesm_get_quote(p_att_key_id, p_app_report, p_qe_report_info,
                                                     p_quote, quote_size, &size, &code, NULL);
    return status_of(result, code);
}

EXPORT sgx_status_t sgx_get_supported_att_key_id_num(uint32_t *p_att_key_id_num)
{
    uint64_t code = 0;
    if (!p_att_key_id_num) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = cella_aesm_key_count(p_att_key_id_num, &code, NULL);
    return status_of(result, code);
}

EXPORT sgx_status_t sgx_get_supported_att_key_ids(sgx_att_key_id_ext_t *p_att_key_id_list,
                                                  uint32_t att_key_id_num)
{
    uint64_t code = 0;
    if (!p_att_key_id_list || att_key_id_num == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    const cella_result result = cella_aesm_keys(p_att_key_id_list, att_key_id_num, &code, NULL);
    return status_of(result, code);
}
