/*
 * sgx_ukey_exchange.h: the application's part of the remote key exchange. The messages are made and taken by the
 * enclave; the quote comes from the platform's services.
 * Side: host. Called by applications. Never sees a key.
 */
#include "sgx_ukey_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "sgx_uae_service.h"

#define EXPORT __attribute__((visibility("default")))
#define ECDSA_KEY_MAX 4096u

static sgx_status_t told(sgx_status_t status)
{
    switch (status) {
    case SGX_SUCCESS:
    case SGX_ERROR_OUT_OF_MEMORY:
    case SGX_ERROR_BUSY:
    case SGX_ERROR_DEVICE_BUSY:
    case SGX_ERROR_SERVICE_UNAVAILABLE:
    case SGX_ERROR_SERVICE_TIMEOUT:
    case SGX_ERROR_NETWORK_FAILURE:
    case SGX_ERROR_UPDATE_NEEDED:
    case SGX_ERROR_UNRECOGNIZED_PLATFORM:
    case SGX_ERROR_UNSUPPORTED_CONFIG:
    case SGX_ERROR_INVALID_PARAMETER:
    case SGX_ERROR_UNSUPPORTED_ATT_KEY_ID:
    case SGX_ERROR_ENCLAVE_LOST:
        return status;
    default:
        return SGX_ERROR_UNEXPECTED;
    }
}

static sgx_status_t ga_get(sgx_ra_context_t context, sgx_enclave_id_t eid,
                           sgx_ecall_get_ga_trusted_t get_ga, sgx_ec256_public_t *ret_g_a)
{
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    const sgx_status_t outer = get_ga(eid, &inner, context, ret_g_a);
    return outer != SGX_SUCCESS ? outer : inner;
}

EXPORT sgx_status_t sgx_ra_get_msg1(sgx_ra_context_t context, sgx_enclave_id_t eid,
                                    sgx_ecall_get_ga_trusted_t p_get_ga, sgx_ra_msg1_t *p_msg1)
{
    sgx_target_info_t target;
    sgx_epid_group_id_t group;
    sgx_ec256_public_t g_a;
    if (!p_msg1 || !p_get_ga) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = told(sgx_init_quote(&target, &group));
    if (status == SGX_SUCCESS) {
        status = ga_get(context, eid, p_get_ga, &g_a);
    }
    if (status == SGX_SUCCESS) {
        p_msg1->g_a = g_a;
        memcpy(p_msg1->gid, group, sizeof(group));
    }
    return status;
}

EXPORT sgx_status_t sgx_ra_get_msg1_ex(const sgx_att_key_id_t *p_att_key_id,
                                       sgx_ra_context_t context, sgx_enclave_id_t eid,
                                       sgx_ecall_get_ga_trusted_t p_get_ga, sgx_ra_msg1_t *p_msg1)
{
    sgx_target_info_t target;
    uint8_t key[ECDSA_KEY_MAX];
    size_t size = sizeof(key);
    sgx_ec256_public_t g_a;
    if (!p_att_key_id || !p_msg1 || !p_get_ga) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    sgx_status_t status = told(sgx_init_quote_ex(p_att_key_id, &target, &size, key));
    if (status == SGX_SUCCESS) {
        status = ga_get(context, eid, p_get_ga, &g_a);
    }
    if (status == SGX_SUCCESS) {
        memset(p_msg1, 0, sizeof(*p_msg1));
        p_msg1->g_a = g_a;
    }
    return status;
}

/* Either of the two services: with a chosen key (NULL: EPID). */
struct service {
    const sgx_att_key_id_t *key;
    const sgx_ra_msg2_t *message;
};

static sgx_status_t service_target(const struct service *service, sgx_target_info_t *ret_target)
{
    sgx_epid_group_id_t group;
    uint8_t key[ECDSA_KEY_MAX];
    size_t size = sizeof(key);
    return told(service->key ? sgx_init_quote_ex(service->key, ret_target, &size, key)
                             : sgx_init_quote(ret_target, &group));
}

static sgx_status_t service_size(const struct service *service, uint32_t *ret_size)
{
    return told(service->key ? sgx_get_quote_size_ex(service->key, ret_size)
                             : sgx_calc_quote_size(
                                   service->message->sig_rl_size ? service->message->sig_rl : NULL,
                                   service->message->sig_rl_size, ret_size));
}

static sgx_status_t service_quote(const struct service *service, const sgx_report_t *report,
                                  const sgx_quote_nonce_t *nonce, uint8_t *quote, uint32_t size,
                                  sgx_report_t *ret_qe_report)
{
    const sgx_ra_msg2_t *message = service->message;
    sgx_qe_report_info_t info;
    if (!service->key) {
        return told(
            sgx_get_quote(report,
                          message->quote_type == SGX_LINKABLE_SIGNATURE ? SGX_LINKABLE_SIGNATURE
                                                                        : SGX_UNLINKABLE_SIGNATURE,
                          &message->spid, nonce, message->sig_rl_size ? message->sig_rl : NULL,
                          message->sig_rl_size, ret_qe_report, (sgx_quote_t *)quote, size));
    }
    memset(&info, 0, sizeof(info));
    info.nonce = *nonce;
    const sgx_status_t status = told(sgx_get_quote_ex(report, service->key, &info, quote, size));
    *ret_qe_report = info.qe_report;
    return status;
}

struct enclave_calls {
    sgx_ra_context_t context;
    sgx_enclave_id_t eid;
    sgx_ecall_proc_msg2_trusted_t proc_msg2;
    sgx_ecall_get_msg3_trusted_t get_msg3;
};

static sgx_status_t message3_make(const struct enclave_calls *calls, const struct service *service,
                                  sgx_ra_msg3_t *message, uint32_t message_size,
                                  uint32_t quote_size, const sgx_report_t *report,
                                  const sgx_quote_nonce_t *nonce)
{
    sgx_report_t qe_report;
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    memset(message, 0, message_size);
    sgx_status_t status =
        service_quote(service, report, nonce, message->quote, quote_size, &qe_report);
    if (status != SGX_SUCCESS) {
        return status;
    }
    status = calls->get_msg3(calls->eid, &inner, calls->context, quote_size, &qe_report, message,
                             message_size);
    return status != SGX_SUCCESS ? status : inner;
}

static sgx_status_t message2_take(const struct enclave_calls *calls, const struct service *service,
                                  sgx_ra_msg3_t **ret_message, uint32_t *ret_size)
{
    sgx_target_info_t target;
    sgx_report_t report;
    sgx_quote_nonce_t nonce;
    sgx_status_t inner = SGX_ERROR_UNEXPECTED;
    uint32_t quote_size = 0, size;
    sgx_status_t status = service_target(service, &target);
    if (status != SGX_SUCCESS) {
        return status;
    }
    status = calls->proc_msg2(calls->eid, &inner, calls->context, service->message, &target,
                              &report, &nonce);
    if (status != SGX_SUCCESS || inner != SGX_SUCCESS) {
        return status != SGX_SUCCESS ? status : inner;
    }
    status = service_size(service, &quote_size);
    if (status != SGX_SUCCESS) {
        return status;
    }
    if (__builtin_add_overflow(quote_size, (uint32_t)sizeof(sgx_ra_msg3_t), &size)) {
        return SGX_ERROR_UNEXPECTED;
    }
    sgx_ra_msg3_t *message = malloc(size);
    if (!message) {
        return SGX_ERROR_OUT_OF_MEMORY;
    }
    status = message3_make(calls, service, message, size, quote_size, &report, &nonce);
    if (status != SGX_SUCCESS) {
        free(message);
        return status;
    }
    *ret_message = message;
    *ret_size = size;
    return SGX_SUCCESS;
}

static sgx_status_t proc_msg2(const sgx_att_key_id_t *key, const struct enclave_calls *calls,
                              const sgx_ra_msg2_t *message, uint32_t message_size,
                              sgx_ra_msg3_t **ret_message, uint32_t *ret_size)
{
    const struct service service = {.key = key, .message = message};
    if (!message || !calls->proc_msg2 || !calls->get_msg3 || !ret_message || !ret_size ||
        message_size < sizeof(*message) ||
        message_size - sizeof(*message) != message->sig_rl_size) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return message2_take(calls, &service, ret_message, ret_size);
}

EXPORT sgx_status_t sgx_ra_proc_msg2(sgx_ra_context_t context, sgx_enclave_id_t eid,
                                     sgx_ecall_proc_msg2_trusted_t p_proc_msg2,
                                     sgx_ecall_get_msg3_trusted_t p_get_msg3,
                                     const sgx_ra_msg2_t *p_msg2, uint32_t msg2_size,
                                     sgx_ra_msg3_t **pp_msg3, uint32_t *p_msg3_size)
{
    const struct enclave_calls calls = {context, eid, p_proc_msg2, p_get_msg3};
    return proc_msg2(NULL, &calls, p_msg2, msg2_size, pp_msg3, p_msg3_size);
}

EXPORT sgx_status_t sgx_ra_proc_msg2_ex(const sgx_att_key_id_t *p_att_key_id,
                                        sgx_ra_context_t context, sgx_enclave_id_t eid,
                                        sgx_ecall_proc_msg2_trusted_t p_proc_msg2,
                                        sgx_ecall_get_msg3_trusted_t p_get_msg3,
                                        const sgx_ra_msg2_t *p_msg2, uint32_t msg2_size,
                                        sgx_ra_msg3_t **pp_msg3, uint32_t *p_msg3_size)
{
    const struct enclave_calls calls = {context, eid, p_proc_msg2, p_get_msg3};
    if (!p_att_key_id) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return proc_msg2(p_att_key_id, &calls, p_msg2, msg2_size, pp_msg3, p_msg3_size);
}
